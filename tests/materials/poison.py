"""Inputs that harm the process which reads them, importable in worker processes."""

from __future__ import annotations

import os
import signal
import time


class Hanging:
    @property
    def get_atomic_numbers(self) -> None:
        time.sleep(1000)


class Slow:
    """Late, then refused."""

    @property
    def get_atomic_numbers(self) -> None:
        time.sleep(1)
        raise ZeroDivisionError("no reader foresaw this")


class Killing:
    @property
    def get_atomic_numbers(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Raising:
    @property
    def get_atomic_numbers(self) -> None:
        raise ZeroDivisionError("no reader foresaw this")
