"""What a research script imports: a trained property model that reads what users have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from common.app.errors import CheckpointError
from common.app.registry import Registry
from common.predictor import Predictor
from common.training.precision import autocast
from common.training.sampler import split_by_budget
from materials.models import MODELS
from materials.preparation import Prepared, prepare
from materials.substances import SUBSTANCES, Packed, Substance
from materials.task import mean_prediction, member_deviation

CHUNK = 512
"""Inputs that are read and turned into graphs before any is predicted: bounds memory in long lists."""


class Estimate(NamedTuple):
    """Of N materials and T properties, float64; `std` is NaN for a single model."""

    value: np.ndarray
    std: np.ndarray


class PropertyPredictor(Predictor):
    """Predicts properties of crystals, molecules or compositions, whichever its model was trained on.

    predictor = PropertyPredictor.from_pretrained("mp2018-eform")
    frame = predictor.predict(["NaCl.cif", atoms, structure])
    """

    domain = "materials"
    architectures = Registry(
        "model",
        {
            **MODELS.paths,
            "megnet": "materials.models.megnet:MEGNet",
            "m3gnet_property": "materials.models.m3gnet:M3GNetProperty",
        },
    )

    def __init__(self, model: nn.Module, card: Mapping[str, Any], device: str = "auto", dtype: str = "float32") -> None:
        super().__init__(model, card, device, dtype)
        self.substance: Substance = SUBSTANCES[card["substance"]]()

    @classmethod
    def from_pretrained(cls, name: str | Path, device: str = "auto", dtype: str = "float32") -> Self:
        """Load a shipped model, published weights (`trifold data list`), or a folder of `save_pretrained`."""
        from materials.weights.published import PUBLISHED

        if str(name) not in PUBLISHED:
            return super().from_pretrained(name, device, dtype)
        published = PUBLISHED[str(name)]
        if published.kind != "property":
            raise CheckpointError(f"'{name}' is a potential; use materials.potential.Potential")
        model, card = published.load()
        return cls(model, card, device, dtype)

    @property
    def properties(self) -> dict[str, str]:
        """Unit of each property, in the model's order."""
        return properties_of(self.card)

    def predict(self, inputs: Any | Sequence[Any], budget: int | None = None) -> pd.DataFrame:
        """One row an input, in order: id, <property>, <property>_std for each property, then unit, error.

        inputs: one or many; of a crystal model paths (CIF, POSCAR, extxyz, whatever ASE reads), ase.Atoms or pymatgen
        Structures; of a molecule model SMILES or RDKit molecules; of a composition model formulas.
        An input that cannot be read, or that holds elements the model was not trained on, has NaN and its reason in
        `error` ("" otherwise). `<property>_std` is NaN for a single model; a class is given as its probability.
        `budget`: atoms or graph nodes held at once.
        """
        many = [inputs] if isinstance(inputs, str) or not isinstance(inputs, Sequence) else inputs
        pairs = ((source_name(source, number), source) for number, source in enumerate(many))
        frames = list(self.predict_stream(pairs, budget))
        return pd.concat(frames, ignore_index=True) if frames else self.predict_prepared(Prepared([], [], None))

    def predict_stream(self, inputs: Iterable[tuple[str, Any]], budget: int | None = None) -> Iterator[pd.DataFrame]:
        """`predict` of (id, input) pairs, in pieces of bounded memory."""
        remaining = iter(inputs)
        while chunk := list(islice(remaining, CHUNK)):
            yield self.predict_prepared(prepare(chunk, self.substance, self.card), budget)

    def predict_prepared(self, prepared: Prepared, budget: int | None = None) -> pd.DataFrame:
        """`predict` of inputs whose graphs are made already."""
        value = np.full((len(prepared.ids), len(self.properties)), np.nan)
        std = value.copy()
        if prepared.graphs is not None:
            rows = prepared.usable
            value[rows], std[rows] = self.estimate(prepared.graphs, budget)
        columns: dict[str, Any] = {"id": prepared.ids}
        for column, name in enumerate(self.properties):
            columns |= {name: value[:, column], f"{name}_std": std[:, column]}
        unit = "; ".join(dict.fromkeys(self.properties.values()))
        return pd.DataFrame(columns | {"unit": unit, "error": prepared.errors})

    def estimate(self, graphs: Any, budget: int | None = None) -> Estimate:
        """Of graphs made with the settings of the card's `input`."""
        output, outcome = self.outputs(graphs, budget), self.card["outcome"]
        return Estimate(mean_prediction(output, outcome).numpy(), member_deviation(output, outcome).numpy())

    @torch.inference_mode()
    def outputs(self, graphs: Any, budget: int | None = None) -> Tensor:
        """What the model's members say: [N, M, T] float64 on the CPU, in the properties' units or as logits."""
        packed = self.pack(graphs)
        pieces = split_by_budget(np.arange(len(packed)), packed.sizes.numpy(), budget or self.substance.size_a_step)
        values = []
        for ids in pieces:
            batch = floating(packed.gather(torch.from_numpy(ids), self.device), self.dtype)
            with autocast(self.device, self.precision):
                values.append(self.model(batch).double().cpu())
        return torch.cat(values)

    def pack(self, graphs: Any) -> Packed:
        """Graphs in the form whose batches the model takes."""
        return self.substance.pack(self.model, graphs)


def properties_of(card: Mapping[str, Any]) -> dict[str, str]:
    """Unit of each property of a card."""
    names, units = card["property"], card["unit"]
    return {names: units} if isinstance(names, str) else dict(zip(names, units, strict=True))


def floating(batch: Any, dtype: torch.dtype) -> Any:
    """A batch whose floating-point tensors are `dtype`."""
    parts = {field.name: getattr(batch, field.name) for field in fields(batch)}
    tensors = {name: value for name, value in parts.items() if isinstance(value, Tensor) and value.is_floating_point()}
    return replace(batch, **{name: value.to(dtype) for name, value in tensors.items()})


def source_name(source: Any, number: int) -> str:
    """What a row of results calls its input: the text as given, or the object's formula and place in the list."""
    if hasattr(source, "get_chemical_formula"):
        return f"{number}:{source.get_chemical_formula()}"
    if hasattr(source, "composition"):
        return f"{number}:{source.composition.reduced_formula}"
    if hasattr(source, "GetAtoms"):
        from rdkit.Chem import MolToSmiles

        return MolToSmiles(source)
    return str(source)
