"""Compositions: formulas of materials whose structure is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from materials.data.compositions import Compositions
from materials.data.formula import read_composition
from materials.substances import Packed, Substance


class Composition(Substance):
    plural = "compositions"

    def read(self, source: Any) -> Any:
        """{atomic number: share} from a formula, ase.Atoms, or a pymatgen Composition or Structure."""
        return read_composition(source)

    def numbers(self, record: Any) -> np.ndarray:
        return np.array(list(record), np.int64)

    def settings(self, data: Any) -> dict[str, Any]:
        return {}

    def graphs(self, collection: Compositions, settings: Mapping[str, Any]) -> Compositions:
        return collection

    def graphs_of(self, records: Sequence[Any], settings: Mapping[str, Any]) -> Compositions:
        return Compositions.from_shares(records, [str(number) for number in range(len(records))])

    def pack(self, model: nn.Module, graphs: Compositions) -> Packed:
        return model.pack(graphs)  # pyright: ignore

    def fit(self, model: nn.Module, packed: Packed, target: Tensor, baseline: str) -> None:
        model.head.fit(target, packed.descriptors)  # pyright: ignore

    def unit(self, model: nn.Module) -> Tensor:
        return model.head.scale.scale  # pyright: ignore

    def elements(self, collection: Compositions) -> tuple[np.ndarray, np.ndarray]:
        return collection.numbers, collection.n_elements

    def labels(self, collection: Compositions) -> list[str]:
        return [collection.formula(index) for index in range(len(collection))]

    def linear_features(self, collection: Compositions) -> tuple[str, np.ndarray]:
        fractions = np.zeros((len(collection), 119))
        fractions[collection.owner, collection.numbers] = collection.fractions
        return "element fractions", fractions
