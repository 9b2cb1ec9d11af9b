"""Neighbour lists against ASE's, an independent implementation."""

import ase.neighborlist
import numpy as np
import pytest
import torch
from ase.build import bulk

from materials.data.crystals import Crystals
from materials.data.neighbours import half_neighbour_lists, neighbour_list, neighbour_list_torch, neighbour_lists

CUTOFF_A = 4.0


def ordered(first, second, distance, shift):
    rows = np.column_stack([first, second, shift]).astype(int)
    order = np.lexsort(rows.T)
    return rows[order], np.asarray(distance)[order]


@pytest.fixture(scope="module")
def reference(random_cells):
    return [ordered(*ase.neighborlist.neighbor_list("ijdS", atoms, CUTOFF_A)) for atoms in random_cells]


def test_c_library_agrees_with_ase(random_cells, reference):
    for atoms, (rows, distance) in zip(random_cells, reference, strict=True):
        found = ordered(*neighbour_list(atoms.cell.array, atoms.positions, CUTOFF_A))
        np.testing.assert_array_equal(found[0], rows)
        np.testing.assert_allclose(found[1], distance, atol=1e-9)


def test_many_structures_at_once_agree_with_ase(random_cells, reference):
    """Atoms outside their cell are wrapped on packing: distances, not shifts, are those of the cell as given."""
    crystals = Crystals.from_atoms(random_cells, [str(n) for n in range(len(random_cells))])
    found = neighbour_lists(crystals, CUTOFF_A)
    owner, vectors = crystals.structure_of_atom[found.first], crystals.positions[found.second]
    vectors = vectors - crystals.positions[found.first]
    vectors += np.einsum("ps,psx->px", found.shift, crystals.lattices[owner])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), found.distance, atol=1e-9)
    for number, (rows, distance) in enumerate(reference):
        mine = owner == number
        start = crystals.offsets[number]
        for found_ends, ends in ((found.first, rows[:, 0]), (found.second, rows[:, 1])):
            order, other = np.lexsort((found.distance[mine], found_ends[mine])), np.lexsort((distance, ends))
            np.testing.assert_array_equal(found_ends[mine][order] - start, ends[other])
            np.testing.assert_allclose(found.distance[mine][order], distance[other], atol=1e-9)


def test_large_and_small_structures_mix_in_one_call(monkeypatch, random_cells):
    crystals = Crystals.from_atoms(random_cells, [str(n) for n in range(len(random_cells))])
    expected = neighbour_lists(crystals, CUTOFF_A)
    monkeypatch.setattr("materials.data.neighbours.LARGE", 3)
    monkeypatch.setattr("materials.data.neighbours.CHUNK_PAIRS", 50)
    found = neighbour_lists(crystals, CUTOFF_A)
    for one, other in zip(ordered(*found), ordered(*expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_pairs_on_the_sphere_are_found_whatever_the_rounding():
    for length in np.linspace(2.0, 5.0, 50):
        crystals = Crystals.from_atoms([bulk("Po", "sc", a=length)], ["Po"])
        assert len(neighbour_lists(crystals, length * (1 + 1e-12)).first) == 6


def test_torch_batch_agrees_with_ase(random_cells, reference):
    counts = torch.tensor([len(atoms) for atoms in random_cells])
    found = neighbour_list_torch(
        torch.tensor(np.array([atoms.cell.array for atoms in random_cells])),
        torch.tensor(np.concatenate([atoms.positions for atoms in random_cells])),
        counts,
        CUTOFF_A,
    )
    owner = torch.repeat_interleave(counts)[found.first]
    start = (torch.cumsum(counts, 0) - counts)[owner]
    for number, (rows, distance) in enumerate(reference):
        mine = owner == number
        first, second = found.first[mine] - start[mine], found.second[mine] - start[mine]
        one = ordered(first, second, found.distance[mine], found.shift[mine])
        np.testing.assert_array_equal(one[0], rows)
        np.testing.assert_allclose(one[1], distance, atol=1e-9)


def test_half_lists_hold_each_pair_once(random_cells, reference):
    crystals = Crystals.from_atoms(random_cells, [str(n) for n in range(len(random_cells))])
    first, second, distance = half_neighbour_lists(crystals, np.full(len(crystals), CUTOFF_A))
    owner = crystals.structure_of_atom[first]
    for number, (rows, expected) in enumerate(reference):
        mine = owner == number
        assert 2 * mine.sum() == len(rows)
        np.testing.assert_allclose(np.sort(np.tile(distance[mine], 2)), np.sort(expected), atol=1e-9)
        start = crystals.offsets[number]
        ends = np.concatenate([first[mine], second[mine]]) - start
        np.testing.assert_array_equal(np.bincount(ends, minlength=1), np.bincount(rows[:, 0], minlength=1))


def test_number_of_neighbours_of_a_small_cell_is_that_of_the_lattice():
    copper = bulk("Cu")  # nearest neighbour at 2.55 Å: shells of 12, 6, 24, 12, 24 up to sqrt(5) times that
    assert len(neighbour_list(copper.cell.array, copper.positions, 2.56 * 5**0.5).first) == 12 + 6 + 24 + 12 + 24


def test_distances_are_differentiable_in_positions_and_cell():
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    atoms.rattle(0.1, seed=1)
    lattice = torch.tensor(atoms.cell.array[None], requires_grad=True)
    positions = torch.tensor(atoms.positions, requires_grad=True)

    def energy(lattice, positions):
        return torch.exp(-neighbour_list_torch(lattice, positions, torch.tensor([2]), 4.1).distance).sum()

    assert torch.autograd.gradcheck(energy, (lattice, positions))


def test_atoms_without_neighbours_give_an_empty_list():
    lattice, positions = np.eye(3) * 20, np.zeros((1, 3))
    assert len(neighbour_list(lattice, positions, 5.0).first) == 0
    found = neighbour_list_torch(torch.tensor(lattice[None]), torch.tensor(positions), torch.tensor([1]), 5.0)
    assert len(found.first) == 0 and found.shift.shape == (0, 3)
