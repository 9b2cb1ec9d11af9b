"""Neural weather forecasting on gridded data.

from weather import Forecaster
Forecaster.from_pretrained("ncep-namerica-t995").forecast(initial, lead_hours=72)
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
    from weather.forecaster import Forecaster

__all__ = ["Forecaster"]

_PLACES = {"Forecaster": "weather.forecaster"}


def __getattr__(name: str) -> Any:  # torch is imported with the first name that is used
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'weather' has no attribute '{name}'")
