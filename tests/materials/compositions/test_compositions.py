"""The packed record, and statistics of compositions against a calculation one by one."""

import numpy as np
import pytest
from ase.data import atomic_numbers, chemical_symbols

from common.app.errors import DataFormatError
from materials.data.composition_features import composition_features, element_fractions, feature_names
from materials.data.compositions import Compositions
from materials.data.element_properties import NOBLE_GASES, PROPERTIES, element_properties, place
from materials.data.formula import read_composition
from materials.periodic_table import PLACES

FORMULAS = ["Fe2O3", "NaCl", "Ag(W3Br7)2", "C", "Al0.4Co0.1Fe0.5", "UO2", "XeF2", "Og2Fe", "CuSO4·5H2O"]


@pytest.fixture(scope="module")
def some() -> Compositions:
    return Compositions.of(FORMULAS, FORMULAS, {"y": np.arange(len(FORMULAS))})


def test_subset_keeps_what_belongs_together(some: Compositions) -> None:
    chosen = some.subset([4, 0, 4])
    assert list(chosen.ids) == [FORMULAS[4], FORMULAS[0], FORMULAS[4]] and list(chosen.targets["y"]) == [4, 0, 4]
    for index, one in enumerate(chosen.ids):
        rows = slice(chosen.offsets[index], chosen.offsets[index + 1])
        shares = dict(zip(chosen.numbers[rows].tolist(), chosen.fractions[rows].tolist(), strict=True))
        assert shares == read_composition(str(one))
    assert len(some.subset([])) == 0 and len(some.subset(some.targets["y"] > 6)) == 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"numbers": [26, 8]}, "out of order"),
        ({"numbers": [8, 8]}, "twice"),
        ({"numbers": [0, 8]}, "unknown element"),
        ({"numbers": [8, 119]}, "unknown element"),
        ({"fractions": [0.5, 0.4]}, "add up to 1"),
        ({"fractions": [1.5, -0.5]}, "positive"),
        ({"fractions": [np.nan, 1.0]}, "positive"),
        ({"fractions": [1.0]}, "shape"),
        ({"n_elements": [2, 0], "ids": ["a", "b"]}, "'b' has no elements"),
        ({"targets": {"y": [1.0, 2.0]}}, "target 'y'"),
    ],
)
def test_a_wrong_record_is_refused(changed: dict, message: str) -> None:
    arrays = {"ids": ["a"], "n_elements": [2], "numbers": [8, 26], "fractions": [0.6, 0.4], "targets": {}}
    Compositions(**arrays)
    with pytest.raises(DataFormatError, match=message):
        Compositions(**(arrays | changed))


def test_a_bad_formula_is_named() -> None:
    with pytest.raises(DataFormatError, match="second: formula 'Fe2Q'"):
        Compositions.of(["Fe", "Fe2Q"], ["first", "second"])


def test_statistics_are_those_of_their_definitions(some: Compositions) -> None:
    features, names = composition_features(some), feature_names()
    assert features.shape == (len(FORMULAS), len(names)) and np.isfinite(features).all()
    table = element_properties()
    for row, formula in enumerate(FORMULAS):
        shares = read_composition(formula)
        for column, prop in enumerate(PROPERTIES):
            middle = np.nanmedian(table[1:, column])
            known = {
                z: table[z, column] if z < len(table) and np.isfinite(table[z, column]) else middle for z in shares
            }
            mean = sum(share * known[z] for z, share in shares.items())
            most = [known[z] for z, share in shares.items() if share > max(shares.values()) - 1e-9]
            statistics = {
                "mean": mean,
                "deviation": sum(share * abs(known[z] - mean) for z, share in shares.items()),
                "minimum": min(known.values()),
                "maximum": max(known.values()),
                "range": max(known.values()) - min(known.values()),
                "mode": sum(most) / len(most),
            }
            for statistic, value in statistics.items():
                assert features[row, names.index(f"{statistic} {prop}")] == pytest.approx(value, abs=1e-9)
        for power in (2, 3, 5, 7):
            norm = sum(share**power for share in shares.values()) ** (1 / power)
            assert features[row, names.index(f"{power}-norm of fractions")] == pytest.approx(norm)
        assert features[row, names.index("elements")] == len(shares)


def test_balanced_charges_are_found() -> None:
    balanced = Compositions.of(["NaCl", "Fe2O3", "Al2O3", "CuO", "Fe", "Na2Cl", "Na3O"], list("abcdefg"))
    imbalance = composition_features(balanced)[:, feature_names().index("charge imbalance")]
    assert imbalance == pytest.approx([0, 0, 0, 0, 2, 1 / 3, 1 / 4])


def test_fractions_by_element(some: Compositions) -> None:
    shares = element_fractions(some)
    assert shares.shape == (len(some), 119) and shares.sum(axis=1) == pytest.approx(1)
    assert shares[0, 8] == 0.6 and shares[0, 26] == 0.4 and np.count_nonzero(shares[0]) == 2


def test_element_table_agrees_with_the_periodic_table() -> None:
    table = element_properties()
    electrons = [PROPERTIES.index(f"{shell}_electrons") for shell in "spdf"]
    for z in range(1, len(table)):
        if chemical_symbols[z] in PLACES:
            row, column = PLACES[chemical_symbols[z]]
            assert place(z) == ((row + 1, column + 1) if row < 7 else (row - 1, 3))
        core = max((noble for noble in (0, *NOBLE_GASES) if noble < z), default=0)
        assert table[z, electrons].sum() == z - core, chemical_symbols[z]
    iron = dict(zip(PROPERTIES, table[atomic_numbers["Fe"]], strict=True))
    assert (iron["electronegativity"], iron["s_electrons"], iron["d_electrons"], iron["d_holes"]) == (1.83, 2, 6, 4)
