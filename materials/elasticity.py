"""Elastic constants of crystals, as a potential has them.

    for constants in elastic_constants(Potential.from_pretrained("chgnet-0.3.0"), crystals):
        moduli(constants.relaxed).k_vrh

C = 1/V (d2E/de2 - L H^-1 L^T): the response to a strain e of the cell with its atoms where they are in it, less what
the atoms gain by giving way. L = dF/de are the forces that a strain causes, H the force constants. All derivatives are
finite differences of exact stresses and forces, about the structure as it is given: for constants at the potential's
own minimum relax it first. (Wu, Vanderbilt & Hamann, Phys. Rev. B 72, 035105 (2005), doi:10.1103/PhysRevB.72.035105.)

Strains and stresses are in Voigt's order xx, yy, zz, yz, xz, xy; m atoms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ase import Atoms
from ase.units import GPa

if TYPE_CHECKING:
    from materials.potential import Potential, PotentialEnergy

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
STRAIN = 0.005
STEP_A = 0.01
SOFTEST_EV_A2 = 1.0
"""Modes of the atoms are taken to be no softer: where a force constant vanishes or is negative the structure is no
minimum, and giving way would have no end."""
ATOMS_AT_ONCE = 2000
"""Of all displaced copies together that are asked for in one go."""


class ElasticConstants(NamedTuple):
    """GPa, symmetric, for strains whose shear components are twice the tensor's."""

    relaxed: np.ndarray
    """[6, 6] with atoms that give way."""
    clamped: np.ndarray
    """[6, 6] with atoms that keep their places in the cell."""


@dataclass(frozen=True)
class Moduli:
    """Of a polycrystal, GPa: bounds by Voigt (same strain everywhere) and Reuss (same stress), and Hill's mean of both.

    Hill, Proc. Phys. Soc. A 65, 349 (1952), doi:10.1088/0370-1298/65/5/307.
    """

    k_voigt: float
    k_reuss: float
    g_voigt: float
    g_reuss: float

    @property
    def k_vrh(self) -> float:
        return (self.k_voigt + self.k_reuss) / 2

    @property
    def g_vrh(self) -> float:
        return (self.g_voigt + self.g_reuss) / 2


def moduli(constants: np.ndarray, softest: float = 0.0) -> Moduli:
    """Averages over all orientations of elastic constants [6, 6] in GPa.

    softest: GPa that every eigenvalue is raised to; without it, Reuss's averages of an unstable crystal mean nothing.
    """
    values, vectors = np.linalg.eigh(constants)
    values = np.maximum(values, softest)
    stiffness, compliance = (vectors * values) @ vectors.T, (vectors / values) @ vectors.T
    k_voigt, g_voigt = stiffness[:3, :3].sum() / 9, _shear(stiffness, 1.0) / 15
    return Moduli(k_voigt, 1 / compliance[:3, :3].sum(), g_voigt, 15 / (4 * _shear(compliance, 0.25)))


def _shear(tensor: np.ndarray, share: float) -> float:
    """Sum of the normal parts less that of the couplings between them, and three times `share` of the shear parts."""
    normal = tensor[:3, :3]
    return 1.5 * np.trace(normal) - 0.5 * normal.sum() + 3 * share * np.trace(tensor[3:, 3:])


def elastic_constants(potential: Potential, crystals: Iterable[Atoms]) -> Iterator[ElasticConstants]:
    """Of each crystal in order; 10 + 3 m evaluations of m atoms each, so the time grows as the square of m."""
    group: list[tuple[Atoms, list[Atoms]]] = []
    waiting = 0
    for crystal in crystals:
        images = _images(crystal)
        group.append((crystal, images))
        waiting += len(images) * len(crystal)
        if waiting > ATOMS_AT_ONCE:
            yield from _evaluate(potential, group)
            group, waiting = [], 0
    yield from _evaluate(potential, group)


def _evaluate(potential: Potential, group: list[tuple[Atoms, list[Atoms]]]) -> Iterator[ElasticConstants]:
    results = potential.evaluate([image for _, images in group for image in images])
    for crystal, images in group:
        yield _constants(crystal, [next(results) for _ in images])


def _images(crystal: Atoms) -> list[Atoms]:
    """The crystal; strained both ways in each of six directions; with each of m - 1 atoms moved in each of three."""
    images = [crystal]
    for i, j in VOIGT:
        for size in (STRAIN, -STRAIN):
            strain = np.zeros((3, 3))
            strain[i, j] += size / 2
            strain[j, i] += size / 2
            image = crystal.copy()
            image.set_cell(crystal.cell.array @ (np.eye(3) + strain), scale_atoms=True)
            images.append(image)
    for atom in range(len(crystal) - 1):
        for axis in range(3):
            image = crystal.copy()
            image.positions[atom, axis] += STEP_A
            images.append(image)
    return images


def _constants(crystal: Atoms, results: list[PotentialEnergy]) -> ElasticConstants:
    rest, strained, moved = results[0], results[1:13], results[13:]
    forces = [one.forces_ev_a.ravel() for one in strained]
    stresses = [np.array([one.stress_ev_a3[axes] for axes in VOIGT]) for one in strained]
    pull = np.stack([plus - minus for plus, minus in zip(forces[::2], forces[1::2], strict=True)]) / (2 * STRAIN)
    clamped = np.stack([plus - minus for plus, minus in zip(stresses[::2], stresses[1::2], strict=True)]) / (2 * STRAIN)
    clamped = _symmetric(clamped) / GPa
    values, modes = np.linalg.eigh(_force_constants(rest, moved))
    # Without the three in which all atoms move alike, which cost nothing.
    inner = np.argsort(np.abs(values))[3:]
    coupling = pull @ modes[:, inner]
    given_way = (coupling / np.maximum(values[inner], SOFTEST_EV_A2)) @ coupling.T / crystal.get_volume() / GPa
    return ElasticConstants(clamped - given_way, clamped)


def _force_constants(rest: PotentialEnergy, moved: list[PotentialEnergy]) -> np.ndarray:
    """-dF/du, eV/angstrom^2 [3 m, 3 m]; those of the last atom follow, for moving all atoms alike changes no force."""
    size = rest.forces_ev_a.size
    columns = np.zeros((size, size))
    for column, one in enumerate(moved):
        columns[:, column] = (rest.forces_ev_a - one.forces_ev_a).ravel() / STEP_A
    for axis in range(3):
        columns[:, size - 3 + axis] = -columns[:, axis : size - 3 : 3].sum(axis=1)
    return _symmetric(columns)


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return (matrix + matrix.T) / 2
