"""What tables are made of: contacts by separation alone, and the learning curve's runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.app.composition import load_config
from protein import benchmarks
from protein.baselines import contacts_by_separation, score_separation
from protein.benchmarks import learning_curve
from protein.config import BenchmarkConfig, TrainConfig
from protein.ideal_set import ideal_chains
from protein.metrics.contacts import CONTACT_A
from protein.samples import Source
from protein.scoring import beta_positions
from tests.protein.small import predictor

COUNTS = (6, 12, 24)


def test_shares_of_contacts_are_those_of_pairs_counted_one_by_one() -> None:
    chains = ideal_chains("train", 12)
    shares = contacts_by_separation(chains)
    pairs, touching = np.zeros(len(shares)), np.zeros(len(shares))
    for index in range(len(chains)):
        chain = chains.chain(index)
        points = beta_positions(chain.atom37, chain.types)
        for i in range(len(chain)):
            for j in range(i, len(chain)):
                pairs[j - i] += 1
                touching[j - i] += np.linalg.norm(points[i] - points[j]) < CONTACT_A
    known = pairs > 0
    assert np.allclose(shares[known], (touching / np.maximum(pairs, 1))[known])
    assert shares[0] == 1 and not shares[~known].any()
    test = ideal_chains("test", 32)
    frame = score_separation(chains, test)
    assert len(frame) == len(test) and frame["p_medium_l"].dropna().between(0, 1).all()


def test_a_learning_curve_gives_every_number_of_chains_as_many_steps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole, test = ideal_chains("train", COUNTS[-1]), ideal_chains("test", 3)
    runs: list[TrainConfig] = []

    def opened(data, splits, offline=False) -> Source:
        count = data.chains or len(whole)
        return Source({"train": whole.subset(range(count)), "test": test}, {})

    class Run:
        path = tmp_path

    def trained(config: TrainConfig) -> type[Run]:
        runs.append(config)
        return Run

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(learning_curve, "CHAINS", COUNTS)
    monkeypatch.setattr(learning_curve, "open_source", opened)
    monkeypatch.setattr(learning_curve, "train", trained)
    small = predictor(cycles=1)
    small.card |= {"training": {"gpus": [], "processes": 1, "cpu": "", "seed": 0, "minutes": 0.0}}
    small.card |= {"data": {"training_chains": 0}}
    small.save_pretrained(tmp_path / "model")
    benchmarks.run(BenchmarkConfig(table="pdb5k_curve", device="cpu", output=str(tmp_path / "table")))

    clusters = [len(np.unique(whole.subset(range(count)).cluster)) for count in COUNTS]
    recipe = load_config("protein", "train", ["experiment=fold_curve"])
    assert isinstance(recipe, TrainConfig)
    assert [run.data.chains for run in runs] == list(COUNTS)  # pyright: ignore
    for run, count in zip(runs, clusters, strict=True):
        assert run.trainer.epochs * count == pytest.approx(recipe.trainer.epochs * clusters[-1], abs=count / 2)
    assert len({run.run_dir for run in runs}) == len(COUNTS)
    for count in COUNTS:
        assert len(pd.read_csv(tmp_path / "table" / f"{count}-chains.csv")) == len(test)
    assert "Learning curve" in (tmp_path / "table" / "report.html").read_text()
