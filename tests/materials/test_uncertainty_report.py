"""What the report says of uncertainty, against the metrics and on the edges: single models, few samples, no targets."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.figure import Figure

from common.results.plots import to_svg
from materials.metrics import coverage, rejection_area
from materials.uncertainty.conformal import Conformal
from materials.uncertainty.platt import Platt
from materials.uncertainty_report import (
    class_uncertainty,
    coverage_curves,
    errors_by_std,
    judge,
    regression_uncertainty,
    rejection_curves,
    reliability_diagram,
)


def predictions(n: int = 400, properties: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, value and a std of half the true size, some targets unknown: [N, T] each."""
    rng = np.random.default_rng(0)
    value, std = rng.normal(size=(n, properties)), np.exp(rng.normal(size=(n, properties)))
    target = value + 2 * std * rng.normal(size=value.shape)
    target[::7] = np.nan
    return target, value, std


def texts(figure: Figure) -> list[str]:
    root = ET.fromstring(to_svg(figure))
    return ["".join(node.itertext()).strip() for node in root.iter() if node.tag.endswith("text")]


def test_the_calibration_split_is_judged_by_the_calibration_of_others() -> None:
    target, value, std = predictions()
    crossed, own = judge(target, value, std, None)[1], judge(target, value, std, Conformal.fit(target, value, std))[1]
    assert crossed.levels == own.levels and not np.array_equal(crossed.lower, own.lower)
    level = crossed.levels.index(0.9)
    for judged in (crossed, own):
        assert coverage(judged.target, judged.lower[level], judged.upper[level]).item() == pytest.approx(0.9, abs=0.02)
        np.testing.assert_allclose(np.nanmean(((judged.value - judged.target) / judged.calibrated) ** 2), 1, atol=0.05)


def test_sections_show_the_coverage_of_each_level() -> None:
    judged = judge(*predictions(), None)[0]
    (section,) = regression_uncertainty(judged, "gap<>", "eV")
    assert section.html.count("<figure") == 3 and "gap<>" not in section.html
    level = judged.levels.index(0.9)
    covered = coverage(judged.target, judged.lower[level], judged.upper[level]).item()
    assert re.search(rf"<td>90%</td><td>{covered:.1%}</td>", section.html)
    assert "as predicted" in section.html and "calibrated" in section.html


def test_a_single_model_has_intervals_but_nothing_to_reject_by() -> None:
    target, value, std = predictions()
    judged = judge(target, value, np.full_like(std, np.nan), None)[0]
    assert not judged.graded
    (section,) = regression_uncertainty(judged, "gap", "eV")
    assert section.html.count("<figure") == 1 and "as predicted" not in section.html and "nan" not in section.html


def test_few_samples_or_no_targets_make_a_report_too() -> None:
    target, value, std = predictions(9)
    assert "inf" in regression_uncertainty(judge(target, value, std, None)[0], "gap", "eV")[0].html
    calibration = Conformal.fit(*predictions())
    unknown = judge(np.full_like(target, np.nan), value, std, calibration)[0]
    assert regression_uncertainty(unknown, "gap", "eV") == []


def test_curves_name_what_they_show() -> None:
    judged = judge(*predictions(), None)[0]
    assert {"conformal intervals", "N = 342"} <= set(texts(coverage_curves(judged)))
    area = rejection_area(judged.target, judged.value, judged.std).item()
    shown = texts(rejection_curves(judged.target, judged.value, judged.std, "mean absolute error (eV)"))
    assert f"in order of their uncertainty, area {area:.3g}" in shown and "mean absolute error (eV)" in shown
    assert any(text.startswith("rank correlation 0.") for text in texts(errors_by_std(judged, "eV")))


def test_classes_get_a_reliability_diagram_before_and_after() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random((300, 2))
    target = (rng.random((300, 2)) < 0.5 + (probability - 0.5) / 3).astype(float)
    target[::5, 1] = np.nan
    (section,) = class_uncertainty(target, probability, Platt.fit(target, probability), ["toxic", "active"])
    errors = re.findall(
        r'<td>(toxic|active)</td><td class="number">([\d.]+)</td><td class="number">([\d.]+)', section.html
    )
    assert [name for name, *_ in errors] == ["toxic", "active"]
    assert all(float(after) < 0.5 * float(before) for _, before, after in errors)
    (crossed,) = class_uncertainty(target, probability, None, ["toxic", "active"])
    assert crossed.html.count("<figure") == 2 and crossed.html != section.html


def test_extreme_probabilities_stay_in_the_diagram() -> None:
    edges = np.array([[0.0], [0.1], [1.0], [1.0]])
    assert "calibrated" in texts(reliability_diagram(np.array([[0.0], [1.0], [1.0], [1.0]]), {"calibrated": edges}))
