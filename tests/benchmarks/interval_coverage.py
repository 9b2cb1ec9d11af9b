"""How often prediction intervals hold the true value of unseen materials:

    python -m tests.benchmarks.interval_coverage model=mp2018-eform data=mp2018 [split=val] [level=0.9]

Intervals are calibrated on a random half of a split's materials and judged on the other half, 200 times. The scatter is
what one calibration of that size may give; a model that was chosen on the same split sees errors a little too small.
"""

from __future__ import annotations

import sys

import numpy as np

from materials import PropertyPredictor
from materials.metrics import coverage, error_correlation, sharpness
from materials.samples import load_samples
from materials.study import data_of
from materials.uncertainty.conformal import Conformal

REPEATS = 200


def main(arguments: list[str]) -> None:
    values = {"split": "val", "level": "0.9", **dict(argument.split("=", 1) for argument in arguments)}
    level = float(values["level"])
    predictor = PropertyPredictor.from_pretrained(values["model"], device="cpu")
    samples = load_samples(data_of(predictor.card, values["data"]), values["split"], predictor.card)
    estimate = predictor.estimate(samples.graphs)
    for column, (name, unit) in enumerate(predictor.properties.items()):
        known = ~np.isnan(samples.target[:, column])
        arrays = [array[known][:, [column]] for array in (samples.target, estimate.value, estimate.std)]
        covered, width = np.array([half_split(*arrays, level, seed) for seed in range(REPEATS)]).T
        correlation = error_correlation(*(array[:, 0] for array in arrays)).item()
        coverages = f"{level:.0%} intervals cover {covered.mean():.1%} +- {covered.std():.1%}"
        print(
            f"{name}: {known.sum():,} materials, {coverages}, mean width {width.mean():.3g} {unit}, "
            f"rank correlation of |error| and std {correlation:.2f}"
        )


def half_split(target: np.ndarray, value: np.ndarray, std: np.ndarray, level: float, seed: int) -> tuple[float, float]:
    """Coverage and mean width on one half, calibrated on the other; arrays are [N, 1]."""
    order = np.random.default_rng(seed).permutation(len(target))
    calibration, new = np.array_split(order, 2)
    fitted = Conformal.fit(target[calibration], value[calibration], std[calibration], (level,))
    ends = fitted.interval(value[new], std[new], level)
    return coverage(target[new], *ends).item(), sharpness(*ends).item()


if __name__ == "__main__":
    main(sys.argv[1:])
