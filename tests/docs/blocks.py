"""The code of a page of documentation, and how it is run.

Blocks of a page run from top to bottom in one namespace and one folder: `python`, and `sh` whose lines are commands of
trifold. A `text` block right after one holds what that one prints. `<!-- not run: reason -->` before a block leaves it
out.
"""

from __future__ import annotations

import io
import re
import shlex
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.app.cli import main

BLOCK = re.compile(r"(?:^<!-- not run: (?P<reason>.+?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    reason: str | None
    """Why it is not run."""
    prints: str | None
    """What the page says it prints."""
    line: int


def blocks_of(text: str) -> list[Block]:
    found = list(BLOCK.finditer(text))
    blocks = []
    for one, following in zip(found, [*found, None][1:], strict=True):
        if one["language"] == "text":
            continue
        adjacent = following and following["language"] == "text" and not text[one.end() : following.start()].strip()
        prints = following["code"] if following and adjacent else None
        blocks.append(Block(one["language"], one["code"], one["reason"], prints, text.count("\n", 0, one.start()) + 1))
    return blocks


def run_page(page: Path, folder: Path) -> None:
    """Run a page's blocks in `folder`; raises AssertionError where one does not print what the page says."""
    names: dict[str, Any] = {"__name__": "__page__"}
    with chdir(folder):
        for block in blocks_of(page.read_text(encoding="utf-8")):
            if block.reason:
                continue
            printed = io.StringIO()
            with redirect_stdout(printed):
                _run(block, names, f"{page.name}:{block.line}")
            if block.prints is not None:
                shown = "\n".join(line.rstrip() for line in printed.getvalue().strip("\n").splitlines())
                assert shown == block.prints.strip("\n"), f"{page.name}:{block.line} prints\n{shown}"


def _run(block: Block, names: dict[str, Any], where: str) -> None:
    if block.language == "python":
        exec(compile(block.code, where, "exec"), names)
        return
    assert block.language == "sh", f"{where}: blocks are python, sh or text, not {block.language}"
    for line in block.code.strip().splitlines():
        words = shlex.split(line, comments=True)
        assert words[0] == "trifold", f"{where}: {line} is no command of trifold; say why it is not run"
        status = main(words[1:])
        assert status == 0, f"{where}: {line} ends with {status}"
