"""What a person sees of a long run: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class ProgressReport:
    """`advance` every step (cheap), `say` when there is something to read. Silent on ranks other than 0."""

    def __init__(self, total: int, done: int, label: str, silent: bool, every_s: float = 30.0) -> None:
        self.console = Console(file=sys.stderr, quiet=silent)
        self.total, self.done, self.every_s = total, done, every_s
        self.status = ""
        self._last_line = time.monotonic()
        self._bar = None
        if self.console.is_terminal and not silent:
            self._bar = Progress(TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                                 TimeRemainingColumn(), TextColumn("{task.fields[status]}"), console=self.console,
                                 refresh_per_second=4)
            self._row = self._bar.add_task(label, total=total, completed=done, status="")
            self._bar.start()

    def advance(self, steps: int = 1) -> None:
        self.done += steps
        if self._bar:
            self._bar.update(self._row, completed=self.done, status=self.status)
        elif time.monotonic() - self._last_line > self.every_s:
            self.say(self.status)

    def say(self, text: str) -> None:
        self._last_line = time.monotonic()
        self.console.print(f"step {self.done}/{self.total}  {text}", highlight=False, soft_wrap=True)

    def describe(self, values: Mapping[str, float]) -> str:
        self.status = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        return self.status

    def close(self) -> None:
        if self._bar:
            self._bar.stop()
