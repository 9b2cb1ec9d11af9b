"""Results in the form that the Matbench leaderboard takes: what `MatbenchBenchmark.to_file` of its package writes.

Dunn et al., doi:10.1038/s41524-020-00406-3. The results of a task are {"fold_<k>": {"data": {mbid: prediction},
"parameters", "scores"}}; the file ends with the SHA-256 of its content as JSON with sorted keys, which the package
checks. It takes complete tasks only: five folds, each predicted by a model of the other four.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from common import __version__

BENCHMARK = "matbench_v0.1"
PACKAGE_VERSION = "0.6"
SMALLEST = 1e-5
"""Targets below are left out of the mean percentage error, as Matbench does."""


class Fold(NamedTuple):
    """Predictions of a regression task for one test fold; target and predicted [N], parameters as JSON has them."""

    ids: Sequence[str]
    target: np.ndarray
    predicted: np.ndarray
    parameters: Mapping[str, Any]

    def scores(self) -> dict[str, float]:
        """mae, rmse, mape (a fraction, not per cent) and max_error."""
        error, large = np.abs(self.target - self.predicted), np.abs(self.target) > SMALLEST
        return {
            "mae": float(error.mean()),
            "rmse": float(np.sqrt(np.square(error).mean())),
            "mape": float((error[large] / np.abs(self.target[large])).mean()),
            "max_error": float(error.max()),
        }

    def results(self) -> dict[str, Any]:
        return {
            "data": dict(zip(self.ids, map(float, self.predicted), strict=True)),
            "parameters": dict(self.parameters),
            "scores": self.scores(),
        }


def submission(tasks: Mapping[str, Mapping[int, Fold]]) -> dict[str, Any]:
    """The file's content from {"matbench_<task>": {fold: predictions}}."""
    content = {
        "@module": "matbench.bench",
        "@class": "MatbenchBenchmark",
        "version": PACKAGE_VERSION,
        "benchmark_name": BENCHMARK,
        "user_metadata": {"algorithm": f"Trifold {__version__}"},
        "datestamp": datetime.now(UTC).strftime("%Y.%m.%d %H:%M.%S"),
        "tasks": {
            name: {
                "@module": "matbench.task",
                "@class": "MatbenchTask",
                "benchmark_name": BENCHMARK,
                "dataset_name": name,
                "results": {f"fold_{number}": fold.results() for number, fold in sorted(folds.items())},
            }
            for name, folds in tasks.items()
        },
    }
    text = json.dumps(content, sort_keys=True)
    return json.loads(text) | {"hash": hashlib.sha256(text.encode()).hexdigest()}
