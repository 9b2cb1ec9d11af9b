"""Where the installed packages lie."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def installed_folder(package: str) -> Path | None:
    """The folder of a top-level package, which is not imported; None where it is not installed."""
    spec = find_spec(package)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None
