"""Molecules: SMILES and RDKit molecules, as graphs of atoms and bonds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from common.app.errors import CheckpointError
from materials.data.chirality import with_canonical_chirality
from materials.data.molecular_graphs import MolecularGraphs
from materials.data.molecules import Molecules
from materials.data.read_molecule import read_molecule
from materials.substances import Packed, Substance


class DescribedGraphs(NamedTuple):
    graphs: MolecularGraphs
    descriptors: Tensor
    """[N, D] float32."""


class Molecule(Substance):
    plural = "molecules"

    def read(self, source: Any) -> Any:
        """An RDKit molecule from SMILES, PSMILES, a MOL block or an RDKit molecule."""
        return read_molecule(source)

    def numbers(self, record: Any) -> np.ndarray:
        return np.array([atom.GetAtomicNum() for atom in record.GetAtoms()], np.int64)

    def settings(self, data: Any) -> dict[str, Any]:
        from materials.data.descriptors import descriptor_names

        return {"descriptors": list(descriptor_names()) if data.descriptors else [], "chirality": "canonical"}

    def graphs(self, collection: Molecules, settings: Mapping[str, Any]) -> DescribedGraphs:
        return self.graphs_of([read_molecule(smiles) for smiles in collection.smiles], settings)

    def graphs_of(self, records: Sequence[Any], settings: Mapping[str, Any]) -> DescribedGraphs:
        """Models that were trained before settings named `chirality` read it as the input has it."""
        canonical = settings.get("chirality") == "canonical"
        molecules = [with_canonical_chirality(one) for one in records] if canonical else records
        return DescribedGraphs(MolecularGraphs.from_molecules(molecules), _descriptors(records, settings))

    def pack(self, model: nn.Module, graphs: DescribedGraphs) -> Packed:
        return model.pack(*graphs)  # pyright: ignore

    def fit(self, model: nn.Module, packed: Packed, target: Tensor, baseline: str) -> None:
        model.head.fit(target, packed.descriptors)  # pyright: ignore

    def unit(self, model: nn.Module) -> Tensor:
        return model.head.scale.scale  # pyright: ignore

    def elements(self, collection: Molecules) -> tuple[np.ndarray, np.ndarray]:
        numbers = [self.numbers(read_molecule(smiles)) for smiles in collection.smiles]
        return np.concatenate(numbers), np.array([len(one) for one in numbers])

    def labels(self, collection: Molecules) -> list[str]:
        return [str(smiles) for smiles in collection.smiles]

    def linear_features(self, collection: Molecules) -> tuple[str, np.ndarray]:
        from materials.data.descriptors import morgan_fingerprints

        counts = morgan_fingerprints(collection.smiles)
        return "Morgan fingerprints", np.hstack([np.sqrt(counts), np.ones((len(counts), 1))])


def _descriptors(molecules: Sequence[Any], settings: Mapping[str, Any]) -> Tensor:
    from materials.data.descriptors import descriptor_names, rdkit_descriptors

    names = settings["descriptors"]
    if not names:
        return torch.zeros(len(molecules), 0)
    known = {name: column for column, name in enumerate(descriptor_names())}
    if missing := [name for name in names if name not in known]:
        raise CheckpointError(f"this RDKit does not compute {', '.join(missing)}, which the model was trained with")
    table = rdkit_descriptors(molecules)
    return torch.from_numpy(table[:, [known[name] for name in names]])
