"""Real structure files, and small ones written here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from protein.data.chain import Chain
from protein.data.residues import types_of
from protein.geometry.atom_layout import atom14_to_atom37
from protein.geometry.ideal_chains import build, helix


@pytest.fixture(scope="session")
def native_files() -> Path:
    folder = Path(__file__).parents[4] / "shared" / "data" / "protein" / "native_files"
    if not folder.is_dir():
        pytest.skip("no structure files beside the checkout")
    return folder


def ideal_chain(sequence: str = "ACDEFGHIKLMNPQRSTVWY", name: str = "1abc_A", **more: object) -> Chain:
    """A helix, coordinates rounded as files hold them."""
    types = torch.from_numpy(types_of(sequence))
    atoms = atom14_to_atom37(types, build(sequence, [helix(len(sequence))])).numpy()
    mask = np.isfinite(atoms[..., 0]) & (np.abs(atoms).sum(-1) > 0)
    mask[0, 1] = True  # the first C-alpha lies at the origin
    atoms = np.where(mask[..., None], np.round(atoms + 1.25, 3), np.nan).astype(np.float32)
    return Chain(
        name,
        sequence,
        atoms,
        np.where(mask, 30.0, np.nan).astype(np.float32),
        np.arange(1, len(sequence) + 1, dtype=np.int32),
        np.full(len(sequence), "", "<U4"),
        **more,  # pyright: ignore[reportArgumentType]
    )
