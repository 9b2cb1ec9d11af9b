"""Memory and time of long chains: `python -m tests.benchmarks.long_chains [model=fold-small] [residues=1024,2048]`.

Each length is predicted, written and read out in a process of its own: the most memory that it ever held, weights and
libraries included, beside the plan for the activations. Without the shipped model, random weights of its size.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from protein import StructurePredictor
from protein.data.residues import LETTERS
from protein.models.fold import Fold, FoldConfig


def predictor(name: str) -> StructurePredictor:
    if name in StructurePredictor.shipped():
        return StructurePredictor.from_pretrained(name, "cpu")
    torch.manual_seed(0)
    return StructurePredictor(Fold(FoldConfig()), {"name": "random weights", "architecture": "fold"}, "cpu")


def predict(name: str, residues: int) -> None:
    model = predictor(name)
    sequence = "".join(np.random.default_rng(0).choice(list(LETTERS), residues))
    (batch,), _ = model.plan([model.size(model.query(sequence, "x"))], 1e3)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        model.predict(sequence, memory_gb=1e3).to_mmcif(Path(folder) / "x.cif")
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(
        f"{model.card['name']}: {residues:5} residues  {time.monotonic() - started:6.0f} s  peak {peak_gb:.2f} GB  "
        f"(plan: {batch.plan})"
    )


def main(arguments: list[str]) -> None:
    given = dict(argument.split("=") for argument in arguments)
    name, lengths = given.get("model", "fold-small"), given.get("residues", "1024,2048").split(",")
    if len(lengths) == 1:
        predict(name, int(lengths[0]))
        return
    for length in lengths:
        command = [sys.executable, "-m", "tests.benchmarks.long_chains", f"model={name}", f"residues={length}"]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
