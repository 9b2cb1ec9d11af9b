"""One split of a data set, ready for a model of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from common.app.errors import ConfigError
from materials.config import MatbenchCompositions, MatbenchCrystals, OwnTable, PropertyData
from materials.data.catalogue import CATALOGUE, Outcome, Property
from materials.data.own_files import load_own
from materials.substances import SUBSTANCES, Collection, Substance
from materials.task import PropertyTable


@dataclass(frozen=True)
class Samples:
    """N materials with their graphs and targets.

    target  [N, T] float64 in the properties' units, NaN where unknown; at least one of a row is known
    """

    substance: Substance
    collection: Collection
    graphs: Any
    target: np.ndarray

    def __len__(self) -> int:
        return len(self.target)

    def table(self, model: nn.Module, device: torch.device) -> PropertyTable:
        """The samples in the form that `model` takes, on `device` where batches can be made there."""
        packed = self.substance.pack(model, self.graphs)
        packed = packed.to(device) if hasattr(packed, "to") else packed  # pyright: ignore
        return PropertyTable(self.collection.ids, packed, torch.as_tensor(self.target, dtype=torch.float32))


def load_samples(
    data: PropertyData,
    split: str,
    card: Mapping[str, Any] | None = None,
    limit: int | None = None,
    offline: bool = False,
    sees: str = "",
) -> Samples:
    """The materials of a split that have a known target.

    `card`: of the model that they are for, which says what it sees and how graphs are made; by default as `data` says.
    `sees`: without a card, the substance by which a new model will see them, where it is not that of the data.
    Raises ConfigError for an unknown target, a split that the data set does not have, or a model of something else.
    """
    held: Substance = SUBSTANCES[data.substance]()
    substance: Substance = SUBSTANCES[card["substance"] if card else sees or data.substance]()
    if not isinstance(substance, type(held)):
        raise ConfigError(f"data={data.name} holds {held.plural}; the model takes {substance.plural}")
    if isinstance(data, OwnTable):
        collection = load_own(data, split)
    else:
        fold = {"fold": data.fold} if isinstance(data, MatbenchCrystals | MatbenchCompositions) else {}
        collection = CATALOGUE[data.name].load(split, offline=offline, **fold)
    target = np.stack([_column(collection, data, name) for name in data.targets], axis=1)
    known = np.flatnonzero(np.isfinite(target).any(axis=1))[:limit]
    if not len(known):
        raise ConfigError(f"no sample of split '{split}' of '{data.name}' has a known {' or '.join(data.targets)}")
    collection = collection.subset(known)
    graphs = substance.graphs(collection, card["input"] if card else substance.settings(data))
    return Samples(substance, collection, graphs, target[known])


def properties_of(data: PropertyData) -> dict[str, Property]:
    """Unit and outcome of each target of the configuration."""
    if isinstance(data, OwnTable):
        return {target: Property(data.unit, data.outcome) for target in data.targets}
    return {target: CATALOGUE[data.name].property(data.name, target) for target in data.targets}


def outcome_of(data: PropertyData) -> Outcome:
    """Numbers or classes; ConfigError where the targets are some of each."""
    properties = properties_of(data)
    outcome = properties[data.targets[0]].outcome
    if other := [name for name, one in properties.items() if one.outcome != outcome]:
        raise ConfigError(f"data.target: {data.targets[0]} is a {outcome} target, {other[0]} is not; train them apart")
    return outcome


def _column(collection: Collection, data: PropertyData, name: str) -> np.ndarray:
    properties_of(data)  # names the target where it is unknown
    return np.asarray(collection.targets[name], np.float64)
