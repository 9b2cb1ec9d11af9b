"""Scores of predictions against known values, and what a report shows of them, for any kind of material."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from common.results.plots import COLOURS, MUTED, embed, histogram, parity, styled
from common.results.report import Section, Tile, data_table
from materials.metrics import mae, r2, rmse, roc_auc
from materials.periodic_table import element_errors, errors_by_element, shown_unit
from materials.predictor import Estimate, properties_of
from materials.samples import Samples
from materials.uncertainty.conformal import Conformal
from materials.uncertainty.platt import Platt
from materials.uncertainty_report import class_uncertainty, judge, regression_uncertainty

TITLES = {"mae": "MAE", "rmse": "RMSE", "r2": "R²", "roc_auc": "ROC-AUC", "accuracy": "accuracy"}

PENALTY = 1.0
"""Of the linear baseline's squared weights."""

DRAWN = 6
"""Properties that get pictures of their own; the table holds all."""


def score(target: np.ndarray, predicted: np.ndarray, outcome: str) -> dict[str, float]:
    """Means over the properties: MAE, RMSE and R2, or ROC-AUC and accuracy of classes.

    target, predicted  [N, T] in the properties' units, or classes and their probabilities
    """
    if outcome == "regression":
        each = {"mae": mae(target, predicted), "rmse": rmse(target, predicted), "r2": r2(target, predicted)}
    else:
        right = np.where(np.isnan(target), np.nan, (predicted > 0.5) == (target > 0.5))
        each = {"roc_auc": roc_auc(target, predicted), "accuracy": 1 - mae(np.where(np.isnan(right), np.nan, 1), right)}
    return {name: float(np.nanmean(values)) for name, values in each.items()}


def tiles(samples: Samples, estimate: Estimate, card: Mapping[str, Any]) -> list[Tile]:
    """Headline figures."""
    units = set(properties_of(card).values())
    unit = units.pop() if len(units) == 1 else ""
    titles = {
        "mae": ("Mean absolute error", unit),
        "rmse": ("Root mean square error", unit),
        "r2": ("R²", ""),
        "roc_auc": ("ROC-AUC", ""),
        "accuracy": ("Accuracy", ""),
    }
    scores = score(samples.target, estimate.value, card["outcome"])
    shown = [Tile(titles[name][0], f"{value:.4f}", titles[name][1]) for name, value in scores.items()]
    return [*shown, Tile(samples.substance.plural.capitalize(), f"{len(samples):,}")]


def property_sections(samples: Samples, estimate: Estimate, card: Mapping[str, Any]) -> list[Section]:
    """The domain's part of a report."""
    if card["outcome"] == "classification":
        return _class_sections(samples, estimate, card)
    sections = [_table(samples, estimate, card)] if len(properties_of(card)) > 1 else []
    for column, (name, unit) in list(enumerate(properties_of(card).items()))[:DRAWN]:
        target, predicted = samples.target[:, column], estimate.value[:, column]
        of = f" of {name}" if len(properties_of(card)) > 1 else ""
        errors = histogram(predicted - target, "predicted − true", unit)
        pictures = embed(parity(target, predicted, name, unit), f"Predicted against true {name}; yellow where crowded")
        pictures += embed(errors, f"Distribution of the errors of {name}")
        sections += [
            Section(f"Predictions{of}", f'<div class="figures">{pictures}</div>'),
            Section(f"Error by element{of}", _by_element(samples, np.abs(predicted - target), unit)),
            Section(f"Largest errors{of}", _worst(samples, target, predicted, unit)),
        ]
    return sections


def uncertainty_sections(
    samples: Samples, raw: Estimate, card: Mapping[str, Any], calibrated_on_others: bool
) -> list[Section]:
    """How far the predictions can be trusted; `raw` is before calibration.

    Samples that the calibration was fitted to are shown with what the others among them give.
    """
    known, names = card.get("calibration", {}), properties_of(card)
    if card["outcome"] == "classification":
        platt = Platt.from_card(known["platt"]) if calibrated_on_others and "platt" in known else None
        return class_uncertainty(samples.target, raw.value, platt, list(names))
    conformal = Conformal.from_card(known["conformal"]) if calibrated_on_others and "conformal" in known else None
    judged = judge(samples.target, raw.value, raw.std, conformal)
    sections = [regression_uncertainty(one, *item) for one, item in zip(judged, names.items(), strict=True)]
    return [section for part in sections[:DRAWN] for section in part]


