"""Fields as files have them, brought into one form: names, axes and units of WeatherBench 2, doi:10.1029/2023MS004019.

dims          (time, prediction_timedelta, number, level, latitude, longitude), those that there are, in this order
latitude      degrees north, from south to north
longitude     degrees east, ascending: a globe from [0, 360), a region without a jump (-10 to 2, 200 to 330)
level         hPa, ascending; whole numbers as int
time          datetime64[ns], ascending, no time twice
fields        float32 in canonical units

Nothing is read but coordinates: fields stay as lazy as they were.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import xarray as xr

from common.app.errors import DataFormatError
from common.app.registry import did_you_mean
from weather.data.grid import Grid
from weather.data.quantities import QUANTITIES, SAME, Quantity, canonical_name, quantity_of, unit_spelling
from weather.data.times import canonical_times, lead_times

DIMS = ("time", "prediction_timedelta", "number", "level", "latitude", "longitude")

_AXIS_NAMES: dict[str, tuple[str, ...]] = {
    "time": ("time", "valid_time", "date", "datetime"),
    "prediction_timedelta": ("prediction_timedelta", "step", "lead_time", "forecast_period", "lead"),
    "number": ("number", "realization", "member", "ensemble", "ens", "ensemble_member"),
    "level": ("level", "pressure_level", "isobaricinhpa", "isobaricinpa", "plev", "lev", "pressure", "air_pressure"),
    "latitude": ("latitude", "lat", "grid_latitude", "y"),
    "longitude": ("longitude", "lon", "long", "grid_longitude", "x"),
}

_PRESSURE_UNITS = {"hPa": 1.0, "Pa": 0.01}


def canonical(
    dataset: xr.Dataset,
    where: str,
    variables: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """`dataset` in canonical form.

    where      names the file in errors
    variables  those that are wanted, by the file's names or WeatherBench 2's; by default all fields
    units      units by variable, which take the place of those that the file states

    Raises DataFormatError naming file and variable, and what to do, for a missing variable, an unknown unit or
    calendar, an axis that is no axis, or a dimension that is none of ours. Repeated and missing times are warned of.
    """
    dataset = _axes_renamed(dataset, where)
    dataset = _fields(dataset, where, variables)
    dataset = dataset.squeeze([dim for dim, size in dataset.sizes.items() if dim not in DIMS and size == 1], drop=True)
    for axis in ("time", "level"):
        if axis in dataset.coords and axis not in dataset.dims:
            dataset = dataset.expand_dims(axis)
    dataset = dataset.drop_vars([axis for axis in DIMS if axis in dataset.coords and axis not in dataset.dims])
    dataset = lead_times(canonical_times(dataset, where), where)
    dataset = _longitudes(_latitudes(_levels(dataset, where)), where)
    return dataset.assign({name: _field(dataset[name], where, units or {}) for name in dataset})


def names_in(dataset: xr.Dataset, where: str) -> dict[str, str]:
    """The fields of a file: WeatherBench 2's name by the file's."""
    dataset = _axes_renamed(dataset, where)
    return {str(name): _name_of(field) for name, field in dataset.items() if _is_field(field)}


def pick(name: str, names: Mapping[str, str], where: str) -> str:
    """The key of `names_in` that `name` means, whichever of the two names it is. Raises DataFormatError if none."""
    found = [old for old, new in names.items() if name in (old, new) or canonical_name(name) == new]
    if not found:
        known = sorted({*names, *names.values()})
        raise DataFormatError(
            f"{where} has no variable '{name}'. {did_you_mean(name, known)} It holds {_listed(names)}; name one of "
            "these in `variables`, or give the file that holds it"
        )
    return name if name in found else found[0]


def grid_of(dataset: xr.Dataset, where: str) -> Grid:
    """The grid of a canonical dataset."""
    return Grid.of(dataset["latitude"].values, dataset["longitude"].values, where)


def _axes_renamed(dataset: xr.Dataset, where: str) -> xr.Dataset:
    """Axes under their canonical names; scalar coordinates that are no axis of ours are left out."""
    names: dict[Hashable, str] = {}
    for axis, known in _AXIS_NAMES.items():
        found = _find_axis(dataset, axis, known)
        if found is None and axis in ("latitude", "longitude"):
            raise DataFormatError(
                f"{where} has no {axis}: found dimensions {_listed(dataset.sizes)}; expected an axis named "
                f"{' or '.join(known[:2])} with its degrees. Fields on a curvilinear or reduced grid have to be "
                "interpolated to latitudes and longitudes first"
            )
        if found is not None:
            if not dataset[found].size:
                raise DataFormatError(f"{where}: its {axis} axis '{found}' has no values; the file is empty or cut off")
            names[found] = axis
    spare = [name for name in dataset.coords if name not in names and name not in dataset.dims]
    aliases = [name for name in names if names[name] != name]
    if clash := [names[name] for name in aliases if names[name] in dataset.variables and names[name] not in names]:
        dataset = dataset.drop_vars(clash)
    return dataset.drop_vars(spare, errors="ignore").rename({name: names[name] for name in aliases})


def _find_axis(dataset: xr.Dataset, axis: str, known: tuple[str, ...]) -> Hashable | None:
    """The name that an axis has here: a known one, or one that CF attributes give away; dimensions come first."""
    candidates = [name for name in dataset.dims if name in dataset.coords]
    candidates += [name for name, value in dataset.coords.items() if value.ndim == 0]
    for name in sorted(candidates, key=lambda name: name not in dataset.dims):
        attributes = dataset[name].attrs
        if attributes.get("standard_name") == axis or attributes.get("units") == f"degrees_{_CARDINAL.get(axis)}":
            return name
    by_name = {str(name).lower(): name for name in reversed(candidates)}
    return next((by_name[name] for name in known if name in by_name), None)


_CARDINAL = {"latitude": "north", "longitude": "east"}


def _fields(dataset: xr.Dataset, where: str, variables: Sequence[str] | None) -> xr.Dataset:
    """The wanted variables under their canonical names; what lies on no grid becomes a coordinate."""
    dataset = dataset.set_coords([name for name, field in dataset.items() if not _is_field(field)])
    names = {str(name): _name_of(field) for name, field in dataset.items()}
    if variables is not None:
        names = {name: names[name] for name in (pick(name, names, where) for name in variables)}
    if not names:
        raise DataFormatError(f"{where} holds no field on (latitude, longitude); found {_listed(dataset.variables)}")
    if len(set(names.values())) < len(names):
        twice = next(new for new in names.values() if list(names.values()).count(new) > 1)
        both = [old for old, new in names.items() if new == twice]
        raise DataFormatError(f"{where}: {' and '.join(both)} are both {twice}; choose one of them with `variables`")
    dataset = dataset[list(names)].assign({old: dataset[old].assign_attrs(name_in_file=old) for old in names})
    return dataset.rename({old: new for old, new in names.items() if old != new})


def _is_field(variable: xr.DataArray) -> bool:
    return {"latitude", "longitude"} <= set(variable.dims)


def _name_of(field: xr.DataArray) -> str:
    """`z` without levels is the surface's in files of constants, which have no time either."""
    name = canonical_name(str(field.name))
    if name == "geopotential" and not {"level", "time"} & (set(field.dims) | set(field.coords)):
        return "geopotential_at_surface"
    return name


