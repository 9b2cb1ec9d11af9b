"""Property prediction of crystals and molecules with graph networks.

    from materials import PropertyPredictor
    PropertyPredictor.from_pretrained("mp2018-eform").predict(["NaCl.cif"])
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
    from materials.potential import Potential
    from materials.predictor import PropertyPredictor

__all__ = ["Potential", "PropertyPredictor"]

_PLACES = {"Potential": "materials.potential", "PropertyPredictor": "materials.predictor"}


def __getattr__(name: str) -> Any:  # torch is imported with the first name that is used
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'materials' has no attribute '{name}'")
