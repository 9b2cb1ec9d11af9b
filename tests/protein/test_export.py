"""A folder agrees after export, for any number and length of chains."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.app.errors import ConfigError
from common.export import export
from protein import StructurePredictor
from protein.export import exportable, exportable_folder
from protein.models.fold import Fold, FoldConfig


def test_a_shipped_model_agrees_after_export(tmp_path: Path) -> None:
    one, card = exportable("fold-small")
    parity = export(one, card, "torch-export", tmp_path / "out")
    assert set(parity) == {"atoms", "plddt", "pae", "ptm", "distances", "secondary"}
    assert max(parity.values()) < 1e-3


def test_a_folder_that_takes_alignments_is_refused() -> None:
    predictor = StructurePredictor(Fold(FoldConfig(profile=True)), {"name": "mine", "architecture": "fold"}, "cpu")
    with pytest.raises(ConfigError, match=r"mine \(fold\) cannot be exported: only models"):
        exportable_folder(predictor)
