"""The embedded data set `ionic-lattice`: computed lattice energies of ideal ionic crystals.

Compounds of tabulated ions in eight structure types, each as large as its closest cation-anion contact demands,
at rest and under random homogeneous strain. The target is the lattice energy of the Born-Landé model: an Ewald sum
over formal charges plus a repulsion between cations and anions (see `ewald`). It is computed, never measured, and
a compound need not exist in the structure type; what it offers is exact, free of noise, and needs no download.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
from ase.data import atomic_numbers
from ase.formula import Formula

from common.app.errors import ConfigError
from common.app.registry import did_you_mean
from common.data.cache import cached_arrays
from materials.data.crystals import Crystals
from materials.data.ewald import born_exponent, electrostatic_energy, repulsion_strength
from materials.data.ionic_radii import Ion, ions
from materials.data.neighbours import neighbour_list

TARGET = "lattice_energy"
"""eV/atom, relative to separate ions; negative."""

STRAINED = 2
"""Strained copies of each ideal crystal."""

STRAIN = 0.04
"""Normal strains are uniform within +-STRAIN, shear strains the mean of two such numbers."""

SPLITS = ("train", "val", "test")
COLUMNS = ("n_atoms", "lattices", "numbers", "fractional")

VERSION = "1"
"""Raise it when `build` makes other crystals or energies: cached ones are then built again."""

FCC = ((0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0))
CUBIC = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class StructureType:
    """Sites of ions by role; lattice in units of a. `coordination` has one number a role."""

    name: str
    lattice: tuple[tuple[float, float, float], ...]
    roles: tuple[int, ...]
    fractional: tuple[tuple[float, float, float], ...]
    coordination: tuple[int, ...]


STRUCTURE_TYPES = (
    StructureType("rocksalt", FCC, (0, 1), ((0, 0, 0), (0.5, 0.5, 0.5)), (6, 6)),
    StructureType("caesium-chloride", CUBIC, (0, 1), ((0, 0, 0), (0.5, 0.5, 0.5)), (8, 8)),
    StructureType("zinc-blende", FCC, (0, 1), ((0, 0, 0), (0.25, 0.25, 0.25)), (4, 4)),
    StructureType(
        "wurtzite",  # ideal: c/a = sqrt(8/3), u = 3/8
        ((1.0, 0.0, 0.0), (-0.5, 0.75**0.5, 0.0), (0.0, 0.0, (8 / 3) ** 0.5)),
        (0, 0, 1, 1),
        ((1 / 3, 2 / 3, 0), (2 / 3, 1 / 3, 0.5), (1 / 3, 2 / 3, 0.375), (2 / 3, 1 / 3, 0.875)),
        (4, 4),
    ),
    StructureType("fluorite", FCC, (0, 1, 1), ((0, 0, 0), (0.25, 0.25, 0.25), (0.75, 0.75, 0.75)), (8, 4)),
    StructureType("antifluorite", FCC, (1, 0, 0), ((0, 0, 0), (0.25, 0.25, 0.25), (0.75, 0.75, 0.75)), (4, 8)),
    StructureType(
        "rutile",  # c/a and u of TiO2: Abrahams & Bernstein, J. Chem. Phys. 55, 3206 (1971)
        ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.644)),
        (0, 0, 1, 1, 1, 1),
        (
            (0, 0, 0),
            (0.5, 0.5, 0.5),
            (0.305, 0.305, 0),
            (0.695, 0.695, 0),
            (0.195, 0.805, 0.5),
            (0.805, 0.195, 0.5),
        ),
        (6, 3),
    ),
    StructureType(
        "perovskite",
        CUBIC,
        (0, 1, 2, 2, 2),
        ((0.5, 0.5, 0.5), (0, 0, 0), (0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5)),
        (12, 6, 6),
    ),
)


class Sample(NamedTuple):
    """One crystal of the data set."""

    formula: str
    name: str
    lattice: np.ndarray
    numbers: np.ndarray
    fractional: np.ndarray
    energy: float


def load(split: str, offline: bool = False) -> Crystals:
    """The split "train", "val" or "test", from the cache when it was built before; nothing is ever downloaded."""
    if split not in SPLITS:
        raise ConfigError(f"ionic-lattice has no split '{split}'. {did_you_mean(split, list(SPLITS))}")
    arrays = cached_arrays("ionic-lattice", {}, VERSION, _all_arrays)
    # The cache holds numbers only: the ids lie there as their code points.
    ids = arrays[f"{split}.ids"]
    columns = (arrays[f"{split}.{name}"] for name in COLUMNS)
    return Crystals(ids.view(f"<U{ids.shape[1]}")[:, 0], *columns, targets={TARGET: arrays[f"{split}.{TARGET}"]})


def build(seed: int = 0) -> dict[str, Crystals]:
    """The splits `train`, `val` and `test`, 80:10:10 of the compositions: no composition is in two of them."""
    random = np.random.default_rng(seed)
    samples = [sample for kind, compound in compounds() for sample in _samples(kind, compound, random)]
    formulas, names, lattices, numbers, fractional, energies = zip(*samples, strict=True)
    crystals = Crystals(
        np.array(names),
        np.array([len(one) for one in numbers]),
        np.array(lattices),
        np.concatenate(numbers),
        np.concatenate(fractional),
        {TARGET: np.array(energies)},
    )
    mixed = random.permutation(np.unique(formulas))
    tenth = len(mixed) // 10
    parts = {"train": mixed[2 * tenth :], "val": mixed[tenth : 2 * tenth], "test": mixed[:tenth]}
    return {split: crystals.subset(np.isin(formulas, part)) for split, part in parts.items()}


def _all_arrays() -> dict[str, np.ndarray]:
    arrays = {}
    for split, crystals in build().items():
        codes = crystals.ids.astype(f"<U{crystals.ids.dtype.itemsize // 4}").view("<u4")
        arrays[f"{split}.ids"] = codes.reshape(len(crystals), -1)
        arrays |= {f"{split}.{name}": getattr(crystals, name) for name in COLUMNS}
        arrays[f"{split}.{TARGET}"] = crystals.targets[TARGET]
    return arrays


def compounds() -> Iterator[tuple[StructureType, tuple[Ion, ...]]]:
    """Every neutral combination of ions with tabulated radii, one ion a role, the anion last."""
    cations = [ion for ion in ions() if ion.charge > 0]
    anions = [ion for ion in ions() if ion.charge < 0]
    for kind in STRUCTURE_TYPES:
        places = [[ion for ion in cations if n in ion.radii_a] for n in kind.coordination[:-1]]
        for compound in product(*places, anions):
            neutral = sum(compound[role].charge for role in kind.roles) == 0
            if neutral and len({ion.symbol for ion in compound}) == len(compound):
                yield kind, compound


class IonicCrystal:
    """A compound in a structure type: m ions, P cation-anion contacts."""

    def __init__(self, kind: StructureType, compound: tuple[Ion, ...]) -> None:
        site_ions = [compound[role] for role in kind.roles]
        radii = [compound[role].radius_a(kind.coordination[role]) for role in kind.roles]
        self.numbers = np.array([atomic_numbers[ion.symbol] for ion in site_ions])
        self.charges = np.array([ion.charge for ion in site_ions])
        self.fractional = np.array(kind.fractional, float)
        self.formula = Formula("".join(ion.symbol for ion in site_ions)).reduce()[0].format("metal")

        first, second, shift = contacts(kind)
        self._steps = self.fractional[second] + shift - self.fractional[first]
        self._contact_a = np.array(radii)[first] + np.array(radii)[second]
        exponents = np.array([born_exponent(n) for n in (self.numbers - self.charges).tolist()])
        self._exponents = (exponents[first] + exponents[second]) / 2
        unit = np.array(kind.lattice)
        self.lattice = unit / self._ratios(unit).min()
        self._strength = repulsion_strength(self._coulomb_ev(self.lattice), self._ratios(self.lattice), self._exponents)

    def energy_ev(self, lattice: np.ndarray) -> float:
        """Born-Landé energy of the cell with these lattice vectors [3, 3], ions at the same fractional places."""
        repulsion = self._strength * np.sum(self._ratios(lattice) ** -self._exponents)
        return self._coulomb_ev(lattice) + float(repulsion)

    def _coulomb_ev(self, lattice: np.ndarray) -> float:
        return electrostatic_energy(lattice, self.fractional, self.charges)

    def _ratios(self, lattice: np.ndarray) -> np.ndarray:
        """Distance of each contact over the sum of the two radii, [P]."""
        return np.linalg.norm(self._steps @ lattice, axis=1) / self._contact_a


@cache
def contacts(kind: StructureType) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each cation with the anions that coordinate it: (cation [P], anion [P], shift [P, 3])."""
    lattice = np.array(kind.lattice)
    pairs = neighbour_list(lattice, np.array(kind.fractional) @ lattice, cutoff_a=1.2)
    roles = np.array(kind.roles)
    is_anion = roles == len(kind.coordination) - 1
    kept = np.zeros(len(pairs.first), bool)
    for cation in np.flatnonzero(~is_anion):
        bonds = np.flatnonzero((pairs.first == cation) & is_anion[pairs.second])
        nearest = bonds[np.argsort(pairs.distance[bonds])]
        kept[nearest[: kind.coordination[roles[cation]]]] = True
    return pairs.first[kept], pairs.second[kept], pairs.shift[kept]


def _samples(kind: StructureType, compound: tuple[Ion, ...], random: np.random.Generator) -> Iterator[Sample]:
    crystal = IonicCrystal(kind, compound)
    for copy in range(1 + STRAINED):
        strain = random.uniform(-STRAIN, STRAIN, (3, 3)) if copy else np.zeros((3, 3))
        lattice = crystal.lattice @ (np.eye(3) + (strain + strain.T) / 2)
        energy = crystal.energy_ev(lattice) / len(crystal.numbers)
        name = f"{crystal.formula}-{kind.name}-{copy}"
        yield Sample(crystal.formula, name, lattice, crystal.numbers, crystal.fractional, energy)
