"""`trifold data`: the data sets of all domains, how to get them, and on what terms."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table

from common.app.data_preparation import prepare
from common.app.errors import ConfigError, DownloadError
from common.app.registry import did_you_mean

if TYPE_CHECKING:
    from common.data.datasets import Dataset

ACTIONS = ("list", "fetch", "verify", "licence", "citation", "size", "mirror", "prepare")
ALL = "all"
REGISTRIES = (("data", "datasets", "DATASETS"), ("weights", "published", "WEIGHTS"))
"""Where a domain keeps them: <domain>/<room>/<module>.py, by this name."""


def run(words: list[str], domains: Sequence[str]) -> int:
    """`list`, `fetch|verify|licence|citation|size NAME ...`, `mirror FOLDER NAME ...`, `prepare key=value ...`.

    "all" stands for every name. Returns 1 where something is missing, damaged or cannot be had; the others are done.
    """
    action, *names = words or ["list"]
    if action not in ACTIONS:
        raise ConfigError(f"unknown action '{action}' of data. {did_you_mean(action, list(ACTIONS))}")
    if action == "prepare":
        return prepare(names, domains)
    known = registered(domains)
    if action == "list":
        Console().print(list_datasets(known))
        return 0
    act: Callable[[Dataset], bool]
    if action == "mirror":
        folder, *names = names or [""]
        if not folder or folder in known:
            raise ConfigError("trifold data mirror needs a folder, then names: trifold data mirror FOLDER NAME ...")
        act = partial(mirror, folder=Path(folder))
    else:
        act = {"fetch": fetch, "verify": verify, "licence": licence, "citation": citation, "size": size}[action]
    return 0 if all([_done(act, known[name]) for name in _chosen(names, known, action)]) else 1


def _chosen(names: list[str], known: Mapping[str, Dataset], action: str) -> list[str]:
    if not names:
        raise ConfigError(f"trifold data {action} needs a name, or {ALL}. Known: {', '.join(known)}.")
    if names == [ALL]:
        return list(known)
    for name in names:
        if name not in known:
            raise ConfigError(f"unknown data set '{name}'. {did_you_mean(name, list(known))}")
    return names


def _done(act: Callable[[Dataset], bool], dataset: Dataset) -> bool:
    """One failure does not keep the others from being done."""
    try:
        return act(dataset)
    except DownloadError as error:
        print(f"Error: {error}", file=sys.stderr)
        return False


def registered(domains: Sequence[str]) -> dict[str, Dataset]:
    """What every domain can fetch, in one: its data sets and the published weights it can load."""
    found: dict[str, Dataset] = {}
    for domain in domains:
        for room, module, table in REGISTRIES:
            if find_spec(f"{domain}.{room}") and find_spec(f"{domain}.{room}.{module}"):
                found |= getattr(import_module(f"{domain}.{room}.{module}"), table)
    return found


def list_datasets(known: dict[str, Dataset]) -> Table:
    """One row a data set."""
    names = Column("name", min_width=max(map(len, known), default=0))  # one that is cut off could not be asked for
    table = Table(names, "what it is", "MB", "licence")
    for name, dataset in known.items():
        table.add_row(name, dataset.title, _size(dataset), dataset.licence)
    return table


def _size(dataset: Dataset) -> str:
    if dataset.store:
        return "in place"
    # of files whose publisher states no hash only an upper bound is known
    return f"{dataset.bytes / 1e6:.1f}" if dataset.bytes else f"< {sum(f.bytes for f in dataset.files) / 1e6:.0f}"


def fetch(dataset: Dataset) -> bool:
    """Bring the files to this machine and print their paths."""
    from common.data import datasets

    if dataset.store:
        print(f"{dataset.name} is read in place from {dataset.store}: nothing to fetch")
    for path in datasets.fetch(dataset).values():
        print(path)
    return True


def verify(dataset: Dataset) -> bool:
    """Print the state of every file; whether all that are needed are whole."""
    from common.data import datasets

    states = datasets.verify(dataset)
    for file, state in states.items():
        print(f"{file}: {state}")
    return datasets.locate(dataset) is not None


def licence(dataset: Dataset) -> bool:
    """Print terms, citation and origin."""
    print(f"{dataset.name}: {dataset.description}")
    print(f"licence: {dataset.licence}\ncite: {dataset.citation}\n{dataset.homepage}")
    return True


def citation(dataset: Dataset) -> bool:
    """Print what a paper that uses it cites."""
    print(f"{dataset.name}: {dataset.citation}")
    return True


def size(dataset: Dataset) -> bool:
    """Print bytes to fetch and bytes that are here, whole."""
    from common.data import datasets

    here = sum(path.stat().st_size for path in (datasets.locate(dataset) or {}).values())
    print(f"{dataset.name}: {_size(dataset)}{'' if dataset.store else f' MB, here {here / 1e6:.1f} MB'}")
    return True


def mirror(dataset: Dataset, folder: Path) -> bool:
    """Fetch a data set and copy it into a folder that TRIFOLD_MIRROR may name elsewhere; print what lies there."""
    from common.data.mirror import mirror as copied

    if dataset.store:
        print(f"{dataset.name} is read in place from {dataset.store}: it has no copy in a mirror")
        return True
    for path in copied(dataset, folder):
        print(path)
    return True
