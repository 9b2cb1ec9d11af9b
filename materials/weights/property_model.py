"""Published property models that see all pairs within a cutoff."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import torch

from common.app.errors import CheckpointError
from common.app.registry import Registry
from common.training.sampler import split_by_budget
from materials.data.crystals import Crystals
from materials.models.atomic_graph import AtomicGraph
from materials.predictor import PropertyPredictor
from materials.weights.published import PUBLISHED

ATOMS_A_STEP = 1024


class CutoffPropertyPredictor(PropertyPredictor):
    """A PropertyPredictor whose model maps an AtomicGraph to a property of each crystal.

    CutoffPropertyPredictor.from_pretrained("m3gnet-mp-2018.6.1-eform").predict(["NaCl.cif"])
    """

    architectures = Registry(
        "model",
        {"megnet": "materials.models.megnet:MEGNet", "m3gnet_property": "materials.models.m3gnet:M3GNetProperty"},
    )

    @classmethod
    def from_pretrained(
        cls, name: str | Path, device: str = "auto", dtype: str = "float32", offline: bool = False
    ) -> Self:
        """Published weights by name (see `materials.weights.published`), or a folder of `save_pretrained`."""
        if str(name) not in PUBLISHED:
            return super().from_pretrained(name, device, dtype)
        entry = PUBLISHED[str(name)]
        if entry.kind != "property":
            raise CheckpointError(f"'{name}' is a potential; use materials.potential.Potential")
        model, card = entry.load(offline)
        return cls(model, card, device, dtype)

    @torch.inference_mode()
    def predict_crystals(self, crystals: Crystals, budget: int | None = None) -> np.ndarray:
        """Predictions [N] float64 for packed crystals; `budget`: atoms held at once."""
        floating = next(self.model.parameters()).dtype
        values = []
        for ids in split_by_budget(np.arange(len(crystals)), crystals.n_atoms, budget or ATOMS_A_STEP):
            if len(ids):
                atoms = [crystals.atoms(int(index)) for index in ids]
                graph = AtomicGraph.from_atoms(atoms, self.card["graph"]["cutoff_a"], 0.0, self.device, floating)
                values.append(self.model(graph).double().cpu().numpy())
        return np.concatenate(values) if values else np.zeros(0)
