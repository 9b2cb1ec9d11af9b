"""Score structure predictions: `trifold protein evaluate`, `python -m protein.evaluate`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from common.app.cli import main

if TYPE_CHECKING:
    from protein.config import EvaluateConfig


def run(config: EvaluateConfig) -> int:
    """The verb itself, on a validated configuration; returns the exit status: 3 where nothing could be scored."""
    if config.predictions is not None:
        from protein.comparison import compare

        return compare(config)
    from protein.evaluation import evaluate

    return evaluate(config)


if __name__ == "__main__":
    sys.exit(main(["protein", "evaluate", *sys.argv[1:]]))
