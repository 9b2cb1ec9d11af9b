"""Reproduce a table: `trifold weather benchmark`, `python -m weather.benchmark`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from common.app.cli import main

if TYPE_CHECKING:
    from weather.config import BenchmarkConfig


def run(config: BenchmarkConfig) -> None:
    """The verb itself, on a validated configuration."""
    from weather.benchmarks import run as reproduce

    reproduce(config)


if __name__ == "__main__":
    sys.exit(main(["weather", "benchmark", *sys.argv[1:]]))
