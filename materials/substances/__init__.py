"""The kinds of material that properties are learned of: crystals, molecules, compositions.

A substance knows how its kind gets from what users have to what a model takes. Everything behind it (task, study,
predictor, report) is the same for all.

    data set --load--> collection --graphs--> graphs --pack--> batches by index
    file or object --read--> record --graphs_of--> graphs --pack--> batches by index
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn

from common.app.registry import Registry


class Collection(Protocol):
    """N materials of one kind with what is known of them."""

    @property
    def ids(self) -> np.ndarray: ...

    @property
    def targets(self) -> Mapping[str, np.ndarray]:
        """{property: [N]}, NaN where unknown; classes are 0 and 1."""
        ...

    def __len__(self) -> int: ...

    def subset(self, indices: Any) -> Self: ...


class Packed(Protocol):
    """N materials as a model takes them, in flat tensors."""

    def __len__(self) -> int: ...

    @property
    def sizes(self) -> Tensor:
        """Cost of each, in the unit of `trainer.budget` [N]."""
        ...

    def gather(self, ids: Tensor, device: torch.device) -> Any:
        """The materials `ids` [B] as a batch on `device`."""
        ...


class Substance(ABC):
    """One kind of material. `settings` is the part of a model's card that says how its inputs are made."""

    plural: ClassVar[str]
    by_element: ClassVar[bool] = False
    """Whether a prediction is explained by what each element adds, not each atom."""
    size_a_step: ClassVar[int] = 16_384
    """What is computed at once where the user names no budget, in the unit of `Packed.sizes`."""

    @abstractmethod
    def read(self, source: Any) -> Any:
        """One material from whatever a user has; raises DataFormatError that says why it cannot be used."""

    @abstractmethod
    def numbers(self, record: Any) -> np.ndarray:
        """Atomic numbers in what `read` returned; 0 for an atom that is no element."""

    @abstractmethod
    def settings(self, data: Any) -> dict[str, Any]:
        """From the `data` section of a configuration."""

    @abstractmethod
    def graphs(self, collection: Any, settings: Mapping[str, Any]) -> Any:
        """What `pack` takes, of a data set; kept on the disk where it is costly."""

    @abstractmethod
    def graphs_of(self, records: Sequence[Any], settings: Mapping[str, Any]) -> Any:
        """What `pack` takes, of records that `read` returned."""

    @abstractmethod
    def pack(self, model: nn.Module, graphs: Any) -> Packed: ...

    @abstractmethod
    def fit(self, model: nn.Module, packed: Any, target: Tensor, baseline: str) -> None:
        """Take the model's scales from the training targets [N, T]."""

    @abstractmethod
    def unit(self, model: nn.Module) -> Tensor:
        """Spread of each property, in which losses are taken [T]."""

    @abstractmethod
    def elements(self, collection: Any) -> tuple[np.ndarray, np.ndarray]:
        """Atomic numbers of all materials behind one another, and how many belong to each [N]."""

    @abstractmethod
    def labels(self, collection: Any) -> list[str]:
        """What a chemist calls each material: a formula, a SMILES."""

    @abstractmethod
    def linear_features(self, collection: Any) -> tuple[str, np.ndarray]:
        """Features [N, F] that a linear model is fitted to as a baseline, and what they are called."""


SUBSTANCES = Registry(
    "substance",
    {
        "crystal": "materials.substances.crystal:Crystal",
        "molecule": "materials.substances.molecule:Molecule",
        "composition": "materials.substances.composition:Composition",
        "atoms": "materials.substances.atoms:AtomicCrystal",
        "crystal-views": "materials.substances.crystal_views:CrystalInViews",
    },
)
