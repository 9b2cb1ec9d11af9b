"""Training of an interatomic potential as the trainer sees it: energies, forces and stress of frames.

Shapes: N frames, B of a batch, A atoms of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from common.data.packed import PackedTensors
from common.results.metrics import Value
from common.training.distributed import synchronise_gradients
from common.training.task import Forward, Task
from materials.data.frames import Frames
from materials.losses import LOSSES
from materials.models.atomic_graph import AtomicGraph, Conservative, differentiate
from materials.models.packed_structures import PackedStructures


class Targets(NamedTuple):
    """energy [B] eV float64, forces [A, 3] eV/Å, stress [B, 3, 3] eV/Å^3, NaN where unknown."""

    energy: Tensor
    forces: Tensor
    stress: Tensor

    def repeated(self, times: int) -> Targets:
        """Those of `AtomicGraph.repeated`."""
        return Targets(self.energy.repeat(times), self.forces.repeat(times, 1), self.stress.repeat(times, 1, 1))


@dataclass(frozen=True)
class Weights:
    """What an error of 1 eV/atom, 1 eV/Å and 1 eV/Å^3 counts."""

    energy: float
    forces: float
    stress: float


@dataclass(frozen=True)
class FrameTable:
    """The frames of one split, with what is known of them; forces are one sample a frame."""

    structures: PackedStructures
    forces: PackedTensors
    energy: Tensor
    stress: Tensor

    @classmethod
    def of(cls, frames: Frames, cutoff_a: float, device: torch.device) -> FrameTable:
        structures = PackedStructures.of([frames.atoms(index) for index in range(len(frames))], cutoff_a).to(device)
        forces = {"forces": torch.from_numpy(frames.forces).float()}
        return cls(
            structures,
            PackedTensors(forces, torch.from_numpy(frames.n_atoms)).to(device),
            torch.from_numpy(frames.energy).to(device),
            torch.from_numpy(frames.stress).float().to(device),
        )

    @property
    def sizes(self) -> np.ndarray:
        """Atoms and pairs of each frame [N]."""
        return (self.structures.atoms.counts + self.structures.pairs.counts).cpu().numpy()

    def batch(self, ids: np.ndarray) -> tuple[AtomicGraph, Targets]:
        index = torch.from_numpy(ids).to(self.energy.device)
        graph, forces = self.structures.gather(index, index.device), self.forces.gather(index).rows["forces"]
        return graph, Targets(self.energy[index], forces, self.stress[index])


class PotentialTask(Task):
    """The loss is the sum of the losses of energy per atom, force components and stress components, each weighted.

    Every atom's force counts the same, whatever the size of its frame. Each member of an ensemble learns from its own
    errors. Validation is of their mean: energy (eV/atom) and force (eV/Å) errors, means of absolute values (`_mae`) and
    of squares (`_mse`).
    """

    monitor = "loss"

    def __init__(self, model: nn.Module, tables: Mapping[str, FrameTable], weights: Weights, loss: str) -> None:
        self.model, self.tables, self.weights = model, tables, weights
        self.blocks = tuple(getattr(model, "layers", ()))
        self._loss = LOSSES[loss]
        self._atoms_a_frame = float(tables["train"].structures.atoms.counts.float().mean())
        self._members: int = model.config.members  # pyright: ignore

    def sizes(self, split: str) -> np.ndarray:
        return self.tables[split].sizes

    def batch(self, split: str, ids: np.ndarray) -> tuple[AtomicGraph, Targets]:
        return self.tables[split].batch(ids)

    def loss(self, forward: Forward, batch: tuple[AtomicGraph, Targets]) -> Tensor:
        graph, targets = batch
        if self._members == 1:
            return self._losses(graph, differentiate(forward, graph, create_graph=True), targets)
        copies = graph.repeated(self._members)
        result = differentiate(partial(forward, apart=True), copies, create_graph=True)
        losses = self._losses(copies, result, targets.repeated(self._members))
        return losses.view(self._members, -1).mean(dim=0)

    def metrics(self, forward: Forward, batch: tuple[AtomicGraph, Targets]) -> dict[str, Value]:
        graph, targets = batch
        # Forces need a backward pass, which DistributedDataParallel must not take for one of training.
        with synchronise_gradients(forward, last=False):  # pyright: ignore[reportArgumentType]
            result = differentiate(forward, graph)
        count = graph.sum_atoms(torch.ones_like(graph.volumes[graph.structure]))
        energy, forces = (result.energy - targets.energy) / count, result.forces - targets.forces
        components = 3 * count

        def mean_of_forces(values: Tensor) -> Value:
            return graph.sum_atoms(values.sum(dim=1)) / components, components

        return {
            "loss": self._losses(graph, result, targets),
            "energy_mae": energy.abs(),
            "energy_mse": energy.square(),
            "force_mae": mean_of_forces(forces.abs()),
            "force_mse": mean_of_forces(forces.square()),
        }

    def _losses(self, graph: AtomicGraph, result: Conservative, targets: Targets) -> Tensor:
        """[B]."""
        count = graph.sum_atoms(torch.ones_like(graph.volumes[graph.structure]))
        # Totals have more digits than float32; their difference has not.
        energy = ((result.energy - targets.energy) / count).to(result.forces.dtype)
        forces = graph.sum_atoms(self._loss(result.forces, targets.forces).mean(dim=1)) / self._atoms_a_frame
        losses = self.weights.energy * self._loss(energy, torch.zeros_like(energy)) + self.weights.forces * forces
        if self.weights.stress:
            known = ~(targets.stress.isnan() | result.stress.isnan())
            stress = self._loss(result.stress.nan_to_num(), targets.stress.nan_to_num())
            losses = losses + self.weights.stress * (stress * known).mean(dim=(1, 2))
        return losses
