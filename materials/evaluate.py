"""Evaluate a property model: `trifold materials evaluate`, `python -m materials.evaluate`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from common.app.cli import main

if TYPE_CHECKING:
    from materials.config import EvaluateConfig


def run(config: EvaluateConfig) -> None:
    """The verb itself, on a validated configuration."""
    from materials.potential import Potential

    if Potential.is_one(config.model):
        from materials.potential_use import evaluate as use_potential

        use_potential(config)
        return
    from materials.study import evaluate

    evaluate(config)


if __name__ == "__main__":
    sys.exit(main(["materials", "evaluate", *sys.argv[1:]]))
