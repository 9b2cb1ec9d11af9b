"""All runs of a sweep in one table and one picture: what differs between them, and the score of each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from common.results.plots import styled, to_file
from common.training.run_directory import flatten

NOT_VARIED = ("run_dir", "save_as", "resume")


def summarise(folder: Path) -> pd.DataFrame:
    """Write sweep.csv, sweep.md and sweep.svg about the runs in `folder` that have scores, the best first.

    Columns: run, the keys that differ between runs, the score that chose each run's weights (lower is better), the
    other scores, and the step that they are of.
    """
    runs = {path.parents[2].name: path.parents[2] for path in folder.glob("*/checkpoints/best/state.json")}
    configs = {name: flatten(yaml.safe_load((run / "config.yaml").read_text())) for name, run in runs.items()}
    varied = varied_keys(list(configs.values()))
    rows = []
    for name, run in runs.items():
        state = _state(run)
        monitor = state["monitor"]
        scores = {monitor: state["scores"].get(monitor, np.nan), **state["scores"]}
        rows.append({"run": name, **{key: _text(configs[name].get(key)) for key in varied}, **scores,
                     "step": state["step"]})  # fmt: skip
    table = pd.DataFrame(rows)
    if len(table):
        table = table.sort_values(monitor, ignore_index=True)
        _write(folder / "sweep.csv", table.to_csv(index=False))
        _write(folder / "sweep.md", markdown(table))
        to_file(drawn(table, varied, monitor), folder / "sweep.svg")
    return table


def objective(run: Path) -> float:
    """The score that chose the weights of a run: what a search minimises."""
    state = _state(run)
    return float(state["scores"].get(state["monitor"], "nan"))


def varied_keys(configs: list[dict[str, Any]]) -> list[str]:
    """Keys, in the order of the configuration, that have not the same value in all."""
    keys = dict.fromkeys(key for config in configs for key in config if key not in NOT_VARIED)
    return [key for key in keys if len({json.dumps(config.get(key)) for config in configs}) > 1]


def markdown(table: pd.DataFrame) -> str:
    rows = [[f"{value:.5g}" if isinstance(value, float) else str(value) for value in row] for row in table.to_numpy()]
    lines = [list(table.columns), ["---"] * len(table.columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


@styled
def drawn(table: pd.DataFrame, varied: list[str], score: str) -> Figure:
    """The score against each key that differs."""
    keys = varied or ["run"]
    figure = Figure(figsize=(3.4 * len(keys), 3.0), layout="constrained")
    for axes, key in zip(np.atleast_1d(figure.subplots(1, len(keys), sharey=True)), keys, strict=True):
        _points(axes, table[key].tolist(), table[score].tolist())
        axes.set(xlabel=key)
    figure.axes[0].set(ylabel=score)
    return figure


def _points(axes: Axes, values: list[Any], scores: list[float]) -> None:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    axes.plot(values if numbers else [str(value) for value in values], scores, "o", alpha=0.7)  # names: side by side
    if numbers and min(values) > 0 and max(values) > 10 * min(values):
        axes.set_xscale("log")


def _state(run: Path) -> dict[str, Any]:
    return json.loads((run / "checkpoints" / "best" / "state.json").read_text())


def _text(value: Any) -> Any:
    return value if isinstance(value, int | float | str) else json.dumps(value)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)
