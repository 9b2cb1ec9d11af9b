"""Everything that is learned from, ready: chains of the splits, with their secondary structure.

C chains, R residues in all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from common.app.errors import ConfigError
from common.data.cache import cached_arrays
from protein.config import IdealChains, OwnChains, Pdb5k
from protein.data import pdb5k
from protein.data.chains import MISSING, UNIT_A, Chains
from protein.data.datasets import DATASETS
from protein.data.residues import TYPE_OF_NAME
from protein.data.states import STATES, UNKNOWN_STATE
from protein.geometry.secondary_structure import assign
from protein.ideal_set import ideal_chains

VERSION = "1"
"""Raise it when states are assigned otherwise: cached ones are then assigned again."""


@dataclass(frozen=True)
class Source:
    """Chains by split, and facts for cards and reports: name, title, licence, citation, simulated."""

    splits: Mapping[str, Chains]
    facts: Mapping[str, Any]


def open_source(data: IdealChains | Pdb5k | OwnChains, splits: Sequence[str], offline: bool = False) -> Source:
    """The chains that a data section names."""
    if isinstance(data, IdealChains):
        facts = {"name": data.name, "title": "ideal helices, hairpins and turns (synthetic)", "simulated": True}
        return Source({split: ideal_chains(split, data.chains) for split in splits}, facts)
    if isinstance(data, OwnChains):
        facts = {"name": data.path, "title": data.path, "simulated": False}
        return Source({split: with_states(_stored(data.path, split)) for split in splits}, facts)
    known = DATASETS["pdb5k"]
    found = {split: with_states(pdb5k.load(split, offline=offline)) for split in splits}
    if "train" in found and data.chains is not None:
        found["train"] = nested_subset(found["train"], data.chains, data.subset_seed)
    facts = {
        "name": data.name, "title": known.title, "licence": known.licence, "citation": known.citation,
        "simulated": False, "training_chains": len(found["train"]) if "train" in found else None,
    }  # fmt: skip
    return Source(found, facts)


def nested_subset(chains: Chains, count: int, seed: int) -> Chains:
    """`count` chains at random; those of a smaller count are among them. Raises ConfigError if there are too few."""
    if count > len(chains):
        raise ConfigError(f"data.chains={count}: there are {len(chains)} training chains")
    order = np.random.default_rng(seed).permutation(len(chains))
    return chains.subset(np.sort(order[:count]))


def with_states(chains: Chains) -> Chains:
    """The secondary structure of all-atom chains, assigned from their backbones where it is unknown; cached."""
    if (chains.states != UNKNOWN_STATE).all() or chains.ca_only.all():
        return chains
    digest = hashlib.sha256()
    for array in (chains.lengths, chains.types, chains.atom14[:, :4], chains.states):
        digest.update(array.tobytes())
    key = {"chains": digest.hexdigest()}
    return replace(
        chains, states=cached_arrays("states", key, VERSION, lambda: {"states": _assigned(chains)})["states"]
    )


def _assigned(chains: Chains) -> np.ndarray:
    states, offsets = chains.states.copy(), chains.offsets
    for index in np.flatnonzero(~chains.ca_only):
        rows = slice(offsets[index], offsets[index + 1])
        stored = chains.atom14[rows, :4]
        backbone = np.where(stored == MISSING, np.nan, stored * UNIT_A)
        known = np.isfinite(backbone).all((1, 2))
        letters = assign(backbone, chains.types[rows] == TYPE_OF_NAME["PRO"])
        numbers = np.array([STATES.index(letter) for letter in letters], np.int8)
        states[rows] = np.where(known, numbers, UNKNOWN_STATE)
    return states


def _stored(folder: str, split: str) -> Chains:
    path = Path(folder) / f"{split}.npz"
    if not path.is_file():
        raise ConfigError(
            f"data.path={folder}: no {path.name} there; `trifold data prepare` writes one, of whole clusters of chains:"
            " where there are few, ask for a larger share, such as val=0.3"
        )
    return Chains.from_npz(path)
