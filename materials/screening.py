"""Any number of materials through one predictor: `trifold materials predict`.

    input --Inputs--> rows --chunks--> PreparationPool --graphs--> PropertyPredictor --frames--> GrowingTable

Rows are computed in chunks that depend on nothing but the input, so that the table has the same bytes however many
workers there are, and whether it was made at once, in shards, or after having been killed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import pandas as pd

from common.app.errors import ConfigError
from common.data.loader import prefetched
from common.data.shard import Shard, local_processes
from materials.config import PredictConfig
from materials.data.inputs import Inputs
from materials.predictor import PropertyPredictor
from materials.preparation import Prepared
from materials.screening_progress import ScreeningProgress
from materials.screening_table import GrowingTable, State, is_result, merge_shards, shard_path, write_rejected

CHUNK = 256
"""Rows that are prepared and predicted together."""

NOTHING_PREDICTED = 3

Rows = list[tuple[str, Any]]


def predict(config: PredictConfig) -> int:
    """Write predictions.csv, a row for each row of the input, and rejected.csv, those that were refused and why.

    Returns the exit status: 3 when nothing could be predicted, else 0; of a shard whose table is not complete yet, 0.
    """
    shard, path = Shard.of(config.shard), _table_path(Path(config.output))
    if not Path(config.input).exists():
        raise ConfigError(f"input={config.input}: no such file or folder")
    predictor = PropertyPredictor.from_pretrained(config.model, config.device)
    substance = predictor.card["substance"]
    inputs = Inputs(config.input, substance, config.column, config.id_column, lambda file: is_result(file, path))
    asked = config.model_dump(include={"model", "input", "column", "id_column", "interval"})
    table = GrowingTable(shard_path(path, *shard), {**asked, "shard": str(shard)})
    try:
        if not table.state.done:
            screen(predictor, inputs, table, shard, config)
        table.finish()
    finally:
        table.close()
    state = _complete(path, table, shard)
    if state is None:
        print(f"shard {shard.number} of {shard.count}: {_summary(table.state)} -> {table.path}, merged with the last")
        return 0
    print(f"{state.predicted} predicted -> {path}")
    if state.rejected:
        print(f"{state.rejected} rejected, with reasons -> {path.with_name('rejected.csv')}")
    return 0 if state.predicted else NOTHING_PREDICTED


def screen(
    predictor: PropertyPredictor, inputs: Inputs, table: GrowingTable, shard: Shard, config: PredictConfig
) -> None:
    """Predict the rows of the shard that the table does not hold yet."""
    chunks = _chunks(inputs, shard, table.state)
    workers = config.workers
    if workers is None:
        workers = max((os.cpu_count() or 1) // local_processes(), 1)
    with ScreeningProgress(inputs, table.state) as progress:
        for prepared in _prepared(predictor, chunks, workers, config.time_limit_s):
            frames = [predictor.predict_prepared(part, config.budget, config.interval) for part in prepared]
            table.append(pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0])
            progress.show()


def _prepared(
    predictor: PropertyPredictor, chunks: Iterator[Rows], workers: int, time_limit_s: float
) -> Iterator[list[Prepared]]:
    """Graphs of each chunk. A single row is not worth a process."""
    from materials.preparation_pool import PreparationPool, prepare_or_refuse

    first = next(chunks, None)
    if first is None:
        return
    if not workers or len(first) == 1:
        yield from (prepare_or_refuse(rows, predictor.card) for rows in chain([first], chunks))
        return
    with PreparationPool(predictor.card, workers, time_limit_s) as pool:
        yield from prefetched(pool.prepare(chain([first], chunks)))


def _chunks(inputs: Inputs, shard: Shard, state: State) -> Iterator[Rows]:
    """The chunks of the shard that `state` does not count yet."""
    rows, last = iter(inputs), ""
    for number in count():
        chunk = list(islice(rows, CHUNK))
        if not chunk and not number:
            raise ConfigError(f"input={inputs.path} holds nothing: no files or no rows")
        if not chunk:
            return
        turn, remainder = divmod(number, shard.count)
        if remainder != shard.number - 1:
            continue
        if turn >= state.chunks:
            yield chunk
        elif turn == state.chunks - 1 and (last := chunk[-1][0]) != state.last_id:
            raise ConfigError(
                f"input={inputs.path} has changed since this run was stopped: '{last}' is where '{state.last_id}' was; "
                "remove the unfinished table, or choose another output"
            )


def _complete(path: Path, table: GrowingTable, shard: Shard) -> State | None:
    """The state of the whole table once it has all its shards, with rejected.csv beside."""
    if shard.count > 1:
        return merge_shards(path, shard.count, CHUNK)
    write_rejected(path)
    table.remove_state()
    return table.state


def _summary(state: State) -> str:
    return f"{state.predicted} predicted, {state.rejected} rejected"


def _table_path(output: Path) -> Path:
    return output if output.suffix == ".csv" else output / "predictions.csv"
