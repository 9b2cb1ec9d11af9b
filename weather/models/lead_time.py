"""Lead time as a conditioning vector."""

from __future__ import annotations

import math

import torch
from torch import Tensor

SHORTEST_H, LONGEST_H = 6.0, 8766.0
"""Periods run from a quarter of a day to a year."""


def lead_time_features(hours: Tensor, length: int) -> Tensor:
    """Sines and cosines of lead times, hours [B] -> [B, length]; length even, periods evenly spaced in their logarithm.

    As positions in arXiv:1706.03762; the lead-time embedding of Stormer, arXiv:2312.03876.
    """
    period = torch.logspace(math.log10(SHORTEST_H), math.log10(LONGEST_H), length // 2, device=hours.device)
    phase = 2 * math.pi * hours[:, None] / period
    return torch.cat([phase.sin(), phase.cos()], dim=1)