def against_baselines(splits: Mapping[str, Samples], predicted: np.ndarray, card: Mapping[str, Any]) -> list[Section]:
    """Our validation scores beside what needs no network: the mean, and a linear fit."""
    train, val = splits["train"], splits["val"]
    name, features = train.substance.linear_features(train.collection)
    _, val_features = val.substance.linear_features(val.collection)
    linear, mean = np.empty_like(val.target), np.empty_like(val.target)
    for column in range(val.target.shape[1]):
        known = ~np.isnan(train.target[:, column])
        values = train.target[known, column]
        mean[:, column] = np.median(values) if card["outcome"] == "regression" else values.mean()
        linear[:, column] = val_features @ _ridge(features[known], values)
    middle = "median" if card["outcome"] == "regression" else "share of class 1"
    guesses = {card["name"]: predicted, f"linear in {name}": linear, f"{middle} of the training targets": mean}
    scores = {title: score(val.target, guess, card["outcome"]) for title, guess in guesses.items()}
    rows = [(title, len(val), *values.values()) for title, values in scores.items()]
    headers = ("Model", val.substance.plural.capitalize(), *(TITLES[name] for name in scores[card["name"]]))
    return [Section("Against baselines", data_table(headers, rows))]


def _ridge(features: np.ndarray, target: np.ndarray) -> np.ndarray:
    gram = features.T @ features + PENALTY * np.eye(features.shape[1])
    return np.linalg.solve(gram, features.T @ target)


def _class_sections(samples: Samples, estimate: Estimate, card: Mapping[str, Any]) -> list[Section]:
    names = list(properties_of(card))
    curves = roc_curves(samples.target, estimate.value, names)
    picture = embed(curves, "Share of class 1 that is found against share of class 0 that is mistaken for it")
    return [_table(samples, estimate, card), Section("ROC curves", f'<div class="figures">{picture}</div>')]


def _table(samples: Samples, estimate: Estimate, card: Mapping[str, Any]) -> Section:
    rows = []
    for column, (name, unit) in enumerate(properties_of(card).items()):
        target, predicted = samples.target[:, [column]], estimate.value[:, [column]]
        scores = score(target, predicted, card["outcome"])
        rows.append((name, unit, int(np.isfinite(target).sum()), *scores.values()))
    headers = ("Property", "Unit", "Known", *(TITLES[name] for name in scores))
    return Section("By property", data_table(headers, rows))


def _by_element(samples: Samples, error: np.ndarray, unit: str) -> str:
    mean, count = element_errors(error, *samples.substance.elements(samples.collection))
    what = f"the {samples.substance.plural} that contain each element, with their number"
    heat = embed(errors_by_element(mean, count, unit), f"Mean absolute error ({shown_unit(unit)[1]}) over {what}")
    return f'<div class="scroll wide">{heat}</div>'


def _worst(samples: Samples, target: np.ndarray, predicted: np.ndarray, unit: str) -> str:
    labels = samples.substance.labels(samples.collection)
    return worst_predictions(samples.collection.ids.tolist(), labels, target, predicted, unit)


def worst_predictions(
    ids: Sequence[str],
    labels: Sequence[str],
    target: np.ndarray,
    predicted: np.ndarray,
    unit: str,
    n: int = 10,
) -> str:
    """HTML table of the `n` largest absolute errors; `labels` are formulas or SMILES."""
    error = predicted - target
    known = np.flatnonzero(np.isfinite(error))
    worst = known[np.argsort(-np.abs(error[known]), kind="stable")[:n]]
    rows = [(str(ids[i]), labels[i], float(target[i]), float(predicted[i]), float(error[i])) for i in worst]
    headers = ("Material", "Formula", f"True ({unit})", f"Predicted ({unit})", f"Error ({unit})")
    return data_table(headers, rows)


@styled
def roc_curves(target: np.ndarray, probability: np.ndarray, names: Sequence[str]) -> Figure:
    """ROC curve of each property of [N, T] classes; the legend says the area under it."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.add_subplot(aspect="equal")
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for column, name in enumerate(names):
        known = ~np.isnan(target[:, column])
        order = np.argsort(-probability[known, column], kind="stable")
        positive = target[known, column][order] > 0.5
        found = np.concatenate([[0], np.cumsum(positive)]) / max(positive.sum(), 1)
        mistaken = np.concatenate([[0], np.cumsum(~positive)]) / max((~positive).sum(), 1)
        area = float(roc_auc(target[:, column], probability[:, column]))
        colour = COLOURS[column % len(COLOURS)]
        axes.plot(mistaken, found, linewidth=1.4, color=colour, label=f"{name} {area:.3f}")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="false positive rate", ylabel="true positive rate")
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), fontsize=8, title="ROC-AUC")
    return figure
