"""Reading published weights as plain tensors: torch.save files, safetensors folders and npz."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from common.app.errors import CheckpointError


class Inert:
    """Stands for any class that a file names beside its tensors, such as settings; takes anything, does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> Inert:
        return super().__new__(cls)

    def __setstate__(self, _: Any) -> None: ...


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a torch.save file that holds a dictionary.

    torch's restricted unpickler reads it, with `Inert` for every class that it does not know, so no code of or named
    by the file runs. Raises CheckpointError for a file that is missing, damaged, or holds no dictionary.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
            with torch.serialization.safe_globals([(Inert, name) for name in foreign]):
                content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except Exception as error:  # the unpickler raises whatever a damaged or hostile file makes it raise
        raise CheckpointError(f"{path} cannot be read without running code from it: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds {type(content).__name__}, expected a dictionary of weights")
    return content


def read_safetensors(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings (config.json) and tensors of a Hugging Face folder, in one file or several with an index.

    Raises CheckpointError where a file is missing or damaged, or the index names one outside the folder.
    """
    settings = _read_json(folder / "config.json")
    index = folder / "model.safetensors.index.json"
    several = index.exists()
    names = set(_read_json(index).get("weight_map", {}).values()) if several else {"model.safetensors"}
    tensors: dict[str, Tensor] = {}
    for name in sorted(names, key=str):
        if not isinstance(name, str) or Path(name).name != name:
            raise CheckpointError(f"{index} names the file {name!r}; expected names of files beside it")
        try:
            tensors |= load_file(folder / name)
        except FileNotFoundError:
            raise CheckpointError(f"{folder / name}: no such file; expected safetensors beside config.json") from None
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{folder / name} is damaged: {error}") from error
    return settings, tensors


def read_npz(path: Path) -> dict[str, Tensor]:
    """All arrays of an npz file; raises CheckpointError where it is missing, damaged or holds objects."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is no npz file of plain arrays: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is no JSON file: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds {type(content).__name__}, expected an object")
    return content
