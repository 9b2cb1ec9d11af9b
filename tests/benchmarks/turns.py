"""Programs that take turns, so that other work on the machine hits all alike; needs nothing but numpy."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np


class Turns(NamedTuple):
    """Medians over the rounds, for each program: seconds, and how many times faster than the first it is."""

    seconds: np.ndarray
    ratio: np.ndarray
    ratio_by_processor: np.ndarray


def take_turns(programs: Sequence[Callable[[], object]], rounds: int) -> Turns:
    """Run them in turn, once unmeasured; ratios are taken within a round."""
    times = np.array([[_seconds(program) for program in programs] for _ in range(rounds + 1)])[1:]
    ratios = np.median(times[:, :1] / times, axis=0)
    return Turns(np.median(times[..., 0], axis=0), ratios[:, 0], ratios[:, 1])


def _seconds(program: Callable[[], object]) -> tuple[float, float]:
    start = time.perf_counter(), time.process_time()
    program()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def settings(**defaults: str) -> dict[str, str]:
    """The command line's `name=value` over the defaults."""
    given = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)
    if len(given) != len(sys.argv) - 1 or not given.keys() <= defaults.keys():
        raise SystemExit(f"expected {' '.join(f'[{name}={value}]' for name, value in defaults.items())}")
    return defaults | given
