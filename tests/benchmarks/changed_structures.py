"""How much of the error on MP-2018.6.1 comes from structures that have changed since their targets were computed:

    python -m tests.benchmarks.changed_structures [model=mp2018-eform] [split=val] [apart=0.1]

The packed structures are those of 2025, the targets of 2018, and the structures of 2018 are not to be had. But M3GNet
and MEGNet were published with weights that had learned most of these materials (62,315 of 69,239) from the structures
of 2018, with an error of 0.02 to 0.03 eV/atom. Where both of them, from today's structure, miss the target to the same
side by more than `apart` eV/atom, the structure is suspected to be another one. Some of these are merely difficult:
this is an upper bound of what change costs. A model of ours has no say in which rows they are.
"""

from __future__ import annotations

import sys

import numpy as np

from materials import PropertyPredictor
from materials.samples import load_samples
from materials.study import data_of

WITNESSES = ("m3gnet-mp-2018.6.1-eform", "megnet-mp-2018.6.1-eform")


def main(arguments: list[str]) -> None:
    values = {"model": "mp2018-eform", "split": "val", "apart": "0.1"}
    values |= dict(argument.split("=", 1) for argument in arguments)
    errors = {name: signed_errors(name, values["split"]) for name in (values["model"], *WITNESSES)}
    suspected = missed_alike(np.stack([errors[name] for name in WITNESSES]), float(values["apart"]))
    print(f"suspected to have changed: {suspected.sum():,} of {len(suspected):,} structures ({suspected.mean():.1%})")
    for name, error in errors.items():
        size = np.abs(error)
        means = f"MAE {size.mean():.4f} eV/atom, {size[~suspected].mean():.4f} without them"
        share = size[suspected].sum() / size.sum()
        print(f"{name}: {means}, {size[suspected].mean():.3f} on them alone: {share:.0%} of the error")


def signed_errors(model: str, split: str) -> np.ndarray:
    """Prediction minus target of every material [N], eV/atom."""
    predictor = PropertyPredictor.from_pretrained(model, device="cpu")
    samples = load_samples(data_of(predictor.card, "mp2018"), split, predictor.card)
    return predictor.calibrated(predictor.estimate(samples.graphs)).value[:, 0] - samples.target[:, 0]


def missed_alike(errors: np.ndarray, apart: float) -> np.ndarray:
    """Where all of several errors [M, N] are beyond `apart`, and to the same side [N]."""
    return (errors > apart).all(axis=0) | (errors < -apart).all(axis=0)


if __name__ == "__main__":
    main(sys.argv[1:])
