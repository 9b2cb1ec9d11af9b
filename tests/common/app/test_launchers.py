"""Sweeps on other machines and by a search, where the plugins of the extras [slurm] and [sweep] are installed."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.reliability.studies import SHARED, STUDIES


def sweep(folder: Path, *arguments: str) -> pd.DataFrame:
    """In a process of its own, as pickles of the launcher need; returns the table that it ends with."""
    command = [sys.executable, "-m", "materials.train", "-m", *STUDIES["materials"], *SHARED, *arguments]
    subprocess.run(command, cwd=folder, check=True, timeout=900)
    (table,) = folder.rglob("sweep.csv")
    return pd.read_csv(table)


@pytest.mark.skipif(not find_spec("submitit"), reason="needs the extra [slurm]")
def test_submitit_starts_two_jobs_of_two_ranks(tmp_path: Path) -> None:
    rates = "optimizer.learning_rate=0.001,0.01"
    launcher = ["hydra/launcher=submitit_local", "hydra.launcher.tasks_per_node=2", "hydra.launcher.timeout_min=15"]
    table = sweep(tmp_path, *launcher, rates)
    assert sorted(table["optimizer.learning_rate"]) == [0.001, 0.01]
    cards = list(tmp_path.rglob("model/model.json"))
    assert len(cards) == 2 and all('"processes": 2' in card.read_text() for card in cards)


@pytest.mark.skipif(not find_spec("optuna"), reason="needs the extra [sweep]")
def test_optuna_minimises_the_score(tmp_path: Path) -> None:
    search = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1"]
    table = sweep(tmp_path, *search, "optimizer.learning_rate=tag(log,interval(0.0005,0.05))")
    assert len(table) == 3 and table["optimizer.learning_rate"].nunique() == 3
    (found,) = tmp_path.rglob("optimization_results.yaml")
    assert yaml.safe_load(found.read_text())["best_value"] == pytest.approx(table["mae"].min(), rel=1e-9)
