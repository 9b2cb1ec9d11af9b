"""R1, R3, R4: whatever stops a run, resumed it ends with the same bits and has seen the same samples."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from tests.common.training.toy import finish, fit, history, ids_by_step, last_checkpoint, start

STEPS = 36
STUDY = {"ema_decay": 0.9, "task": {"norm": True}}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    assert finish(start(folder, **STUDY)) == [0]
    return folder


def test_a_killed_run_ends_with_the_same_bits(uninterrupted: Path, tmp_path: Path) -> None:
    check_kills(uninterrupted, tmp_path, trials=5)


@pytest.mark.full
def test_a_killed_run_ends_with_the_same_bits_20_times(uninterrupted: Path, tmp_path: Path) -> None:
    check_kills(uninterrupted, tmp_path, trials=20)


def check_kills(uninterrupted: Path, tmp_path: Path, trials: int) -> None:
    for trial, step in enumerate(np.random.default_rng(trials).integers(1, STEPS, trials)):
        folder = tmp_path / str(trial)
        assert finish(start(folder, kill_at=int(step), **STUDY)) == [-signal.SIGKILL]
        assert finish(start(folder, **STUDY)) == [0]
        assert last_checkpoint(folder) == last_checkpoint(uninterrupted)
        assert history(folder) == history(uninterrupted)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_stops_with_its_status_and_resumes_exactly(
    uninterrupted: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    assert finish(start(tmp_path / "run", signals={17: number}, **STUDY)) == [status]
    assert (tmp_path / "run" / "checkpoints" / "step-00000018").is_dir()
    assert finish(start(tmp_path / "run", **STUDY)) == [0]
    assert last_checkpoint(tmp_path / "run") == last_checkpoint(uninterrupted)


def test_resumes_within_an_epoch_and_at_its_end_keep_the_samples(uninterrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for step in (15, 21, 23):  # an epoch has twelve steps
        finish(start(folder, signals={step: signal.SIGTERM}, **STUDY))
    assert finish(start(folder, **STUDY)) == [0]
    assert ids_by_step(folder) == ids_by_step(uninterrupted)


def test_the_same_seed_gives_the_same_bits_also_with_prefetching(uninterrupted: Path, tmp_path: Path) -> None:
    """R14."""
    fit(tmp_path / "run", ema_decay=0.9, task={"norm": True, "prefetch": True})
    assert last_checkpoint(tmp_path / "run") == last_checkpoint(uninterrupted)
