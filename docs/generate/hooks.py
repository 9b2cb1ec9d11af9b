"""What mkdocs runs: adds the generated pages, and those whose text lies at the root of the repository."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig  # pyright: ignore[reportMissingImports] (in the extra `docs`)
from mkdocs.structure.files import File, Files  # pyright: ignore[reportMissingImports]

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the console script of mkdocs does not look into the working folder

from docs.generate import api, configuration, datasets, examples, results  # noqa: E402
from docs.generate.markdown import escaped  # noqa: E402

DOMAINS = ("materials", "weather", "protein")
TEXTS = {
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
}
"""Texts at the root of the repository and the pages they become, or that stand for them."""

NO_RELIABILITY = "# Reliability\n\n`make reliability` runs every row of the table and writes this page.\n"


def generated() -> dict[str, Callable[[], str]]:
    """Path of each page that is made by code, and its text."""
    pages: dict[str, Callable[[], str]] = {
        "reference/models.md": lambda: results.models(DOMAINS),
        "reference/datasets.md": lambda: datasets.page(DOMAINS),
        "reference/benchmarks.md": lambda: results.benchmarks(DOMAINS),
        "examples.md": lambda: examples.page(ROOT / "examples"),
        "own-task.md": lambda: examples.own_task(ROOT / "examples"),
    }
    for domain in DOMAINS:
        pages[f"reference/keys-{domain}.md"] = lambda domain=domain: configuration.page(domain)
    for package in api.PUBLIC:
        pages[f"reference/api-{package}.md"] = lambda package=package: api.page(ROOT, package)
    for source, page in TEXTS.items():
        if page != "index.md":
            pages[page] = lambda source=source: from_root(ROOT / source)
    if not (ROOT / "docs" / "reliability.md").is_file():
        pages["reliability.md"] = lambda: NO_RELIABILITY
    return pages


def from_root(path: Path) -> str:
    """A text of the repository's root, its links pointed to the pages of the site."""
    text = path.read_text(encoding="utf-8")
    for source, page in TEXTS.items():
        text = text.replace(f"]({source})", f"]({page})")
    prose = re.split(r"(`[^`]*`)", text)  # placeholders such as <domain> are no HTML
    return "".join(part if part.startswith("`") else escaped(part) for part in prose)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path, text in generated().items():
        files.append(File.generated(config, path, content=text()))
    return files
