"""Batch normalisation over all that the ranks hold at a time, as one process would normalise it.

Ioffe & Szegedy, arXiv:1502.03167. In one process nothing is exchanged. V rows of this rank, C features.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn


class OverRanks:
    """Marks a module whose forward pass in training is one act of all ranks: they need as many pieces of a step."""


class BatchNorm(OverRanks, nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d`, with the statistics of the rows of all ranks. Rows [V, C]."""

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and several_ranks()):
            return super().forward(input)
        assert self.num_batches_tracked is not None
        found = moments(input, input.new_ones(len(input), dtype=torch.float32))
        track(self, found.mean, found.variance, found.count)
        self.num_batches_tracked.add_(1)
        scale = self.weight * torch.rsqrt(found.variance + self.eps)
        return torch.addcmul(self.bias, found.centred, scale).to(input.dtype)


class Moments(NamedTuple):
    """centred [V, C] rows less their mean; mean [C], biased variance [C] and number [] of the rows of all ranks."""

    centred: Tensor
    mean: Tensor
    variance: Tensor
    count: Tensor


def moments(rows: Tensor, multiplicity: Tensor) -> Moments:
    """Of rows [V, C], each of which counts as often as its multiplicity [V] says; differentiable."""
    count = multiplicity.sum()
    share = (multiplicity / count)[:, None]
    mean = (rows * share).sum(dim=0)
    centred = rows - mean
    variance = (centred.square() * share).sum(dim=0)
    if not several_ranks():
        return Moments(centred, mean, variance, count)
    # One exchange: moments of parts are put together as in Chan et al. 1979, Stanford report STAN-CS-79-773.
    counts, means, variances = _from_ranks(torch.stack([count.expand_as(mean), mean, variance])).unbind(1)
    shares = counts / counts.sum(dim=0)
    mean = (shares * means).sum(dim=0)
    variance = (shares * (variances + (means - mean).square())).sum(dim=0)
    return Moments(rows - mean, mean, variance, counts[:, 0].sum())


class Running(Protocol):
    running_mean: Any
    running_var: Any
    momentum: Any


@torch.no_grad()
def track(norm: Running, mean: Tensor, variance: Tensor, count: Tensor) -> None:
    """Move running statistics towards those of a batch of `count` rows; the variance becomes unbiased."""
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance * (count / (count - 1).clamp(min=1)), norm.momentum)


def norms_over_ranks(model: nn.Module) -> bool:
    """Whether a forward pass of the model in training waits for the other ranks."""
    return several_ranks() and any(isinstance(module, OverRanks) for module in model.modules())


def several_ranks() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def sum_over_ranks(value: Tensor) -> Tensor:
    """Sum over the ranks, on all of them; its gradient is the sum of theirs. The same tensor in one process."""
    return _SumOverRanks.apply(value) if several_ranks() else value  # pyright: ignore[reportReturnType]


def _from_ranks(value: Tensor) -> Tensor:
    """The values of all ranks, [R, ...]; differentiable."""
    own = torch.arange(dist.get_world_size(), device=value.device) == dist.get_rank()
    return sum_over_ranks(own.view(-1, *[1] * value.dim()) * value)


class _SumOverRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _SumOverRanks.apply(gradient)  # pyright: ignore[reportReturnType]
