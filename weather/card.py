"""Model cards of forecasters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from common.app.cards import CardSection, ModelCard, Text

Degrees = Annotated[list[float], Field(min_length=2)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


class GridOfModel(CardSection):
    latitudes: Degrees
    longitudes: Degrees


class Scales(CardSection):
    """Of each channel, in canonical units; tendency_std also of each size of a step; bounds: least and greatest."""

    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]
    tendency_std: list[list[Annotated[float, Field(gt=0)]]]
    nonnegative: list[bool]
    bounds: list[tuple[float, float]]
    deviation_std: list[Annotated[float, Field(gt=0)]] | None = None
    """Of deviations from the climate, where the network sees these."""


class RecentErrors(CardSection):
    days: Annotated[float, Field(gt=0)]
    doubt_days: Annotated[float, Field(ge=0)]


class ForecasterCard(ModelCard):
    domain: Literal["weather"]
    grid: GridOfModel
    channels: Annotated[list[tuple[Text, float | None]], Field(min_length=1)]
    """Variable and pressure level in hPa, null: it has none."""
    history: Positive
    past: Literal["changes"]
    """How the network sees states before the last: by what changed between them."""
    step_h: Annotated[float, Field(gt=0)]
    steps: Annotated[list[Positive], Field(min_length=1)]
    forcings: list[Text]
    forcing_offsets: list[int] = Field(default=[0])
    noise: Annotated[int, Field(ge=0)]
    deviations: bool = False
    """Whether states count from the climate."""
    at_once: bool = False
    """Whether the network gives all steps from one look at the present."""
    kept: list[list[Share]] | None = None
    """Share of the deviation from the climate that a forecast keeps, by lead time and channel."""
    recent_errors: RecentErrors | None = None
    """How forecasts are corrected by what recent ones missed."""
    scales: Scales

    @model_validator(mode="after")
    def _has_scales_of_each_channel(self) -> Self:
        found = {name: len(getattr(self.scales, name)) for name in ("mean", "std", "nonnegative", "bounds")}
        found |= {f"tendency_std.{row}": len(values) for row, values in enumerate(self.scales.tendency_std)}
        found |= {f"kept.{row}": len(values) for row, values in enumerate(self.kept or [])}
        found |= {"deviation_std": len(self.scales.deviation_std)} if self.scales.deviation_std else {}
        if wrong := {name: count for name, count in found.items() if count != len(self.channels)}:
            raise ValueError(f"{len(self.channels)} channels, but values of {wrong}")
        if len(self.scales.tendency_std) != len(self.steps):
            raise ValueError(f"{len(self.steps)} steps, but {len(self.scales.tendency_std)} rows of tendency_std")
        return self


def schema_of(card: Mapping[str, Any]) -> type[ForecasterCard]:
    """The same for all."""
    return ForecasterCard
