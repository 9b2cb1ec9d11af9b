"""Predict structures of sequences: `trifold protein predict`, `python -m protein.predict`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from common.app.cli import main

if TYPE_CHECKING:
    from protein.config import PredictConfig


def run(config: PredictConfig) -> int:
    """The verb itself, on a validated configuration; returns the exit status: 3 where nothing could be predicted."""
    from protein.prediction_run import predict

    return predict(config)


if __name__ == "__main__":
    sys.exit(main(["protein", "predict", *sys.argv[1:]]))
