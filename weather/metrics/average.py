"""Weighted means over tensors and over labelled fields, and what both have in common.

A field is a tensor, a NumPy array (which becomes a tensor) or a DataArray; functions return the kind they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import wraps
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from common.app.errors import DataFormatError
from weather.metrics.weights import area_weights

Field = Any
"""A tensor, NumPy array, DataArray or Dataset: no annotation can say that all of a call are of one kind."""

Keep = Sequence[Hashable]


def of_each_variable(score: Callable[..., Any]) -> Callable[..., Any]:
    """Let a score of DataArrays take Datasets; of several, the variables of the first."""

    @wraps(score)
    def wrapper(*fields: Any, **options: Any) -> Any:
        given = [*fields, *options.values()]
        sets = [field for field in given if isinstance(field, xr.Dataset)]
        if not sets:
            return score(*fields, **options)
        for other in sets[1:]:
            if missing := [str(name) for name in sets[0] if name not in other]:
                raise DataFormatError(
                    f"the forecast holds '{missing[0]}', the data it is compared with only "
                    f"{', '.join(map(str, other))}; leave the variable out, or give its truth"
                )

        def part(value: Any, name: Hashable) -> Any:
            return value[name] if isinstance(value, xr.Dataset) else value

        return xr.Dataset(
            {
                name: score(*(part(f, name) for f in fields), **{k: part(v, name) for k, v in options.items()})
                for name in sets[0]
            }
        )

    return wrapper


def aligned(*fields: Any) -> tuple[Any, ...]:
    """All as DataArrays on the same points, or all as tensors on the device of the first; numbers as either.

    Raises DataFormatError where kinds are mixed or coordinates differ.
    """
    if not any(isinstance(field, xr.DataArray) for field in fields):
        first = torch.as_tensor(fields[0])
        numbers = (np.float64(field) if isinstance(field, float | int) else field for field in fields[1:])
        return first, *(torch.as_tensor(field, device=first.device) for field in numbers)
    fields = tuple(xr.DataArray(field) if isinstance(field, float | int) else field for field in fields)
    if not all(isinstance(field, xr.DataArray) for field in fields):
        found = ", ".join(type(field).__name__ for field in fields)
        raise DataFormatError(f"fields of several kinds: {found}; give all as DataArrays, or all as tensors")
    try:
        return xr.align(*fields, join="exact", copy=False)
    except ValueError as error:
        raise DataFormatError(
            f"forecast and truth have different coordinates: {error}. Choose the same points of both; "
            "`weather.metrics.verifying` picks the truth at a forecast's valid times"
        ) from error


def known(field: Any) -> Any:
    """Where there is a number."""
    return field == field


def average(values: Any, known: Any, weights: Any = None, keep: Keep = ()) -> Any:
    """Mean over all dimensions but `keep` of the points that are known; NaN where a value of one of these is.

    values, known  of one kind; they broadcast with each other and with the weights
    """
    total, weight = sums(values, known, weights, keep)
    return total / weight


def sums(values: Any, known: Any, weights: Any = None, keep: Keep = ()) -> tuple[Any, Any]:
    """Of the weighted values, and of their weights; see `average`."""
    if isinstance(values, xr.DataArray):
        return _labelled_sums(values, known, weights, keep)
    values, known = torch.broadcast_tensors(values, known)
    weights = torch.as_tensor(1.0 if weights is None else weights, dtype=torch.float64, device=values.device)
    valid = known & ~values.isnan()
    axes = tuple(axis for axis in range(values.ndim) if axis not in kept_axes(values.ndim, keep))
    total, weight, lost = (
        (part.double() * weights).sum(axes) if axes else part.double() * weights
        for part in (values.where(valid, 0.0), known, known & ~valid)
    )
    return total.where(lost == 0, torch.nan), weight


def kept_axes(ndim: int, keep: Keep) -> list[int]:
    """Axes of a tensor, counted from the front."""
    return [int(axis) % ndim for axis in keep]  # pyright: ignore[reportArgumentType]


def _labelled_sums(values: xr.DataArray, known: xr.DataArray, weights: Any, keep: Keep) -> tuple[Any, Any]:
    values, known = xr.broadcast(values, known)
    if missing := [str(dim) for dim in keep if dim not in values.dims]:
        raise DataFormatError(
            f"cannot keep '{missing[0]}' of a field over ({', '.join(map(str, values.dims))}); name one of these"
        )
    weights = area_weights(values) if weights is None else weights
    dims = [dim for dim in values.dims if dim not in keep]
    valid = known & values.notnull()
    total, weight, lost = (
        xr.dot(part.astype(np.float64), weights, dim=dims) for part in (values.where(valid, 0.0), known, known & ~valid)
    )
    return total.where(lost == 0), weight


def with_members(ensemble: Any, truth: Any, members: Hashable | None) -> tuple[Any, Any, int]:
    """The ensemble, of tensors with its members first, their dimension and their number.

    Raises DataFormatError where the ensemble has no such dimension, or the truth has it too.
    """
    if isinstance(ensemble, xr.DataArray):
        name = "number" if members is None else members
        if name not in ensemble.dims or name in truth.dims:
            raise DataFormatError(
                f"an ensemble over ({', '.join(map(str, ensemble.dims))}), truth over "
                f"({', '.join(map(str, truth.dims))}): expected the ensemble, and it only, to have a dimension "
                f"'{name}'; name another with `members`"
            )
        return ensemble, name, ensemble.sizes[name]
    if ensemble.ndim != truth.ndim + 1:
        raise DataFormatError(
            f"an ensemble of shape {tuple(ensemble.shape)} and truth of {tuple(truth.shape)}: expected one axis more, "
            "of the members, the first unless `members` says which"
        )
    ensemble = ensemble.movedim(members or 0, 0)
    return ensemble, 0, len(ensemble)


def mean_over(values: Any, dim: Any) -> Any:
    """In float64, NaN where one value is."""
    return double(values).mean(dim, skipna=False) if isinstance(values, xr.DataArray) else double(values).mean(dim)


def double(values: Any) -> Any:
    """In float64."""
    return values.astype(np.float64) if isinstance(values, xr.DataArray) else values.double()


def over_members(core: Callable[[Tensor, Tensor], Tensor], ensemble: Any, truth: Any, members: Hashable | None) -> Any:
    """A function of tensors [..., M] and [...] -> [...] on fields of either kind, chunk by chunk."""
    ensemble, dim, _ = with_members(ensemble, truth, members)
    if isinstance(ensemble, xr.DataArray):
        return on_tensors(core, ensemble, truth, core_dims=[[dim], []])
    return core(ensemble.movedim(0, -1), truth)


def on_tensors(
    core: Callable[..., Tensor],
    *fields: xr.DataArray,
    core_dims: Sequence[Sequence[Hashable]],
    new_dims: dict[Hashable, int] | None = None,
) -> xr.DataArray:
    """`core` on the arrays of labelled fields, of which `core_dims` come last; lazily where they are lazy.

    new_dims  dimensions of the result that come last, with their sizes
    """
    new_dims = new_dims or {}
    return xr.apply_ufunc(
        lambda *arrays: core(*map(_tensor, arrays)).numpy(),
        *fields,
        input_core_dims=core_dims,
        output_core_dims=[list(new_dims)],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"allow_rechunk": True, "output_sizes": new_dims},
    )


def _tensor(array: np.ndarray) -> Tensor:
    """Without a copy wherever torch can share the memory."""
    array = np.require(array, array.dtype.newbyteorder("="), "W")
    return torch.from_numpy(array.copy() if min(array.strides, default=0) < 0 else array)
