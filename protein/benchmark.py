"""Reproduce a table: `trifold protein benchmark`, `python -m protein.benchmark`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from common.app.cli import main

if TYPE_CHECKING:
    from protein.config import BenchmarkConfig


def run(config: BenchmarkConfig) -> None:
    """The verb itself, on a validated configuration."""
    from protein.benchmarks import run as reproduce

    reproduce(config)


if __name__ == "__main__":
    sys.exit(main(["protein", "benchmark", *sys.argv[1:]]))
