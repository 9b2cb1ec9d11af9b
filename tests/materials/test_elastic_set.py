"""The computed moduli: those of the right crystals, each its own, computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from materials import Potential, elastic_set
from materials.data import mp2018
from materials.data.crystals import Crystals
from materials.elasticity import elastic_constants, moduli


@pytest.fixture
def crystals(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Crystals:
    """Of which the third holds polonium, the fourth is high above the hull, and the last is large."""
    atoms = [bulk("Cu", a=a) for a in (3.6, 3.5)] + [bulk("Po", "sc", a=3.4), bulk("Cu", "bcc", a=2.9)]
    atoms.append(bulk("Cu", cubic=True) * (1, 1, 3))
    made = Crystals.from_atoms(atoms, ["copper", "pressed", "polonium", "high", "large"])
    made.targets.update(
        e_above_hull=np.array([0.0, 0.1, 0.0, 0.5, 0.0]),
        log10_k_vrh=np.full(5, np.nan),
        log10_g_vrh=np.array([1.0, np.nan, 1.0, np.nan, np.nan]),
    )
    monkeypatch.setenv("TRIFOLD_CACHE", str(tmp_path))
    monkeypatch.setattr(mp2018, "load", lambda split, offline=False: made)
    return made


@pytest.fixture
def potential(monkeypatch: pytest.MonkeyPatch) -> Potential:
    """Of copper alone, in place of the published one."""
    made = Potential.from_pretrained("mlip-mlearn-cu", "cpu")
    monkeypatch.setattr(elastic_set.Potential, "from_pretrained", lambda *_, **__: made)
    return made


def test_small_crystals_of_known_elements_get_their_own_moduli(crystals: Crystals, potential: Potential) -> None:
    loaded = elastic_set.load("train")
    assert loaded.ids.tolist() == ["copper", "pressed", "polonium"]
    constants = elastic_constants(potential, [crystals.atoms(0), crystals.atoms(1)])
    expected = [moduli(one.relaxed, softest=3.0) for one in constants]
    bulk_moduli, shear_moduli = (loaded.targets[f"simulated_log10_{name}_vrh"] for name in "kg")
    assert shear_moduli[:2] == pytest.approx(np.log10([one.g_vrh for one in expected]))
    assert bulk_moduli[:2] == pytest.approx(np.log10([one.k_vrh for one in expected]))
    assert bulk_moduli[1] > bulk_moduli[0] > 2 and np.isnan(bulk_moduli[2])
    assert np.array_equal(loaded.targets["log10_g_vrh"], [1.0, np.nan, 1.0], equal_nan=True)


def test_crystals_with_known_moduli_may_be_larger(crystals: Crystals, potential: Potential) -> None:
    crystals.targets["log10_k_vrh"][4] = 1.5
    loaded = elastic_set.load("train")
    assert loaded.ids.tolist() == ["copper", "pressed", "polonium", "large"]
    assert np.isfinite(loaded.targets["simulated_log10_g_reuss"]).tolist() == [True, True, False, True]


def test_moduli_are_computed_once_and_ranks_share_the_work(
    crystals: Crystals, potential: Potential, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elastic_set, "AT_ONCE", 1)
    asked: list[int] = []
    evaluate = potential.evaluate
    monkeypatch.setattr(potential, "evaluate", lambda atoms: asked.append(len(atoms)) or evaluate(atoms))
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    first = elastic_set.load("train")
    assert len(asked) == 2
    monkeypatch.setenv("RANK", "0")
    again = elastic_set.load("train")
    assert all(np.array_equal(again.targets[name], values, equal_nan=True) for name, values in first.targets.items())
    assert len(asked) == 2
