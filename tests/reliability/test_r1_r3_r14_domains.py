"""R1, R3, R14 for the studies of all domains: killed or signalled anywhere and resumed, they end with the same bits."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.common.training.toy import finish, history, last_checkpoint
from tests.reliability.studies import STEPS, STUDIES, start

Measured = Callable[[str, str], None]


@pytest.fixture(scope="module", params=STUDIES)
def uninterrupted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A domain and the folder of its run."""
    folder = tmp_path_factory.mktemp(request.param) / "run"
    assert finish(start(request.param, folder)) == [0]
    return request.param, folder


def test_killed_at_a_random_step(uninterrupted: tuple[str, Path], tmp_path: Path, measured: Measured) -> None:
    check_kills(uninterrupted, tmp_path, measured, trials=1)


@pytest.mark.full
def test_killed_at_20_random_steps(uninterrupted: tuple[str, Path], tmp_path: Path, measured: Measured) -> None:
    check_kills(uninterrupted, tmp_path, measured, trials=20)


def check_kills(uninterrupted: tuple[str, Path], tmp_path: Path, measured: Measured, trials: int) -> None:
    domain, whole = uninterrupted
    same = 0
    for trial, step in enumerate(np.random.default_rng(trials).integers(1, STEPS, trials)):
        folder = tmp_path / str(trial)
        assert finish(start(domain, folder, kill_at=int(step))) == [-signal.SIGKILL]
        assert finish(start(domain, folder)) == [0]
        same += last_checkpoint(folder) == last_checkpoint(whole) and history(folder) == history(whole)
    measured("R1", f"{domain}: {same} of {trials} killed runs bit-identical")
    assert same == trials


def test_a_signal_saves_and_the_run_resumes_exactly(
    uninterrupted: tuple[str, Path], tmp_path: Path, measured: Measured
) -> None:
    domain, whole = uninterrupted
    assert finish(start(domain, tmp_path / "run", signals={7: signal.SIGTERM})) == [143]
    assert finish(start(domain, tmp_path / "run")) == [0]
    assert last_checkpoint(tmp_path / "run") == last_checkpoint(whole)
    measured("R3", f"{domain}: status 143, resumed bit-identical")


def test_the_same_seed_gives_the_same_bits(uninterrupted: tuple[str, Path], tmp_path: Path, measured: Measured) -> None:
    domain, whole = uninterrupted
    assert finish(start(domain, tmp_path / "run")) == [0]
    assert last_checkpoint(tmp_path / "run") == last_checkpoint(whole)
    measured("R14", f"{domain}: twice the same bits")


@pytest.mark.full
def test_another_seed_gives_others(uninterrupted: tuple[str, Path], tmp_path: Path) -> None:
    domain, whole = uninterrupted
    assert finish(start(domain, tmp_path / "run", more=("seed=1",))) == [0]
    assert last_checkpoint(tmp_path / "run") != last_checkpoint(whole)
