"""Data sets and published weights with size, licence and citation, from the registries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from common.app.data import registered
from common.data.datasets import Dataset
from docs.generate.markdown import code, linked, prose


def page(domains: Sequence[str]) -> str:
    """One entry a data set, by domain."""
    parts = [
        "# Data sets and published weights",
        "`trifold data fetch NAME` brings one to this machine, verified by SHA-256; `trifold data list|verify|licence` "
        "say what is there and on what terms. `TRIFOLD_MIRROR` (a folder or an address) stands in for every host, "
        "`TRIFOLD_DATA` is where files are looked for first, `offline=true` never touches the network.",
    ]
    for domain in domains:
        parts.append(f"## {domain.capitalize()}")
        parts += [text for dataset in registered([domain]).values() for text in _entry(dataset)]
    return "\n\n".join(parts) + "\n"


def _entry(dataset: Dataset) -> Iterator[str]:
    yield f"### {code(dataset.name)}"
    yield f"{prose(dataset.description)}"
    facts = {
        "size": _size(dataset),
        "licence": prose(dataset.licence),
        "cite": linked(dataset.citation),
        "origin": linked(dataset.homepage),
    }
    yield "\n".join(f"- {name}: {value}" for name, value in facts.items() if value)


def _size(dataset: Dataset) -> str:
    if dataset.store:
        return f"read in place from `{dataset.store}`"
    if dataset.bytes:
        return f"{dataset.bytes / 1e6:.1f} MB"
    if not dataset.files:
        return "made when it is used"
    return f"at most {sum(file.bytes for file in dataset.files) / 1e6:.0f} MB"
