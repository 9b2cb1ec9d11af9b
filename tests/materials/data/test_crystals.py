import numpy as np
import pytest
from ase.build import bulk

from common.app.errors import DataFormatError
from materials.data.crystals import Crystals, wrapped


def same(one: Crystals, other: Crystals, tolerance: float = 0.0) -> bool:
    step = one.fractional - other.fractional
    return (
        one.ids.tolist() == other.ids.tolist()
        and np.array_equal(one.n_atoms, other.n_atoms)
        and np.array_equal(one.numbers, other.numbers)
        and np.allclose(one.lattices, other.lattices, rtol=tolerance, atol=0)
        and bool(np.all(np.abs(step - np.rint(step)) <= tolerance))
    )


def test_npz_round_trip_keeps_float32_precision(tmp_path, known_crystals):
    target = np.arange(len(known_crystals), dtype=float)
    target[2] = np.nan
    crystals = Crystals(
        known_crystals.ids,
        known_crystals.n_atoms,
        known_crystals.lattices,
        known_crystals.numbers,
        known_crystals.fractional,
        {"e_form": target},
    )
    crystals.to_npz(tmp_path / "some.npz")
    read = Crystals.from_npz(tmp_path / "some.npz")
    assert same(read, crystals, 2e-7)
    np.testing.assert_array_equal(read.targets["e_form"], target)
    assert np.all((read.fractional >= 0) & (read.fractional < 1))


def test_atoms_round_trip(known_crystals):
    back = Crystals.from_atoms([known_crystals.atoms(i) for i in range(len(known_crystals))], list(known_crystals.ids))
    assert same(back, known_crystals, 1e-12)


def test_subsets_and_concatenation_are_inverse(known_crystals):
    order = np.array([3, 0, 4, 1, 2, 5, 6, 7, 8, 9])
    parts = [known_crystals.subset(order[:4]), known_crystals.subset(order[4:])]
    whole = Crystals.concatenate(parts)
    assert same(whole.subset(np.argsort(order)), known_crystals)
    assert same(known_crystals.subset(np.arange(10) < 3), known_crystals.subset(slice(3)))
    assert len(known_crystals.subset(np.zeros(10, bool))) == 0


def test_concatenation_fills_unknown_targets_with_nan(known_crystals):
    first, second = known_crystals.subset([0]), known_crystals.subset([1])
    labelled = Crystals(first.ids, first.n_atoms, first.lattices, first.numbers, first.fractional, {"gap": np.ones(1)})
    np.testing.assert_array_equal(Crystals.concatenate([labelled, second]).targets["gap"], [1.0, np.nan])


def test_positions_agree_with_ase(known_crystals):
    rows = slice(known_crystals.offsets[5], known_crystals.offsets[6])
    np.testing.assert_allclose(known_crystals.positions[rows], known_crystals.atoms(5).positions, atol=1e-12)


def test_wrapping_never_gives_one():
    values = np.array([[-1e-20, 1.0, -0.25]])
    np.testing.assert_array_equal(wrapped(values), [[0.0, 0.0, 0.75]])
    assert wrapped(np.array([[1 - 1e-9, -1e-9, 7.5]], np.float32)).max() < 1


def broken(**changes):
    fields = {
        "ids": np.array(["salt"]),
        "n_atoms": np.array([2]),
        "lattices": np.eye(3)[None] * 4.0,
        "numbers": np.array([11, 17]),
        "fractional": np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
    }
    return Crystals(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"n_atoms": np.array([3])}, "numbers has shape"),
        ({"numbers": np.array([11, 0])}, "unknown element"),
        ({"numbers": np.array([11, 273])}, "unknown element"),
        ({"fractional": np.array([[0, 0, 0], [0.5, np.nan, 0.5]])}, "coordinate"),
        ({"lattices": np.full((1, 3, 3), np.inf)}, "cell vector"),
        ({"lattices": np.ones((1, 3, 3))}, "without volume"),
        ({"targets": {"gap": np.ones(2)}}, "target 'gap'"),
    ],
)
def test_impossible_crystals_are_refused(changes, reason):
    broken()
    with pytest.raises(DataFormatError, match=reason):
        broken(**changes)


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "lacking", "pickle"])
def test_damaged_npz_names_the_file(tmp_path, known_crystals, damage):
    path = tmp_path / "data.npz"
    known_crystals.to_npz(path)
    whole = path.read_bytes()
    if damage == "lacking":
        np.savez(path, id=np.array(["a"]))
    elif damage == "pickle":
        np.savez(path, id=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    else:
        path.write_bytes({"empty": b"", "text": b"not an archive", "truncated": whole[: len(whole) // 2]}[damage])
    with pytest.raises(DataFormatError, match=r"data\.npz"):
        Crystals.from_npz(path)


def test_structures_without_cell_are_refused():
    atoms = bulk("Cu")
    atoms.cell = None
    with pytest.raises(DataFormatError, match="copper"):
        Crystals.from_atoms([atoms], ["copper"])
