"""No optimiser step is taken from a loss or gradient that is not finite, and no step waits for the host to know."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from common.training.distributed import World


class FiniteGuard:
    """Marks bad steps on the device; the fused optimiser, told there, leaves the weights alone.

    A step is bad on all ranks when it is bad on one. A `sticky` guard calls every step after a bad one bad, so the
    weights stay those from before it until the host has read of it.
    """

    def __init__(self, world: World, sticky: bool) -> None:
        self.world, self.sticky = world, sticky
        self.skipped = 0
        """Bad steps that the host knows of."""
        self.first_bad_step = -1
        self._unread: list[tuple[int, Tensor]] = []
        self._last: Tensor | None = None

    def check(self, step: int, value: Tensor) -> Tensor:
        """1.0 where this step must not be taken because `value` is not finite, else 0.0 (a scalar on the device)."""
        bad = not_finite(value)
        if self.world.is_distributed:
            dist.all_reduce(bad, op=dist.ReduceOp.MAX)
        if self.sticky and self._last is not None:
            bad = torch.maximum(bad, self._last)
        self._last = bad
        self._unread.append((step, bad))
        return bad

    def read(self) -> int:
        """Number of bad steps so far; waits for the device."""
        if self._unread:
            steps, flags = zip(*self._unread, strict=True)
            self._unread.clear()
            bad_steps = [step for step, bad in zip(steps, torch.stack(flags).tolist(), strict=True) if bad]
            if bad_steps and self.first_bad_step < 0:
                self.first_bad_step = bad_steps[0]
            self.skipped += len(bad_steps)
        return self.skipped


def not_finite(value: Tensor) -> Tensor:
    """1.0 where `value` is infinite or NaN, else 0.0; only of finite numbers is x - x zero."""
    return (value - value).ne(0).float()
