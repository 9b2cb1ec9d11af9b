"""Names to objects, imported on first use."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from common.app.errors import ConfigError


def did_you_mean(name: str, known: list[str]) -> str:
    """The sentence that names the nearest known word, or lists all of them."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(sorted(known))}."


class Registry(Mapping[str, Any]):
    """A fixed table from names to `"module:attribute"` paths.

    The table is code, never data: nothing read from a file can name an object outside it. An entry is
    imported when it is looked up, so listing the names costs nothing.

        models = Registry("model", {"cgcnn": "materials.models.cgcnn:CGCNN"})
        models["cgcnn"]
    """

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self.paths = dict(entries)

    def __getitem__(self, name: str) -> Any:
        if name not in self.paths:
            raise ConfigError(f"unknown {self.kind} '{name}'. {did_you_mean(name, list(self.paths))}")
        module, _, attribute = self.paths[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)
