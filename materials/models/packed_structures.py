"""Many structures with their pairs of atoms, found once, from which batches are gathered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from common.data.packed import PackedTensors
from materials.models.atomic_graph import AtomicGraph
from materials.models.crystal_graph import Z

if TYPE_CHECKING:
    from ase import Atoms


class PackedStructures:
    """N structures on one device.

    atoms    numbers; one sample a structure
    pairs    first, second (atoms of the structure), vectors; one sample a structure
    volumes  [N], see `AtomicGraph`
    """

    def __init__(self, atoms: PackedTensors, pairs: PackedTensors, volumes: Tensor) -> None:
        self.atoms, self.pairs, self.volumes = atoms, pairs, volumes

    @classmethod
    def of(cls, structures: Sequence[Atoms], cutoff_a: float, dtype: torch.dtype = torch.float32) -> PackedStructures:
        """All pairs within `cutoff_a`, without angles."""
        graph = AtomicGraph.from_atoms(structures, cutoff_a, dtype=dtype)
        n_atoms = torch.from_numpy(np.array([len(one) for one in structures], np.int64))
        owner = graph.structure[graph.first]  # ascending: pairs are found structure by structure
        start = (torch.cumsum(n_atoms, 0) - n_atoms)[owner]
        places = {"first": graph.first - start, "second": graph.second - start}
        pairs = {name: place.to(torch.int32) for name, place in places.items()} | {"vectors": graph.vectors}
        counts = torch.bincount(owner, minlength=len(structures))
        return cls(PackedTensors({"numbers": graph.numbers}, n_atoms), PackedTensors(pairs, counts), graph.volumes)

    def __len__(self) -> int:
        return len(self.atoms)

    @property
    def sizes(self) -> Tensor:
        """Atoms of each structure [N]."""
        return self.atoms.counts.cpu()

    def to(self, device: torch.device) -> PackedStructures:
        return PackedStructures(self.atoms.to(device), self.pairs.to(device), self.volumes.to(device))

    def gather(self, ids: Tensor, device: torch.device) -> AtomicGraph:
        ids = ids.to(self.volumes.device)
        atoms, pairs = self.atoms.gather(ids).to(device), self.pairs.gather(ids).to(device)
        start = atoms.start[pairs.owner]
        return AtomicGraph(
            atoms.rows["numbers"], atoms.owner, len(ids), self.volumes[ids].to(device), pairs.rows["first"] + start,
            pairs.rows["second"] + start, pairs.rows["vectors"], 0, start.new_zeros(2, 0),
        )  # fmt: skip

    def element_fractions(self) -> Tensor:
        """Share of each element in each structure, [N, Z + 1]."""
        owner = torch.repeat_interleave(self.atoms.counts)
        fractions = torch.zeros(len(self), Z + 1, device=owner.device)
        fractions.index_put_((owner, self.atoms.rows["numbers"]), torch.ones(1, device=owner.device), accumulate=True)
        return fractions / fractions.sum(dim=1, keepdim=True)
