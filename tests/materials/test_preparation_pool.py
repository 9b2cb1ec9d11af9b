"""Worker processes: order is kept, and an input that hangs or kills its process costs only its own row."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from ase.build import bulk

import materials
from common.app.errors import CheckpointError
from materials.preparation import Prepared
from materials.preparation_pool import PreparationPool, Row, prepare_or_refuse
from tests.materials.poison import Hanging, Killing, Raising, Slow

CARD = json.loads((Path(materials.__file__).parent / "pretrained" / "mp2018-eform" / "model.json").read_text())
TIME_LIMIT_S = 2.0


def chunk(number: int, *poison: object) -> list[Row]:
    lengths = [5.6 + 0.01 * number + 0.001 * place for place in range(4)]
    good = [(f"{number}.{place}", bulk("NaCl", "rocksalt", a=a)) for place, a in enumerate(lengths)]
    return [*good[:2], *((f"{number}.{type(one).__name__}", one) for one in poison), *good[2:]]


def outcome(parts: list[Prepared]) -> list[tuple[str, str]]:
    return [pair for part in parts for pair in zip(part.ids, part.errors, strict=True)]


@pytest.fixture(scope="module")
def pool():
    with PreparationPool(CARD, 2, TIME_LIMIT_S) as pool:
        yield pool


def test_many_processes_give_what_one_gives_in_order(pool: PreparationPool) -> None:
    chunks = [chunk(number, "nowhere.cif", Raising()) for number in range(12)]
    for rows, found in zip(chunks, pool.prepare(chunks), strict=True):
        here = prepare_or_refuse(rows, CARD)
        assert outcome(found) == outcome(here)
        for one, other in zip(found, here, strict=True):
            assert (one.graphs is None) == (other.graphs is None)
            if one.graphs is not None:
                assert one.graphs.distances.tobytes() == other.graphs.distances.tobytes()


def test_a_slow_first_chunk_does_not_end_the_stream(pool: PreparationPool) -> None:
    chunks = [chunk(0, Slow()), *(chunk(number) for number in range(1, 3 * pool.ahead))]
    found = [outcome(parts) for parts in pool.prepare(chunks)]
    assert [name for rows in found for name, _ in rows] == [name for rows in chunks for name, _ in rows]


def test_poison_is_one_refused_row_with_its_reason(pool: PreparationPool) -> None:
    chunks = [chunk(0), chunk(1, Killing()), chunk(2, Hanging(), Raising()), chunk(3)]
    found = [outcome(parts) for parts in pool.prepare(chunks)]
    assert [[name for name, _ in rows] for rows in found] == [[name for name, _ in rows] for rows in chunks]
    refused = {name: error for rows in found for name, error in rows if error}
    assert set(refused) == {"1.Killing", "2.Hanging", "2.Raising"}
    assert "SIGKILL" in refused["1.Killing"] and "longer than 2 s" in refused["2.Hanging"]
    assert "ZeroDivisionError" in refused["2.Raising"]


def test_a_worker_that_dies_between_inputs_costs_nothing(pool: PreparationPool) -> None:
    os.kill(pool.workers[0].process.pid or 0, signal.SIGKILL)
    found = [outcome(parts) for parts in pool.prepare(chunk(number) for number in range(6))]
    assert [error for rows in found for _, error in rows] == [""] * 24


def test_what_is_wrong_with_the_model_is_raised_not_blamed_on_inputs() -> None:
    from rdkit import Chem

    card = {"name": "x", "substance": "molecule", "elements": [6, 8], "input": {"descriptors": ["no such descriptor"]}}
    with pytest.raises(CheckpointError, match="no such descriptor"):
        prepare_or_refuse([("a", Chem.MolFromSmiles("CO"))], card)
    with PreparationPool(card, 1, TIME_LIMIT_S) as pool, pytest.raises(CheckpointError, match="no such descriptor"):
        list(pool.prepare([[("a", "CO"), ("b", "CC")]]))


def test_workers_end_with_the_pool() -> None:
    with PreparationPool(CARD, 2, TIME_LIMIT_S) as pool:
        processes = [worker.process for worker in pool.workers]
        next(iter(pool.prepare([chunk(0), chunk(1, Hanging())])))
    assert not any(process.is_alive() for process in processes)
