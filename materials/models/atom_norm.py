"""Batch normalisation over atoms where a row may stand for several equivalent ones.

Ioffe & Szegedy, arXiv:1502.03167. A row counts as often as its multiplicity says, so that a graph of merged nodes
trains exactly as the full one. V rows, C features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from common.training.batch_norm import OverRanks, moments, track


class AtomBatchNorm(OverRanks, nn.Module):
    """With multiplicities of one, `torch.nn.BatchNorm1d` over the rows of all ranks: same parameters and results."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, features: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))

    def forward(self, rows: Tensor, multiplicity: Tensor) -> Tensor:
        """rows [V, C], multiplicity [V] -> [V, C]."""
        if not self.training:
            scale, shift = self.affine()
            return torch.addcmul(shift, rows, scale)
        found = moments(rows, multiplicity)
        track(self, found.mean, found.variance, found.count)
        return torch.addcmul(self.bias, found.centred, self.weight * torch.rsqrt(found.variance + self.eps))

    def affine(self) -> tuple[Tensor, Tensor]:
        """What the norm is with its running statistics: scale [C] and shift [C]."""
        scale = self.weight * torch.rsqrt(self.running_var + self.eps)
        return scale, self.bias - self.running_mean * scale

