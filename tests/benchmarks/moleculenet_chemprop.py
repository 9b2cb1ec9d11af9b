"""Our molecular models and chemprop's on seven public sets: same rows, same split, several seeds.

    python -m tests.benchmarks.moleculenet_chemprop chemprop=<its executable> [sets=esol,freesolv] [seeds=0,1,2]
        [systems=dmpnn,chemprop,attentive_fp,gin,random_forest,gradient_boosting] [folder=outputs/moleculenet]

Both sides get the same table for a set and a seed: of the official training part, a tenth (drawn by the seed) is set
aside as `val`, the rest is `train`; the official validation part is `test`, and chooses nothing. chemprop runs with the
defaults of its command line (one network of 318,000 parameters, 50 epochs, the epoch that is best on `val`); ours with
the recipe of the set's experiment and the weights it ends with, an ensemble of five learned in one run. The mean score
of its members alone is given beside: chemprop can be run as an ensemble too. CEP has five epochs on both sides.
AttentiveFP and GIN take the recipe without the ensemble; scikit-learn's models learn from Morgan environments' counts.
Scores: root-mean-square error, or ROC-AUC averaged over the targets. Each result is a JSON file in `folder` and is not
computed again; without `chemprop`, its results are read where they are there.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.app.composition import load_config
from materials.baselines import baseline_predictions
from materials.config import TrainConfig
from materials.data.descriptors import morgan_fingerprints
from materials.data.moleculenet import SETS, load
from materials.metrics import rmse, roc_auc
from materials.predictor import PropertyPredictor
from materials.samples import load_samples
from materials.study import train
from materials.task import Outcome
from materials.uncertainty.moments import class_moments, regression_moments

NAMES = ("freesolv", "esol", "bace", "bbbp", "lipophilicity", "tox21", "cep-pce")
SET_ASIDE = 0.1
EPOCHS = {"cep-pce": 5}
"""Of both sides, where what is usual takes hours on two cores."""


class Rows(NamedTuple):
    """The table of a set and a seed."""

    name: str
    seed: int
    smiles: list[str]
    target: np.ndarray
    """[N, T], NaN where unknown."""
    split: np.ndarray

    @property
    def kind(self) -> Outcome:
        return SETS[self.name].kind

    @property
    def targets(self) -> list[str]:
        return list(SETS[self.name].targets)

    @classmethod
    def of(cls, name: str, seed: int) -> Rows:
        parts = [load(name, split) for split in ("train", "val")]
        count = len(parts[0])
        split = np.array(["train"] * count + ["test"] * len(parts[1]), object)
        split[np.random.default_rng(seed).permutation(count)[: round(SET_ASIDE * count)]] = "val"
        target = np.concatenate([part.target_matrix(list(SETS[name].targets)) for part in parts])
        return cls(name, seed, [str(smiles) for part in parts for smiles in part.smiles], target, split)

    def write(self, path: Path) -> Path:
        """As a CSV file with the columns smiles, the targets, split."""
        with path.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["smiles", *self.targets, "split"])
            for smiles, values, split in zip(self.smiles, self.target, self.split, strict=True):
                writer.writerow([smiles, *("" if np.isnan(value) else f"{value:.10g}" for value in values), split])
        return path

    def score(self, predicted: np.ndarray) -> float:
        """Of predictions [n, T] for the test rows."""
        target = self.target[self.split == "test"]
        return float((rmse if self.kind == "regression" else roc_auc)(target, predicted).nanmean())


def chemprop(rows: Rows, folder: Path, executable: str) -> dict[str, Any]:
    run = folder / f"{rows.name}-{rows.seed}"
    table = rows.write(folder / f"{rows.name}-{rows.seed}.csv")
    command = [
        executable, "train", "--data-path", str(table), "--smiles-columns", "smiles", "--target-columns", *rows.targets,
        "--splits-column", "split", "--task-type", rows.kind, "--data-seed", str(rows.seed), "--pytorch-seed",
        str(rows.seed), "--accelerator", "cpu", "--output-dir", str(run),
        *(["--epochs", str(EPOCHS[rows.name])] if rows.name in EPOCHS else []),
    ]  # fmt: skip
    with (folder / f"{rows.name}-{rows.seed}.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
    with (run / "model_0" / "test_predictions.csv").open(newline="") as stream:
        predicted = np.array([[float(row[name]) for name in rows.targets] for row in csv.DictReader(stream)])
    return {"score": rows.score(predicted)}


def ours(rows: Rows, folder: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """An experiment of this package on the table; the weights after its last epoch, whatever `val` says."""
    table = rows.write(folder / f"{rows.name}-{rows.seed}.csv")
    targets = ",".join(f"'{name}'" for name in rows.targets)
    epochs = [f"trainer.epochs={EPOCHS[rows.name]}"] if rows.name in EPOCHS else []
    config = load_config(
        "materials",
        "train",
        [
            f"experiment={rows.name.replace('-', '_')}", "data=molecule-table", f"data.path='{table}'",
            f"data.target=[{targets}]", f"data.outcome={rows.kind}", f"seed={rows.seed}", "trainer.select=last",
            "trainer.device=cpu", f"run_dir='{folder / f'{rows.name}-{rows.seed}'}'", "resume=auto", *epochs,
            *overrides,
        ],
    )  # fmt: skip
    assert isinstance(config, TrainConfig)
    run = train(config)
    assert run is not None
    predictor = PropertyPredictor.from_pretrained(run.path / "model", "cpu")
    outputs = predictor.outputs(load_samples(config.property_data, "test").graphs)
    moments = regression_moments if rows.kind == "regression" else class_moments
    alone = [rows.score(moments(outputs[:, [m]]).mean.numpy()) for m in range(outputs.shape[1])]
    return {"score": rows.score(moments(outputs).mean.numpy()), "member": float(np.mean(alone))}


def baseline(rows: Rows, name: str) -> dict[str, Any]:
    """scikit-learn on counts of Morgan environments."""
    features = morgan_fingerprints(rows.smiles)
    train = rows.split == "train"
    predicted = baseline_predictions(
        name, rows.kind, features[train], rows.target[train], features[rows.split == "test"], rows.seed
    )
    return {"score": rows.score(predicted)}


def measure(system: str, rows: Rows, folder: Path, executable: str | None) -> dict[str, Any] | None:
    """The cached result, or a new one; None where chemprop is asked for and not there."""
    cached = folder / f"{rows.name}-{system}-{rows.seed}.json"
    if cached.exists():
        return json.loads(cached.read_text())
    if system == "chemprop" and executable is None:
        return None
    work = folder / system
    work.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    match system:
        case "chemprop":
            result = chemprop(rows, work, str(executable))
        case "dmpnn":
            result = ours(rows, work)
        case "attentive_fp" | "gin":
            result = ours(rows, work, [f"model={system}", "~model.members"])
        case _:
            result = baseline(rows, system)
    result["seconds"] = round(time.perf_counter() - started, 1)
    cached.write_text(json.dumps(result))
    return result


Results = dict[str, dict[int, dict[str, Any]]]
"""{system: {seed: result}} of one set."""


def line(name: str, results: Results) -> str:
    """One set: mean and spread over seeds of each system."""
    cells = []
    for system, runs in results.items():
        for key, label in (("score", system), ("member", f"one member of {system}")):
            values = [run[key] for run in runs.values() if key in run]
            if values:
                cells.append(f"{label} {np.mean(values):.4f} +- {np.std(values):.4f} ({len(values)})")
    metric = "RMSE" if SETS[name].kind == "regression" else "ROC-AUC"
    return f"{name:14} {metric:7}  " + "   ".join(cells)


def won(name: str, results: Results) -> bool | None:
    """Whether our mean is as good as chemprop's or better, over the seeds that both have; None where there are none."""
    mine, theirs = results.get("dmpnn", {}), results.get("chemprop", {})
    both = mine.keys() & theirs.keys()
    if not both:
        return None
    gain = float(np.mean([mine[seed]["score"] - theirs[seed]["score"] for seed in both]))
    return gain >= 0 if SETS[name].kind == "classification" else gain <= 0


def main(arguments: list[str]) -> None:
    chosen = {"sets": ",".join(NAMES), "seeds": "0,1,2", "systems": "dmpnn,chemprop", "folder": "outputs/moleculenet"}
    chosen |= dict(one.split("=", 1) for one in arguments)
    folder, decided = Path(chosen["folder"]).resolve(), []
    for name in chosen["sets"].split(","):
        results: Results = {}
        for seed in map(int, chosen["seeds"].split(",")):
            rows = Rows.of(name, seed)
            for system in chosen["systems"].split(","):
                result = measure(system, rows, folder, chosen.get("chemprop"))
                if result is not None:
                    results.setdefault(system, {})[seed] = result
        print(line(name, results), flush=True)
        decided.append(won(name, results))
    compared = [one for one in decided if one is not None]
    print(f"ours as good as chemprop or better on {sum(compared)} of {len(compared)} sets")


if __name__ == "__main__":
    main(sys.argv[1:])
