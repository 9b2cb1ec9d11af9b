"""A study on several processes: what the main one concludes is there for all when the study returns."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from common.training.distributed import process_group
from common.training.study import run_study
from tests.common.training.toy import CPU, ToyTask, finish, start, toy_config

SLOW_S = 1.5


def _conclude(config: Any, data: Any, outcome: Any) -> None:
    time.sleep(SLOW_S)
    (outcome.run.path / "model").touch()


def two_studies(folder: str) -> None:
    """As a table runs its recipes: one group of processes for several studies."""
    with process_group(CPU):
        for name in ("one", "two"):
            config = toy_config(run_dir=f"{folder}/{name}", epochs=1)
            run = run_study("toy", config, lambda _: None, lambda *_: ToyTask(), _conclude)
            assert run is not None and (run.path / "model").exists()


def test_every_process_finds_what_the_main_one_saved(tmp_path: Path) -> None:
    assert finish(start(tmp_path, ranks=2, body=two_studies)) == [0, 0]
