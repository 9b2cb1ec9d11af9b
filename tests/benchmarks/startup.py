"""How long the command line takes to answer: `python -m tests.benchmarks.startup`.

Whole processes, interpreter included, median of seven runs after one warm-up: help, a configuration error, the list of
models, which need no torch; and predictions of one crystal or molecule from the command to the written table.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

COMMANDS = {
    "trifold --help": ["--help"],
    "trifold materials train --help": ["materials", "train", "--help"],
    "a configuration error": ["materials", "train", "trainer.epoch=3"],
    "trifold models": ["models"],
}
PREDICTED = {"mp2018-eform": "NaCl.cif", "esol": "ethanol.smi"}
"""An input for each of these shipped models."""

RUNS = 7


def seconds(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Wall time and processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "common.app.cli", *arguments], capture_output=True, cwd=folder, check=False)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def predictions(folder: Path) -> dict[str, list[str]]:
    from ase.build import bulk

    bulk("NaCl", "rocksalt", a=5.64).write(folder / "NaCl.cif")
    (folder / "ethanol.smi").write_text("CCO\n")
    shipped = Path(str(files("materials"))) / "pretrained"
    return {
        f"predict {name}, model={model}": ["materials", "predict", f"model={model}", f"input={name}", "output=out",
                                           "device=cpu"]
        for model, name in PREDICTED.items() if (shipped / model).is_dir()
    }  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, arguments in (COMMANDS | predictions(folder)).items():
            seconds(arguments, folder)
            walls, processor = zip(*(seconds(arguments, folder) for _ in range(RUNS)), strict=True)
            print(f"{name:<42} {statistics.median(walls):.2f} s  (min {min(walls):.2f}, max {max(walls):.2f}); "
                  f"processor time {statistics.median(processor):.2f} s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
