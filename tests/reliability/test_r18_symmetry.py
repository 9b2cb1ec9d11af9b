"""R18: how a thing is written down does not change what is predicted of it: shipped models, networks, hypothesis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rdkit import Chem

from materials import Potential, PropertyPredictor
from protein.models.fold import Fold
from tests.protein.models.conftest import randomized
from tests.protein.models.test_fold import CONFIG as FOLD
from tests.weather.models.test_sfno import CONFIG as SFNO_CONFIG
from tests.weather.models.test_sfno import model_of

LIMIT = 1e-5
SAMPLE = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
FULL = settings(SAMPLE, max_examples=100)

CRYSTALS = [bulk("NaCl", "rocksalt", a=5.64), bulk("ZnS", "wurtzite", a=3.82, c=6.26), bulk("W", cubic=True)]
MOLECULE = Chem.MolFromSmiles("CC(C)CC(NC(=O)C(N)CC1=CC=CC=C1)C(=O)O")

seeds = st.integers(0, 2**31)
Measured = Callable[[str, str], None]


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def otherwise_written(atoms: Atoms, seed: int) -> Atoms:
    """The same crystal turned, shifted, with another order of atoms and another cell."""
    random = np.random.default_rng(seed)
    matrix = np.linalg.qr(random.normal(size=(3, 3)))[0]
    cells = [np.eye(3), [[1, 1, 0], [0, 1, 0], [0, 0, 1]], [[2, 0, 0], [0, 1, 0], [0, 0, 1]]]
    again = make_supercell(atoms, cells[random.integers(len(cells))])
    positions = again.positions @ matrix + random.normal(size=3)
    order = random.permutation(len(again))
    return Atoms(again.numbers[order], positions=positions[order], cell=again.cell.array @ matrix, pbc=True)


def worst(check: Callable[[int], float], count: settings) -> float:
    """The largest error that hypothesis finds."""
    errors: list[float] = []

    @count
    @given(seeds)
    def search(seed: int) -> None:
        errors.append(check(seed))
        assert errors[-1] < LIMIT

    search()
    return max(errors)


def crystals() -> Callable[[int], float]:
    predictor = PropertyPredictor.from_pretrained("mp2018-eform", device="cpu")
    expected = predictor.predict(CRYSTALS)["e_form"].to_numpy()

    def check(seed: int) -> float:
        return relative(
            predictor.predict([otherwise_written(one, seed) for one in CRYSTALS])["e_form"].to_numpy(), expected
        )

    return check


def molecules() -> Callable[[int], float]:
    predictor = PropertyPredictor.from_pretrained("esol", device="cpu")
    expected = predictor.predict([MOLECULE]).iloc[0, 1]

    def check(seed: int) -> float:
        order = np.random.default_rng(seed).permutation(MOLECULE.GetNumAtoms()).tolist()
        found = predictor.predict([Chem.MolToSmiles(Chem.RenumberAtoms(MOLECULE, order), canonical=False)]).iloc[0, 1]
        return abs(found - expected) / abs(expected)

    return check


def potentials() -> Callable[[int], float]:
    """Energies stay, forces turn with the atoms."""
    calculator = Potential.from_pretrained("mlip-mlearn-cu", device="cpu").calculator()
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.rattle(0.1, seed=1)

    def results(one: Atoms) -> tuple[float, np.ndarray]:
        one.calc = calculator
        return one.get_potential_energy(), one.get_forces()

    energy, forces = results(atoms.copy())

    def check(seed: int) -> float:
        random = np.random.default_rng(seed)
        matrix, order = np.linalg.qr(random.normal(size=(3, 3)))[0], random.permutation(len(atoms))
        moved = Atoms(atoms.numbers[order], positions=(atoms.positions @ matrix + random.normal(size=3))[order],
                      cell=atoms.cell.array @ matrix, pbc=True)  # fmt: skip
        other_energy, other_forces = results(moved)
        return max(abs(other_energy - energy) / abs(energy), relative(other_forces, (forces @ matrix)[order]))

    return check


def globe() -> Callable[[int], float]:
    """A field turned by whole columns of the grid."""
    torch.manual_seed(0)
    model = model_of(SFNO_CONFIG)
    state = torch.randn(1, 2, 16, 32)
    expected = model(state).detach()

    def check(seed: int) -> float:
        with torch.no_grad():
            found = model(state.roll(seed % 32, -1)).roll(-(seed % 32), -1)
        return relative(found.numpy(), expected.numpy())

    return check


def chains() -> Callable[[int], float]:
    """Residues numbered from elsewhere; padding of other values behind them."""
    model = randomized(Fold(FOLD)).double()
    types = torch.randint(0, 20, (1, 12), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = model(types).structure.atom14

    def check(seed: int) -> float:
        random = torch.Generator().manual_seed(seed)
        more = seed % 5
        padded = torch.cat([types, torch.randint(0, 20, (1, more), generator=random)], 1)
        mask = torch.arange(12 + more)[None] < 12
        with torch.no_grad():
            found = model(padded, mask, torch.arange(12 + more)[None] + seed % 1000).structure.atom14[:, :12]
        return relative(found.float().numpy(), expected.float().numpy())

    return check


SYMMETRIES = {"crystals": crystals, "molecules": molecules, "potentials": potentials, "globe": globe, "chains": chains}


@pytest.mark.parametrize("what", SYMMETRIES)
def test_what_is_predicted_does_not_depend_on_how_it_is_written(what: str, measured: Measured) -> None:
    measured("R18", f"{what}: at most {worst(SYMMETRIES[what](), SAMPLE):.0e} in {SAMPLE.max_examples}")


@pytest.mark.full
@pytest.mark.parametrize("what", SYMMETRIES)
def test_symmetries_100_times(what: str, measured: Measured) -> None:
    measured("R18", f"{what}: at most {worst(SYMMETRIES[what](), FULL):.0e} in {FULL.max_examples}")
