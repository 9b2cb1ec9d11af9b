"""Crystals: periodic structures, as graphs of nearest neighbours whose equivalent atoms share a node."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from common.data.cache import cached_arrays
from common.data.packed import PackedTensors
from materials.data.crystals import Crystals
from materials.data.graphs import CrystalGraphs, k_nearest_graphs
from materials.data.read import read_crystal
from materials.data.symmetry import TOLERANCE_A
from materials.models.crystal_graph import CrystalGraphBatch, Z
from materials.substances import Substance

GRAPHS_VERSION = "2"
"""Raise it when the same crystals give other graphs: cached ones are then built again."""


class PackedCrystals:
    """The graphs of N crystals, on one device."""

    def __init__(self, rows: PackedTensors) -> None:
        self.rows = rows

    @classmethod
    def of(cls, graphs: CrystalGraphs) -> PackedCrystals:
        names = ("numbers", "neighbours", "distances", "multiplicity")
        rows = {name: torch.from_numpy(getattr(graphs, name)) for name in names}
        return cls(PackedTensors(rows, torch.from_numpy(graphs.n_nodes)))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sizes(self) -> Tensor:
        """Nodes of each crystal's graph [N]."""
        return self.rows.counts.cpu()

    def to(self, device: torch.device) -> PackedCrystals:
        return PackedCrystals(self.rows.to(device))

    def gather(self, ids: Tensor, device: torch.device) -> CrystalGraphBatch:
        batch = self.rows.gather(ids.to(self.rows.counts.device))
        return CrystalGraphBatch.from_rows(batch.to(device))

    def element_fractions(self) -> Tensor:
        """Share of each element in each crystal, [N, Z + 1]."""
        rows = self.rows
        fractions = torch.zeros(len(rows), Z + 1, device=rows.counts.device)
        place = (torch.repeat_interleave(rows.counts), rows.rows["numbers"].long())
        fractions.index_put_(place, rows.rows["multiplicity"].float(), accumulate=True)
        return fractions / fractions.sum(dim=1, keepdim=True)


class Crystal(Substance):
    plural = "crystals"
    by_element = True

    def read(self, source: Any) -> Any:
        """An ase.Atoms with a cell from a path, ase.Atoms or a pymatgen Structure."""
        return read_crystal(source)

    def numbers(self, record: Any) -> np.ndarray:
        return record.numbers

    def settings(self, data: Any) -> dict[str, Any]:
        return {"neighbours": data.neighbours, "cutoff_a": data.cutoff_a, "collapse_tolerance_a": TOLERANCE_A}

    def graphs(self, collection: Crystals, settings: Mapping[str, Any]) -> CrystalGraphs:
        source = {"crystals": content_hash(collection), **settings}
        arrays = cached_arrays(
            "crystal-graphs", source, GRAPHS_VERSION, lambda: k_nearest_graphs(collection, **settings).to_arrays()
        )
        return CrystalGraphs.from_arrays(arrays)

    def graphs_of(self, records: Sequence[Any], settings: Mapping[str, Any]) -> CrystalGraphs:
        crystals = Crystals.from_atoms(list(records), [str(number) for number in range(len(records))])
        return k_nearest_graphs(crystals, **settings)

    def pack(self, model: nn.Module, graphs: CrystalGraphs) -> PackedCrystals:
        return PackedCrystals.of(graphs)

    def fit(self, model: nn.Module, packed: Any, target: Tensor, baseline: str) -> None:
        model.scale.set(*fit_scale(packed.element_fractions(), target, baseline))  # pyright: ignore

    def unit(self, model: nn.Module) -> Tensor:
        return model.scale.scale  # pyright: ignore

    def elements(self, collection: Crystals) -> tuple[np.ndarray, np.ndarray]:
        return collection.numbers, collection.n_atoms

    def labels(self, collection: Crystals) -> list[str]:
        from materials.periodic_table import reduced_formula  # imports matplotlib

        ends = collection.offsets
        return [reduced_formula(collection.numbers[a:b]) for a, b in pairwise(ends)]

    def linear_features(self, collection: Crystals) -> tuple[str, np.ndarray]:
        return "element fractions", element_fractions(collection.numbers, collection.n_atoms)


def element_fractions(numbers: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Share of each element in each material, [A] and [N] -> [N, Z + 1]."""
    fractions = np.zeros((len(counts), Z + 1))
    np.add.at(fractions, (np.repeat(np.arange(len(counts)), counts), numbers), 1.0)
    return fractions / fractions.sum(axis=1, keepdims=True)


def fit_scale(fractions: Tensor, target: Tensor, baseline: str) -> tuple[Tensor, Tensor]:
    """What composition alone explains of target [N, T], [Z + 1, T], and the spread of the rest [T]; NaN is unknown.

    `composition`: ridge regression on the element fractions [N, Z + 1]; `none`: the median.
    """
    offsets, spreads = [], []
    for values in target.double().unbind(dim=1):
        known = ~values.isnan()
        values, share = values[known], fractions[known].double()
        if baseline == "none":
            offset = values.median().expand(Z + 1)
        else:
            gram = share.T @ share + 0.1 * torch.eye(Z + 1, dtype=torch.float64, device=share.device)
            offset = torch.linalg.solve(gram, share.T @ values)
        offsets.append(offset)
        spreads.append((values - share @ offset).abs().mean())
    return torch.stack(offsets, dim=1), torch.stack(spreads)


def content_hash(crystals: Crystals) -> str:
    """SHA-256 of the structures (not of ids and targets)."""
    digest = hashlib.sha256()
    for array in (crystals.n_atoms, crystals.lattices, crystals.numbers, crystals.fractional):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
