"""A predictor of random weights, in which every part matters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from protein.models.fold import Fold, FoldConfig
from protein.predictor import StructurePredictor
from tests.protein.models.conftest import STRUCTURE, randomized

CONFIG = FoldConfig(
    single=16, pair=8, stem_width=8, stem_blocks=1, sequence_blocks=1, blocks=2, heads=2, reach=4, lddt_width=4,
    dropout=0.0, cycles=2, structure=replace(STRUCTURE, single=16),
)  # fmt: skip


def predictor(**changes: Any) -> StructurePredictor:
    """`changes` are hyper-parameters; cards need no more than this."""
    model = randomized(Fold(replace(CONFIG, **changes)))
    return StructurePredictor(model, {"name": "tiny", "architecture": "fold"}, "cpu")
