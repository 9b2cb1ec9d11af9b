"""Named data sets: what they hold, where they come from, and how they get onto this machine.

A data set is a few canonical files. `fetch` gives their paths and takes each from the first of these that has it whole:

1. TRIFOLD_DATA and the cache folder (see `common.data.locations`), used in place;
2. TRIFOLD_MIRROR, which then stands in for every public host: `<mirror>/<file name>`, or `<mirror>/<path of the url>`;
3. the public address of that very file, where there is one;
4. the public originals, which the data set's converter turns into the canonical files.

Everything is verified by SHA-256. What a converter writes need not be the published packed file byte for byte (another
zlib is enough), so its SHA-256 is recorded beside it in `<file>.origin.json` and verified from then on.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import uuid
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from common.app.errors import DownloadError
from common.app.registry import did_you_mean
from common.data.artifact import sha256_of
from common.data.download import download, holds
from common.data.locations import data_folders, download_folder, is_url, mirrored
from common.data.lock import locked

State = Literal["registered", "converted", "unregistered", "damaged", "missing"]
"""registered: the published packed file; converted: made here from the originals and unchanged since;
unregistered: there, but no SHA-256 is known for it."""


@dataclass(frozen=True)
class File:
    """A file of a data set, or a public original.

    name    path below a data folder or mirror, such as "materials/mp2018_train.npz"
    bytes   its size; with `sha256=None` the most it may have
    sha256  None where the publisher's bytes are not fixed or not known; then nothing but its size is checked
    url     public address of this very file
    """

    name: str
    bytes: int
    sha256: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class Source:
    """Public originals and what turns them into canonical files.

    converter  "module:function", called with ({last part of the name: path of the original}, folder to write into);
               its files are named like the last parts of the canonical names
    """

    files: tuple[File, ...]
    converter: str


@dataclass(frozen=True)
class Dataset:
    """What is known about a data set before any of it is on this machine."""

    name: str
    title: str
    description: str
    licence: str
    citation: str
    homepage: str
    files: tuple[File, ...]
    sources: tuple[Source, ...] = ()
    store: str | None = None
    """Address of a public store too large to fetch: what is needed of it is read in place."""

    @property
    def bytes(self) -> int:
        """Size of the packed files whose content is registered."""
        return sum(file.bytes for file in self.files if file.sha256)

    def select(self, only: Sequence[str] | None) -> list[File]:
        """The files called `only`; by default those with a registered SHA-256, or all where none has one."""
        if only is None:
            return [file for file in self.files if file.sha256] or list(self.files)
        known = {file.name: file for file in self.files}
        for name in only:
            if name not in known:
                raise DownloadError(f"data set '{self.name}' has no file '{name}'. {did_you_mean(name, list(known))}")
        return [known[name] for name in only]


def fetch(dataset: Dataset, only: Sequence[str] | None = None, offline: bool = False) -> dict[str, Path]:
    """Paths of a data set's files by name, brought to this machine where they are not there yet.

    only     names of the files wanted (default: all with a registered SHA-256, or all where none has one)
    offline  never touch the network; folders, a mirror that is a folder, and originals already here still serve

    Raises DownloadError that lists what was tried and says how to get the data, their size and licence.
    """
    wanted, tried = dataset.select(only), []
    paths = {file.name: path for file in wanted if (path := _obtain(file, offline, tried))}
    if len(paths) < len(wanted):
        for source in dataset.sources:
            try:
                _convert(dataset, source, [file.name for file in wanted], offline)
            except DownloadError as error:
                tried.append(str(error))
                continue
            paths |= {file.name: path for file in wanted if (path := _inspect(file)[1])}
            break
    missing = [file.name for file in wanted if file.name not in paths]
    if missing:
        raise DownloadError(_how_to_get(dataset, missing, tried, offline))
    return paths


def locate(dataset: Dataset, only: Sequence[str] | None = None) -> dict[str, Path] | None:
    """Paths of the files if all of them are here and whole, else None; changes nothing."""
    paths = {file.name: path for file in dataset.select(only) if (path := _inspect(file)[1])}
    return paths if len(paths) == len(dataset.select(only)) else None


def verify(dataset: Dataset) -> dict[str, State]:
    """The state of every file, by name; changes nothing.

    Raises DownloadError if a file is damaged, or one with a registered SHA-256 is missing.
    """
    states: dict[str, State] = {file.name: _inspect(file)[0] for file in dataset.files}
    required = {file.name for file in dataset.select(None)}
    wrong = [name for name, state in states.items() if state == "damaged" or (state == "missing" and name in required)]
    if wrong:
        tried = [f"{name} is {states[name]}" for name in wrong]
        raise DownloadError(_how_to_get(dataset, wrong, tried, offline=False))
    return states


def _inspect(file: File) -> tuple[State, Path | None]:
    """What is on this machine of `file`: its state, and its path if it can be used."""
    found: State = "missing"
    for folder in data_folders():
        path = folder / file.name
        if not path.is_file():
            continue
        if file.sha256 and holds(path, file.bytes, file.sha256):
            return "registered", path
        if origin := _origin_of(path):
            if origin == sha256_of(path):
                return "converted", path
        elif file.sha256 is None and holds(path, file.bytes, None):
            return "unregistered", path
        found = "damaged"
    return found, None


def _obtain(file: File, offline: bool, tried: list[str]) -> Path | None:
    """`file` from a data folder, the mirror or its own address; None, and the reasons added to `tried`, if nowhere."""
    state, path = _inspect(file)
    if path:
        return path
    if state == "damaged":
        tried.append(f"the copy of {file.name} here is not what was registered (expected SHA-256 {file.sha256})")
        warnings.warn(f"{tried[-1]}; looking for another", RuntimeWarning, stacklevel=3)
    for location in _locations(file):
        if offline and is_url(location):
            tried.append(f"{location} was not asked: offline")
            continue
        try:
            return download(location, download_folder() / file.name, size=file.bytes, sha256=file.sha256)
        except DownloadError as error:
            tried.append(str(error))
    return None


def _locations(file: File) -> list[str]:
    if mirror := mirrored(file.name):
        by_path = mirrored(urlsplit(file.url).path) if file.url else None
        return [mirror, by_path] if by_path else [mirror]
    return [file.url] if file.url else []


def _convert(dataset: Dataset, source: Source, wanted: list[str], offline: bool) -> None:
    """Make the canonical files that are not here yet out of the public originals, in the download folder."""
    folder = download_folder()
    work = folder / f".{dataset.name}.{uuid.uuid4().hex[:8]}.converting"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / f"{dataset.name}.converting") as alone:
            if locate(dataset, wanted):
                return  # converted while this process waited
            if alone:  # whoever left these behind is dead: it would hold the lock
                for leftover in folder.glob(f".{dataset.name}.*.converting/"):
                    shutil.rmtree(leftover)
            originals = {Path(file.name).name: path for file, path in _originals(source, offline).items()}
            work.mkdir()
            module, _, function = source.converter.partition(":")
            getattr(importlib.import_module(module), function)(originals, work)
            for file in dataset.files:
                written = work / Path(file.name).name
                if written.is_file() and _inspect(file)[1] is None:
                    _publish(written, folder / file.name, source)
    except OSError as error:
        raise DownloadError(f"cannot convert '{dataset.name}' in {folder} ({error}); set TRIFOLD_CACHE") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def fetch_originals(dataset: Dataset, offline: bool = False) -> dict[File, Path]:
    """The public originals of the first source that can be had whole; raises DownloadError where none can."""
    tried = []
    for source in dataset.sources:
        try:
            return _originals(source, offline)
        except DownloadError as error:
            tried.append(str(error))
    raise DownloadError("\n".join([f"the originals of '{dataset.name}' cannot be had:", *tried]))


def _originals(source: Source, offline: bool) -> dict[File, Path]:
    tried: list[str] = []
    paths = {file: _obtain(file, offline, tried) for file in source.files}
    found = {file: path for file, path in paths.items() if path}
    if len(found) < len(paths):
        raise DownloadError("\n".join(tried))
    return found


def _publish(written: Path, target: Path, source: Source) -> None:
    """Move a converted file into place, its record first: a record without its file counts as missing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    record = {"sha256": sha256_of(written), "converter": source.converter, "originals": [f.url for f in source.files]}
    note = written.with_name(f"{written.name}.origin.json")
    note.write_text(json.dumps(record, indent=1))
    os.replace(note, _origin_path(target))
    os.replace(written, target)


def _origin_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.origin.json")


def _origin_of(path: Path) -> str | None:
    """SHA-256 that was recorded when `path` was converted here; None without a readable record."""
    try:
        return json.loads(_origin_path(path).read_text())["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _how_to_get(dataset: Dataset, missing: list[str], tried: list[str], offline: bool) -> str:
    lines = [
        f"data set '{dataset.name}' ({dataset.title}; {dataset.bytes / 1e6:.1f} MB packed; licence: {dataset.licence}) "
        f"is not complete here: {', '.join(missing)} not found in {' or '.join(map(str, data_folders()))}",
        *(f"  tried: {line}" for text in tried for line in text.splitlines()),
        f"To get it: `trifold data fetch {dataset.name}`" + (" without offline=true" if offline else ""),
        f"  or set TRIFOLD_DATA to a folder, or TRIFOLD_MIRROR to a folder or http(s) address, that holds {missing[0]}",
    ]
    return "\n".join(lines)
