"""Crystals for models whose parts see them differently: as graphs of nearest neighbours, and as all pairs of atoms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from ase import Atoms
from torch import Tensor, nn

from materials.data.crystals import Crystals
from materials.data.graphs import CrystalGraphs
from materials.models.crystal_views import CrystalViews
from materials.models.packed_structures import PackedStructures
from materials.substances.atoms import AtomicCrystal
from materials.substances.crystal import Crystal, PackedCrystals


@dataclass(frozen=True)
class Views:
    """N crystals, both ways."""

    graphs: CrystalGraphs
    atoms: list[Atoms]


@dataclass(frozen=True)
class PackedViews:
    """N crystals, on one device."""

    graphs: PackedCrystals
    atoms: PackedStructures

    def __len__(self) -> int:
        return len(self.graphs)

    @property
    def sizes(self) -> Tensor:
        """Atoms of each crystal [N]."""
        return self.atoms.sizes

    def gather(self, ids: Tensor, device: torch.device) -> CrystalViews:
        return CrystalViews(self.graphs.gather(ids, device), self.atoms.gather(ids, device))


class CrystalInViews(Crystal):
    """Settings hold those of either view: {"crystal": ..., "atoms": ...}. Only models that were joined see so."""

    size_a_step = AtomicCrystal.size_a_step

    def graphs(self, collection: Crystals, settings: Mapping[str, Any]) -> Views:
        atoms = AtomicCrystal().graphs(collection, settings["atoms"])
        return Views(super().graphs(collection, settings["crystal"]), atoms)

    def graphs_of(self, records: Sequence[Any], settings: Mapping[str, Any]) -> Views:
        return Views(super().graphs_of(records, settings["crystal"]), list(records))

    def pack(self, model: nn.Module, graphs: Views) -> PackedViews:
        return PackedViews(super().pack(model, graphs.graphs), AtomicCrystal().pack(model, graphs.atoms))
