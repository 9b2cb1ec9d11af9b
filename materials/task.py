"""Property prediction of crystals as the trainer sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from common.data.packed import PackedTensors
from common.training.task import Forward, Task
from materials.losses import LOSSES
from materials.models.crystal_graph import CrystalGraphBatch, PropertyScale, Z

if TYPE_CHECKING:
    from materials.data.graphs import CrystalGraphs


@dataclass(frozen=True)
class GraphTable:
    """The crystals of one split on the device, with one target each."""

    ids: np.ndarray
    graphs: PackedTensors
    target: Tensor
    """[N] float32 in the property's unit."""

    @classmethod
    def of(cls, graphs: CrystalGraphs, ids: np.ndarray, target: np.ndarray, device: torch.device) -> GraphTable:
        return cls(ids, pack(graphs).to(device), torch.as_tensor(target, dtype=torch.float32, device=device))

    def batch(self, ids: np.ndarray) -> tuple[CrystalGraphBatch, Tensor]:
        index = torch.as_tensor(ids, device=self.target.device)
        return CrystalGraphBatch.from_rows(self.graphs.gather(index)), self.target[index]


def pack(graphs: CrystalGraphs) -> PackedTensors:
    """Graphs as flat tensors, ready for batches by index."""
    rows = {
        name: torch.from_numpy(getattr(graphs, name)) for name in ("numbers", "neighbours", "distances", "multiplicity")
    }
    return PackedTensors(rows, torch.from_numpy(graphs.n_nodes))


class PropertyTask(Task):
    """Regression of one property; losses are taken in units of `unit`, the spread of what is left to learn."""

    monitor = "mae"

    def __init__(self, model: nn.Module, tables: Mapping[str, GraphTable], loss: str, unit: float) -> None:
        self.model, self.tables = model, tables
        self.blocks = tuple(getattr(model, "convolutions", ()))
        self._loss = LOSSES[loss]
        self._unit = unit

    def sizes(self, split: str) -> np.ndarray:
        """Nodes of each crystal's graph."""
        return self.tables[split].graphs.counts.cpu().numpy()

    def batch(self, split: str, ids: np.ndarray) -> tuple[CrystalGraphBatch, Tensor]:
        return self.tables[split].batch(ids)

    def loss(self, forward: Forward, batch: tuple[CrystalGraphBatch, Tensor]) -> Tensor:
        graphs, target = batch
        return self._loss(forward(graphs) / self._unit, target / self._unit)

    def metrics(self, forward: Forward, batch: tuple[CrystalGraphBatch, Tensor]) -> dict[str, Tensor]:
        """Absolute error in the property's unit."""
        graphs, target = batch
        return {"mae": (forward(graphs) - target).abs()}

    def names(self, split: str, ids: np.ndarray) -> list[str]:
        return [str(name) for name in self.tables[split].ids[ids]]


def fit_scale(table: GraphTable, baseline: str) -> PropertyScale:
    """What composition alone explains, and the spread of the rest.

    `composition`: ridge regression of the target on element fractions; `none`: the median.
    """
    target = table.target.double()
    if baseline == "none":
        offset = torch.full((Z + 1,), float(target.median()), dtype=torch.float64)
        explained = offset[0].expand_as(target)
    else:
        fractions = element_fractions(table.graphs).double()
        gram = fractions.T @ fractions + 0.1 * torch.eye(Z + 1, dtype=torch.float64, device=fractions.device)
        offset = torch.linalg.solve(gram, fractions.T @ target)
        explained = fractions @ offset
    return PropertyScale(offset.float(), float((target - explained).abs().mean()))


def element_fractions(graphs: PackedTensors) -> Tensor:
    """Share of each element in each crystal, [N, Z + 1]."""
    owner = torch.repeat_interleave(graphs.counts)
    fractions = torch.zeros(len(graphs), Z + 1, device=graphs.counts.device)
    numbers = graphs.rows["numbers"].long()
    fractions.index_put_((owner, numbers), graphs.rows["multiplicity"].float(), accumulate=True)
    return fractions / fractions.sum(dim=1, keepdim=True)
