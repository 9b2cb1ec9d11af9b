"""A folder agrees after export, for any number and length of chains."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from common.app.errors import ConfigError
from common.export import compared, export
from protein import StructurePredictor
from protein.export import exportable, exportable_folder
from protein.models.fold import Fold, FoldConfig
from protein.models.structure_module import StructureModuleConfig

OUTPUTS = {"atoms", "plddt", "pae", "ptm", "distances", "secondary"}


def predictor(**changes: bool) -> StructurePredictor:
    """Untrained, of every kind of block, small because tracing takes time with the number of operations."""
    torch.manual_seed(0)
    structure = StructureModuleConfig(single=16, pair=8, heads=2, iterations=1, torsion_width=8)
    config = FoldConfig(
        single=16,
        pair=8,
        stem_width=8,
        stem_blocks=1,
        sequence_blocks=1,
        blocks=2,
        heads=2,
        structure=structure,
        **changes,
    )
    return StructurePredictor(Fold(config), {"name": "mine", "architecture": "fold"}, "cpu")


@pytest.mark.full  # tracing takes most of a minute
def test_a_small_folder_agrees_after_export(tmp_path: Path) -> None:
    one = predictor()
    parity = export(exportable_folder(one), one.card, "torch-export", tmp_path / "out")
    assert set(parity) == OUTPUTS
    assert max(parity.values()) < 1e-4


def test_the_network_over_plain_tensors_is_the_shipped_model() -> None:
    one, _ = exportable("fold-small")
    with torch.no_grad():
        assert max(compared(one, lambda inputs: one.module(**inputs)).values()) < 1e-6


@pytest.mark.full
def test_the_shipped_model_agrees_after_export(tmp_path: Path) -> None:
    one, card = exportable("fold-small")
    assert max(export(one, card, "torch-export", tmp_path / "out").values()) < 1e-3


def test_a_folder_that_takes_alignments_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"mine \(fold\) cannot be exported: only models"):
        exportable_folder(predictor(profile=True))
