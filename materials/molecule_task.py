"""Properties of molecules as the trainer sees them: several at once, some of them unknown.

Shapes: N molecules, B of a batch, M members of an ensemble, T properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from common.training.task import Forward, Task
from materials.losses import LOSSES

Kind = Literal["regression", "classification"]


class PackedMolecules(Protocol):
    """What a molecular model's `pack` returns."""

    descriptors: Tensor

    @property
    def sizes(self) -> Tensor: ...

    def gather(self, ids: Tensor, device: torch.device): ...


@dataclass(frozen=True)
class MoleculeTable:
    """The molecules of one split, each with T targets.

    packed  on the CPU, where the search for equal environments waits for no device
    target  [N, T] float32 in the properties' units, or 0/1; NaN where unknown
    """

    ids: np.ndarray
    packed: PackedMolecules
    target: Tensor

    def batch(self, ids: np.ndarray, device: torch.device) -> tuple[object, Tensor]:
        index = torch.from_numpy(ids)
        return self.packed.gather(index, device), self.target[index].to(device)


class MoleculeTask(Task):
    """Regression in units of each property's standard deviation, or binary classification.

    An ensemble's members learn side by side, each from its own loss; metrics are those of their mean. The metric that
    picks the best weights is the mean absolute error in those units, or the cross entropy of the mean probability.
    """

    def __init__(
        self, model: torch.nn.Module, tables: Mapping[str, MoleculeTable], kind: Kind, loss: str, device: torch.device
    ) -> None:
        self.model, self.tables, self.device = model, tables, device
        self.kind: Kind = kind
        self.monitor = "mae" if kind == "regression" else "cross_entropy"
        self.prefetch = device.type != "cpu"
        self._loss = LOSSES[loss]
        self._scale: Tensor = model.head.scale.scale.to(device)  # pyright: ignore
        train = tables["train"].target
        self._known = float((~train.isnan()).sum(dim=1).float().mean())

    def sizes(self, split: str) -> np.ndarray:
        """Atoms of each molecule."""
        return self.tables[split].packed.sizes.numpy()

    def batch(self, split: str, ids: np.ndarray) -> tuple[object, Tensor]:
        return self.tables[split].batch(ids, self.device)

    def loss(self, forward: Forward, batch: tuple[object, Tensor]) -> Tensor:
        """[B]: the sum over known targets, over the number that a training molecule has on average.

        So every known target of the data set counts the same, and the loss of a step does not depend on its pieces.
        """
        molecules, target = batch
        output = forward(molecules)
        known = ~target.isnan()[:, None]
        # A NaN would spoil the gradient even where it is masked afterwards.
        target = target.nan_to_num()[:, None].expand_as(output)
        if self.kind == "regression":
            value = self._loss(output / self._scale, target / self._scale)
        else:
            value = F.binary_cross_entropy_with_logits(output, target, reduction="none")
        return (value * known).sum(dim=2).mean(dim=1) / self._known

    def metrics(self, forward: Forward, batch: tuple[object, Tensor]) -> dict[str, Tensor]:
        """Of all known targets of the batch, one after another."""
        molecules, target = batch
        known = ~target.isnan()
        predicted = mean_prediction(forward(molecules), self.kind)
        if self.kind == "regression":
            return {"mae": ((predicted - target).abs() / self._scale)[known]}
        return {"cross_entropy": F.binary_cross_entropy(predicted[known], target[known], reduction="none")}

    def names(self, split: str, ids: np.ndarray) -> list[str]:
        return [str(name) for name in self.tables[split].ids[ids]]


def mean_prediction(output: Tensor, kind: Kind) -> Tensor:
    """[B, M, T] -> [B, T]: an ensemble's value, or its probability of class 1."""
    return (output if kind == "regression" else output.sigmoid()).mean(dim=1)


def member_deviation(output: Tensor, kind: Kind) -> Tensor:
    """[B, M, T] -> [B, T]: how far the members disagree; NaN for a single model."""
    return (output if kind == "regression" else output.sigmoid()).std(dim=1)


@torch.inference_mode()
def predict(model: torch.nn.Module, packed: PackedMolecules, ids: np.ndarray, device: torch.device) -> Tensor:
    """[B, M, T] of the molecules `ids`, on the CPU."""
    return model.eval()(packed.gather(torch.from_numpy(ids), device)).cpu()
