from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell

from materials.data.crystals import Crystals
from materials.data.graphs import CrystalGraphs, k_nearest_graphs
from materials.data.symmetry import TOLERANCE_A, collapse, distance_shells, equivalent_nodes

SHARED = Path(__file__).parents[4] / "shared/data/materials/mp2018_val.npz"


def one(atoms: Atoms) -> Crystals:
    return Crystals.from_atoms([atoms], ["one"])


def message_passing(graphs: CrystalGraphs, rounds: int = 4) -> np.ndarray:
    """Output [N] of a small random network: tanh layers, sums over neighbours, mean over atoms."""
    random = np.random.default_rng(5)
    width = 16
    state = random.normal(size=(119, width))[graphs.numbers]
    structure = np.repeat(np.arange(len(graphs)), graphs.n_nodes)
    start = np.repeat(np.cumsum(graphs.n_nodes) - graphs.n_nodes, graphs.n_nodes)
    distances = np.where(np.isfinite(graphs.distances), graphs.distances, 8.0).astype(np.float64)
    basis = np.exp(-((distances[..., None] - np.linspace(0, 8, width)) ** 2))
    for _ in range(rounds):
        own, other, edge = (random.normal(size=(width, width)) / width**0.5 for _ in range(3))
        message = np.tanh((state @ other)[graphs.neighbours + start[:, None]] + basis @ edge)
        state = np.tanh(state @ own + message.sum(axis=1) / 4)
    weight = graphs.multiplicity / graphs.n_atoms[structure]
    return np.bincount(structure, weights=weight * (state @ random.normal(size=width)), minlength=len(graphs))


def naive_classes(graphs: CrystalGraphs, shells: np.ndarray) -> list[int]:
    """Colour refinement of one structure with Python tuples."""
    colours = [int(z) for z in graphs.numbers]
    while True:
        seen = [
            (
                colours[v],
                tuple(sorted((int(s), colours[w]) for s, w in zip(shells[v], graphs.neighbours[v], strict=True))),
            )
            for v in range(len(colours))
        ]
        names = {view: number for number, view in enumerate(dict.fromkeys(seen))}
        if len(names) == len(set(colours)):
            return [names[view] for view in seen]
        colours = [names[view] for view in seen]


def test_network_gives_the_same_on_merged_graphs(known_crystals):
    graphs = k_nearest_graphs(known_crystals)
    merged = collapse(graphs)
    assert len(merged.numbers) < len(graphs.numbers) / 2
    np.testing.assert_allclose(message_passing(merged), message_passing(graphs), rtol=1e-5)


@pytest.mark.skipif(not SHARED.exists(), reason=f"no {SHARED.name} beside the checkout")
def test_network_gives_the_same_on_real_crystals():
    crystals = Crystals.from_npz(SHARED).subset(slice(400))
    graphs = k_nearest_graphs(crystals)
    merged = collapse(graphs)
    full, small = message_passing(graphs), message_passing(merged)
    assert len(merged.numbers) < len(graphs.numbers) / 2
    # Relaxed structures have their symmetry to about 1e-4 Å only.
    np.testing.assert_allclose(small, full, atol=1e-3 * full.std())
    node, distances = equivalent_nodes(graphs), np.sort(graphs.distances, axis=1)
    representative = distances[np.unique(node, return_index=True)[1]][node]
    with np.errstate(invalid="ignore"):
        assert np.nanmax(np.abs(distances - representative)) <= TOLERANCE_A + 1e-6


def test_multiplicities_count_atoms(known_crystals):
    merged = collapse(k_nearest_graphs(known_crystals))
    structure = np.repeat(np.arange(len(merged)), merged.n_nodes)
    np.testing.assert_array_equal(np.bincount(structure, weights=merged.multiplicity), known_crystals.n_atoms)


