"""What a research script imports: a trained property model that reads what users have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import pandas as pd
import torch
from ase.data import chemical_symbols

from common.app.errors import DataFormatError
from common.predictor import Predictor
from common.training.sampler import split_by_budget
from materials.data.crystals import Crystals
from materials.data.graphs import CrystalGraphs, k_nearest_graphs
from materials.data.read import read_crystal
from materials.models import MODELS
from materials.models.crystal_graph import CrystalGraphBatch
from materials.task import pack

CHUNK = 512
"""Inputs that are read and turned into graphs before any is predicted: bounds memory in long lists."""

NODES_A_STEP = 16_384


class PropertyPredictor(Predictor):
    """Predicts one property of crystals.

    predictor = PropertyPredictor.from_pretrained("mp2018-eform")
    frame = predictor.predict(["NaCl.cif", atoms, structure])
    """

    domain = "materials"
    architectures = MODELS

    @classmethod
    def from_pretrained(cls, name: str | Path, device: str = "auto", dtype: str = "float32") -> Self:
        """Load a shipped model, published weights (`trifold data list`), or a folder of `save_pretrained`."""
        from materials.weights.property_model import CutoffPropertyPredictor
        from materials.weights.published import PUBLISHED

        if cls is PropertyPredictor and str(name) in PUBLISHED:
            return cast(Self, CutoffPropertyPredictor.from_pretrained(name, device, dtype))
        return super().from_pretrained(name, device, dtype)

    def predict(self, inputs: Any | Sequence[Any], budget: int | None = None) -> pd.DataFrame:
        """One row an input, in order: id, <property>, <property>_std, unit, error.

        inputs: paths (CIF, POSCAR, extxyz, whatever ASE reads), ase.Atoms or pymatgen Structures; one or many.
        An input that cannot be read, or that holds elements the model was not trained on, has NaN and its reason in
        `error` ("" otherwise). `<property>_std` is NaN for a single model. `budget`: graph nodes held at once.
        """
        many = [inputs] if isinstance(inputs, str) or not isinstance(inputs, Sequence) else inputs
        frames = list(self.predict_stream(many, budget))
        return pd.concat(frames, ignore_index=True) if frames else self._frame([], np.zeros(0), [])

    def predict_stream(self, inputs: Iterable[Any], budget: int | None = None) -> Iterator[pd.DataFrame]:
        """`predict` in pieces of bounded memory, for inputs without end."""
        remaining, number = iter(inputs), 0
        while chunk := list(islice(remaining, CHUNK)):
            names = [source_name(source, number + i) for i, source in enumerate(chunk)]
            number += len(chunk)
            yield self._predict_chunk(chunk, names, budget)

    def predict_crystals(self, crystals: Crystals, budget: int | None = None) -> np.ndarray:
        """Predictions [N] float64 for packed crystals."""
        settings = self.card["graph"]
        graphs = k_nearest_graphs(crystals, settings["neighbours"], settings["cutoff_a"], settings["tolerance_a"])
        return self.predict_graphs(graphs, budget)

    @torch.inference_mode()
    def predict_graphs(self, graphs: CrystalGraphs, budget: int | None = None) -> np.ndarray:
        """Predictions [N] float64 for graphs built with the settings of the card's `graph`."""
        packed = pack(graphs)
        pieces = split_by_budget(np.arange(len(graphs)), graphs.n_nodes, budget or NODES_A_STEP)
        values = [self.model(self._to_device(packed.gather(torch.from_numpy(ids)))) for ids in pieces if len(ids)]
        return torch.cat(values).double().cpu().numpy() if values else np.zeros(0)

    def _to_device(self, batch: Any) -> CrystalGraphBatch:
        floating = next(self.model.parameters()).dtype
        return CrystalGraphBatch.from_rows(batch.to(self.device, floating))

    def _predict_chunk(self, sources: list[Any], names: list[str], budget: int | None) -> pd.DataFrame:
        atoms, rows, errors = [], [], [""] * len(sources)
        for row, source in enumerate(sources):
            try:
                one = read_crystal(source)
                self._refuse_unknown_elements(one.numbers)
            except DataFormatError as error:
                errors[row] = str(error)
                continue
            atoms.append(one)
            rows.append(row)
        values = np.full(len(sources), np.nan)
        if atoms:
            values[rows] = self.predict_crystals(Crystals.from_atoms(atoms, [names[row] for row in rows]), budget)
        return self._frame(names, values, errors)

    def _refuse_unknown_elements(self, numbers: np.ndarray) -> None:
        unknown = sorted(set(int(z) for z in numbers) - set(self.card["elements"]))
        if unknown:
            symbols = ", ".join(chemical_symbols[z] for z in unknown)
            raise DataFormatError(f"holds {symbols}, which the training data of '{self.card['name']}' did not")

    def _frame(self, names: list[str], values: np.ndarray, errors: list[str]) -> pd.DataFrame:
        name = self.card["property"]
        return pd.DataFrame(
            {
                "id": names,
                name: values,
                f"{name}_std": np.full(len(names), np.nan),
                "unit": self.card["unit"],
                "error": errors,
            }
        )


def source_name(source: Any, number: int) -> str:
    """What a row of results calls its input: the path as given, or the object's formula and place in the list."""
    if hasattr(source, "get_chemical_formula"):
        return f"{number}:{source.get_chemical_formula()}"
    if hasattr(source, "composition"):
        return f"{number}:{source.composition.reduced_formula}"
    return str(source)
