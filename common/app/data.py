"""`trifold data`: the data sets of all domains, how to get them, and on what terms."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table

from common.app.data_preparation import prepare
from common.app.errors import ConfigError
from common.app.registry import did_you_mean

if TYPE_CHECKING:
    from common.data.datasets import Dataset

ACTIONS = ("list", "fetch", "verify", "licence", "prepare")
REGISTRIES = (("data", "datasets", "DATASETS"), ("weights", "published", "WEIGHTS"))
"""Where a domain keeps them: <domain>/<room>/<module>.py, by this name."""


def run(words: list[str], domains: Sequence[str]) -> int:
    """`data list`, `data fetch|verify|licence NAME ...`, `data prepare key=value ...`.

    Returns 1 where `verify` finds something missing or damaged.
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
    if not names:
        raise ConfigError(f"trifold data {action} needs a name. Known: {', '.join(known)}.")
    for name in names:
        if name not in known:
            raise ConfigError(f"unknown data set '{name}'. {did_you_mean(name, list(known))}")
    act = {"fetch": fetch, "verify": verify, "licence": licence}[action]
    return 0 if all([act(known[name]) for name in names]) else 1


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
