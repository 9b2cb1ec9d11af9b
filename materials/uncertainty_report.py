"""What a report shows of how far predictions can be trusted.

Of a calibration split, each sample is shown with the calibration that the others give; of any other split, with the
model's own. Shapes: N samples, L levels; one property at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import materials.metrics as metrics
from common.results.plots import BLUE, GREEN, MUTED, ORANGE, RASTER_ABOVE, VERMILION, embed, styled
from common.results.report import Section, data_table
from materials.uncertainty.conformal import LEVELS, Conformal
from materials.uncertainty.cross_fit import cross_fit_conformal, cross_fit_platt
from materials.uncertainty.platt import Platt

SHOWN_LEVELS = (0.5, 0.8, 0.9, 0.95)
DASHED = (0, (4, 3))


@dataclass(frozen=True)
class Judged:
    """Predictions of one property with their uncertainty, as they are and calibrated.

    target, value, std, calibrated  [N], a NaN std where a single model predicts
    levels [L]    lower, upper [L, N]
    """

    target: np.ndarray
    value: np.ndarray
    std: np.ndarray
    calibrated: np.ndarray
    levels: tuple[float, ...]
    lower: np.ndarray
    upper: np.ndarray

    @property
    def graded(self) -> bool:
        """Whether the model tells certain predictions from uncertain ones."""
        return bool(np.isfinite(self.std).all() and np.ptp(self.std) > 0)


def judge(target: np.ndarray, value: np.ndarray, std: np.ndarray, conformal: Conformal | None) -> list[Judged]:
    """One for each property of target, value, std [N, T]; `std` is the ensemble's, not yet calibrated.

    `conformal` None: these samples are the calibration split, and are cross-fitted.
    """
    if conformal is None:
        levels, (calibrated, lower, upper) = LEVELS, cross_fit_conformal(target, value, std)
    else:
        levels = conformal.levels
        intervals = [conformal.interval(value, std, level) for level in levels]
        lower, upper = (np.stack(ends) for ends in zip(*intervals, strict=True))
        calibrated = conformal.std(std)
    return [
        Judged(target[:, i], value[:, i], std[:, i], calibrated[:, i], levels, lower[..., i], upper[..., i])
        for i in range(target.shape[1])
    ]


def regression_uncertainty(judged: Judged, name: str, unit: str) -> list[Section]:
    """Calibration, sharpness and what the uncertainty is worth, of one property."""
    known = np.isfinite(judged.target)
    if not known.any():
        return []
    caption = "Share of true values inside their interval, against its level; grey: 95 % of calibrated models"
    pictures = [embed(coverage_curves(judged), caption)]
    if judged.graded:
        caption = f"Mean absolute error of the predictions of {name} kept, the most certain first"
        curve = rejection_curves(judged.target, judged.value, judged.std, f"mean absolute error ({unit})")
        pictures.append(embed(curve, caption))
        caption = "Absolute error against calibrated std: a std that tells errors apart follows the dashed line"
        pictures.append(embed(errors_by_std(judged, unit), caption))
    tables = _coverage_table(judged, unit) + _score_table(judged, unit)
    return [Section(f"Uncertainty of {name}", f'<div class="figures">{"".join(pictures)}</div>{tables}')]


def class_uncertainty(
    target: np.ndarray, probability: np.ndarray, platt: Platt | None, names: Sequence[str]
) -> list[Section]:
    """Reliability and rejection of classes and their probabilities [N, T], before calibration.

    `platt` None: these samples are the calibration split, and are cross-fitted.
    """
    after = platt(probability, np.zeros_like(probability))[0] if platt else cross_fit_platt(target, probability)
    series = {"as predicted": probability, "calibrated": after}
    rows = []
    for column, name in enumerate(names):
        errors = [float(metrics.expected_calibration_error(target[:, column], p[:, column])) for p in series.values()]
        rows.append((name, *errors))
    table = data_table(("Property", *(f"Calibration error, {title}" for title in series)), rows)
    chosen = (target.ravel(), (after > 0.5).astype(float).ravel(), (after * (1 - after)).ravel())
    pictures = embed(
        reliability_diagram(target, series),
        "Share of class 1 among predictions of like probability; bars: 95 % confidence",
    ) + embed(rejection_curves(*chosen, "share of wrong classes"), "Wrong classes among the predictions kept")
    return [Section("Calibration of probabilities", f'<div class="figures">{pictures}</div>{table}')]


@styled
def coverage_curves(judged: Judged) -> Figure:
    """Observed against expected coverage of the std as a Gaussian, raw and calibrated, and of conformal intervals."""
    levels = np.array(judged.levels)
    observed = [metrics.coverage(judged.target, low, up) for low, up in zip(judged.lower, judged.upper, strict=True)]
    series = [("conformal intervals", BLUE, "o", np.array(observed))]
    if judged.graded:
        for title, std, colour in (
            ("std as predicted", judged.std, ORANGE),
            ("std calibrated", judged.calibrated, GREEN),
        ):
            curve = metrics.calibration_curve(judged.target, judged.value, std, levels).numpy()
            area = float(metrics.miscalibration_area(judged.target, judged.value, std))
            series.append((f"{title}, area {area:.3f}", colour, "", curve))
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axes = figure.add_subplot(aspect="equal")
    _diagonal(axes)
    n = int(np.isfinite(judged.target).sum())
    scatter = 1.96 * np.sqrt(levels * (1 - levels) / n)
    axes.fill_between(levels, levels - scatter, levels + scatter, color=MUTED, alpha=0.15, linewidth=0)
    for title, colour, marker, curve in series:
        axes.plot(levels, curve, color=colour, marker=marker, markersize=3.5, label=title)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="level of the interval", ylabel="share of true values inside")
    _percent(axes)
    axes.legend(loc="upper left", fontsize=8, title=f"N = {n:,}", alignment="left")
    return figure


@styled
def rejection_curves(target: np.ndarray, predicted: np.ndarray, uncertainty: np.ndarray, label: str) -> Figure:
    """Error of the share kept when the most uncertain go first, beside the best order and a random one."""
    known = np.isfinite(target)
    target, predicted, uncertainty = target[known], predicted[known], uncertainty[known]
    curve = metrics.rejection_curve(target, predicted, uncertainty).numpy()
    best = metrics.rejection_curve(target, predicted, np.abs(predicted - target)).numpy()
    first = min(len(curve) - 1, max(20, len(curve) // 20))  # the mean over a handful of samples is noise
    kept = np.arange(1, len(curve) + 1)[first:] / len(curve)
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(curve[-1], color=MUTED, linewidth=1, linestyle=DASHED, label="in random order")
    axes.plot(kept, best[first:], color=MUTED, linewidth=1, label="in order of their true error")
    axes.plot(kept, curve[first:], color=BLUE, label=f"in order of their uncertainty, area {curve.mean():.3g}")
    axes.set(xlim=(1, 0), xlabel="share of predictions kept", ylabel=label)
    axes.set_ylim(0, 1.25 * max(curve[first:].max(), curve[-1]) or 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(loc="upper right", fontsize=8)
    return figure


@styled
def errors_by_std(judged: Judged, unit: str, bins: int = 10) -> Figure:
    """Absolute error against calibrated std, with the root mean square error of each tenth of the samples."""
    known = np.isfinite(judged.target)
    std, error = judged.calibrated[known], np.abs(judged.value - judged.target)[known]
    order = np.argsort(std, kind="stable")
    groups = [group for group in np.array_split(order, bins) if len(group)]
    mean_std = [np.sqrt(np.square(std[group]).mean()) for group in groups]
    rms = [np.sqrt(np.square(error[group]).mean()) for group in groups]
    correlation = float(metrics.error_correlation(judged.target, judged.value, judged.std))
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axes = figure.add_subplot()
    low, high = np.quantile(std, [0, 0.995])
    axes.plot([0, 2 * high], [0, 2 * high], color=MUTED, linewidth=1, linestyle=DASHED, label="error = std")
    axes.scatter(std, error, s=5, color=BLUE, alpha=0.4, linewidths=0, rasterized=len(std) > RASTER_ABOVE)
    axes.plot(mean_std, rms, color=VERMILION, marker="o", markersize=4, label="root mean square error of a tenth")
    top = 1.3 * max(np.quantile(error, 0.995), max(rms)) or 1  # room for the legend
    pad = 0.05 * (high - low)
    axes.set(xlim=(max(0, low - pad), high + pad), ylim=(0, top), xlabel=f"calibrated std ({unit})")
    axes.set_ylabel(f"absolute error ({unit})")
    axes.legend(loc="upper left", fontsize=8, title=f"rank correlation {correlation:.2f}", alignment="left")
    return figure


@styled
def reliability_diagram(target: np.ndarray, series: dict[str, np.ndarray], bins: int = 10) -> Figure:
    """Share of class 1 against predicted probability, in bins of equal width, with 95 % confidence intervals."""
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    grid = figure.add_gridspec(2, 1, height_ratios=(4, 1), hspace=0.05)
    axes = figure.add_subplot(grid[0])
    counts = figure.add_subplot(grid[1], sharex=axes)
    _diagonal(axes)
    known = np.isfinite(target)
    edges = np.linspace(0, 1, bins + 1)
    for (title, probability), colour in zip(series.items(), (ORANGE, BLUE), strict=False):
        p, y = probability[known], target[known]
        place = np.clip(np.digitize(p, edges[1:-1]), 0, bins - 1)
        n = np.bincount(place, minlength=bins)
        filled = n > 0
        mean, share = (np.bincount(place, v, bins)[filled] / n[filled] for v in (p, y))
        bars = np.abs(_share_interval(share, n[filled]) - share)
        axes.errorbar(
            mean, share, bars, color=colour, marker="o", markersize=4, elinewidth=1, linewidth=0.7, label=title
        )
        counts.stairs(n, edges, color=colour)
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), ylabel="share of class 1")
    axes.tick_params(labelbottom=False)
    counts.set(xlabel="predicted probability of class 1", ylabel="count", yscale="log")
    counts.grid(visible=False, axis="x")
    axes.legend(loc="upper left", fontsize=8)
    return figure


def _coverage_table(judged: Judged, unit: str) -> str:
    rows = []
    for level, low, up in zip(judged.levels, judged.lower, judged.upper, strict=True):
        if level in SHOWN_LEVELS:
            covered, width = metrics.coverage(judged.target, low, up), metrics.sharpness(low, up)
            median = float(np.median(up - low))
            rows.append((f"{level:.0%}", f"{float(covered):.1%}", float(width), median))
    return data_table(("Interval", "Covers", f"Mean width ({unit})", f"Median width ({unit})"), rows)


def _score_table(judged: Judged, unit: str) -> str:
    """Of the std as predicted and as calibrated."""
    kinds = {"as predicted": judged.std} if judged.graded else {}
    rows = []
    for title, std in {**kinds, "calibrated": judged.calibrated}.items():
        arguments = (judged.target, judged.value, std)
        scores = (metrics.negative_log_likelihood, metrics.miscalibration_area)
        rows.append((title, float(np.mean(std)), *(float(score(*arguments)) for score in scores)))
    return data_table(("Std", f"Mean ({unit})", "Negative log likelihood", "Miscalibration area"), rows)


def _share_interval(share: np.ndarray, n: np.ndarray, z: float = 1.96) -> np.ndarray:
    """Ends [2, K] of the confidence interval of a share among n (Wilson, doi:10.1080/01621459.1927.10502953)."""
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half_width = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.stack([np.minimum(centre - half_width, share), np.maximum(centre + half_width, share)])


def _diagonal(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=DASHED)


def _percent(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
