"""No optimiser step is taken from a loss or gradient that is not finite, and no step waits for the host to know."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


class FiniteGuard:
    """Counts bad steps on the device and tells the fused optimiser, there, to leave the weights alone.

    A step is bad on all ranks when it is bad on one. With `stop` the flag is sticky: until the host has read it,
    all later steps are left out too, so the weights are those from before the first bad step.
    """

    def __init__(self, device: torch.device, sticky: bool) -> None:
        self.sticky = sticky
        self.bad = torch.zeros((), device=device)
        self.skipped = torch.zeros((), device=device, dtype=torch.int64)
        self.first_bad_step = torch.full((), -1, device=device, dtype=torch.int64)

    def check(self, step: int, loss: Tensor, gradient_norm: Tensor) -> Tensor:
        """1.0 where this step must not be taken, else 0.0 (a scalar on the device)."""
        bad = 1.0 - torch.isfinite(loss + gradient_norm).to(self.bad.dtype)
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            dist.all_reduce(bad, op=dist.ReduceOp.MAX)
        if self.sticky:
            bad = torch.maximum(bad, self.bad)
        self.bad = bad
        self.skipped += bad.to(torch.int64)
        first = (bad > 0) & (self.first_bad_step < 0)
        self.first_bad_step = torch.where(first, torch.full_like(self.first_bad_step, step), self.first_bad_step)
        return bad

    def read(self) -> tuple[int, int]:
        """(number of skipped steps, first of them or -1); waits for the device."""
        return int(self.skipped), int(self.first_bad_step)
