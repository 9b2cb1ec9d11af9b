"""pdb5k: chains of the Protein Data Bank, all-atom or known by C-alpha atoms, split by homology."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from common.app.errors import ConfigError
from common.app.registry import did_you_mean
from common.data.datasets import fetch
from protein.data.chains import Chains
from protein.data.datasets import PDB5K

Kind = Literal["full", "ca"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SPLITS = ("train", "val", "test", "ts50")


def load(split: str, kinds: Sequence[Kind] = KINDS, offline: bool = False) -> Chains:
    """The chains of one split, "train", "val", "test" or "ts50" (backbones; not repeated in "test").

    kinds  "full" (all-atom chains) and "ca" (C-alpha chains with secondary structure)

    Raises ConfigError for another split or kind, and DownloadError where the data cannot be had.
    """
    if split not in SPLITS:
        raise ConfigError(f"pdb5k has no split '{split}'. {did_you_mean(split, list(SPLITS))}")
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"pdb5k has no kind '{kind}'. {did_you_mean(kind, list(KINDS))}")
    names = [f"protein/{kind}_{split}.npz" for kind in kinds] if split != "ts50" else ["protein/full_test_ts50.npz"]
    paths = fetch(PDB5K, names, offline)
    return Chains.concatenate([Chains.from_npz(paths[name]) for name in names])
