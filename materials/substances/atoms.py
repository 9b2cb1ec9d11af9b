"""Crystals as published models see them: all pairs of atoms within a cutoff, every atom a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from ase import Atoms
from torch import Tensor, nn

from materials.data.crystals import Crystals
from materials.models.atomic_graph import AtomicGraph
from materials.substances.crystal import Crystal


class PackedAtoms:
    """N structures; a batch's graph is built when it is asked for."""

    def __init__(self, atoms: Sequence[Atoms], cutoff_a: float) -> None:
        self.atoms, self.cutoff_a = atoms, cutoff_a

    def __len__(self) -> int:
        return len(self.atoms)

    @property
    def sizes(self) -> Tensor:
        """Atoms of each structure [N]."""
        return torch.tensor([len(one) for one in self.atoms])

    def gather(self, ids: Tensor, device: torch.device) -> AtomicGraph:
        chosen = [self.atoms[index] for index in ids.tolist()]
        return AtomicGraph.from_atoms(chosen, self.cutoff_a, device=device, dtype=torch.float64)


class AtomicCrystal(Crystal):
    size_a_step = 1024

    def graphs(self, collection: Crystals, settings: Mapping[str, Any]) -> list[Atoms]:
        return [collection.atoms(index) for index in range(len(collection))]

    def graphs_of(self, records: Sequence[Any], settings: Mapping[str, Any]) -> list[Atoms]:
        return list(records)

    def pack(self, model: nn.Module, graphs: list[Atoms]) -> PackedAtoms:
        return PackedAtoms(graphs, model.config.cutoff_a)  # pyright: ignore
