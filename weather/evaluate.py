"""Score a forecaster: `trifold weather evaluate`, `python -m weather.evaluate`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from common.app.cli import main

if TYPE_CHECKING:
    from weather.config import EvaluateConfig


def run(config: EvaluateConfig) -> None:
    """The verb itself, on a validated configuration."""
    from weather.evaluation import evaluate

    evaluate(config)


if __name__ == "__main__":
    sys.exit(main(["weather", "evaluate", *sys.argv[1:]]))
