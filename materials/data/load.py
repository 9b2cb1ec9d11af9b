"""From a data set's name to crystals and their graphs."""

from __future__ import annotations

import hashlib

import numpy as np

from common.app.errors import ConfigError
from common.app.registry import Registry, did_you_mean
from common.data.cache import cached_arrays
from materials.config import DataConfig
from materials.data.crystals import Crystals
from materials.data.graphs import CrystalGraphs, k_nearest_graphs
from materials.data.symmetry import TOLERANCE_A

GRAPHS_VERSION = "1"
"""Raise it when the same crystals give other graphs: cached ones are then built again."""

LOADERS = Registry(
    "data set",
    {
        "mp2018": "materials.data.mp2018:load",
        "ionic-lattice": "materials.data.ionic_lattice:load",
    },
)


def load_crystals(name: str, split: str, target: str, limit: int | None = None, offline: bool = False) -> Crystals:
    """The crystals of a split whose `target` is known.

    Raises ConfigError for an unknown target or a split that the data set does not have.
    """
    crystals: Crystals = LOADERS[name](split, offline=offline)
    if target not in crystals.targets:
        raise ConfigError(f"data set '{name}' has no target '{target}'. {did_you_mean(target, list(crystals.targets))}")
    known = np.flatnonzero(np.isfinite(crystals.targets[target]))
    if not len(known):
        raise ConfigError(f"no crystal of split '{split}' of '{name}' has a known '{target}'")
    return crystals.subset(known[:limit])


def load_graphs(crystals: Crystals, config: DataConfig) -> CrystalGraphs:
    """Symmetry-collapsed graphs of nearest neighbours, from the cache when these crystals were seen before."""
    settings = {"neighbours": config.neighbours, "cutoff_a": config.cutoff_a, "tolerance_a": TOLERANCE_A}
    arrays = cached_arrays(
        "crystal-graphs",
        {"crystals": content_hash(crystals), **settings},
        GRAPHS_VERSION,
        lambda: k_nearest_graphs(crystals, config.neighbours, config.cutoff_a, TOLERANCE_A).to_arrays(),
    )
    return CrystalGraphs.from_arrays(arrays)


def content_hash(crystals: Crystals) -> str:
    """SHA-256 of the structures (not of ids and targets)."""
    digest = hashlib.sha256()
    for array in (crystals.n_atoms, crystals.lattices, crystals.numbers, crystals.fractional):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
