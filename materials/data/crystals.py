"""Many crystals in a few flat arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.app.errors import DataFormatError

if TYPE_CHECKING:
    from ase import Atoms

HEAVIEST_ELEMENT = 118
FARTHEST_CELL = 1e6
"""Beyond so many cells from the origin a coordinate has lost the digits that say where in the cell it lies."""

STRUCTURE_KEYS = ("id", "n_atoms", "lattice", "z", "frac")


@dataclass(frozen=True, eq=False)
class Crystals:
    """N periodic structures with A atoms in all; the atoms of structure n are rows `offsets[n]:offsets[n + 1]`.

    ids         [N]        text
    n_atoms     [N]        int64
    lattices    [N, 3, 3]  float64, Å, rows are the vectors a, b, c
    numbers     [A]        uint8, atomic numbers 1-118
    fractional  [A, 3]     float64, in [0, 1)
    targets     {name: [N] float64}, NaN where unknown

    Raises DataFormatError if shapes disagree, a structure has no atoms, a number is not finite, an element
    does not exist, or a cell has no volume.
    """

    ids: np.ndarray
    n_atoms: np.ndarray
    lattices: np.ndarray
    numbers: np.ndarray
    fractional: np.ndarray
    targets: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        dtypes = {
            "ids": str,
            "n_atoms": np.int64,
            "lattices": np.float64,
            "numbers": np.int64,
            "fractional": np.float64,
        }
        for name, dtype in dtypes.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=dtype))
        targets = {name: np.asarray(values, dtype=np.float64) for name, values in self.targets.items()}
        object.__setattr__(self, "targets", targets)
        self._check_shapes()
        self._check_values()
        object.__setattr__(self, "numbers", self.numbers.astype(np.uint8))
        object.__setattr__(self, "fractional", wrapped(self.fractional))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def offsets(self) -> np.ndarray:
        """[N + 1] int64: first atom row of each structure, then A."""
        return np.concatenate([[0], np.cumsum(self.n_atoms)]).astype(np.int64)

    @property
    def structure_of_atom(self) -> np.ndarray:
        """[A] int64: the structure that an atom row belongs to."""
        return np.repeat(np.arange(len(self)), self.n_atoms)

    @property
    def volumes(self) -> np.ndarray:
        """[N] float64: cell volumes, Å^3."""
        return np.abs(np.linalg.det(self.lattices))

    @property
    def positions(self) -> np.ndarray:
        """[A, 3] float64: Cartesian coordinates, Å."""
        return np.einsum("ai,aij->aj", self.fractional, np.repeat(self.lattices, self.n_atoms, axis=0))

    def subset(self, indices: np.ndarray | Sequence[int] | slice) -> Crystals:
        """The structures at `indices` (integers, a Boolean mask or a slice), in that order."""
        everything = np.arange(len(self))
        chosen = everything[indices] if isinstance(indices, slice) or len(indices) else everything[:0]
        n_atoms = self.n_atoms[chosen]
        starts = np.concatenate([[0], np.cumsum(n_atoms)])[:-1]
        rows = np.arange(n_atoms.sum()) + np.repeat(self.offsets[chosen] - starts, n_atoms)
        return Crystals(
            self.ids[chosen],
            n_atoms,
            self.lattices[chosen],
            self.numbers[rows],
            self.fractional[rows],
            {name: values[chosen] for name, values in self.targets.items()},
        )

    def atoms(self, index: int) -> Atoms:
        """Structure `index` as an ase.Atoms, periodic in three directions."""
        from ase import Atoms

        rows = slice(self.offsets[index], self.offsets[index + 1])
        return Atoms(self.numbers[rows], scaled_positions=self.fractional[rows], cell=self.lattices[index], pbc=True)

    @classmethod
    def from_atoms(cls, atoms: Sequence[Atoms], ids: Sequence[str]) -> Crystals:
        """Pack ase.Atoms; every one must have a three-dimensional cell."""
        if len(ids) != len(atoms):
            raise DataFormatError(f"{len(atoms)} structures came with {len(ids)} ids; expected one id a structure")
        for name, one in zip(ids, atoms, strict=True):
            if one.cell.rank != 3 or len(one) == 0:
                raise DataFormatError(f"{name}: expected atoms in a three-dimensional cell, found {one}")
        return cls(
            np.array(ids, dtype=str),
            np.array([len(one) for one in atoms]),
            np.array([one.cell.array for one in atoms]).reshape(-1, 3, 3),
            np.concatenate([np.zeros(0, int), *(one.numbers for one in atoms)]),
            np.concatenate([np.zeros((0, 3)), *(one.cell.scaled_positions(one.positions) for one in atoms)]),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Crystals]) -> Crystals:
        """All structures of `parts`; a target that a part lacks is NaN there."""

        def joined(name: str) -> np.ndarray:
            return np.concatenate([getattr(part, name) for part in parts])

        def joined_target(name: str) -> np.ndarray:
            return np.concatenate([part.targets.get(name, np.full(len(part), np.nan)) for part in parts])

        names = dict.fromkeys(name for part in parts for name in part.targets)
        return cls(
            joined("ids"),
            joined("n_atoms"),
            joined("lattices"),
            joined("numbers"),
            joined("fractional"),
            {name: joined_target(name) for name in names},
        )

    @classmethod
    def from_npz(cls, path: str | Path) -> Crystals:
        """Read the packed file format: `id`, `n_atoms`, `lattice`, `z`, `frac`, and one numeric array a target.

        Arrays of text besides `id` (such as published split names) are not targets and stay in the file.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                content = {key: file[key] for key in file.files}
        except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile) as error:
            raise DataFormatError(
                f"{path} is not a readable npz file ({error}); restore it or fetch it again"
            ) from error
        missing = [key for key in STRUCTURE_KEYS if key not in content]
        if missing:
            raise DataFormatError(
                f"{path} lacks {missing}; expected the arrays {', '.join(STRUCTURE_KEYS)} and targets"
            )
        ids, n_atoms, lattices, numbers, fractional = (content.pop(key) for key in STRUCTURE_KEYS)
        targets = {name: values for name, values in content.items() if values.dtype.kind in "biuf"}
        try:
            return cls(ids, n_atoms, lattices, numbers, fractional, targets)
        except DataFormatError as error:
            raise DataFormatError(f"{path}: {error}") from error

    def to_npz(self, path: str | Path) -> None:
        """Write the packed file format; lattices, coordinates and targets as float32."""
        small = {
            "lattice": self.lattices.astype(np.float32),
            "frac": wrapped(self.fractional.astype(np.float32)),
            **{name: values.astype(np.float32) for name, values in self.targets.items()},
        }
        np.savez_compressed(path, id=self.ids, n_atoms=self.n_atoms.astype(np.int32), z=self.numbers, **small)

    def _check_shapes(self) -> None:
        n, total = len(self.ids), int(self.n_atoms.sum())
        expected = {
            "n_atoms": (n,),
            "lattices": (n, 3, 3),
            "numbers": (total,),
            "fractional": (total, 3),
        }
        for name, shape in expected.items():
            if np.shape(getattr(self, name)) != shape:
                raise DataFormatError(f"{name} has shape {np.shape(getattr(self, name))}, expected {shape}")
        for name, values in self.targets.items():
            if values.shape != (n,):
                raise DataFormatError(
                    f"target '{name}' has shape {values.shape}, expected ({n},): one value a structure"
                )
        if np.any(self.n_atoms < 1):
            raise DataFormatError(f"structure '{self.ids[np.argmin(self.n_atoms)]}' has no atoms")

    def _check_values(self) -> None:
        def refuse(bad: np.ndarray, reason: str) -> None:
            if np.any(bad):
                raise DataFormatError(f"structure '{self.ids[np.argmax(bad)]}' {reason}")

        def with_any(bad_atoms: np.ndarray) -> np.ndarray:
            return np.bincount(self.structure_of_atom[bad_atoms], minlength=len(self)) > 0

        known = (self.numbers >= 1) & (self.numbers <= HEAVIEST_ELEMENT)
        refuse(with_any(~known), f"has an unknown element; expected atomic numbers 1-{HEAVIEST_ELEMENT}")
        refuse(with_any(np.any(~np.isfinite(self.fractional), axis=1)), "has a coordinate that is not a finite number")
        refuse(np.any(~np.isfinite(self.lattices), axis=(1, 2)), "has a cell vector that is not a finite number")
        refuse(self.volumes < 1e-6, "has a cell without volume; expected three independent vectors")


def wrapped(fractional: np.ndarray) -> np.ndarray:
    """Fractional coordinates moved into [0, 1)."""
    inside = fractional - np.floor(fractional)
    # A tiny negative number plus one rounds to one.
    return np.where(inside >= 1.0, 0.0, inside).astype(fractional.dtype)
