"""The proteins of `trifold demo`: a small folder trained from nothing, then the shipped one on ubiquitin."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from common.app.composition import load_config
from common.training.run_directory import OUTPUTS
from protein.config import TrainConfig
from protein.pictures import prediction_panels
from protein.prediction import Prediction
from protein.predictor import StructurePredictor
from protein.study import train

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
MODEL = "fold-small"


def main(overrides: Sequence[str] = ()) -> None:
    """Train on `ideal-chains`, then predict with `fold-small`; `overrides` go to the training."""
    console = Console()
    console.print("Train a structure predictor on ideal helices and hairpins, SYNTHETIC, built now: no file is needed")
    config = load_config("protein", "train", ["experiment=ideal_chains", *overrides])
    assert isinstance(config, TrainConfig)
    train(config)
    console.print(f"\nPredict ubiquitin from its sequence with the shipped model {MODEL}")
    prediction = StructurePredictor.from_pretrained(MODEL).predict(UBIQUITIN)
    folder = OUTPUTS / "protein" / "demo" / time.strftime("%Y-%m-%d_%H-%M-%S")
    folder.mkdir(parents=True)
    prediction.to_pdb(folder / "ubiquitin.pdb")
    prediction_panels(prediction).savefig(folder / "ubiquitin.png", dpi=150)
    console.print(facts(prediction))
    console.print(f"Structure: {folder / 'ubiquitin.pdb'}  drawn: {folder / 'ubiquitin.png'}", soft_wrap=True)


def facts(prediction: Prediction) -> Table:
    """What the model says of its own prediction."""
    table = Table("", "ubiquitin")
    table.add_row("residues", str(len(prediction)))
    table.add_row("mean pLDDT", f"{prediction.mean_plddt:.0f} of 100")
    table.add_row("secondary structure", prediction.secondary)
    return table
