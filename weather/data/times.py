"""The time axis of a file: decoded, ascending, no time twice, and its gaps known."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import xarray as xr

from common.app.errors import DataFormatError

GREGORIAN = ("standard", "gregorian", "proleptic_gregorian")
HOUR = np.timedelta64(1, "h")


@dataclass(frozen=True)
class Gaps:
    """Where an ascending time axis leaves its rhythm.

    step    its most frequent spacing, the smaller of two equally frequent ones
    before  [G] the last time before each wider spacing
    after   [G] the first time behind it
    """

    step: np.timedelta64
    before: np.ndarray
    after: np.ndarray

    @classmethod
    def of(cls, times: np.ndarray) -> Gaps:
        """Of datetime64 [T], ascending; needs two times or more."""
        spacing = np.diff(times)
        steps, counts = np.unique(spacing, return_counts=True)
        step = steps[counts.argmax()]
        wide = np.flatnonzero(spacing > step)
        return cls(step, times[wide], times[wide + 1])

    @property
    def missing(self) -> int:
        """How many times of the rhythm are not there."""
        return int(((self.after - self.before) // self.step - 1).sum())


def canonical_times(dataset: xr.Dataset, where: str) -> xr.Dataset:
    """Times as datetime64[ns], ascending and unique; warns of times that were dropped or that are missing.

    Raises DataFormatError for an axis that is no time, or a calendar whose dates do not exist.
    """
    if "time" not in dataset.dims:
        return dataset
    dataset = _gregorian(dataset, where)
    times = dataset["time"].values.astype("datetime64[ns]")
    if np.isnat(times).any():
        raise DataFormatError(f"{where}: time lacks {int(np.isnat(times).sum())} of its {len(times)} values; mend it")
    unique, first = np.unique(times, return_index=True)
    if len(unique) < len(times):
        repeated = unique[np.bincount(np.searchsorted(unique, times)) > 1]
        warnings.warn(
            f"{where}: {len(times) - len(unique)} times are there twice, the first is {repeated[0]}; kept what comes "
            "first in the file",
            RuntimeWarning,
            stacklevel=4,
        )
    dataset = dataset.assign_coords(time=("time", times, {"standard_name": "time"}))
    if not np.array_equal(first, np.arange(len(times))):
        dataset = dataset.isel(time=first)
    report_gaps(unique, where)
    return dataset


def report_gaps(times: np.ndarray, where: str) -> None:
    """Warn where an ascending axis has gaps."""
    if len(times) < 2 or not len((gaps := Gaps.of(times)).before):
        return
    warnings.warn(
        f"{where}: {gaps.missing} times are missing at a step of {gaps.step / HOUR:g} h, the first between "
        f"{gaps.before[0].astype('datetime64[m]')} and {gaps.after[0].astype('datetime64[m]')}; no "
        "sample crosses a gap",
        RuntimeWarning,
        stacklevel=5,
    )


def lead_times(dataset: xr.Dataset, where: str) -> xr.Dataset:
    """`prediction_timedelta` as timedelta64[ns], from hours or days where a file has numbers."""
    if "prediction_timedelta" not in dataset.dims:
        return dataset.drop_vars("prediction_timedelta", errors="ignore")
    lead = dataset["prediction_timedelta"]
    if lead.dtype.kind != "m":
        unit = str(lead.attrs.get("units", "")).rstrip("s").lower()
        hours = {"hour": 1, "h": 1, "hr": 1, "day": 24, "minute": 1 / 60, "second": 1 / 3600}.get(unit)
        if hours is None or lead.dtype.kind not in "iuf":
            raise DataFormatError(
                f"{where}: lead times have unit '{lead.attrs.get('units', '')}' and dtype {lead.dtype}; expected hours"
            )
        lead = (lead * round(hours * 3600)).astype("timedelta64[s]")
    values = lead.values.astype("timedelta64[ns]")
    return dataset.assign_coords(prediction_timedelta=("prediction_timedelta", values))


def _gregorian(dataset: xr.Dataset, where: str) -> xr.Dataset:
    time = dataset["time"]
    if time.dtype.kind == "M":
        return dataset
    calendar = getattr(time.values.flat[0], "calendar", None) if time.dtype.kind == "O" else None
    if calendar is None:
        raise DataFormatError(
            f"{where}: time holds {time.values.flat[0]!r} with unit '{time.attrs.get('units', '')}'; expected dates, "
            "or numbers with a unit such as 'hours since 1900-01-01'"
        )
    if calendar in GREGORIAN or calendar in ("noleap", "365_day"):  # all its dates exist; 29 February is a gap
        try:
            return dataset.convert_calendar("standard", use_cftime=False)
        except ValueError as error:
            raise DataFormatError(
                f"{where}: time runs from {time.values.min()} to {time.values.max()}; expected dates from 1678 to "
                "2262. Check the unit of time"
            ) from error
    raise DataFormatError(
        f"{where}: time is in calendar '{calendar}', some of whose dates do not exist; convert it first, with xarray: "
        "dataset.convert_calendar('standard', align_on='date')"
    )
