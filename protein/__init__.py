"""Structure prediction of proteins.

from protein import StructurePredictor
StructurePredictor.from_pretrained("fold-small").predict("MQIFVKTLTG...").to_pdb("out.pdb")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import common

if getattr(common, "TRIFOLD_MARKER", None) != "trifold":
    raise ImportError(
        f"'common' is {getattr(common, '__file__', common)}, which hides Trifold's package of that name: "
        "rename that file, or run Python with -P"
    )

if TYPE_CHECKING:
    from protein.predictor import StructurePredictor

__all__ = ["StructurePredictor"]

_PLACES = {"StructurePredictor": "protein.predictor"}


def __getattr__(name: str) -> Any:  # torch is imported with the first name that is used
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'protein' has no attribute '{name}'")
