"""A folder of files that is either whole or absent: checkpoints, caches and pretrained models.

    folder/model.safetensors   tensors
    folder/model.json          anything JSON can say
    folder/manifest.json       size and SHA-256 of every other file

A folder is written under a temporary name, flushed to the disk, and renamed; a reader checks every byte
against the manifest, because safetensors (like torch.load) loads a flipped byte without complaint.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.app.errors import CheckpointError, StorageError

if TYPE_CHECKING:
    import torch

MANIFEST = "manifest.json"

NOT_WRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO})
"""Kinds of OSError that are the disk's, not ours."""

Content = Mapping[str, Any] | str | bytes
"""`*.safetensors`: a mapping of torch tensors or numpy arrays; `*.json`: a mapping; else text or bytes."""


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder to write files into; on leaving, it gets its manifest and takes the place of `folder`.

    After an exception nothing of it remains. Raises StorageError where the disk is full or may not be written.
    """
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        entries = {}
        for path in sorted(temporary.iterdir()):
            _sync(path)
            entries[path.name] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        (temporary / MANIFEST).write_text(json.dumps({"files": entries}, indent=1))
        _sync(temporary / MANIFEST)
        _sync(temporary)
        _replace(temporary, folder)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in NOT_WRITABLE:
            raise StorageError(
                f"{folder} cannot be written: {error.strerror}. What was there before is as it was: make room or "
                "choose another folder, and go on from there"
            ) from error
        raise


def write_artifact(folder: Path, files: Mapping[str, Content]) -> None:
    """Write `files` (name -> content) as one folder, atomically; an existing folder is replaced."""
    with staged_folder(folder) as temporary:
        for name, content in files.items():
            (temporary / name).write_bytes(encode(name, content))


def verify_artifact(folder: Path) -> dict[str, Any]:
    """Check every file of a folder against its manifest and return the manifest's entries.

    Raises CheckpointError naming the file that is missing, of the wrong length, or changed.
    """
    manifest = folder / MANIFEST
    try:
        entries = json.loads(manifest.read_text())["files"]
        expected = {name: (entry["bytes"], entry["sha256"]) for name, entry in entries.items()}
    except FileNotFoundError:
        raise CheckpointError(f"{manifest} is missing: '{folder}' is not a folder written by this suite") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{manifest} is damaged ({error}); restore the folder or write it again") from error
    for name, (size, sha256) in expected.items():
        path = folder / name
        if Path(name).name != name:
            raise CheckpointError(f"{manifest} names '{name}', which is not a plain file name: refusing to read it")
        if not path.is_file():
            raise CheckpointError(f"{path} is missing but listed in {MANIFEST}")
        if path.stat().st_size != size:
            raise CheckpointError(f"{path} has {path.stat().st_size} bytes, {MANIFEST} says {size}: truncated?")
        if sha256_of(path) != sha256:
            raise CheckpointError(f"{path} does not match its SHA-256 in {MANIFEST}: the file was changed or damaged")
    return entries


def read_json(folder: Path, name: str) -> Any:
    """A JSON file of a verified folder."""
    return json.loads((folder / name).read_text())


def read_arrays(folder: Path, name: str) -> dict[str, np.ndarray]:
    """A safetensors file of a verified folder as numpy arrays."""
    from safetensors.numpy import load_file

    with _readable(folder / name):
        return load_file(folder / name)


def read_tensors(folder: Path, name: str, device: str = "cpu") -> dict[str, torch.Tensor]:
    """A safetensors file of a verified folder as torch tensors."""
    from safetensors.torch import load_file

    with _readable(folder / name):
        return load_file(folder / name, device=device)


def encode(name: str, content: Content) -> bytes:
    """The bytes of one file of an artifact."""
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode()
    if name.endswith(".json"):
        return json.dumps(content, indent=1, allow_nan=False).encode()
    if all(isinstance(value, np.ndarray) for value in content.values()):
        from safetensors.numpy import save

        return save({key: np.ascontiguousarray(value) for key, value in content.items()})
    from safetensors.torch import save as save_tensors

    return save_tensors({key: value.detach().cpu().contiguous() for key, value in content.items()})


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a safetensors file ({error}); restore it or write it again") from error


def _replace(temporary: Path, folder: Path) -> None:
    """Rename onto `folder`; a folder cannot be renamed over a full one, so the old one steps aside first."""
    if folder.exists():
        aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.old")
        folder.rename(aside)
        temporary.rename(folder)
        shutil.rmtree(aside)
    else:
        temporary.rename(folder)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
