"""SIGTERM, SIGUSR1 (a SLURM warning) and Ctrl-C ask a run to save and stop at the next step."""

from __future__ import annotations

import signal
from types import FrameType

EXIT_STATUS = {signal.SIGTERM: 143, signal.SIGUSR1: 143, signal.SIGINT: 130}


class StopRequest:
    """A context in which these signals only set `exit_status`; a second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self.exit_status: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        for number in EXIT_STATUS:
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.exit_status is not None:
            raise KeyboardInterrupt
        self.exit_status = EXIT_STATUS[signal.Signals(number)]
