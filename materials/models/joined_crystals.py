"""Crystal networks that were trained apart, as one ensemble.

Networks of different kinds err differently, so that their mean errs less than that of as many of one kind. Each sees as
many of a node's neighbours as it was trained with, the nearest ones.
Shapes as in `crystal_graph.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from materials.models import MODELS
from materials.models.crystal_ensemble import CrystalNetworkConfig
from materials.models.crystal_graph import CrystalGraphBatch, PropertyScale


@dataclass(frozen=True)
class JoinedCrystalsConfig:
    parts: tuple[dict[str, Any], ...]
    """The architecture of each, the neighbours it sees, and its hyper-parameters by name."""

    def __post_init__(self) -> None:
        self.kinds()  # a name that this version does not know is found where a card is read

    def kinds(self) -> list[tuple[Any, CrystalNetworkConfig]]:
        return [_kind(**part) for part in self.parts]


class JoinedCrystals(nn.Module):
    """All parts predict the same properties, in the same units."""

    config_class = JoinedCrystalsConfig

    def __init__(self, config: JoinedCrystalsConfig) -> None:
        super().__init__()
        self.config = config
        self.parts = nn.ModuleList(kind(settings) for kind, settings in config.kinds())

    @property
    def scale(self) -> PropertyScale:
        """That of every part."""
        return self.parts[0].scale  # pyright: ignore[reportReturnType]

    def forward(self, batch: CrystalGraphBatch) -> Tensor:
        """[B, M, T], M the members of all parts."""
        settings = zip(self.parts, self.config.parts, strict=True)
        return torch.cat([part(batch.nearest(own["neighbours"])) for part, own in settings], dim=1)

    def part_like(self, model: nn.Module) -> nn.Module | None:
        """The first part that is a network of the same kind."""
        return next((part for part in self.parts if type(part) is type(model)), None)


def _kind(architecture: str, neighbours: int, **hyper_parameters: Any) -> tuple[Any, CrystalNetworkConfig]:
    kind = MODELS[architecture]
    return kind, kind.config_class(**hyper_parameters)
