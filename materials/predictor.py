"""What a research script imports: a trained property model that reads what users have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from ase.data import chemical_symbols
from torch import Tensor, nn

from common.app.errors import CheckpointError, ConfigError
from common.app.registry import Registry
from common.data.artifact import read_tensors
from common.predictor import Predictor
from common.training.distributed import ALONE, World, gathered
from common.training.precision import autocast
from common.training.sampler import split_by_budget
from materials.explanation.nearest import TrainingIndex
from materials.models import MODELS
from materials.preparation import Prepared, prepare
from materials.substances import SUBSTANCES, Packed, Substance
from materials.uncertainty.conformal import Conformal
from materials.uncertainty.moments import class_moments, regression_moments
from materials.uncertainty.platt import Platt

CHUNK = 512
"""Inputs that are read and turned into graphs before any is predicted: bounds memory in long lists."""


TRAINING = "training.safetensors"


class Estimate(NamedTuple):
    """Of N materials and T properties [N, T] float64; `std` is NaN for a single model that predicts values only."""

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
            "joined_crystals": "materials.models.joined_crystals:JoinedCrystals",
            "megnet": "materials.models.megnet:MEGNet",
            "m3gnet_property": "materials.models.m3gnet:M3GNetProperty",
        },
    )

    def __init__(self, model: nn.Module, card: Mapping[str, Any], device: str = "auto", dtype: str = "float32") -> None:
        super().__init__(model, card, device, dtype)
        self.substance: Substance = SUBSTANCES[card["substance"]]()
        self.training: TrainingIndex | None = None
        """The training materials, where the model keeps them."""

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

    def predict(
        self, inputs: Any | Sequence[Any], budget: int | None = None, interval: float | None = None
    ) -> pd.DataFrame:
        """One row an input, in order: id, <property>, <property>_std for each property, then unit, error.

        inputs: one or many; of a crystal model paths (CIF, POSCAR, extxyz, whatever ASE reads), ase.Atoms or pymatgen
        Structures; of a molecule model SMILES or RDKit molecules; of a composition model formulas.
        An input that cannot be read, or that holds elements the model was not trained on, has NaN and its reason in
        `error` ("" otherwise). `<property>_std` is NaN for a single model; a class is given as its probability.
        `interval`: 0.9 adds <property>_lower and <property>_upper, which hold 90 % of new values if these are like the
        validation materials they were calibrated on. `budget`: atoms or graph nodes held at once.
        """
        many = [inputs] if isinstance(inputs, str) or not isinstance(inputs, Sequence) else inputs
        pairs = ((source_name(source, number), source) for number, source in enumerate(many))
        frames = list(self.predict_stream(pairs, budget, interval))
        return pd.concat(frames, ignore_index=True) if frames else self.predict_prepared(Prepared([], [], None))

    def predict_stream(
        self, inputs: Iterable[tuple[str, Any]], budget: int | None = None, interval: float | None = None
    ) -> Iterator[pd.DataFrame]:
        """`predict` of (id, input) pairs, in pieces of bounded memory."""
        remaining = iter(inputs)
        while chunk := list(islice(remaining, CHUNK)):
            yield self.predict_prepared(prepare(chunk, self.substance, self.card), budget, interval)

    def predict_prepared(
        self, prepared: Prepared, budget: int | None = None, interval: float | None = None
    ) -> pd.DataFrame:
        """`predict` of inputs whose graphs are made already."""
        conformal = self._conformal_for(interval) if interval else None
        value, std, lower, upper = np.full((4, len(prepared.ids), len(self.properties)), np.nan)
        if prepared.graphs is not None:
            rows, raw = prepared.usable, self.estimate(prepared.graphs, budget)
            value[rows], std[rows] = self.calibrated(raw)
            if conformal and interval:
                lower[rows], upper[rows] = conformal.interval(*raw, interval)
        columns: dict[str, Any] = {"id": prepared.ids}
        for column, name in enumerate(self.properties):
            columns |= {name: value[:, column], f"{name}_std": std[:, column]}
            if interval:
                columns |= {f"{name}_lower": lower[:, column], f"{name}_upper": upper[:, column]}
        unit = "; ".join(dict.fromkeys(self.properties.values()))
        return pd.DataFrame(columns | {"unit": unit, "error": prepared.errors})

    def explain(self, source: Any) -> pd.DataFrame:
        """What each part of one material adds to the prediction; raises DataFormatError where it cannot be read.

        Of a molecule one row an atom: atom (its index), element, <property>. Of a crystal one row an element: element,
        fraction, <property>, and <property>_composition, the part that follows from the composition alone.
        """
        from materials.explanation.atoms import atom_contributions
        from materials.explanation.elements import element_contributions

        record = self.substance.read(source)
        packed = self.pack(self.substance.graphs_of([record], self.card["input"]))
        batch = floating(packed.gather(torch.tensor([0]), self.device), self.dtype)
        if self.substance.by_element:
            return element_contributions(self.model, batch, list(self.properties)).drop(columns="crystal")
        values = atom_contributions(self.model, batch).value.cpu().double().numpy()
        elements = [chemical_symbols[z] if z else "*" for z in self.substance.numbers(record)]
        columns = {name: values[:, column] for column, name in enumerate(self.properties)}
        return pd.DataFrame({"atom": range(len(elements)), "element": elements, **columns})

    def draw(self, source: Any, name: str | None = None) -> str:
        """SVG of `explain`: the molecule with its atoms coloured, or bars of a crystal's elements.

        name: of the property; by default the first.
        """
        from common.results.plots import to_svg
        from materials.explanation.drawing import contribution_svg, element_bars

        name = name or next(iter(self.properties))
        frame, unit = self.explain(source), self.properties[name]
        if "atom" not in frame:
            return to_svg(element_bars(frame, name, unit))
        return contribution_svg(self.substance.read(source), frame[name].to_numpy(), f"{name} ({unit})")

    def nearest(self, inputs: Any | Sequence[Any], k: int = 5) -> pd.DataFrame:
        """The `k` training materials that the model sees as most like each input, nearest first.

        Columns: id (of the input), training_id, distance, and <property>, its true value there. Distances are in units
        of the typical distance between a training material and the one nearest to it.
        Raises ConfigError where the model does not keep its training materials, DataFormatError for a bad input.
        """
        if self.training is None:
            raise ConfigError(f"'{self.card['name']}' does not keep its training materials")
        many = [inputs] if isinstance(inputs, str) or not isinstance(inputs, Sequence) else inputs
        graphs = self.substance.graphs_of([self.substance.read(one) for one in many], self.card["input"])
        found = self.training.nearest(self.represent(graphs), k)
        rows = [
            {"id": source_name(source, number), "training_id": name, "distance": float(distance)}
            | dict(zip(self.properties, target.tolist(), strict=True))
            for number, source in enumerate(many)
            for name, distance, target in zip(
                *(part[number] for part in (found.ids, found.distance, found.target)), strict=True
            )
        ]
        return pd.DataFrame(rows)

    def represent(self, graphs: Any) -> Tensor:
        """The vectors [N, C] that the model's readout sees."""
        from materials.explanation.nearest import represent

        return self._over_batches(graphs, None, partial(represent, self.model))

    def estimate(self, graphs: Any, budget: int | None = None, world: World = ALONE) -> Estimate:
        """Of graphs made with the settings of the card's `input`, before calibration; classes are probabilities.

        Of several ranks each computes its share, and all have the whole.
        """
        output = self.outputs(graphs, budget, world)
        if self.card["outcome"] == "classification":
            moments = class_moments(output)
        else:
            count = len(self.properties)  # what lies beyond them are predicted variances
            unit = self.substance.unit(self.model).cpu().double()[:count] if output.shape[2] > count else None
            moments = regression_moments(output, unit)
        return Estimate(moments.mean.numpy(), moments.std.numpy())

    def calibrated(self, raw: Estimate) -> Estimate:
        """Standard deviations and probabilities of the right size, where the model's card holds a calibration."""
        known = self.card.get("calibration", {})
        if "platt" in known:
            return Estimate(*Platt.from_card(known["platt"])(*raw))
        if "conformal" in known:
            return Estimate(raw.value, Conformal.from_card(known["conformal"]).std(raw.std) + 0 * raw.std)
        return raw

    def outputs(self, graphs: Any, budget: int | None = None, world: World = ALONE) -> Tensor:
        """What the model's members say: [N, M, T] float64 on the CPU, in the properties' units or as logits."""
        return self._over_batches(graphs, budget, self.model, world).double()

    @torch.inference_mode()
    def _over_batches(
        self, graphs: Any, budget: int | None, compute: Callable[[Any], Tensor], world: World = ALONE
    ) -> Tensor:
        packed = self.pack(graphs)
        pieces = split_by_budget(np.arange(len(packed)), packed.sizes.numpy(), budget or self.substance.size_a_step)
        values = []
        for ids in pieces[world.share(len(pieces))]:
            batch = floating(packed.gather(torch.from_numpy(ids), self.device), self.dtype)
            with autocast(self.device, self.precision):
                values.append(compute(batch).cpu())
        return torch.cat([value for part in gathered(world, values) for value in part])

    def pack(self, graphs: Any) -> Packed:
        """Graphs in the form whose batches the model takes."""
        return self.substance.pack(self.model, graphs)

    def more_files(self) -> dict[str, Any]:
        return {TRAINING: self.training.to_tensors()} if self.training else {}

    def read_more(self, folder: Path) -> None:
        if (folder / TRAINING).is_file():
            self.training = TrainingIndex.from_tensors(read_tensors(folder, TRAINING))

    def _conformal_for(self, interval: float) -> Conformal:
        known = self.card.get("calibration", {})
        if "conformal" not in known:
            raise ConfigError(f"interval={interval:g}: '{self.card['name']}' has no calibrated intervals")
        return Conformal.from_card(known["conformal"])


def properties_of(card: Mapping[str, Any]) -> dict[str, str]:
    """Unit of each property of a card."""
    names, units = card["property"], card["unit"]
    return {names: units} if isinstance(names, str) else dict(zip(names, units, strict=True))


def floating(batch: Any, dtype: torch.dtype) -> Any:
    """A batch whose floating-point tensors are `dtype`."""
    parts = {field.name: getattr(batch, field.name) for field in fields(batch)}
    tensors = {name: value for name, value in parts.items() if isinstance(value, Tensor) and value.is_floating_point()}
    inner = {name: floating(value, dtype) for name, value in parts.items() if is_dataclass(value)}
    return replace(batch, **{name: value.to(dtype) for name, value in tensors.items()}, **inner)


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
