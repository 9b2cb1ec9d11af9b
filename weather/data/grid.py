"""Latitude-longitude grids: which kind one is, and how much of the sphere each of its points stands for.

H latitudes, W longitudes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from common.app.errors import DataFormatError

Kind = Literal["equiangular", "gaussian", "regional"]

UNEVEN = 5e-3
"""Spacings of an axis may differ by this share: files round coordinates; Gaussian latitudes differ by 8e-3."""


@dataclass(frozen=True, eq=False)
class Grid:
    """The points of a field.

    latitudes   [H] float64 degrees north, from pole towards pole; canonical data run from south to north
    longitudes  [W] float64 degrees east, ascending; of a globe from [0, 360), of a region without a jump
    kind        equiangular: evenly spaced over the whole sphere; gaussian: Gauss-Legendre latitudes all around;
                regional: anything else
    periodic    whether the last meridian is the first one's neighbour
    """

    latitudes: np.ndarray
    longitudes: np.ndarray
    kind: Kind
    periodic: bool

    @classmethod
    def of(cls, latitudes: np.ndarray, longitudes: np.ndarray, where: str = "grid") -> Grid:
        """Recognise the grid of two coordinate axes; `where` names the file in errors.

        Raises DataFormatError for an axis that is not strictly monotonic, too short, or off the sphere.
        """
        latitudes, longitudes = np.asarray(latitudes, np.float64), np.asarray(longitudes, np.float64)
        _check_axis("latitude", latitudes, where)
        _check_axis("longitude", longitudes, where)
        if np.abs(latitudes).max() > 90 + 1e-6:
            raise DataFormatError(
                f"{where}: latitudes reach {latitudes[np.abs(latitudes).argmax()]:g}, expected -90 to 90 degrees "
                "north; give the file degrees, or name its axes latitude and longitude the right way round"
            )
        if longitudes[0] > longitudes[-1] or longitudes[-1] - longitudes[0] >= 360 - 1e-6:
            raise DataFormatError(
                f"{where}: longitudes run from {longitudes[0]:g} to {longitudes[-1]:g}, expected ascending within one "
                "turn; `canonical` puts them in order"
            )
        steps = np.diff(longitudes)
        periodic = _even(steps) and bool(abs(steps.mean() * len(longitudes) - 360) < UNEVEN * 360 / len(longitudes))
        return cls(latitudes, longitudes, _kind(latitudes, periodic), periodic)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return len(self.latitudes), len(self.longitudes)

    @property
    def has_poles(self) -> bool:
        """Whether the poles themselves are rows."""
        return bool(np.abs(self.latitudes[[0, -1]]).min() > 90 - 1e-4)

    @property
    def name(self) -> str:
        """For messages, longitudes first as the field does: "64x32 equiangular"."""
        return f"{len(self.longitudes)}x{len(self.latitudes)} {self.kind}" + (" with poles" if self.has_poles else "")

    @cached_property
    def latitude_weights(self) -> np.ndarray:
        """[H] share of a meridian's area, mean 1: difference of the sines of cell edges, or Gaussian weights.

        Cell edges lie midway between latitudes; the outermost as far outside, though never beyond a pole.
        """
        if self.kind == "gaussian":
            weights = np.polynomial.legendre.leggauss(len(self.latitudes))[1]
        else:
            edges = np.clip(_edges(self.latitudes), -90, 90)
            weights = np.abs(np.diff(np.sin(np.deg2rad(edges))))
        return weights / weights.mean()

    def area_weights(self) -> np.ndarray:
        """[H, W] exact areas of the cells, mean 1."""
        widths = np.ones(len(self.longitudes)) if self.periodic else np.diff(_edges(self.longitudes))
        return self.latitude_weights[:, None] * (widths / widths.mean())

    def require(self, other: Grid, where: str) -> None:
        """Raise DataFormatError, saying how they differ, unless `other` has the same points.

        self   what is expected, such as a model's grid
        where  names `other`: a file
        """
        for axis in ("latitudes", "longitudes"):
            expected, found = getattr(self, axis), getattr(other, axis)
            if difference := _difference(expected, found):
                raise DataFormatError(
                    f"{where}: its {axis} {difference}: found {other.name} ({_span(found)}), expected {self.name} "
                    f"({_span(expected)}); interpolate the file to that grid, or use a model of the file's"
                )


def _check_axis(name: str, values: np.ndarray, where: str) -> None:
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise DataFormatError(
            f"{where}: {name} has shape {values.shape}; expected at least two finite degrees on an axis"
        )
    steps = np.diff(values)
    if not ((steps > 0).all() or (steps < 0).all()):
        place = int(np.flatnonzero(np.sign(steps) * np.sign(steps[0]) <= 0)[0])
        raise DataFormatError(
            f"{where}: {name} turns or repeats at {values[place]:g}, {values[place + 1]:g}; expected an axis that only "
            "rises or only falls: sort the file along it and drop repeated values"
        )


def _kind(latitudes: np.ndarray, periodic: bool) -> Kind:
    edges = np.abs(_edges(latitudes)[[0, -1]])
    step = 180 / len(latitudes)
    if not periodic or edges.min() < 90 - 0.5 * step:
        return "regional"
    if _even(np.diff(latitudes)):
        return "equiangular" if edges.min() > 90 - UNEVEN * step else "regional"
    nodes = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(len(latitudes))[0]))
    return "gaussian" if np.abs(np.sort(latitudes) - nodes).max() < UNEVEN * step else "regional"


def _even(steps: np.ndarray) -> bool:
    return bool(np.ptp(steps) <= UNEVEN * abs(steps.mean()))


def _edges(values: np.ndarray) -> np.ndarray:
    """[n + 1] midpoints, and half a step beyond both ends."""
    middle = (values[1:] + values[:-1]) / 2
    return np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])


def _span(values: np.ndarray) -> str:
    return f"{values[0]:g} to {values[-1]:g}, {len(values)} points"


def _difference(expected: np.ndarray, found: np.ndarray) -> str:
    """In words; empty where the axes agree."""
    if len(expected) != len(found):
        return "have another number of points"
    tolerance = UNEVEN * np.abs(np.diff(expected)).min()
    if np.abs(found - expected).max() <= tolerance:
        return ""
    if np.abs(found[::-1] - expected).max() <= tolerance:
        return "run the other way"
    offsets = found - expected
    return f"are shifted by {offsets.mean():g} degrees" if np.ptp(offsets) <= tolerance else "lie elsewhere"