def test_one_node_for_each_orbit(known_crystals):
    merged = collapse(k_nearest_graphs(known_crystals))
    expected = {"Cu": 1, "Mg": 1, "Si": 1, "NaCl": 2, "CsCl": 2, "ZnO": 2, "SrTiO3": 3, "TiO2": 2, "monoclinic": 2}
    found = dict(zip(known_crystals.ids.tolist(), merged.n_nodes.tolist(), strict=True))
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("multiple", [np.diag([2, 2, 2]), np.array([[2, 1, 0], [0, 1, 0], [0, -1, 3]])])
def test_supercell_collapses_to_the_same_graph(perovskite, multiple):
    small = collapse(k_nearest_graphs(one(perovskite)))
    large = collapse(k_nearest_graphs(one(make_supercell(perovskite, multiple))))
    size = round(np.linalg.det(multiple))

    def canonical(graphs):
        order = np.argsort(graphs.numbers)
        element = graphs.numbers[graphs.neighbours]
        edges = [
            sorted(zip(np.round(d, 3).tolist(), z.tolist(), strict=True))
            for d, z in zip(graphs.distances, element, strict=True)
        ]
        return graphs.numbers[order].tolist(), [edges[node] for node in order], graphs.multiplicity[order]

    assert canonical(small)[:2] == canonical(large)[:2]
    np.testing.assert_array_equal(canonical(small)[2] * size, canonical(large)[2])


def test_classes_agree_with_plain_colour_refinement(known_crystals, random_cells):
    supercells = [make_supercell(atoms, np.diag([2, 1, 1])) for atoms in random_cells[:20]]
    atoms = [known_crystals.atoms(i) for i in range(len(known_crystals))] + supercells
    for structure in atoms:
        graphs = k_nearest_graphs(one(structure), neighbours=8)
        shells = distance_shells(graphs.distances.ravel(), np.zeros(graphs.distances.size, int)).reshape(-1, 8)
        expected = naive_classes(graphs, shells)
        assert equivalent_nodes(graphs).tolist() == expected


def test_stacking_faults_are_seen_by_those_who_look_far_enough():
    # Double hexagonal close packing: every atom has the same 12 neighbours, but only every other layer has 2 more at
    # sqrt(8/3) as in hexagonal packing.
    a = 3.0
    layer = a * (2 / 3) ** 0.5
    shift = {"A": (0, 0), "B": (1 / 3, 2 / 3), "C": (2 / 3, 1 / 3)}
    places = [(*shift[name], number / 4) for number, name in enumerate("ABAC")]
    dhcp = Atoms("La4", scaled_positions=places, cell=[a, a, 4 * layer, 90, 90, 120], pbc=True)
    assert collapse(k_nearest_graphs(one(dhcp), neighbours=12)).n_nodes == [1]
    assert collapse(k_nearest_graphs(one(dhcp), neighbours=20)).n_nodes == [2]


def test_disorder_merges_nothing():
    random = np.random.default_rng(2)
    atoms = Atoms("O30", scaled_positions=random.random((30, 3)), cell=np.eye(3) * 9, pbc=True)
    assert collapse(k_nearest_graphs(one(atoms))).multiplicity.tolist() == [1] * 30


def test_nothing_merges_across_structures(perovskite):
    graphs = k_nearest_graphs(Crystals.concatenate([one(perovskite)] * 3))
    np.testing.assert_array_equal(collapse(graphs).n_nodes, [3, 3, 3])


def test_shells_have_no_rounding_boundary():
    noise = np.random.default_rng(0).normal(scale=1e-7, size=1000)
    for distance in (2.0, 2.0005, 2.00025, 2.1):
        assert len(np.unique(distance_shells(distance + noise, np.zeros(1000, int)))) == 1


def test_shells_are_ordered_and_no_wider_than_the_tolerance():
    random = np.random.default_rng(0)
    distances = random.uniform(2, 4, 50_000).astype(np.float32)  # dense enough to chain everything together
    structure = random.integers(0, 3, 50_000)
    shells = distance_shells(distances, structure)
    for number in range(3):
        mine, shell = distances[structure == number], shells[structure == number]
        order = np.argsort(mine)
        assert shell.min() == 0 and np.all(np.diff(shell[order]) >= 0)
        starts = np.flatnonzero(np.diff(shell[order], prepend=-1))
        width = np.maximum.reduceat(mine[order], starts) - np.minimum.reduceat(mine[order], starts)
        assert width.max() <= TOLERANCE_A + 1e-6


def test_missing_neighbours_are_a_shell_of_their_own():
    shells = distance_shells(np.array([2.0, np.inf, 2.5, np.inf]), np.zeros(4, int))
    assert shells.tolist() == [0, 2, 1, 2]
