"""The little Markdown that generated pages are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A pipe table; cells are Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """Inline code."""
    return f"`{text}`" if text else ""


def escaped(text: str) -> str:
    """Text with `<` as text, not as HTML; quotations at the start of a line stay."""
    return text.replace("<", "&lt;")


def prose(text: str) -> str:
    """Plain text as Markdown that shows it as it is; what stands in backquotes stays code."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*_\[\]])", r"\\\1", escaped(part)) for part in parts)


def linked(text: str) -> str:
    """A source or citation: DOIs, arXiv numbers and addresses in it become links."""
    shown = prose(text)
    shown = re.sub(r"doi:(10\.[^\s;,]+[^\s;,.)])", r"[doi:\1](https://doi.org/\1)", shown)
    shown = re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", shown)
    return re.sub(r"(?<![(\w])(https?://[^\s,;)]+[^\s,;).])", r"<\1>", shown)
