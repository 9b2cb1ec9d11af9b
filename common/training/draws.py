"""Random numbers that belong to a sample, whatever batch, piece or process it is in.

Instead of a state that is advanced, (seed, sample, place) is hashed: counter-based generators, Salmon et al. 2011,
doi:10.1145/2063384.2063405. B samples.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BITS = 24
"""Of a number: what float32 holds exactly."""


def uniform(seed: int, ids: Tensor, *shape: int) -> Tensor:
    """Numbers in [0, 1), [B, *shape] float32 on the device of the samples' numbers `ids` [B] int64.

    A number depends on the seed, its sample and its place in a flattened `shape`, not on how large that is. Numbers for
    different purposes need different seeds (`precision.mixed_seed`).
    """
    places = torch.arange(math.prod(shape), device=ids.device)
    bits = _mixed(_mixed(ids + _mixed(torch.tensor(seed, device=ids.device)))[:, None] + places)
    return (_shifted(bits, 64 - BITS) * 2.0**-BITS).unflatten(1, shape or (1,)).view(len(ids), *shape)


def normal(seed: int, ids: Tensor, *shape: int) -> Tensor:
    """The same from a normal distribution of mean 0 and variance 1: Box & Muller 1958, doi:10.1214/aoms/1177706645."""
    radius, angle = uniform(seed, ids, *shape, 2).unbind(-1)
    return torch.sqrt(-2 * torch.log1p(-radius)) * torch.cos(2 * math.pi * angle)


def _mixed(words: Tensor) -> Tensor:
    """One step of splitmix64, doi:10.1145/2660193.2660195, on int64 that wraps around."""
    words = words + _signed(0x9E3779B97F4A7C15)
    words = (words ^ _shifted(words, 30)) * _signed(0xBF58476D1CE4E5B9)
    words = (words ^ _shifted(words, 27)) * _signed(0x94D049BB133111EB)
    return words ^ _shifted(words, 31)


def _shifted(words: Tensor, count: int) -> Tensor:
    """To the right, with zeros from the left."""
    return (words >> count) & ((1 << (64 - count)) - 1)


def _signed(word: int) -> int:
    return word - (1 << 64)
