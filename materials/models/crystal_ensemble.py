"""What our crystal networks share: members of an ensemble that see one batch, and what can be chosen.

Shapes as in `crystal_graph.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from materials.models.crystal_graph import CrystalNodes, PropertyScale


@dataclass(frozen=True)
class EnsembleConfig:
    width: int = 96
    readout_width: int = 128
    dropout: float = 0.0
    readout: Literal["mean", "attention"] = "mean"
    heads: int = 8
    nonnegative: bool = False
    members: int = 1
    properties: int = 1


@dataclass(frozen=True)
class CrystalNetworkConfig(EnsembleConfig):
    """Of those over graphs of nearest neighbours."""

    message_width: int = 192
    layers: int = 4
    basis: int = 41
    cutoff_a: float = 8.0


class CrystalEnsemble(nn.Module):
    """Crystal graphs -> [B, M, T] in the properties' units, or logits of classes."""

    def __init__(self, config: EnsembleConfig, member: Callable[[Any], nn.Module]) -> None:
        super().__init__()
        self.config = config
        self.networks = nn.ModuleList(member(config) for _ in range(config.members))
        self.scale = PropertyScale(config.properties)

    @property
    def convolutions(self) -> list[nn.Module]:
        """The repeated blocks."""
        return [block for network in self.networks for block in network.convolutions]  # pyright: ignore

    def together(self, outputs: Sequence[Tensor], batch: CrystalNodes) -> Tensor:
        """What each member gives [B, T], before scaling -> [B, M, T]."""
        value = self.scale(torch.stack(list(outputs), dim=1), batch)
        # Only when predicting: where it cuts off, it would have no gradient.
        return value.clamp(min=0.0) if self.config.nonnegative and not self.training else value
