"""Property prediction as the trainer sees it: several properties at once, some of them unknown.

Shapes: N samples, B of a batch, M members of an ensemble, T properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.results.metrics import Value
from common.training.task import Forward, Task
from materials.losses import LOSSES, gaussian_nll

if TYPE_CHECKING:
    from materials.substances import Packed

Outcome = Literal["regression", "classification"]


@dataclass(frozen=True)
class PropertyTable:
    """The samples of one split, each with T targets.

    target  [N, T] float32 in the properties' units, or 0/1; NaN where unknown
    """

    ids: np.ndarray
    packed: Packed
    target: Tensor

    def batch(self, ids: np.ndarray, device: torch.device) -> tuple[object, Tensor]:
        index = torch.from_numpy(ids)
        return self.packed.gather(index, device), self.target[index].to(device)


class PropertyTask(Task):
    """Regression in units of each property's spread, or binary classification.

    An ensemble's members learn side by side, each from its own loss; metrics are those of their mean. With the loss
    "gaussian" the model's output has 2 T columns: values, then log variances in units of the spreads. The metric that
    picks the best weights is the mean absolute error (in the property's unit where there is one property, else in units
    of the spreads), or the cross entropy of the mean probability.
    """

    def __init__(
        self,
        model: nn.Module,
        tables: Mapping[str, PropertyTable],
        unit: Tensor,
        outcome: Outcome,
        loss: str,
        device: torch.device,
    ) -> None:
        self.model, self.tables, self.device = model, tables, device
        self.outcome: Outcome = outcome
        self.blocks = tuple(getattr(model, "convolutions", ()))
        self.monitor = "mae" if outcome == "regression" else "cross_entropy"
        self.prefetch = device.type != "cpu"
        self._loss = LOSSES.get(loss)
        """None for "gaussian"."""
        self._unit = unit[: tables["train"].target.shape[1]].to(device)
        self._shown = self._unit if len(self._unit) == 1 else torch.ones_like(self._unit)
        train = tables["train"].target
        self._known = float((~train.isnan()).sum(dim=1).float().mean())

    def sizes(self, split: str) -> np.ndarray:
        """Cost of each sample: atoms, or nodes of its graph."""
        return self.tables[split].packed.sizes.numpy()

    def batch(self, split: str, ids: np.ndarray) -> tuple[object, Tensor]:
        return self.tables[split].batch(ids, self.device)

    def loss(self, forward: Forward, batch: tuple[object, Tensor]) -> Tensor:
        """[B]: the sum over known targets, over the number that a training sample has on average.

        So every known target of the data set counts the same, and the loss of a step does not depend on its pieces.
        """
        samples, target = batch
        output: Tensor = forward(samples)
        known = ~target.isnan()[:, None]
        # A NaN would spoil the gradient even where it is masked afterwards.
        target = target.nan_to_num()[:, None]
        if self.outcome == "classification":
            value = F.binary_cross_entropy_with_logits(output, target.expand_as(output), reduction="none")
        elif self._loss:
            value = self._loss(output / self._unit, (target / self._unit).expand_as(output))
        else:
            mean, log_variance = output.chunk(2, dim=2)
            value = gaussian_nll(mean / self._unit, log_variance, target / self._unit)
        return (value * known).sum(dim=2).mean(dim=1) / self._known

    def metrics(self, forward: Forward, batch: tuple[object, Tensor]) -> dict[str, Value]:
        """[B] means over the known targets of each sample, with their number."""
        samples, target = batch
        known = ~target.isnan()
        target = target.nan_to_num()
        output = forward(samples)
        if self.outcome == "regression":
            predicted = output[..., : target.shape[1]].mean(dim=1)
            name, value = "mae", (predicted - target).abs() / self._unit * self._shown
        else:
            predicted = output.sigmoid().mean(dim=1)
            name, value = "cross_entropy", F.binary_cross_entropy(predicted, target, reduction="none")
        count = known.sum(dim=1)
        return {name: ((value * known).sum(dim=1) / count, count)}

    def names(self, split: str, ids: np.ndarray) -> list[str]:
        return [str(name) for name in self.tables[split].ids[ids]]
