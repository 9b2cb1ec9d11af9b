"""Baselines on Matbench's tasks by composition: trained on folds 0-2, scored on fold 3.

    python -m tests.benchmarks.matbench_baselines [tasks=expt_gap,steels,glass,expt_is_metal] [names=mean,ridge,...]

Features are the element statistics of `materials/data/composition_features.py`. Scores: mean absolute error, or ROC-AUC
of the probability, and in brackets that of the class it stands for, which the leaderboard's algorithms were mostly
scored by.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from materials.baselines import BASELINES, baseline_predictions
from materials.data.composition_features import composition_features
from materials.data.matbench_compositions import TASKS, dataset_name, load
from materials.metrics import mae, roc_auc


def main() -> None:
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    for task in given.get("tasks", "expt_gap,steels,glass,expt_is_metal").split(","):
        known = TASKS[task]
        train, test = (load(dataset_name(task), part) for part in ("train", "val"))
        features = [composition_features(part) for part in (train, test)]
        target = test.targets[known.target]
        for name in given.get("names", ",".join(BASELINES)).split(","):
            start = time.perf_counter()
            learned = train.targets[known.target][:, None]
            predicted = baseline_predictions(name, known.kind, features[0], learned, features[1])[:, 0]
            score = f"MAE {mae(target, predicted):.4f} {known.unit}"
            if known.kind == "classification":
                score = f"ROC-AUC {roc_auc(target, predicted):.4f} ({roc_auc(target, predicted > 0.5):.4f})"
            seconds = time.perf_counter() - start
            print(f"{task:15} {name:18} {score}  N {np.size(target)}  {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
