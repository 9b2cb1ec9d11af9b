"""The periodic table of errors against hand-made cases, and the published table against its sources."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from ase.data import chemical_symbols

from common.results.plots import to_svg
from common.results.tables import Table
from materials import periodic_table
from materials.report import score, worst_predictions

BENCHMARKS = Path(periodic_table.__file__).with_name("benchmarks")

# NaCl (2 atoms), Na2O (3 atoms), O2 (2 atoms)
NUMBERS, SIZES = np.array([11, 17, 11, 11, 8, 8, 8]), np.array([2, 3, 2])


def test_a_material_counts_once_for_each_of_its_elements() -> None:
    mae, count = periodic_table.element_errors([0.1, 0.3, 0.5], NUMBERS, SIZES)
    assert {chemical_symbols[z]: int(count[z]) for z in np.flatnonzero(count)} == {"O": 2, "Na": 2, "Cl": 1}
    np.testing.assert_allclose(mae[[11, 17, 8]], [0.2, 0.1, 0.4])
    assert np.isnan(mae[26])


def test_unknown_errors_are_left_out() -> None:
    mae, count = periodic_table.element_errors([0.1, np.nan, 0.5], NUMBERS, SIZES)
    np.testing.assert_allclose(mae[[11, 8]], [0.1, 0.5])
    assert count[11] == count[8] == 1


def test_periodic_table_has_each_element_once_in_its_group() -> None:
    assert len(periodic_table.PLACES) == 98 and set(chemical_symbols[1:99]) == set(periodic_table.PLACES)
    groups = {"Li": 0, "Mg": 1, "Fe": 7, "Cu": 10, "Si": 13, "Cl": 16, "Xe": 17}  # counted from 0
    assert {symbol: periodic_table.PLACES[symbol][1] for symbol in groups} == groups
    for row in range(7):  # atomic numbers rise along a period
        period = [chemical_symbols.index(symbol) for symbol, (r, _) in periodic_table.PLACES.items() if r == row]
        assert period == sorted(period)


@pytest.mark.parametrize(
    ("symbols", "formula"),
    [("OTiO", "TiO2"), ("NaNaClCl", "NaCl"), ("OOOSiAlNa", "NaAlSiO3"), ("OOOTiBa", "BaTiO3"), ("OOTaHo", "HoTaO2")],
)
def test_formulas_are_reduced_and_read_from_left_to_right(symbols: str, formula: str) -> None:
    z = np.array([chemical_symbols.index(symbol) for symbol in re.findall("[A-Z][a-z]?", symbols)])
    assert periodic_table.reduced_formula(z) == formula


def test_heat_map_writes_error_and_count_of_each_element() -> None:
    mae, count = periodic_table.element_errors([0.1, 0.3, 0.5], NUMBERS, SIZES)
    svg = to_svg(periodic_table.errors_by_element(mae, count, "eV/atom"))
    texts = ["".join(node.itertext()).strip() for node in ET.fromstring(svg).iter() if node.tag.endswith("text")]
    assert {"Na", "200", "Cl", "100", "O", "400", "MAE (meV/atom)"} <= set(texts)


def test_the_worst_material_comes_first_and_ids_are_escaped() -> None:
    ids, labels = ["mp-1", "<script>", "mp-3"], ["NaCl", "Na2O", "O2"]
    worst = worst_predictions(ids, labels, np.array([1.0, 2.0, np.nan]), np.array([1.1, 2.9, 0.0]), "eV/atom")
    assert worst.index("&lt;script&gt;") < worst.index("mp-1") and "mp-3" not in worst and "<script>" not in worst
    assert "Na2O" in worst and "0.9000" in worst


def test_scores_are_means_over_properties_and_leave_unknown_targets_out() -> None:
    target = np.array([[1.0, np.nan], [2.0, 4.0], [np.nan, 0.0]])
    scores = score(target, np.array([[2.0, 9.0], [2.0, 1.0], [9.0, 0.0]]), "regression")
    assert scores["mae"] == pytest.approx((0.5 + 1.5) / 2)
    classes = score(np.array([[1.0], [0.0], [np.nan]]), np.array([[0.9], [0.8], [0.1]]), "classification")
    assert classes == {"roc_auc": 1.0, "accuracy": 0.5}


def test_every_published_row_of_mp2018_has_a_web_source_and_a_paper() -> None:
    table = Table.load(BENCHMARKS / "mp2018.yaml")
    assert not any(row.ours for row in table.rows)
    assert all(row.source.startswith("https://") and row.paper.startswith("https://") for row in table.rows)
    comparable = {row.system: row.values for row in table.rows if row.protocol == "test"}
    assert comparable["ALIGNN"] == {"e_form": 0.0221, "band_gap": 0.218}
