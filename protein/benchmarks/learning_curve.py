"""What more training chains bring: one recipe on nested subsets of pdb5k, with as many steps on each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from common.app.composition import load_config
from common.training.distributed import World
from common.training.run_directory import OUTPUTS
from protein.config import BenchmarkConfig, Pdb5k, TrainConfig
from protein.evaluation import score_chains
from protein.predictor import StructurePredictor
from protein.samples import open_source
from protein.study import train

RECIPE = "fold_curve"
CHAINS = (250, 500, 1000, 2500, 5128)
"""Of the subsets, each of which is part of the next; the last one is the whole training part."""


class Point(NamedTuple):
    """A number of chains, what was learned from them, its scores on the public test by chain, and their time."""

    chains: int
    predictor: StructurePredictor
    scores: pd.DataFrame
    seconds: float


def measure_curve(config: BenchmarkConfig, world: World) -> Iterator[Point]:
    """Train and score, or go on where an earlier call ended; structures are fitted to their distances, not relaxed."""
    source = open_source(Pdb5k(name="pdb5k"), ("train", "test"), config.offline)
    whole = len(np.unique(source.splits["train"].cluster))
    for chains in CHAINS:
        recipe = _recipe(chains, whole, config)
        run = train(recipe)
        assert run is not None
        predictor = StructurePredictor.from_pretrained(run.path / "model", config.device)
        started = time.perf_counter()
        scores = score_chains(predictor, source.splits["test"], fit=True, relax=False, world=world)
        yield Point(chains, predictor, scores, time.perf_counter() - started)


def _recipe(chains: int, clusters_of_all: int, config: BenchmarkConfig) -> TrainConfig:
    """With as many epochs as give the subset the steps that the recipe has on all chains."""
    words = [
        f"experiment={RECIPE}", f"data.chains={chains}", f"run_dir='{OUTPUTS / 'protein' / RECIPE / str(chains)}'",
        f"trainer.device={config.device}", f"offline={config.offline}", "resume=auto",
    ]  # fmt: skip
    recipe = load_config("protein", "train", words)
    assert isinstance(recipe, TrainConfig) and isinstance(recipe.data, Pdb5k)
    clusters = len(np.unique(open_source(recipe.data, ("train",), config.offline).splits["train"].cluster))
    epochs = round(recipe.trainer.epochs * clusters_of_all / clusters)
    return recipe.model_copy(update={"trainer": recipe.trainer.model_copy(update={"epochs": epochs})})
