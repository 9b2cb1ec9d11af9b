"""Files and stores of fields, opened lazily: NetCDF, Zarr (v2 and v3) and GRIB, from a folder, a URL or a bucket.

    open_fields("era5/*.nc")                                    many files as one
    open_fields("https://host/store.zarr", ["2m_temperature"])
    open_fields("gs://bucket/store.zarr")                       needs pip install 'trifold[cloud]'
    open_fields("analysis.grib2")                               needs pip install 'trifold[grib]'

Where TRIFOLD_MIRROR is set it stands in for the host of every address.
"""

from __future__ import annotations

import glob
import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np
import xarray as xr

from common.app.errors import ConfigError, DataFormatError, DownloadError
from common.data.locations import cache_folder, is_url, mirrored
from weather.data.canonical import canonical, grid_of, names_in, pick
from weather.data.fields import READ_ERRORS
from weather.data.quantities import canonical_name
from weather.data.times import report_gaps

Kind = Literal["zarr", "netcdf", "grib"]

ZARR_FILES = (".zmetadata", ".zgroup", ".zattrs", "zarr.json")
SUFFIXES: dict[str, Kind] = {
    ".zarr": "zarr", ".nc": "netcdf", ".nc4": "netcdf", ".cdf": "netcdf", ".h5": "netcdf", ".grib": "grib",
    ".grib2": "grib", ".grb": "grib", ".grb2": "grib",
}  # fmt: skip
MAGIC: dict[bytes, Kind] = {b"\x89HDF": "netcdf", b"CDF": "netcdf", b"GRIB": "grib"}
"""By the first bytes of a file, which a wrong name cannot hide."""

ANONYMOUS: dict[str, dict[str, Any]] = {"gs": {"token": "anon"}, "gcs": {"token": "anon"}, "s3": {"anon": True}}
"""Public buckets ask for no account."""

PIECE_BYTES = 4_000_000
"""What is read of a NetCDF variable at once, about: little, since windows are read here and there."""

Location = str | Path


def open_fields(
    source: Location | Sequence[Location],
    variables: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
    offline: bool = False,
) -> xr.Dataset:
    """Fields in canonical form (see `canonical`), read when they are used.

    source     a file, a store, an address, a pattern, a folder of files, or several of these; files that hold other
               times follow one another, files that hold other variables are put side by side
    variables  those that are wanted, each in one file at least; by default all
    units      by variable, in place of what the files state
    offline    addresses are refused

    Raises DataFormatError, DownloadError or ConfigError naming the file and what to do.
    """
    locations = expand(source)
    parts = []
    for location in locations:
        with _opening(location):
            raw = _open(location, offline)
        names = names_in(raw, location)
        wanted = None if variables is None else [name for name in variables if _holds(names, name)]
        if len(locations) == 1:
            wanted = variables  # so that the error names what this one lacks
        if wanted is None or wanted:
            parts.append((location, canonical(raw, location, wanted, units)))
    if not parts:
        raise DataFormatError(f"{_shown(locations)} holds none of {', '.join(variables or ())}; see `ncdump -h`")
    joined = _joined(parts)
    names = {field.attrs["name_in_file"]: str(name) for name, field in joined.items()}
    for name in units or {}:
        pick(name, names, _shown(locations))
    return joined if variables is None else joined[[names[pick(name, names, _shown(locations))] for name in variables]]


