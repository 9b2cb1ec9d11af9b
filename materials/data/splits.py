"""Train, validation and test parts of a data set: random, k-fold, and by molecular scaffold.

Each generator is a function of its arguments alone. Parts are sorted int64 indices, disjoint, and together all rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from common.app.errors import ConfigError, DataFormatError
from materials.data.read_molecule import read_molecule

Split = dict[str, np.ndarray]
"""{"train", "val", "test"}: indices [n]."""

PARTS = ("train", "val", "test")
FRACTIONS = (0.8, 0.1, 0.1)


def random_split(samples: int, seed: int, fractions: Sequence[float] = FRACTIONS) -> Split:
    """Consecutive shares of a random order."""
    order = np.random.default_rng(seed).permutation(samples)
    parts = np.split(order, _limits(samples, fractions))
    return {name: np.sort(part) for name, part in zip(PARTS, parts, strict=True)}


def k_folds(samples: int, folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(train, test) of each fold, as scikit-learn's KFold(folds, shuffle=True, random_state=seed) has them."""
    if not 2 <= folds <= samples:
        raise ConfigError(f"folds={folds}: expected 2 to {samples}, the number of samples")
    order = np.arange(samples)
    np.random.RandomState(seed).shuffle(order)
    fold = np.empty(samples, np.int64)
    for number, part in enumerate(np.array_split(order, folds)):
        fold[part] = number
    for number in range(folds):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def scaffold_split(smiles: Sequence[str], fractions: Sequence[float] = FRACTIONS) -> Split:
    """Molecules that share a scaffold stay together; the largest groups go to train, the rarest to test.

    Groups in order of falling size (of two equal ones the later comes first) fill train, then val, as long as they
    fit, else test: the deterministic split of MoleculeNet, doi:10.1039/C7SC02664A.
    """
    groups: dict[str, list[int]] = {}
    for row, one in enumerate(smiles):
        try:
            groups.setdefault(murcko_scaffold(one), []).append(row)
        except DataFormatError as error:
            raise DataFormatError(f"row {row}: {error}") from error
    train, train_and_val = _limits(len(smiles), fractions)
    parts: dict[str, list[int]] = {name: [] for name in PARTS}
    for group in sorted(groups.values(), key=lambda rows: (len(rows), rows[0]), reverse=True):
        if len(parts["train"]) + len(group) <= train:
            parts["train"] += group
        elif len(parts["train"]) + len(parts["val"]) + len(group) <= train_and_val:
            parts["val"] += group
        else:
            parts["test"] += group
    return {name: np.sort(np.array(rows, np.int64)) for name, rows in parts.items()}


def murcko_scaffold(smiles: str) -> str:
    """Ring systems and the chains between them as SMILES without chirality; "" where there is no ring.

    Bemis & Murcko, doi:10.1021/jm9602928.
    """
    from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

    return MurckoScaffoldSmiles(mol=read_molecule(smiles), includeChirality=False)


def _limits(samples: int, fractions: Sequence[float]) -> list[int]:
    """Where train and val end, in rows."""
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ConfigError(f"fractions={tuple(fractions)}: expected three shares (train, val, test) that add up to 1")
    # The tiny addend lets 0.1 + 0.2 of ten rows be three rows, whatever binary fractions make of it.
    return [int(share * samples + 1e-6) for share in np.cumsum(fractions)[:2]]
