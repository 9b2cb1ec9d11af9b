"""What a run wrote down while it trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common.app.errors import DataFormatError


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl by step; an absent file has none.

    A resumed run writes the steps after its checkpoint again: the later line counts. A last line cut short by a kill
    is left out; any other damage is a DataFormatError that names the line.
    """
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found: dict[tuple[str, float], dict[str, Any]] = {}
    for number, text in enumerate(lines, start=1):
        try:
            line = json.loads(text)
            found[str(line["split"]), float(line["step"])] = line
        except (ValueError, TypeError, KeyError) as error:
            if number == len(lines):
                break
            raise DataFormatError(
                f"{path}, line {number}: expected a JSON object with 'split' and 'step', found {text[:80]!r}; "
                "remove the line and write the report again"
            ) from error
    return sorted(found.values(), key=lambda line: line["step"])