def expand(source: Location | Sequence[Location]) -> list[str]:
    """The files, stores and addresses that a source stands for, in the order of their names."""
    if not isinstance(source, (str, Path)):
        return [location for one in source for location in expand(one)]
    text = str(source)
    if "://" in text:
        return [text]
    path = Path(text).expanduser()
    if path.is_dir() and not _is_zarr(path):
        found = [p for p in sorted(path.iterdir()) if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    elif path.exists():
        found = [path]
    else:
        found = [Path(name) for name in sorted(glob.glob(str(path)))]
    if not found:
        raise DataFormatError(
            f"{text}: found no file; expected a file, a folder or a pattern of {', '.join(SUFFIXES)}, or an address"
        )
    return [str(path) for path in found]


def address_of(location: str, offline: bool) -> str:
    """Where an address leads: to the mirror, if there is one. Raises DownloadError for the network while offline."""
    if "://" not in location:
        return location
    parts = urlsplit(location)
    bucket = "" if is_url(location) else f"/{parts.netloc}"
    target = mirrored(bucket + parts.path) or location
    if offline and "://" in target:
        raise DownloadError(
            f"{location} was not asked: offline; go online, or set TRIFOLD_MIRROR to a folder that holds "
            f"{(bucket + parts.path).lstrip('/')}"
        )
    return target


def _open(location: str, offline: bool) -> xr.Dataset:
    target = address_of(location, offline)
    kind = _kind(target, location)
    options: dict[str, Any] = {"decode_timedelta": False}
    if kind == "grib":
        return _open_grib(target, location)
    if kind == "zarr":
        # Stores lay out their own chunks; a listing of files, which http has not, is needed without `consolidated`.
        options |= {"chunks": {}, "storage_options": ANONYMOUS.get(urlsplit(target).scheme)}
        return xr.open_dataset(target, engine="zarr", **options)
    path = _brought_here(target) if "://" in target else target
    dataset = xr.open_dataset(path, engine="netcdf4", **options)
    return dataset.chunk(_pieces(dataset))


def _open_grib(target: str, location: str) -> xr.Dataset:
    if "://" in target:
        raise ConfigError(f"{location}: GRIB is read from files on this machine only; download it first")
    try:
        import cfgrib  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError) as error:
        raise ConfigError(
            f"{location} is GRIB, which needs cfgrib ({error}): pip install 'trifold[grib]', or convert it to NetCDF "
            "with `grib_to_netcdf` or `cdo -f nc4 copy`"
        ) from error
    # Messages on other kinds of level cannot share one cube; each kind is one, without an index file beside it.
    cubes = cfgrib.open_datasets(target, backend_kwargs={"indexpath": ""}, chunks={}, decode_timedelta=False)
    return xr.merge([_cube(cube) for cube in cubes], compat="override", join="outer")


def _cube(cube: xr.Dataset) -> xr.Dataset:
    """Time and pressure as axes even where there is one only; of the other scalars ("2 m above ground") none."""
    scalars = [name for name, value in cube.coords.items() if value.ndim == 0]
    axes = [name for name in scalars if name in ("time", "isobaricInhPa")]
    return cube.expand_dims(axes).drop_vars([name for name in scalars if name not in axes])


