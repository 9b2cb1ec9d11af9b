import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell

from common.app.errors import ConfigError
from materials.data.crystals import Crystals
from materials.data.graphs import CrystalGraphs, k_nearest_graphs
from materials.data.neighbours import neighbour_list


def crystals_of(*atoms: Atoms) -> Crystals:
    return Crystals.from_atoms(atoms, [str(number) for number in range(len(atoms))])


def surroundings(graphs: CrystalGraphs) -> np.ndarray:
    """Each node's neighbours as sorted (distance to 0.1 mÅ, element) numbers; nodes sorted too."""
    structure = np.repeat(np.cumsum(graphs.n_nodes) - graphs.n_nodes, graphs.n_nodes)
    elements = graphs.numbers[graphs.neighbours + structure[:, None]]
    distances = np.where(np.isfinite(graphs.distances), graphs.distances, 99.0)
    rows = np.sort(np.round(distances, 4).astype(np.float64) * 1000 + elements / 1000, axis=1)
    rows = np.column_stack([graphs.numbers, rows])
    return rows[np.lexsort(rows.T)]


def test_neighbours_are_the_nearest(random_cells):
    graphs = k_nearest_graphs(crystals_of(*random_cells), neighbours=12, cutoff_a=6.0)
    row = 0
    for atoms in random_cells:
        pairs = neighbour_list(atoms.cell.array, atoms.positions, 6.0)
        for atom in range(len(atoms)):
            expected = np.sort(pairs.distance[pairs.first == atom])[:12]
            found = graphs.distances[row]
            np.testing.assert_allclose(np.sort(found)[: len(expected)], expected, atol=1.1e-3)
            assert np.isinf(found).sum() == 12 - len(expected)
            row += 1


def test_edges_lead_to_atoms_at_their_distance(known_crystals):
    graphs = k_nearest_graphs(known_crystals)
    for number, start in enumerate(known_crystals.offsets[:-1]):
        atoms = known_crystals.atoms(number)
        pairs = neighbour_list(atoms.cell.array, atoms.positions, 8.0)
        real = {(i, j, round(d, 3)) for i, j, d in zip(pairs.first, pairs.second, pairs.distance, strict=True)}
        for atom in range(len(atoms)):
            for j, d in zip(graphs.neighbours[start + atom], graphs.distances[start + atom], strict=True):
                near = {(atom, int(j), round(float(d) + step, 3)) for step in (-2e-4, 0, 2e-4)}
                assert near & real


@pytest.mark.parametrize("neighbours", [5, 12, 17])
def test_graphs_do_not_depend_on_description(known_crystals, random_cells, neighbours):
    random = np.random.default_rng(0)
    originals = [known_crystals.atoms(i) for i in range(len(known_crystals))] + random_cells[:20]
    for atoms in originals:
        expected = surroundings(k_nearest_graphs(crystals_of(atoms), neighbours))
        moved = atoms.copy()
        moved.rotate(37.0, (1.0, 2.0, -0.5), rotate_cell=True)
        moved.translate(random.uniform(-5, 5, 3))
        moved = moved[random.permutation(len(moved))]
        np.testing.assert_allclose(surroundings(k_nearest_graphs(crystals_of(moved), neighbours)), expected, atol=0.2)
        supercell = make_supercell(atoms, [[2, 1, 0], [0, 1, 0], [0, -1, 2]])
        found = surroundings(k_nearest_graphs(crystals_of(supercell), neighbours))
        np.testing.assert_allclose(found, np.repeat(expected, 4, axis=0), atol=0.2)


def test_lighter_elements_come_first_in_a_cut_shell(known_crystals):
    perovskite = known_crystals.subset([known_crystals.ids.tolist().index("SrTiO3")])
    # An oxygen has 2 Ti at a/2, then 4 Sr and 8 O at a/sqrt(2).
    graphs = k_nearest_graphs(perovskite, neighbours=7)
    elements = perovskite.numbers[graphs.neighbours[perovskite.numbers == 8]]
    np.testing.assert_array_equal(np.sort(elements, axis=1), [[8, 8, 8, 8, 8, 22, 22]] * 3)


def test_missing_neighbours_are_the_node_itself_at_infinity():
    dimer = Atoms("H2", positions=[(0, 0, 0), (0.74, 0, 0)], cell=np.eye(3) * 20, pbc=True)
    lonely = Atoms("Xe", cell=np.eye(3) * 30, pbc=True)
    graphs = k_nearest_graphs(crystals_of(dimer, lonely), neighbours=3, cutoff_a=5.0)
    np.testing.assert_array_equal(graphs.neighbours, [[1, 0, 0], [0, 1, 1], [0, 0, 0]])
    np.testing.assert_array_equal(np.isinf(graphs.distances), [[False, True, True]] * 2 + [[True] * 3])
    np.testing.assert_allclose(graphs.distances[:2, 0], 0.74, rtol=1e-6)


def test_batches_and_threads_do_not_change_graphs(known_crystals, monkeypatch):
    many = Crystals.concatenate([known_crystals] * 5)
    whole = k_nearest_graphs(many)
    monkeypatch.setattr("materials.data.graphs.CHUNK_ATOMS", 60)
    for workers in (1, 3):
        graphs = k_nearest_graphs(many, workers=workers)
        np.testing.assert_array_equal(graphs.distances, whole.distances)
        np.testing.assert_array_equal(graphs.n_nodes, whole.n_nodes)
    first, second = k_nearest_graphs(many, workers=1), k_nearest_graphs(many, workers=3)
    np.testing.assert_array_equal(first.neighbours, second.neighbours)


def test_arrays_round_trip(known_crystals):
    graphs = k_nearest_graphs(known_crystals)
    back = CrystalGraphs.from_arrays(graphs.to_arrays() | {"other": np.zeros(1)})
    for name, values in graphs.to_arrays().items():
        np.testing.assert_array_equal(getattr(back, name), values)


def test_no_crystals_give_no_graphs(known_crystals):
    graphs = k_nearest_graphs(known_crystals.subset([]), collapse_tolerance_a=1e-3)
    assert len(graphs) == 0 and graphs.neighbours.shape == (0, 12)


def test_impossible_settings_are_refused(known_crystals):
    for neighbours, cutoff_a in ((0, 8.0), (12, 0.0), (12, float("nan"))):
        with pytest.raises(ConfigError, match="expected at least 1 neighbour"):
            k_nearest_graphs(known_crystals, neighbours, cutoff_a)
