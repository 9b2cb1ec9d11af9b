"""Frames: structures with the energy, forces and stress that an electronic-structure method gave them."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.app.errors import DataFormatError
from materials.data.crystals import HEAVIEST_ELEMENT

if TYPE_CHECKING:
    from ase import Atoms

FARTHEST_A = 1e6
"""Beyond so many Å float32 has lost the digits that tell atoms apart."""


@dataclass(frozen=True, eq=False)
class Frames:
    """N frames with A atoms in all; the atoms of frame n are rows `offsets[n]:offsets[n + 1]`.

    n_atoms    [N]        int64
    numbers    [A]        int64, atomic numbers 1-118
    positions  [A, 3]     float64, Å
    cells      [N, 3, 3]  float64, Å, rows are the vectors a, b, c; zero where there is none
    periodic   [N, 3]     bool, along each vector
    energy     [N]        float64, eV, of the whole frame
    forces     [A, 3]     float64, eV/Å
    stress     [N, 3, 3]  float64, eV/Å^3, the derivative of the energy by strain over the volume; NaN where unknown

    Raises DataFormatError if shapes disagree, a frame has no atoms, an element does not exist, or a number other than a
    stress is not finite.
    """

    n_atoms: np.ndarray
    numbers: np.ndarray
    positions: np.ndarray
    cells: np.ndarray
    periodic: np.ndarray
    energy: np.ndarray
    forces: np.ndarray
    stress: np.ndarray

    def __post_init__(self) -> None:
        n, total = len(self.n_atoms), int(np.sum(self.n_atoms))
        shapes: dict[str, tuple[tuple[int, ...], type]] = {
            "n_atoms": ((n,), np.int64),
            "numbers": ((total,), np.int64),
            "positions": ((total, 3), np.float64),
            "cells": ((n, 3, 3), np.float64),
            "periodic": ((n, 3), np.bool_),
            "energy": ((n,), np.float64),
            "forces": ((total, 3), np.float64),
            "stress": ((n, 3, 3), np.float64),
        }
        for name, (shape, dtype) in shapes.items():
            value = np.asarray(getattr(self, name), dtype=dtype)
            if value.shape != shape:
                raise DataFormatError(f"{name} of the frames has shape {value.shape}, expected {shape}")
            object.__setattr__(self, name, value)
        self._check_values()

    def __len__(self) -> int:
        return len(self.n_atoms)

    @property
    def offsets(self) -> np.ndarray:
        """[N + 1] int64: first atom row of each frame, then A."""
        return np.concatenate([[0], np.cumsum(self.n_atoms)]).astype(np.int64)

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers that occur, ascending."""
        return tuple(np.unique(self.numbers).tolist())

    def subset(self, indices: np.ndarray) -> Frames:
        """The frames at `indices`, in that order."""
        counts, starts = self.n_atoms[indices], self.offsets[:-1][indices]
        rows = np.arange(counts.sum()) + np.repeat(starts - (np.cumsum(counts) - counts), counts)
        return Frames(
            counts,
            self.numbers[rows],
            self.positions[rows],
            self.cells[indices],
            self.periodic[indices],
            self.energy[indices],
            self.forces[rows],
            self.stress[indices],
        )

    def atoms(self, index: int) -> Atoms:
        """The structure of frame `index`."""
        from ase import Atoms

        rows = slice(*self.offsets[index : index + 2])
        return Atoms(self.numbers[rows], self.positions[rows], cell=self.cells[index], pbc=self.periodic[index])

    @classmethod
    def from_atoms(cls, atoms: Sequence[Atoms]) -> Frames:
        """From structures whose calculator holds energy and forces, as ASE's readers leave them."""
        if not atoms:
            raise DataFormatError("holds no frame")
        results = [_results(one, number) for number, one in enumerate(atoms, start=1)]
        return cls(
            np.array([len(one) for one in atoms]),
            np.concatenate([one.numbers for one in atoms]),
            np.concatenate([one.positions for one in atoms]),
            np.stack([one.cell.array for one in atoms]),
            np.stack([one.pbc for one in atoms]),
            np.array([energy for energy, _, _ in results]),
            np.concatenate([forces for _, forces, _ in results]),
            np.stack([stress for _, _, stress in results]),
        )

    @classmethod
    def from_npz(cls, path: str | Path) -> Frames:
        """Read the packed format: n_atoms, z, pos, energy, forces, and cell and stress where there are any.

        With a cell the frames are periodic in three directions, without one in none.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                content = {key: file[key] for key in file.files}
        except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile) as error:
            raise DataFormatError(
                f"{path} is not a readable npz file ({error}); restore it or fetch it again"
            ) from error
        if missing := [key for key in ("n_atoms", "z", "pos", "energy", "forces") if key not in content]:
            raise DataFormatError(f"{path} lacks {missing}; expected n_atoms, z, pos, energy and forces")
        n = len(content["n_atoms"])
        try:
            return cls(
                content["n_atoms"],
                content["z"],
                content["pos"],
                content.get("cell", np.zeros((n, 3, 3))),
                np.full((n, 3), "cell" in content),
                content["energy"],
                content["forces"],
                content.get("stress", np.full((n, 3, 3), np.nan)),
            )
        except DataFormatError as error:
            raise DataFormatError(f"{path}: {error}") from error

    def to_npz(self, path: str | Path) -> None:
        """Write the packed format; everything but energies as float32."""
        if len(np.unique(self.periodic)) > 1:
            raise DataFormatError("frames with and without a cell do not fit one packed file; expected one kind")
        arrays = {"pos": self.positions, "forces": self.forces}
        arrays |= {"cell": self.cells} if self.periodic.any() else {}
        arrays |= {"stress": self.stress} if np.isfinite(self.stress).any() else {}
        content: dict[str, Any] = {name: values.astype(np.float32) for name, values in arrays.items()}
        content |= {"n_atoms": self.n_atoms.astype(np.int32), "z": self.numbers.astype(np.uint8), "energy": self.energy}
        np.savez_compressed(path, **content)

    def _check_values(self) -> None:
        def refuse(bad: Any, reason: str) -> None:
            if bad.any():
                raise DataFormatError(f"frame {int(np.argmax(bad)) + 1} {reason}")

        refuse(self.n_atoms < 1, "has no atoms")
        owner = np.repeat(np.arange(len(self)), self.n_atoms)

        def with_any(bad_atoms: Any) -> np.ndarray:
            return np.bincount(owner[bad_atoms], minlength=len(self)) > 0

        known = (self.numbers >= 1) & (self.numbers <= HEAVIEST_ELEMENT)
        refuse(with_any(~known), f"has an unknown element; expected atomic numbers 1-{HEAVIEST_ELEMENT}")
        far = ~(np.abs(self.positions) < FARTHEST_A).all(axis=1)
        refuse(with_any(far), "has a position that is no finite number of angstrom")
        refuse(~np.isfinite(self.cells).all(axis=(1, 2)), "has a cell that is not finite")
        flat = np.abs(np.linalg.det(self.cells)) < 1e-6
        refuse(self.periodic.all(axis=1) & flat, "is periodic, but its cell has no volume")
        refuse(~np.isfinite(self.energy), "has an energy that is not finite")
        refuse(with_any(~np.isfinite(self.forces).all(axis=1)), "has a force that is not finite")


def _results(atoms: Atoms, number: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy, forces [m, 3] and stress [3, 3] that a structure came with."""
    from ase.stress import voigt_6_to_full_3x3_stress

    found = atoms.calc.results if atoms.calc is not None else {}
    if missing := {"energy", "forces"} - found.keys():
        raise DataFormatError(f"frame {number} has no {' and no '.join(sorted(missing))}")
    try:
        stress = np.asarray(found.get("stress", np.full((3, 3), np.nan)), np.float64)
        full = stress if stress.shape == (3, 3) else voigt_6_to_full_3x3_stress(stress)
        return float(found["energy"]), np.asarray(found["forces"], np.float64).reshape(len(atoms), 3), full
    except (TypeError, ValueError) as error:
        raise DataFormatError(
            f"frame {number} has results that are not numbers of the expected shape ({error}); expected energy, "
            f"forces [{len(atoms)}, 3] and, where known, stress [3, 3]"
        ) from error
