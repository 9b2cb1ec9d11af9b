"""Many compositions, materials of which no structure is known, in a few flat arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from common.app.errors import DataFormatError
from materials.data.element_properties import electronegativity
from materials.data.formula import Shares, read_composition

LARGEST_CELL = 400
"""Atoms of the longest formula that is written in whole numbers."""


@dataclass(frozen=True, eq=False)
class Compositions:
    """N compositions with R different elements in all; those of composition n are rows `offsets[n]:offsets[n + 1]`.

    ids         [N]  text
    n_elements  [N]  int64
    numbers     [R]  uint8, atomic numbers 1-118, rising within a composition
    fractions   [R]  float64, shares of the atoms: positive, adding up to 1 within a composition
    targets     {name: [N] float64}, NaN where unknown; classes are 0 and 1

    Raises DataFormatError if shapes disagree or a composition is not as described.
    """

    ids: np.ndarray
    n_elements: np.ndarray
    numbers: np.ndarray
    fractions: np.ndarray
    targets: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kinds = {"ids": str, "n_elements": np.int64, "numbers": np.int64, "fractions": np.float64}
        for name, kind in kinds.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
        targets = {name: np.asarray(values, np.float64) for name, values in self.targets.items()}
        object.__setattr__(self, "targets", targets)
        self._check_shapes()
        self._check_values()
        object.__setattr__(self, "numbers", self.numbers.astype(np.uint8))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def offsets(self) -> np.ndarray:
        """[N + 1] int64: first row of each composition, then R."""
        return np.concatenate([[0], np.cumsum(self.n_elements)]).astype(np.int64)

    @property
    def owner(self) -> np.ndarray:
        """[R] int64: the composition that a row belongs to."""
        return np.repeat(np.arange(len(self)), self.n_elements)

    @classmethod
    def of(
        cls, sources: Iterable[Any], ids: Sequence[str], targets: Mapping[str, np.ndarray] | None = None
    ) -> Compositions:
        """From whatever `read_composition` reads; an error names the id."""
        shares = []
        for name, source in zip(ids, sources, strict=True):
            try:
                shares.append(read_composition(source))
            except DataFormatError as error:
                raise DataFormatError(f"{name}: {error}") from error
        return cls.from_shares(shares, ids, targets)

    @classmethod
    def from_shares(
        cls, shares: Sequence[Shares], ids: Sequence[str], targets: Mapping[str, np.ndarray] | None = None
    ) -> Compositions:
        """Pack what `read_composition` returned."""
        return cls(
            np.array(ids, str),
            np.array([len(one) for one in shares], np.int64),
            np.array([number for one in shares for number in one], np.int64),
            np.array([share for one in shares for share in one.values()]),
            targets or {},
        )

    def subset(self, indices: np.ndarray | Sequence[int] | slice) -> Compositions:
        """The compositions at `indices` (integers, a Boolean mask or a slice), in that order."""
        everything = np.arange(len(self))
        chosen = everything[indices] if isinstance(indices, slice) or len(indices) else everything[:0]
        counts = self.n_elements[chosen]
        rows = np.arange(counts.sum()) + np.repeat(self.offsets[chosen] - (np.cumsum(counts) - counts), counts)
        targets = {name: values[chosen] for name, values in self.targets.items()}
        return Compositions(self.ids[chosen], counts, self.numbers[rows], self.fractions[rows], targets)

    def formula(self, index: int) -> str:
        """Elements by rising electronegativity, with the smallest whole numbers (Fe2O3) or percent (Al0.4Fe99.6)."""
        rows = slice(self.offsets[index], self.offsets[index + 1])
        shares = self.fractions[rows]
        scale = next((k for k in range(1, LARGEST_CELL) if np.allclose(k * shares, np.rint(k * shares), 0, 1e-6)), 100)
        pairs = zip(self.numbers[rows].tolist(), (scale * shares).tolist(), strict=True)
        ordered = sorted(pairs, key=lambda pair: electronegativity(pair[0]))
        amounts = [(chemical_symbols[z], f"{amount:.6g}") for z, amount in ordered]
        return "".join(symbol + ("" if amount == "1" else amount) for symbol, amount in amounts)

    def _check_shapes(self) -> None:
        n, rows = len(self.ids), int(self.n_elements.sum())
        arrays = {"n_elements": n, "numbers": rows, "fractions": rows}
        found = {name: np.shape(getattr(self, name)) for name in arrays}
        found |= {f"target '{name}'": values.shape for name, values in self.targets.items()}
        for name, shape in found.items():
            if shape != (arrays.get(name, n),):
                raise DataFormatError(f"{name} has shape {shape}, expected ({arrays.get(name, n)},)")

    def _check_values(self) -> None:
        def refuse(bad: np.ndarray, reason: str) -> None:
            if np.any(bad):
                raise DataFormatError(f"composition '{self.ids[np.argmax(bad)]}' {reason}")

        refuse(self.n_elements < 1, "has no elements")
        owner = self.owner

        def with_any(bad_rows: np.ndarray) -> np.ndarray:
            return np.bincount(owner[bad_rows], minlength=len(self)) > 0

        refuse(with_any((self.numbers < 1) | (self.numbers > 118)), "has an unknown element; expected 1-118")
        refuse(with_any(~(self.fractions > 0)), "has a fraction that is not a positive number")
        falls = np.append(False, (np.diff(self.numbers) <= 0) & (np.diff(owner) == 0))
        refuse(with_any(falls[: len(owner)]), "has elements out of order or twice; expected rising atomic numbers")
        total = np.bincount(owner, weights=self.fractions, minlength=len(self))
        refuse(~(np.abs(total - 1) < 1e-6), "has fractions that do not add up to 1")
