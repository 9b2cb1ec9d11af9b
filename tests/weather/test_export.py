"""A forecaster's step agrees after export, for any number of states."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.app.errors import ConfigError
from common.export import export
from weather import Forecaster
from weather.export import exportable, exportable_step


def test_a_shipped_model_agrees_after_export(tmp_path: Path) -> None:
    one, card = exportable("ncep-namerica-t995")
    assert export(one, card, "torch-export", tmp_path / "out")["states"] < 1e-4


def test_an_ensemble_is_refused() -> None:
    forecaster = Forecaster.from_pretrained("ncep-namerica-t995", device="cpu")
    forecaster.stepper.noise = 4
    with pytest.raises(ConfigError, match="ncep-namerica-t995 cannot be exported: it takes noise"):
        exportable_step(forecaster)
