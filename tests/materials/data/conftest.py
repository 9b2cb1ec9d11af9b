"""Crystals that the tests of this folder share."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal

from materials.data.crystals import Crystals


@pytest.fixture(scope="session")
def random_cells() -> list[Atoms]:
    """100 cells: ordinary, strongly skewed, and smaller than any cutoff."""
    random = np.random.default_rng(1)
    cells = []
    for number in range(100):
        count = 1 if number % 4 == 0 else int(random.integers(1, 9))
        lattice = np.eye(3) * 2.5 * count ** (1 / 3) * random.uniform(0.8, 1.6, 3) + random.uniform(-0.5, 0.5, (3, 3))
        if number % 3 == 0:
            lattice[2] += random.integers(-2, 3) * lattice[0] + 1.4 * lattice[1]
        numbers = random.choice([1, 8, 22, 38], count)
        # Some atoms lie outside the cell.
        cells.append(Atoms(numbers, scaled_positions=random.uniform(-0.5, 1.5, (count, 3)), cell=lattice, pbc=True))
        cells[-1].positions += random.integers(-2, 3, (count, 3)) @ lattice
    return cells


@pytest.fixture(scope="session")
def known_crystals(perovskite: Atoms) -> Crystals:
    """Crystals with symmetry, from one atom a cell to a few dozen."""
    sites = [(0.07, 0.21, 0.36), (0.41, 0.13, 0.29)]
    atoms = {
        "Cu": bulk("Cu"),
        "Mg": bulk("Mg"),
        "Si": bulk("Si", cubic=True),
        "NaCl": bulk("NaCl", "rocksalt", a=5.64, cubic=True),
        "CsCl": bulk("CsCl", "cesiumchloride", a=4.12),
        "ZnO": bulk("ZnO", "wurtzite", a=3.25, c=5.2, u=0.382),
        "SrTiO3": perovskite,
        "TiO2": crystal(
            ["Ti", "O"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.59, 4.59, 2.96, 90, 90, 90]
        ),
        "monoclinic": crystal(["Na", "S"], sites, spacegroup=14, cellpar=[7, 6, 8, 90, 104, 90]),
        "orthorhombic": crystal(["Fe", "O"], sites, spacegroup=62, cellpar=[9, 7, 8, 90, 90, 90]),
    }
    return Crystals.from_atoms(list(atoms.values()), list(atoms))


@pytest.fixture(scope="session")
def perovskite() -> Atoms:
    """SrTiO3, cubic."""
    places = [(0.5, 0.5, 0.5), (0, 0, 0), (0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5)]
    return Atoms("SrTiO3", scaled_positions=places, cell=np.eye(3) * 3.905, pbc=True)
