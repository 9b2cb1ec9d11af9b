"""Arrays that are costly to compute and cheap to read: built once for each content and code version."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from common.app.errors import CheckpointError, DataFormatError
from common.data.artifact import read_arrays, read_json, verify_artifact, write_artifact
from common.data.locations import cache_folder
from common.data.lock import locked

ARRAYS = "arrays.safetensors"
KEY = "key.json"

Arrays = dict[str, np.ndarray]


def cached_arrays(kind: str, key: Mapping[str, Any], version: str, build: Callable[[], Arrays]) -> Arrays:
    """What `build()` returns, from `<cache>/processed/<kind>-<hash>/` where it was built before.

    kind     a word for the folder's name, such as "graphs"
    key      JSON values that decide the content: the SHA-256 of the source file, every parameter
    version  of the code that builds; changed whenever its result changes
    build    makes arrays of numbers or Booleans

    Every byte is verified on opening. A damaged folder is built anew, with a warning that names the file. While one
    process builds, others wait for its result. Where the cache cannot be written, the arrays are built in memory,
    with a warning. Raises DataFormatError if `build` gives text or objects.
    """
    text = json.dumps({"kind": kind, "key": dict(key), "version": version}, sort_keys=True, allow_nan=False)
    description, digest = json.loads(text), hashlib.sha256(text.encode()).hexdigest()
    folder = cache_folder() / "processed" / f"{kind}-{digest[:24]}"
    with suppress(CheckpointError):
        return _open(folder, description)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return _unsaved(folder, error, _checked(build()))
    with locked(folder) as alone:
        if folder.exists():
            try:
                return _open(folder, description)  # built while this process waited
            except CheckpointError as error:
                warnings.warn(f"{error}; building it again", RuntimeWarning, stacklevel=2)
        if alone:  # whoever left these behind is dead: it would hold the lock
            for leftover in folder.parent.glob(f".{folder.name}.*/"):
                shutil.rmtree(leftover, ignore_errors=True)
        arrays = _checked(build())
        try:
            write_artifact(folder, {ARRAYS: arrays, KEY: description})
        except OSError as error:
            return _unsaved(folder, error, arrays)
    return arrays


def _open(folder: Path, description: dict[str, Any]) -> Arrays:
    try:
        entries = verify_artifact(folder)
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be read ({error!r})") from error
    if not {ARRAYS, KEY} <= entries.keys() or read_json(folder, KEY) != description:
        raise CheckpointError(f"{folder} holds no {ARRAYS} made for this {KEY}: it was put together by hand")
    return read_arrays(folder, ARRAYS)


def _checked(arrays: Arrays) -> Arrays:
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise DataFormatError(f"array '{name}' has dtype {array.dtype}; the cache holds numbers and Booleans only")
    return arrays


def _unsaved(folder: Path, error: OSError, arrays: Arrays) -> Arrays:
    warnings.warn(
        f"{folder} cannot be written ({error}), so this will be computed again next time; set TRIFOLD_CACHE to a "
        "folder with room and rights",
        RuntimeWarning,
        stacklevel=3,
    )
    return arrays
