"""Run every row of the reliability table at its full count, print the table, write docs/reliability.md and .json.

Exits with 1 where a row falls short. `python -m tests.reliability --sample` runs the samples that `make test` runs.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from common.results.environment import describe_environment

ROWS = {
    "R1": ("SIGKILL at a random step, resumed", "bit-identical weights and metrics"),
    "R2": ("SIGKILL while a checkpoint is written", "the newest whole one loads"),
    "R3": ("SIGTERM, SIGUSR1, Ctrl-C", "saved, status 143 or 130, exact resume"),
    "R4": ("several resumes within an epoch and at its end", "the same samples"),
    "R5": ("resume with another number of processes", "the same samples; loss within 1e-6"),
    "R6": ("checkpoint cut, bits flipped, files swapped", "all detected, the file named"),
    "R7": ("malicious pickles, YAML, `_target_`", "no execution"),
    "R8": ("disk full, read-only folder", "a clear error, old checkpoints intact"),
    "R9": ("NaN, infinite gradient, exploding learning rate, on one rank too", "stopped before the step"),
    "R10": ("many processes after one file; servers that truncate, lie, stall, redirect", "one valid file or an error"),
    "R11": ("archive bombs, `../`, links", "all rejected"),
    "R12": ("mutated input files of every format", "typed errors only, < 5 s, < 2 GB"),
    "R13": ("wrong configurations", ">= 99 % named with remedy, < 2 s, without torch"),
    "R14": ("the same seed twice, with and without prefetching", "the same bits"),
    "R15": ("stale or damaged cache", "rebuilt or refused"),
    "R16": ("a user's own common.py, another folder, an installed wheel", "works, or says what is in the way"),
    "R17": ("killed while downloading or preprocessing", "completes, nothing twice"),
    "R18": ("symmetries, by hypothesis", "relative error < 1e-5"),
}
FOLDER = Path("docs")


class Collected:
    """A pytest plugin: outcomes and measurements by row, a test belonging to the rows in its file's name."""

    def __init__(self) -> None:
        self.outcomes: dict[str, list[str]] = defaultdict(list)
        self.texts: dict[str, list[str]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        name = Path(report.nodeid.partition("::")[0]).name
        for row in re.findall(r"r\d+", name):
            self.outcomes[row.upper()].append(report.outcome)
        for row, text in report.user_properties:
            self.texts[str(row)].append(str(text))


def main(sample: bool) -> int:
    collected = Collected()
    started = time.perf_counter()
    marks = "not full" if sample else "full or not full"
    pytest.main(["-q", "-m", marks, "tests/reliability"], plugins=[collected])
    minutes = (time.perf_counter() - started) / 60
    rows = [_row(name, collected) for name in ROWS]
    table = Table("row", "fault", "pass", "measured", "result")
    for row in rows:
        table.add_row(row["id"], row["fault"], row["pass"], row["measured"], row["result"])
    Console().print(table)
    if not sample:
        _write(rows, minutes)
    return 0 if all(row["result"] == "pass" for row in rows) else 1


def _row(name: str, collected: Collected) -> dict[str, str]:
    outcomes, (fault, passes) = collected.outcomes[name], ROWS[name]
    failed, skipped, passed = (outcomes.count(kind) for kind in ("failed", "skipped", "passed"))
    counts = f"{passed} tests" + (f", {skipped} skipped" if skipped else "") + (f", {failed} FAILED" if failed else "")
    measured = "; ".join([*fullest(collected.texts[name]), counts])
    return {"id": name, "fault": fault, "pass": passes, "measured": measured,
            "result": "pass" if passed and not failed else "FAIL"}  # fmt: skip


def fullest(texts: list[str]) -> list[str]:
    """Of measurements that differ by their counts alone, a sample's and the full one's, the last."""
    return list({re.sub(r"\d+( of |/)\d+|in \d+|[\d.]+e[-+]\d+", "#", text): text for text in texts}.values())


def _write(rows: list[dict[str, str]], minutes: float) -> None:
    environment = describe_environment()
    facts = {"minutes": round(minutes, 1), "cpu": environment["cpu"], "cores": environment["cores"],
             "gpus": environment["gpus"]}  # fmt: skip
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "reliability.json").write_text(json.dumps({"environment": facts, "rows": rows}, indent=1) + "\n")
    lines = [
        "# Reliability",
        "",
        "Faults that are made on purpose, and what became of them. `make reliability` runs them",
        "all and writes this page.",
        "",
        f"{facts['minutes']} minutes on {facts['cores']} core{'s' * (facts['cores'] != 1)} of {facts['cpu']}.",
        "",
        "| row | fault | pass | measured | result |",
        "|---|---|---|---|---|",
        *(f"| {row['id']} | {row['fault']} | {row['pass']} | {row['measured']} | {row['result']} |" for row in rows),
    ]
    (FOLDER / "reliability.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main("--sample" in sys.argv))
