"""Model cards of structure predictors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from common.app.cards import Count, ModelCard, Text, TrainingData

Positive = Annotated[int, Field(ge=1)]


class ChainData(TrainingData):
    training_chains: Count


class FolderCard(ModelCard):
    """cycles, longest: where a model differs from its architecture; fit, relax: what is done to atoms by default."""

    domain: Literal["protein"]
    data: ChainData
    fit: bool
    relax: bool
    cycles: Positive | None = None
    longest: Positive | None = None
    language_model: Text | None = None


def schema_of(card: Mapping[str, Any]) -> type[FolderCard]:
    """The same for all."""
    return FolderCard
