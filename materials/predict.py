"""Predict properties of crystals: `trifold materials predict`, `python -m materials.predict`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from common.app.cli import main

if TYPE_CHECKING:
    from materials.config import PredictConfig


def run(config: PredictConfig) -> int:
    """The verb itself, on a validated configuration; returns the exit status: 3 where nothing could be predicted."""
    from materials.potential import Potential

    if Potential.is_one(config.model):
        from materials.potential_use import predict as use_potential

        return use_potential(config)
    from materials.screening import predict

    return predict(config)


if __name__ == "__main__":
    sys.exit(main(["materials", "predict", *sys.argv[1:]]))
