"""Forecast from files: `trifold weather predict`, `python -m weather.predict`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from common.app.cli import main

if TYPE_CHECKING:
    from weather.config import PredictConfig


def run(config: PredictConfig) -> int:
    """The verb itself, on a validated configuration."""
    from weather.forecast_run import predict

    return predict(config)


if __name__ == "__main__":
    sys.exit(main(["weather", "predict", *sys.argv[1:]]))