def _levels(dataset: xr.Dataset, where: str) -> xr.Dataset:
    if "level" not in dataset.dims:
        return dataset
    level = dataset["level"]
    values = level.values.astype(np.float64)
    stated = unit_spelling(str(level.attrs.get("units", "")))
    unit = stated or ("Pa" if values.max() > 2000 else "hPa")
    if unit not in _PRESSURE_UNITS or not np.isfinite(values).all() or values.min() <= 0:
        raise DataFormatError(
            f"{where}: level has unit '{stated}' and values {_listed(level.values)}; expected pressures in hPa or Pa. "
            "Interpolate model levels to pressure levels first"
        )
    values = np.round(values * _PRESSURE_UNITS[unit], 6)
    if len(np.unique(values)) < len(values):
        raise DataFormatError(f"{where}: level repeats a value: {_listed(values)} hPa; drop repeated levels")
    if (values == np.round(values)).all():
        values = values.astype(np.int64)
    dataset = dataset.assign_coords(level=("level", values, {"units": "hPa", "standard_name": "air_pressure"}))
    return _ordered(dataset, "level", np.argsort(values))


def _latitudes(dataset: xr.Dataset) -> xr.Dataset:
    values = dataset["latitude"].values.astype(np.float64)
    attributes = {"units": "degrees_north", "standard_name": "latitude"}
    dataset = dataset.assign_coords(latitude=("latitude", values, attributes))
    return dataset.isel(latitude=slice(None, None, -1)) if values[0] > values[-1] else dataset


