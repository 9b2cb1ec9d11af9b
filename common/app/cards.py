"""What a model card (`model.json`) has to say. Each domain's `card.py` adds what its own models need."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.app.errors import CheckpointError
from common.app.models import CARD, read_card

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]


class CardSection(BaseModel):
    """Base of all parts of a card: what is not known is an error, and so is a number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=(), strict=True)


class TrainingData(CardSection):
    """What a model learned from, and on what terms."""

    name: Text
    licence: Text
    citation: Text
    title: Text | None = None
    simulated: bool = False
    """Whether it is no observation or experiment, but a simulation that stands for one."""


class Recipe(CardSection):
    """What trains the model again: an experiment, and every key that it resolves to."""

    model_config = ConfigDict(extra="allow")

    experiment: Text
    seed: Count


class Training(CardSection):
    """The run that made the weights."""

    best_step: Count
    seed: Count
    minutes: Annotated[float, Field(ge=0)]
    processes: Annotated[int, Field(ge=1)]
    cpu: Text
    cores: Annotated[int, Field(ge=1)]
    gpus: list[str]
    note: Text | None = None


class ModelCard(CardSection):
    """The part that all domains share."""

    name: Text
    domain: Text
    description: Text
    architecture: Text
    hyper_parameters: dict[str, Any]
    licence: Text
    """Of the weights; that of the data is in `data`."""
    data: TrainingData
    recipe: Recipe
    training: Training
    metrics: Annotated[dict[str, float], Field(min_length=1)]
    """Measured on data that the weights were not fitted to; the first word says on which."""


def checked_card(folder: Path, domain: str) -> ModelCard:
    """The card of a folder, by its domain's schema. Raises CheckpointError that names each field that is wrong."""
    card = read_card(folder)
    try:
        return import_module(f"{domain}.card").schema_of(card).model_validate_json(json.dumps(card))
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, one['loc'])) or 'card'}: {one['msg']}" for one in error.errors()]
        raise CheckpointError("\n".join([f"{folder / CARD} breaks the schema of model cards:", *lines])) from error