def _pieces(dataset: xr.Dataset) -> dict[Hashable, int]:
    """Lengths along the leading dimension, whole chunks of the file where it has chunks."""
    pieces: dict[Hashable, int] = {}
    for variable in dataset.data_vars.values():
        if variable.ndim > 2:
            dim, length = variable.dims[0], max(1, PIECE_BYTES * variable.shape[0] // max(1, variable.nbytes))
            stored = (variable.encoding.get("preferred_chunks") or {}).get(dim, 1)
            pieces[dim] = max(pieces.get(dim, 1), -(-length // stored) * stored)
    return pieces


def _brought_here(address: str) -> str:
    """A remote file's copy in the cache: NetCDF is not made to be read in pieces. A newer one takes its place."""
    import fsspec

    place = {"cache_storage": str(cache_folder() / "remote"), "check_files": True}
    options = {urlsplit(address).scheme: ANONYMOUS.get(urlsplit(address).scheme, {}), "filecache": place}
    return fsspec.open_local(f"filecache::{address}", mode="rb", **options)  # pyright: ignore[reportReturnType]


def _kind(target: str, location: str) -> Kind:
    if "://" in target:
        return SUFFIXES.get(Path(urlsplit(target).path).suffix.lower(), "zarr")
    path = Path(target)
    if not path.exists():
        raise DownloadError(f"{location}: {target} is not there; check the path, or TRIFOLD_MIRROR")
    if path.is_dir():
        if _is_zarr(path):
            return "zarr"
        raise DataFormatError(f"{location} is a folder without {', '.join(ZARR_FILES)}; expected a Zarr store")
    with path.open("rb") as stream:
        head = stream.read(4)
    kind: Kind | None = next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)
    if kind is None:
        raise DataFormatError(
            f"{location} begins with {head!r}; expected NetCDF, GRIB or a Zarr store. A damaged file has to be fetched "
            "again, an archive unpacked first"
        )
    return kind


def _is_zarr(path: Path) -> bool:
    return any((path / name).is_file() for name in ZARR_FILES)


@contextmanager
def _opening(location: str) -> Iterator[None]:
    scheme = urlsplit(location).scheme
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*consolidated.*")
            yield
    except ImportError as error:
        raise ConfigError(
            f"{location}: {scheme or 'this kind of file'} needs a package that is not installed ({error}): "
            "pip install 'trifold[cloud]'"
        ) from error
    except (FileNotFoundError, KeyError) as error:
        raise DataFormatError(
            f"{location} holds no Zarr metadata that can be found ({type(error).__name__}: {str(error)[:200]}). Check "
            "the address; a store that is served over http must be consolidated: zarr.consolidate_metadata(path)"
        ) from error
    except READ_ERRORS as error:
        raise DataFormatError(
            f"{location} cannot be opened ({type(error).__name__}: {str(error)[:300]}); the file is damaged, cut off, "
            "or not what its name says: fetch it again"
        ) from error


def _holds(names: Mapping[str, str], name: str) -> bool:
    return name in names or canonical_name(name) in names.values()


def _joined(parts: list[tuple[str, xr.Dataset]]) -> xr.Dataset:
    """Datasets with the same variables one after another, the others side by side."""
    first, dataset = parts[0]
    if len(parts) == 1:
        return dataset
    grid = grid_of(dataset, first)
    for location, other in parts[1:]:
        grid.require(grid_of(other, location), location)
    groups: dict[tuple[str, ...], list[tuple[str, xr.Dataset]]] = {}
    for location, part in parts:
        same = part.assign_coords(latitude=dataset["latitude"], longitude=dataset["longitude"])
        groups.setdefault(tuple(sorted(map(str, part))), []).append((location, same))
    columns = [_in_sequence(group) for group in groups.values()]
    steady = [column for column in columns if "time" not in column.dims]
    moving = [column for column in columns if "time" in column.dims]
    if len({tuple(column["time"].values) for column in moving}) > 1:
        merged = xr.align(*moving, join="inner", copy=False)
        longest = max(column.sizes["time"] for column in moving)
        warnings.warn(
            f"{_shown([p[0] for p in parts])}: variables share {merged[0].sizes['time']} of {longest} times; "
            "the others are left out",
            RuntimeWarning,
            stacklevel=3,
        )
        moving = list(merged)
    try:
        return xr.merge([*moving, *steady], join="exact", compat="override", combine_attrs="override")
    except ValueError as error:
        raise DataFormatError(
            f"{_shown([p[0] for p in parts])} do not fit together: {str(error)[:300]}; open them one by one"
        ) from error


def _in_sequence(group: list[tuple[str, xr.Dataset]]) -> xr.Dataset:
    if len(group) == 1:
        return group[0][1]
    where = _shown([location for location, _ in group])
    if not all("time" in part.dims for _, part in group):
        raise DataFormatError(f"{where} hold the same variables and no time to tell them apart; give one of them")
    levels = {tuple(part["level"].values) if "level" in part.dims else () for _, part in group}
    if len(levels) > 1:
        raise DataFormatError(f"{where} hold the same variables on other levels: {sorted(levels)}; choose the same")
    parts = sorted((part for _, part in group), key=lambda part: part["time"].values[0])
    joined = xr.concat(parts, "time", data_vars="minimal", coords="minimal", compat="override", join="override")
    times, first = np.unique(joined["time"].values, return_index=True)
    if len(times) < joined.sizes["time"]:
        warnings.warn(
            f"{where}: {joined.sizes['time'] - len(times)} times are in more than one file; kept the first of each",
            RuntimeWarning,
            stacklevel=4,
        )
    if not np.array_equal(first, np.arange(joined.sizes["time"])):
        joined = joined.isel(time=first)
    report_gaps(times, where)
    return joined


def _shown(locations: Sequence[str]) -> str:
    return locations[0] if len(locations) == 1 else f"{locations[0]} and {len(locations) - 1} more"
