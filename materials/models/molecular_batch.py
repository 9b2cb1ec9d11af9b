"""Batches of molecules, made from packed tables by index operations.

Shapes: B molecules, U environments of a level in the batch, V atoms, E directed bonds, D descriptors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from common.data.packed import PackedTensors
from materials.data.environments import Environments
from materials.data.molecular_graphs import MolecularGraphs, atom_features, bond_features


@dataclass(frozen=True)
class Bags:
    """U sums over rows of a table below: sum u takes rows `index[start[u]:start[u + 1]]`."""

    index: Tensor
    start: Tensor

    def sum(self, rows: Tensor) -> Tensor:
        """[rows, ...] -> [U, ...]; an empty sum is zero."""
        flat = F.embedding_bag(self.index, rows.flatten(1), self.start, mode="sum")
        return flat.unflatten(1, rows.shape[1:])

    def to(self, device: torch.device) -> Bags:
        return Bags(self.index.to(device), self.start.to(device))


@dataclass(frozen=True)
class EnvironmentBatch:
    """B molecules by the environments that occur in them, see `materials/data/environments.py`.

    bonds      [K, 86]  features of the different kinds of directed bonds
    atoms      [K', 72] features of the different kinds of atoms
    kinds      [U_t] for t = 0 .. depth: row of `bonds`, in the last level of `atoms`, that an environment begins with
    steps      what reaches each environment of level t from level t - 1, t = 1 .. depth
    molecules  the atom environments of each molecule, repeated as often as they occur
    n_atoms    [B]
    """

    bonds: Tensor
    atoms: Tensor
    kinds: list[Tensor]
    steps: list[Bags]
    molecules: Bags
    n_atoms: Tensor
    descriptors: Tensor

    def __len__(self) -> int:
        return len(self.n_atoms)


class PackedEnvironments:
    """The environments of N molecules, on one device."""

    def __init__(self, environments: Environments, descriptors: Tensor | None = None) -> None:
        self.molecules = PackedTensors(
            {"atom": torch.from_numpy(environments.atoms)}, torch.from_numpy(environments.n_atoms)
        )
        self.levels = [
            PackedTensors({"child": torch.from_numpy(level.children)}, torch.from_numpy(level.counts))
            for level in environments.levels
        ]
        self.kinds = [torch.from_numpy(level.kind) for level in environments.levels]
        self.bond_kinds, self.atom_kinds = map(torch.from_numpy, (environments.bond_kinds, environments.atom_kinds))
        self.descriptors = torch.zeros(len(self), 0) if descriptors is None else descriptors

    def __len__(self) -> int:
        return len(self.molecules)

    @property
    def sizes(self) -> Tensor:
        """Atoms of each molecule [N]."""
        return self.molecules.counts

    @classmethod
    def of(cls, graphs: MolecularGraphs, depth: int, descriptors: Tensor | None = None) -> PackedEnvironments:
        """`depth`: steps of the network, counting the first."""
        return cls(Environments.of(graphs, depth), descriptors)

    def gather(self, ids: Tensor, device: torch.device) -> EnvironmentBatch:
        """The molecules `ids` [B], in that order, on `device`."""
        chosen = self.molecules.gather(ids)
        environments, index = torch.unique(chosen.rows["atom"], return_inverse=True)
        molecules = Bags(index, chosen.start).to(device)
        atoms, atom_kind = torch.unique(self.kinds[-1][environments], return_inverse=True)
        steps, kinds = [], []
        for packed, kind in zip(self.levels[:0:-1], self.kinds[-2::-1], strict=True):
            reached = packed.gather(environments)
            environments, index = torch.unique(reached.rows["child"], return_inverse=True)
            steps.insert(0, Bags(index, reached.start).to(device))
            kinds.insert(0, kind[environments])
        bonds, bond_kinds = torch.unique(torch.cat(kinds), return_inverse=True)
        return EnvironmentBatch(
            self.bond_kinds[bonds].to(device),
            self.atom_kinds[atoms].to(device),
            [kind.to(device) for kind in (*bond_kinds.split([len(kind) for kind in kinds]), atom_kind)],
            steps,
            molecules,
            chosen.counts.to(device),
            self.descriptors[ids].to(device),
        )


@dataclass(frozen=True)
class MolecularGraphBatch:
    """B molecules as one graph.

    atoms  [V, 72]    bonds  [E, 14], each bond in both directions
    edges  [2, E]     first and last atom of a directed bond
    owner  [V]        which molecule an atom belongs to
    """

    atoms: Tensor
    bonds: Tensor
    edges: Tensor
    owner: Tensor
    molecules: int
    descriptors: Tensor

    def __len__(self) -> int:
        return self.molecules


class PackedGraphs:
    """The graphs of N molecules: two ragged arrays, atoms and bonds."""

    def __init__(self, graphs: MolecularGraphs, descriptors: Tensor | None = None) -> None:
        atoms = torch.from_numpy(atom_features(graphs.atom_codes, graphs.masses))
        bonds = torch.from_numpy(bond_features(graphs.bond_codes))
        self.atoms = PackedTensors({"features": atoms}, torch.from_numpy(graphs.n_atoms))
        ends = torch.from_numpy(graphs.ends)
        self.bonds = PackedTensors({"features": bonds, "ends": ends}, torch.from_numpy(graphs.n_bonds))
        self.descriptors = torch.zeros(len(self), 0) if descriptors is None else descriptors

    def __len__(self) -> int:
        return len(self.atoms)

    @property
    def sizes(self) -> Tensor:
        """Atoms of each molecule [N]."""
        return self.atoms.counts

    def gather(self, ids: Tensor, device: torch.device) -> MolecularGraphBatch:
        """The molecules `ids` [B], in that order, on `device`."""
        atoms, bonds = self.atoms.gather(ids), self.bonds.gather(ids)
        ends = (bonds.rows["ends"].long() + atoms.start[bonds.owner][:, None]).T
        features = bonds.rows["features"]
        return MolecularGraphBatch(
            atoms.rows["features"].to(device),
            torch.cat([features, features]).to(device),
            torch.cat([ends, ends.flip(0)], dim=1).to(device),
            atoms.owner.to(device),
            len(ids),
            self.descriptors[ids].to(device),
        )
