"""Numbers that chemists compute from a molecular graph: RDKit's descriptors and Morgan fingerprints."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from materials.data.read_molecule import read_molecule

MORGAN_RADIUS = 2
MORGAN_BITS = 2048


@cache
def descriptor_names() -> tuple[str, ...]:
    """RDKit's two-dimensional descriptors, without Ipc: it grows without bound with the size of a molecule."""
    from rdkit.Chem import Descriptors

    return tuple(name for name, _ in Descriptors.descList if name != "Ipc")


def rdkit_descriptors(molecules: Sequence[Any]) -> np.ndarray:
    """[N, D] float32 in the order of `descriptor_names`, 0 where RDKit gives no finite number.

    molecules: SMILES or RDKit molecules.
    """
    from rdkit import rdBase
    from rdkit.Chem import Descriptors

    functions = dict(Descriptors.descList)
    chosen = [functions[name] for name in descriptor_names()]
    with rdBase.BlockLogs():
        values = [[function(molecule) for function in chosen] for molecule in map(read_molecule, molecules)]
    table = np.array(values, np.float64).reshape(len(molecules), len(chosen))
    usable = np.isfinite(table) & (np.abs(table) < np.finfo(np.float32).max)
    return np.where(usable, table, 0.0).astype(np.float32)


def morgan_fingerprints(smiles: Sequence[str] | np.ndarray) -> np.ndarray:
    """[N, 2048] uint8: how often each environment of radius 2 occurs, folded; Rogers & Hahn, doi:10.1021/ci100050t."""
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(MORGAN_RADIUS, fpSize=MORGAN_BITS)
    rows = [generator.GetCountFingerprintAsNumPy(read_molecule(one)) for one in smiles]
    return np.minimum(np.array(rows).reshape(len(smiles), MORGAN_BITS), 255).astype(np.uint8)
