"""R5: a run goes on with another number of processes: the same samples, the same losses."""

from __future__ import annotations

import signal
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from tests.common.training.toy import finish, fit, history, ids_by_step, losses
from tests.common.training.toy import start as start_toy
from tests.reliability.studies import start

PLAIN = {"task": {"dropout": 0.0}, "log_every": 1}


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


def test_a_forecaster_trains_the_same_on_two_processes(tmp_path: Path, measured: Callable[[str, str], None]) -> None:
    # The others draw numbers of their own on each rank: dropout, crops; or normalise over what a rank sees.
    assert finish(start("weather", tmp_path / "one")) == [0]
    assert finish(start("weather", tmp_path / "two", ranks=2)) == [0, 0]
    one, two = ([line["loss"] for line in history(tmp_path / name, "train")] for name in ("one", "two"))
    difference = max(abs(a - b) / abs(b) for a, b in zip(two, one, strict=True))
    measured("R5", f"weather: losses on 2 processes within {difference:.0e} of those on 1, relatively")
    assert difference < 1e-5