def _longitudes(dataset: xr.Dataset, where: str) -> xr.Dataset:
    """Ascending without a jump: the axis starts behind its widest gap."""
    values = dataset["longitude"].values.astype(np.float64)
    if not np.isfinite(values).all() or np.ptp(values) > 360 + 1e-6:
        raise DataFormatError(f"{where}: longitude runs {_listed(values)}; expected degrees east within one turn")
    if np.isclose(np.ptp(values), 360):  # the first meridian is there twice
        dataset, values = dataset.isel(longitude=slice(0, -1)), values[:-1]
    values = np.round(np.mod(values, 360), 9) % 360
    order = np.argsort(values, kind="stable")
    gaps = np.diff(values[order], append=values[order[0]] + 360)
    widest = int(gaps.argmax())
    if widest < len(gaps) - 1 and gaps[widest] > 1.5 * np.median(gaps):
        order = np.roll(order, -widest - 1)
        values = np.where(values >= values[order[0]], values - 360, values)
    attributes = {"units": "degrees_east", "standard_name": "longitude"}
    dataset = dataset.assign_coords(longitude=("longitude", values, attributes))
    dataset = _ordered(dataset, "longitude", order)
    grid_of(dataset, where)  # an axis that turns or repeats is refused here
    return dataset


def _ordered(dataset: xr.Dataset, axis: str, order: np.ndarray) -> xr.Dataset:
    return dataset if (np.diff(order) == 1).all() else dataset.isel({axis: order})


def _field(field: xr.DataArray, where: str, units: Mapping[str, str]) -> xr.DataArray:
    """Canonical dimensions, float32 and units."""
    name, in_file = str(field.name), field.attrs["name_in_file"]
    if surplus := [dim for dim in field.dims if dim not in DIMS]:
        raise DataFormatError(
            f"{where}: variable '{in_file}' has dimensions {_listed(field.dims)}; expected only {', '.join(DIMS)}. "
            f"Choose one {surplus[0]} first"
        )
    if field.dtype.kind not in "biuf":
        raise DataFormatError(f"{where}: variable '{in_file}' has dtype {field.dtype}; expected numbers")
    field = field.transpose(*(dim for dim in DIMS if dim in field.dims))
    quantity = quantity_of(name, str(field.attrs.get("standard_name", "")))
    stated = units.get(name, units.get(in_file, field.attrs.get("units")))
    attributes = {**field.attrs, "units": quantity.unit if quantity else stated or ""}
    factor, offset = _conversion(quantity, in_file, where, stated) if quantity else SAME
    if (factor, offset) != SAME:
        field = field * factor + offset
    return field.astype(np.float32).assign_attrs(attributes)


def _conversion(quantity: Quantity, name: str, where: str, stated: str | None) -> tuple[float, float]:
    if stated is None and name in QUANTITIES and name == canonical_name(name):
        return _implied(quantity, name, where)
    unit = unit_spelling(str(stated or ""))
    if unit not in quantity.units:
        found = f"unit '{stated}'" if stated is not None else "no unit"
        raise DataFormatError(
            f"{where}: variable '{name}' has {found}; expected one of {quantity.accepts()}. Mend the attribute `units` "
            f"of the file, or state the unit in the configuration: units={{{name}: {quantity.unit}}}"
        )
    return quantity.units[unit]


def _implied(quantity: Quantity, name: str, where: str) -> tuple[float, float]:
    """WeatherBench 2 fixes a unit with each name, so a file need not repeat it; it is said, since it may be wrong."""
    warnings.warn(f"{where}: '{name}' states no unit; taken as {quantity.unit}", RuntimeWarning, stacklevel=5)
    return SAME


def _listed(values: object) -> str:
    """The first values of anything that can be iterated over."""
    shown = [str(value) for value in values]  # pyright: ignore[reportGeneralTypeIssues]
    return ", ".join(shown[:12]) + (", ..." if len(shown) > 12 else "")
