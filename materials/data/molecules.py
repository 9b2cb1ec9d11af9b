"""Many molecules with their properties, as text and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from common.app.errors import ConfigError, DataFormatError
from common.app.registry import did_you_mean


@dataclass(frozen=True, eq=False)
class Molecules:
    """N molecules.

    ids      [N]     text
    smiles   [N]     SMILES, or PSMILES where `*` marks the ends of a polymer's repeat unit
    targets  {name: [N] float64}, NaN where unknown; classes are 0 and 1
    split    [N]     "train", "val", "test", or "" where there is none

    Text is held as Python objects: one long SMILES must not make every row as long.
    Raises DataFormatError if shapes disagree or a SMILES is empty.
    """

    ids: np.ndarray
    smiles: np.ndarray
    targets: Mapping[str, np.ndarray] = field(default_factory=dict)
    split: np.ndarray | None = None

    def __post_init__(self) -> None:
        split = [""] * len(self.smiles) if self.split is None else self.split
        for name, values in (("ids", self.ids), ("smiles", self.smiles), ("split", split)):
            column = np.empty(len(values), object)
            column[:] = [str(value) for value in values]
            object.__setattr__(self, name, column)
        targets = {name: np.asarray(values, np.float64) for name, values in self.targets.items()}
        object.__setattr__(self, "targets", targets)
        for name, values in {"ids": self.ids, "split": self.split, **targets}.items():
            if np.shape(values) != self.smiles.shape:
                raise DataFormatError(
                    f"'{name}' has shape {np.shape(values)}, expected {self.smiles.shape}: one value a molecule"
                )
        if any(not smiles for smiles in self.smiles):
            raise DataFormatError(f"molecule '{self.ids[list(self.smiles).index('')]}' has an empty SMILES")

    def __len__(self) -> int:
        return len(self.smiles)

    def subset(self, indices: np.ndarray | Sequence[int] | slice) -> Molecules:
        """The molecules at `indices` (integers, a Boolean mask or a slice), in that order."""
        chosen = np.arange(len(self))[indices if isinstance(indices, slice) or len(indices) else slice(0)]
        targets = {name: values[chosen] for name, values in self.targets.items()}
        return Molecules(self.ids[chosen], self.smiles[chosen], targets, np.asarray(self.split)[chosen])

    def part(self, split: str) -> Molecules:
        """The molecules of one split; ConfigError where there are none."""
        chosen = np.flatnonzero(self.split == split)
        if not len(chosen):
            known = sorted(set(np.asarray(self.split)))
            raise ConfigError(f"no molecules of split '{split}'; this file holds {', '.join(filter(None, known))}")
        return self.subset(chosen)

    def target_matrix(self, names: Sequence[str]) -> np.ndarray:
        """[N, T] float64 of the targets `names`, NaN where unknown."""
        for name in names:
            if name not in self.targets:
                raise ConfigError(f"no target '{name}'. {did_you_mean(name, list(self.targets))}")
        return np.stack([self.targets[name] for name in names], axis=1)
