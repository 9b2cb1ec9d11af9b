"""`trifold doctor`: one table of what this machine offers, and what is missing."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

from common import __version__
from common.app.models import shipped_cards

Row = tuple[str, str]


def run(words: list[str], domains: Sequence[str]) -> int:
    """Print the table."""
    table = Table("", f"trifold {__version__}", show_lines=False)
    for rows in (_software(), _hardware(), _extras(), _folders(domains)):
        for row in rows:
            table.add_row(*row)
        table.add_section()
    Console().print(table)
    return 0


def _software() -> Iterator[Row]:
    yield "Python", platform.python_version()
    for package in ("torch", "torch-geometric", "hydra-core", "pydantic", "numpy", "ase"):
        yield package, _version(package) or "missing: install trifold again"


def _hardware() -> Iterator[Row]:
    from common.results.environment import describe_environment

    facts = describe_environment()
    yield "CPU", f"{facts['cpu'] or platform.machine()}, {facts['cores']} cores for this process"
    yield "memory", f"{facts['memory_gb']} GiB" if facts["memory_gb"] else "unknown"
    build = f"torch is built for CUDA {facts['cuda']}" if facts["cuda"] else "torch is built for the CPU"
    yield "GPU", "\n".join(facts["gpus"]) or f"none; {build}"
    import torch.distributed as dist

    backends = {"gloo": dist.is_gloo_available, "nccl": dist.is_nccl_available} if dist.is_available() else {}
    yield "distributed", ", ".join(name for name, available in backends.items() if available()) or "no backend"


def _extras() -> Iterator[Row]:
    """Optional parts, as the installed package itself declares them."""
    parts: dict[str, list[str]] = {}
    for text in requires("trifold") or ():
        requirement = Requirement(text)
        marker = str(requirement.marker or "")
        if "extra ==" in marker:
            parts.setdefault(marker.rpartition("extra ==")[2].strip(" \"'"), []).append(requirement.name)
    for extra, packages in parts.items():
        missing = [name for name in packages if not _version(name)]
        yield f"[{extra}]".replace("[", r"\["), f"without {', '.join(missing)}" if missing else "present"


def _folders(domains: Sequence[str]) -> Iterator[Row]:
    yield "TRIFOLD_DATA", os.environ.get("TRIFOLD_DATA") or "not set: the user's cache folder"
    yield "TRIFOLD_MIRROR", os.environ.get("TRIFOLD_MIRROR") or "not set: the data sets' own hosts"
    yield "models", ", ".join(name for name, _ in shipped_cards(domains)) or "none shipped"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
