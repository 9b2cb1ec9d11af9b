"""Property prediction of crystals and molecules with graph networks.

    from materials import PropertyPredictor
    PropertyPredictor.from_pretrained("mp2018-eform").predict(["NaCl.cif"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import common

if getattr(common, "TRIFOLD_MARKER", None) != "trifold":
    raise ImportError(
        f"'common' is {getattr(common, '__file__', common)}, which hides Trifold's package of that name: "
        "rename that file, or run Python with -P"
    )

if TYPE_CHECKING:
    from materials.predictor import PropertyPredictor

__all__ = ["PropertyPredictor"]


def __getattr__(name: str) -> Any:
    if name == "PropertyPredictor":
        from materials.predictor import PropertyPredictor

        return PropertyPredictor
    raise AttributeError(f"module 'materials' has no attribute '{name}'")
