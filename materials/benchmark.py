"""Reproduce a published table: `trifold materials benchmark`, `python -m materials.benchmark`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from common.app.cli import main

if TYPE_CHECKING:
    from materials.config import BenchmarkConfig


def run(config: BenchmarkConfig) -> None:
    """The verb itself, on a validated configuration."""
    from materials.benchmarks import run as reproduce

    reproduce(config)


if __name__ == "__main__":
    sys.exit(main(["materials", "benchmark", *sys.argv[1:]]))
