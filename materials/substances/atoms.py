"""Crystals as potentials and most published models see them: all pairs of atoms within a cutoff, every atom a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from ase import Atoms
from torch import nn

from materials.data.crystals import Crystals
from materials.models.packed_structures import PackedStructures
from materials.substances.crystal import Crystal


class AtomicCrystal(Crystal):
    size_a_step = 1024

    def settings(self, data: Any) -> dict[str, Any]:
        return {"cutoff_a": data.cutoff_a}

    def graphs(self, collection: Crystals, settings: Mapping[str, Any]) -> list[Atoms]:
        return [collection.atoms(index) for index in range(len(collection))]

    def graphs_of(self, records: Sequence[Any], settings: Mapping[str, Any]) -> list[Atoms]:
        return list(records)

    def pack(self, model: nn.Module, graphs: list[Atoms]) -> PackedStructures:
        return PackedStructures.of(graphs, model.config.cutoff_a, torch.float64)  # pyright: ignore
