"""How well exported networks agree with the shipped models: `python -m tests.benchmarks.exports`.

`formats=onnx,aoti` and `models=esol,fold-small` choose. One line a model and format: the largest difference over all
outputs and examples in units of what matters (see `common.export.Output`), processor time, size. Formats that lack a
program or package here are told once.
"""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import torch

from common.app.cli import DOMAINS
from common.app.errors import TrifoldError
from common.app.models import shipped_cards
from common.export import FORMATS, export


def main(words: list[str]) -> None:
    asked = dict(word.split("=", 1) for word in words)
    shipped = dict(shipped_cards(tuple(DOMAINS)))
    torch.set_num_threads(1)
    for format in asked["formats"].split(",") if "formats" in asked else FORMATS:
        try:
            FORMATS[format].require()
        except TrifoldError as error:
            print(f"{format}: {error}")
            continue
        for name in asked["models"].split(",") if "models" in asked else shipped:
            print(f"{name:20} {format:13} {_line(name, shipped[name].parent.parent.name, format)}", flush=True)


def _line(name: str, domain: str, format: str) -> str:
    start = sum(os.times()[:4])  # compilers are processes of their own
    with tempfile.TemporaryDirectory() as folder:
        try:
            exportable, card = import_module(f"{domain}.export").exportable(name)
            parity = export(exportable, card, format, Path(folder) / "out")
        except TrifoldError as error:
            return str(error)
        size = sum(path.stat().st_size for path in (Path(folder) / "out").iterdir()) / 1e6
    worst = max(parity, key=lambda name: parity[name])
    return f"{parity[worst]:.1e} ({worst})  {sum(os.times()[:4]) - start:.0f} s  {size:.1f} MB"


if __name__ == "__main__":
    main(sys.argv[1:])
