"""The scripts under examples/, each with its own words and its code."""

from __future__ import annotations

import ast
from pathlib import Path

OWN_TASK = "own_task.py"


def page(folder: Path) -> str:
    """All examples."""
    parts = [
        "# Examples",
        "Scripts to start from. Each runs as it is, in less than 20 seconds on one core, with what is shipped and "
        "without network; all of them are run by the tests.",
    ]
    for path in sorted(folder.glob("*.py")):
        parts += [f"## `examples/{path.name}`", *_parts(path)]
    return "\n\n".join(parts) + "\n"


def own_task(folder: Path) -> str:
    """The training core by itself."""
    return "\n\n".join(
        [
            "# A task of your own",
            "`common` trains whatever a `Task` describes: a model, batches, a loss and metrics. The three domains use "
            "nothing else. What follows trains a network on a function, in a run folder that holds configuration, "
            "metrics and checkpoints, and that goes on exactly where it was stopped. The classes are described in the "
            "[API of common](reference/api-common.md).",
            *_parts(folder / OWN_TASK),
        ]
    )


def _parts(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    words = ast.get_docstring(tree) or ""
    after = tree.body[0].end_lineno or 0
    source = "\n".join(text.splitlines()[after:]).strip()
    return [words, f"```python\n{source}\n```"]
