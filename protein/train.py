"""Train a structure predictor: `trifold protein train`, `python -m protein.train`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from common.app.cli import main

if TYPE_CHECKING:
    from protein.config import TrainConfig


def run(config: TrainConfig) -> None:
    """The verb itself, on a validated configuration."""
    from protein.study import train

    train(config)


if __name__ == "__main__":
    sys.exit(main(["protein", "train", *sys.argv[1:]]))
