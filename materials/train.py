"""Train a property model: `trifold materials train`, `python -m materials.train`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from common.app.cli import main

if TYPE_CHECKING:
    from materials.config import TrainConfig


def run(config: TrainConfig) -> None:
    """The verb itself, on a validated configuration."""
    if potential := config.potential:
        from materials.potential_study import train as train_potential

        train_potential(potential)
        return
    from materials.study import train

    train(config)


if __name__ == "__main__":
    sys.exit(main(["materials", "train", *sys.argv[1:]]))
