"""Figures say what the data say, follow the page's colours and leave no global state."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from common.results.plots import RASTER_ABOVE, curves, embed, histogram, parity, to_svg


def _texts(svg: str) -> list[str]:
    return ["".join(node.itertext()).strip() for node in ET.fromstring(svg).iter() if node.tag.endswith("text")]


def test_parity_states_the_scores_of_the_known_pairs() -> None:
    target = np.array([0.0, 1.0, 2.0, 3.0, np.nan])
    predicted = np.array([0.5, 1.0, 2.0, 2.5, 9.0])
    texts = _texts(to_svg(parity(target, predicted, "energy", "eV")))
    assert {"N = 4", "MAE = 0.25 eV", "RMSE = 0.3536 eV", "R² = 0.9000"} <= set(texts)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_values_make_a_figure_too(n: int) -> None:
    values = np.ones(n)
    for figure in (parity(values, values, "energy", "eV"), histogram(values, "error", "eV"), curves([])):
        ET.fromstring(to_svg(figure))


def test_many_points_become_a_picture_and_few_stay_vectors() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.normal(size=100), rng.normal(size=RASTER_ABOVE + 50_000)
    assert "<image" not in to_svg(parity(few, few, "x", "eV"))
    svg = to_svg(parity(many, many + 0.1 * rng.normal(size=len(many)), "x", "eV"))
    assert "data:image/png;base64" in svg and len(svg) < 500_000


def test_figures_use_the_colours_of_the_page_and_fetch_nothing() -> None:
    svg = to_svg(histogram(np.linspace(-1, 1, 50), "error", "eV"))
    assert "var(--ink)" in svg and "#12345" not in svg
    assert re.findall(r'(?:href|src)="(?!#|data:)[^"]*"', svg) == []


def test_labels_cannot_smuggle_markup() -> None:
    html = embed(histogram([0.0, 1.0], "<script>alert(1)</script>", "eV"), '"><script>')
    assert "<script" not in html


def test_curves_draw_every_quantity_of_the_run_once() -> None:
    train = {"split": "train", "learning_rate": 1e-3, "memory_gb": 1.0}
    history = [{**train, "step": s, "loss": 1.0 / s} for s in range(1, 300)]
    history += [{"step": s, "split": "val", "loss": 0.5, "mae": 1.0 / s} for s in range(10, 300, 10)]
    figure = curves(history)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "mae", "learning rate"]
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "log", "linear"]


def test_drawing_changes_no_global_setting_and_repeats_exactly() -> None:
    before = dict(mpl.rcParams)
    first, second = (to_svg(histogram([0.0, 0.5, 1.0], "error", "eV")) for _ in range(2))
    assert dict(mpl.rcParams) == before
    assert first == second
