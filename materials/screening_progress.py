"""How far a screening is: a line that changes on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from typing import Protocol

from rich.console import Console
from rich.status import Status

EVERY_S = 30.0
"""Between two lines of a log."""


class _Read(Protocol):
    fraction: float


class _Counted(Protocol):
    predicted: int
    rejected: int


class ScreeningProgress:
    """Rows, rows a second, and the time that is left, from the share of the input that has been read."""

    def __init__(self, inputs: _Read, state: _Counted) -> None:
        self.inputs, self.state = inputs, state
        self.console = Console(file=sys.stderr)
        self._status = Status("starting", console=self.console) if self.console.is_terminal else None
        self._started = self._last = time.monotonic()
        self._rows_before, self._fraction_before = state.predicted + state.rejected, 0.0

    def __enter__(self) -> ScreeningProgress:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def show(self) -> None:
        now = time.monotonic()
        if self._status:
            self._status.update(self.text(now))
        elif now - self._last > EVERY_S:
            self._last = now
            self.console.print(self.text(now), highlight=False, soft_wrap=True)

    def text(self, now: float) -> str:
        """What is known at `now`, in the seconds of time.monotonic."""
        rows, seconds = self.state.predicted + self.state.rejected, max(now - self._started, 1e-9)
        self._fraction_before = self._fraction_before or self.inputs.fraction
        text = f"{rows:,} rows, {self.state.rejected:,} rejected, {(rows - self._rows_before) / seconds:,.0f} rows/s"
        read = self.inputs.fraction - self._fraction_before
        if read > 0:
            left = seconds * (1 - self.inputs.fraction) / read
            text += f", {self.inputs.fraction:.0%} read, about {left / 60:.0f} min left"
        return text
