"""Predict a structure, list the contacts that the model is sure of, and draw it with its confidence.

    python examples/fold_sequence.py [model] [sequence]

Writes structure.pdb (pLDDT in the B-factor column) and structure.svg: trace, contact map, expected errors, pLDDT.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from common.results.plots import to_svg
from protein import StructurePredictor
from protein.pictures import prediction_panels
from protein.prediction import Prediction

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
APART = 6
"""Residues between two whose contact says something of the fold."""


def main(model: str = "fold-small", sequence: str = UBIQUITIN) -> Prediction:
    """The prediction; prints its confidence and its most probable contacts."""
    predictor = StructurePredictor.from_pretrained(model, device="cpu")
    prediction = predictor.predict(sequence)
    assert isinstance(prediction, Prediction)
    print(f"{len(prediction)} residues, mean pLDDT {prediction.mean_plddt:.1f}")
    print(prediction.sequence, prediction.secondary, sep="\n")
    first, second = np.triu_indices(len(prediction), APART)
    probability = prediction.contacts[first, second]
    for pair in np.argsort(-probability)[: len(prediction) // 5]:
        i, j = first[pair], second[pair]
        print(f"{sequence[i]}{i + 1:<4} {sequence[j]}{j + 1:<4} {probability[pair]:.2f}")
    prediction.to_pdb("structure.pdb")
    Path("structure.svg").write_text(to_svg(prediction_panels(prediction)), encoding="utf-8")
    return prediction


if __name__ == "__main__":
    main(*sys.argv[1:])
