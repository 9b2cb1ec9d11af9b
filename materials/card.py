"""Model cards of properties and of potentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from common.app.cards import CardSection, Count, ModelCard, Text, TrainingData

AtomicNumber = Annotated[int, Field(ge=0, le=118)]
"""0 stands for the end of a repeat unit."""


class MaterialsData(TrainingData):
    """train, val: how many materials or frames."""

    train: Count
    val: Count


class Calibration(CardSection):
    """Fitted to the validation split, see `materials.uncertainty`."""

    split: Literal["val"]
    conformal: dict[str, Any] | None = None
    platt: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _holds_one(self) -> Self:
        if (self.conformal is None) == (self.platt is None):
            raise ValueError("expected either conformal or platt")
        return self


class MaterialsCard(ModelCard):
    domain: Literal["materials"]
    data: MaterialsData
    elements: Annotated[list[AtomicNumber], Field(min_length=1)]
    """Of the training data; anything else is refused."""


class Origin(CardSection):
    """Published weights that training started from, and on what terms."""

    name: Text
    licence: Text
    citation: Text


class PropertyCard(MaterialsCard):
    """property, unit: one, or as many of both; "" is the unit of a class or a number."""

    substance: Literal["crystal", "molecule", "composition", "atoms", "crystal-views"]
    property: Text | list[Text]
    unit: str | list[str]
    outcome: Literal["regression", "classification"]
    input: dict[str, Any]
    calibration: Calibration
    started_from: list[Origin] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_a_unit_a_property(self) -> Self:
        names, units = self.property, self.unit
        if isinstance(names, str) != isinstance(units, str) or (isinstance(names, list) and len(names) != len(units)):
            raise ValueError(f"property={names} with unit={units}; expected one unit a property")
        return self


class Units(CardSection):
    energy: Literal["eV"]
    forces: Literal["eV/angstrom"]
    stress: Literal["eV/angstrom^3"]


class PotentialCard(MaterialsCard):
    units: Units


def schema_of(card: Mapping[str, Any]) -> type[MaterialsCard]:
    """A property's card names its substance."""
    return PropertyCard if "substance" in card else PotentialCard
