"""BinaryCIF: mmCIF tables in MessagePack.

Sehnal et al., PLoS Comput. Biol. 16, e1008247 (2020), doi:10.1371/journal.pcbi.1008247. Decoded here, because
Biopython's reader builds objects an atom and does not read the tables of sequences.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from common.app.errors import ConfigError, DataFormatError
from protein.data.mmcif import ATOMS, WANTED, Tables

TYPES = {1: "<i1", 2: "<i2", 3: "<i4", 4: "<u1", 5: "<u2", 6: "<u4", 32: "<f4", 33: "<f8"}
LARGEST_COLUMN = 200_000_000
"""Rows: a bound on what a few bytes may unpack to."""


def tables_of(content: bytes, where: str) -> Tables:
    """The categories that matter of the first data block. Raises DataFormatError for what is not BinaryCIF."""
    try:
        import msgpack  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ConfigError(f"{where}: BinaryCIF needs the package msgpack; pip install msgpack, or use mmCIF") from None
    try:
        block = msgpack.unpackb(content, raw=False, strict_map_key=False)["dataBlocks"][0]
        return {
            f"{category['name']}.{column['name']}": _column(column)
            for category in block["categories"]
            if f"{category['name']}." in (*WANTED, ATOMS)
            for column in category["columns"]
        }
    except DataFormatError:
        raise
    except (
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        OverflowError,
        msgpack.UnpackException,
    ) as error:
        raise DataFormatError(f"{where} is not BinaryCIF ({error!r}); fetch it again") from error


def _column(column: dict[str, Any]) -> np.ndarray:
    values = _decode(column["data"]["data"], column["data"]["encoding"])
    if not column.get("mask"):
        return values
    absent = _decode(column["mask"]["data"], column["mask"]["encoding"]) != 0
    if not absent.any():
        return values
    return np.where(absent, "", values.astype(str))


def _decode(data: Any, encodings: list[dict[str, Any]]) -> np.ndarray:
    for encoding in reversed(encodings):
        data = _DECODERS[encoding["kind"]](data, encoding)
    return data


def _from_bytes(data: Any, encoding: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(data, TYPES[encoding["type"]])


def _from_fixed_point(data: Any, encoding: dict[str, Any]) -> np.ndarray:
    return (data / encoding["factor"]).astype(TYPES[encoding["srcType"]])


def _from_steps(data: Any, encoding: dict[str, Any]) -> np.ndarray:
    width = (encoding["max"] - encoding["min"]) / (encoding["numSteps"] - 1)
    return (encoding["min"] + data * width).astype(TYPES[encoding["srcType"]])


def _from_runs(data: Any, encoding: dict[str, Any]) -> np.ndarray:
    counts = data[1::2]
    if counts.astype(np.int64).sum() > LARGEST_COLUMN or (counts < 0).any():
        raise ValueError(f"runs of {counts.astype(np.int64).sum()} values")
    return np.repeat(data[::2], counts).astype(TYPES[encoding["srcType"]])


def _from_differences(data: Any, encoding: dict[str, Any]) -> np.ndarray:
    return (np.cumsum(data, dtype=np.int64) + encoding["origin"]).astype(TYPES[encoding["srcType"]])


def _from_packed_integers(data: Any, encoding: dict[str, Any]) -> np.ndarray:
    """A value at the end of the small type's range goes on in the next."""
    limits = np.iinfo(data.dtype)
    goes_on = data == limits.max
    if not encoding["isUnsigned"]:
        goes_on |= data == limits.min
    ends = np.flatnonzero(~goes_on)
    sums = np.cumsum(data, dtype=np.int64)[ends]
    return np.diff(sums, prepend=0).astype(np.int32 if not encoding["isUnsigned"] else np.uint32)


def _from_strings(data: Any, encoding: dict[str, Any]) -> np.ndarray:
    offsets = _decode(encoding["offsets"], encoding["offsetEncoding"])
    text = encoding["stringData"]
    words = [text[start:end] for start, end in pairwise(offsets)]
    return np.array([*words, ""], dtype=str)[_decode(data, encoding["dataEncoding"])]


_DECODERS = {
    "ByteArray": _from_bytes,
    "FixedPoint": _from_fixed_point,
    "IntervalQuantization": _from_steps,
    "RunLength": _from_runs,
    "Delta": _from_differences,
    "IntegerPacking": _from_packed_integers,
    "StringArray": _from_strings,
}
