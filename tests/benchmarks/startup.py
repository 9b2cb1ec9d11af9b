"""How long the command line takes before torch is needed: `python -m tests.benchmarks.startup`.

Whole processes, median of seven runs after one warm-up: help, a configuration error, the list of models.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time

COMMANDS = {
    "trifold --help": [],
    "trifold materials train --help": ["materials", "train", "--help"],
    "a configuration error": ["materials", "train", "trainer.epoch=3"],
    "trifold models": ["models"],
}
RUNS = 7


def seconds(arguments: list[str]) -> float:
    command = [sys.executable, "-m", "common.app.cli", *(arguments or ["--help"])]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run(command, capture_output=True, cwd=folder, check=False)
        return time.perf_counter() - started


def main() -> None:
    for name, arguments in COMMANDS.items():
        seconds(arguments)
        times = [seconds(arguments) for _ in range(RUNS)]
        print(f"{name:<34} {statistics.median(times):.2f} s  (min {min(times):.2f}, max {max(times):.2f})")


if __name__ == "__main__":
    main()
