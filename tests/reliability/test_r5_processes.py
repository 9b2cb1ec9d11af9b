"""R5: a run goes on with another number of processes: the same samples, the same losses."""

from __future__ import annotations

import signal
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest

from tests.common.training.toy import finish, fit, history, ids_by_step, losses
from tests.common.training.toy import start as start_toy
from tests.reliability.studies import STUDIES, start

PLAIN = {"task": {"dropout": 0.0}, "log_every": 1}
PATIENCE_S = 300
ALIKE = {
    # A gradient can vanish, that of an absolute error too; Adam makes steps of what rounding leaves of it.
    "materials": ("loss=mse", "optimizer.learning_rate=0.0003"),
    # Dropout is drawn by each rank.
    "protein": ("trainer.batch_size=12", "model.dropout=0", "optimizer.learning_rate=0.0003"),
}


def test_one_two_one_processes_see_the_same_samples(tmp_path: Path, measured: Callable[[str, str], None]) -> None:
    fit(tmp_path / "one", **PLAIN)
    folder = tmp_path / "changing"
    assert finish(start_toy(folder, signals={9: signal.SIGTERM}, **PLAIN)) == [143]
    assert finish(start_toy(folder, ranks=2, signals={21: signal.SIGTERM}, **PLAIN)) == [143, 143]
    assert finish(start_toy(folder, **PLAIN)) == [0]
    together = {step: sorted(chain(*ids)) for step, ids in ids_by_step(folder).items()}
    assert together == {step: sorted(ids[0]) for step, ids in ids_by_step(tmp_path / "one").items()}
    difference = max(abs(a - b) for a, b in zip(losses(folder), losses(tmp_path / "one"), strict=True))
    measured("R5", f"1 -> 2 -> 1 processes: same samples, losses within {difference:.0e}")
    assert difference < 1e-6


@pytest.mark.parametrize("domain", STUDIES)
@pytest.mark.parametrize(
    "ranks, parallel",
    [(2, "ddp"), pytest.param(4, "ddp", marks=pytest.mark.full), pytest.param(4, "fsdp", marks=pytest.mark.full)],
)
def test_a_study_trains_the_same_on_several_processes(
    domain: str, ranks: int, parallel: str, tmp_path: Path, measured: Callable[[str, str], None]
) -> None:
    """Batch norms, random crops and all."""
    more = (*ALIKE.get(domain, ()), f"trainer.parallel={parallel}")
    assert finish(start(domain, tmp_path / "one", more=more), PATIENCE_S) == [0]
    assert finish(start(domain, tmp_path / "many", ranks=ranks, more=more), PATIENCE_S) == [0] * ranks
    difference = max(
        abs(many[key] - value) / max(abs(value), 1e-3)
        for one, many in zip(history(tmp_path / "one"), history(tmp_path / "many"), strict=True)
        for key, value in one.items()
        if key != "split"
    )
    measured("R5", f"{domain}: losses and scores of {ranks} processes ({parallel}) within {difference:.0e} of one's")
    assert difference < 1e-5
