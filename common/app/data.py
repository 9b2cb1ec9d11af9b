"""`trifold data`: the data sets of all domains, how to get them, and on what terms."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from common.app.errors import ConfigError
from common.app.registry import did_you_mean

if TYPE_CHECKING:
    from common.data.datasets import Dataset

ACTIONS = ("list", "fetch", "verify", "licence")


def run(words: list[str], domains: Sequence[str]) -> int:
    """`data list`, `data fetch|verify|licence NAME`."""
    action, *names = words or ["list"]
    if action not in ACTIONS:
        raise ConfigError(f"unknown action '{action}' of data. {did_you_mean(action, list(ACTIONS))}")
    known = registered(domains)
    console = Console()
    if action == "list":
        console.print(list_datasets(known))
        return 0
    if not names:
        raise ConfigError(f"trifold data {action} needs a name. Known: {', '.join(known)}.")
    for name in names:
        if name not in known:
            raise ConfigError(f"unknown data set '{name}'. {did_you_mean(name, list(known))}")
        _act(action, known[name], console)
    return 0


def registered(domains: Sequence[str]) -> dict[str, Dataset]:
    """Every domain's registry, in one."""
    found: dict[str, Dataset] = {}
    for domain in domains:
        if find_spec(f"{domain}.data") and find_spec(f"{domain}.data.datasets"):
            found |= import_module(f"{domain}.data.datasets").DATASETS
    return found


def list_datasets(known: dict[str, Dataset]) -> Table:
    """One row a data set."""
    table = Table("name", "what it is", "MB", "licence")
    for name, dataset in known.items():
        table.add_row(name, dataset.description, f"{dataset.bytes / 1e6:.1f}", dataset.licence)
    return table


def _act(action: str, dataset: Dataset, console: Console) -> None:
    if action == "licence":
        console.print(f"[bold]{dataset.name}[/]: {dataset.licence}\nCite: {dataset.citation}")
        return
    from common.data import datasets

    if action == "fetch":
        for part, path in datasets.fetch(dataset).items():
            console.print(f"{dataset.name} {part}: {path}", soft_wrap=True)
    else:
        datasets.verify(dataset)
        console.print(f"{dataset.name}: every file is as registered")
