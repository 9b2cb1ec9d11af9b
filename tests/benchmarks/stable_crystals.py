"""How much of a model's error on MP-2018.6.1 comes from crystals that are far from stable:

    python -m tests.benchmarks.stable_crystals [model=mp2018-moduli] [split=val] [above_hull=0.15]

Matbench leaves out of its elastic moduli, among others, what lies more than 0.15 eV/atom above the convex hull (Dunn et
al., npj Comput. Mater. 6, 138 (2020), doi:10.1038/s41524-020-00406-3), so errors published for Matbench are to be
compared with those of the rest. The energy above the hull is known without the modulus: no row is left out because it
was missed.
"""

from __future__ import annotations

import sys

import numpy as np

from materials import PropertyPredictor
from materials.samples import load_samples
from materials.study import data_of


def main(arguments: list[str]) -> None:
    values = {"model": "mp2018-moduli", "split": "val", "above_hull": "0.15"}
    values |= dict(argument.split("=", 1) for argument in arguments)
    predictor = PropertyPredictor.from_pretrained(values["model"], device="cpu")
    data = data_of(predictor.card, "mp2018")
    samples = load_samples(data, values["split"], predictor.card)
    stable = samples.collection.targets["e_above_hull"] <= float(values["above_hull"])
    error = np.abs(predictor.calibrated(predictor.estimate(samples.graphs)).value - samples.target)
    for name, size in zip(data.targets, error.T, strict=True):
        known = np.isfinite(size)
        kept = known & stable
        print(
            f"{name}: MAE {size[known].mean():.4f} (N {known.sum():,}), "
            f"{size[kept].mean():.4f} within {values['above_hull']} eV/atom of the hull (N {kept.sum():,})"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
