"""Train a forecaster: `trifold weather train`, `python -m weather.train`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from common.app.cli import main

if TYPE_CHECKING:
    from weather.config import TrainConfig


def run(config: TrainConfig) -> None:
    """The verb itself, on a validated configuration."""
    from weather.study import train

    train(config)


if __name__ == "__main__":
    sys.exit(main(["weather", "train", *sys.argv[1:]]))
