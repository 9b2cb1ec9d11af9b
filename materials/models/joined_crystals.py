"""Crystal networks that were trained apart, as one ensemble.

Networks of different kinds err differently, so that their mean errs less than that of as many of one kind. Each sees as
many of a node's neighbours as it was trained with, the nearest ones, or all pairs of atoms within its cutoff.
Shapes as in `crystal_graph.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from materials.models import MODELS
from materials.models.atomic_graph import AtomicGraph
from materials.models.crystal_ensemble import EnsembleConfig
from materials.models.crystal_graph import CrystalGraphBatch, PropertyScale
from materials.models.crystal_views import CrystalViews


@dataclass(frozen=True)
class JoinedCrystalsConfig:
    parts: tuple[dict[str, Any], ...]
    """The architecture of each, the neighbours it sees (none: all pairs of atoms), and its hyper-parameters by name."""

    def __post_init__(self) -> None:
        self.kinds()  # a name that this version does not know is found where a card is read

    def kinds(self) -> list[tuple[Any, EnsembleConfig]]:
        return [_kind(**part) for part in self.parts]

    @property
    def cutoff_a(self) -> float:
        """Of the pairs of atoms that parts see; they agree."""
        return next(part["cutoff_a"] for part in self.parts if "neighbours" not in part)


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

    def forward(self, batch: CrystalGraphBatch | AtomicGraph | CrystalViews) -> Tensor:
        """[B, M, T], M the members of all parts."""
        graph, atoms = (batch.graph, batch.atoms) if isinstance(batch, CrystalViews) else (batch, batch)
        settings = zip(self.parts, self.config.parts, strict=True)
        values = [
            part(graph.nearest(own["neighbours"]) if "neighbours" in own else atoms)  # pyright: ignore
            for part, own in settings
        ]
        return torch.cat(values, dim=1)

    def part_like(self, model: nn.Module) -> nn.Module | None:
        """The first part that is a network of the same kind."""
        return next((part for part in self.parts if type(part) is type(model)), None)


def _kind(architecture: str, neighbours: int | None = None, **hyper_parameters: Any) -> tuple[Any, EnsembleConfig]:
    kind = MODELS[architecture]
    return kind, kind.config_class(**hyper_parameters)
