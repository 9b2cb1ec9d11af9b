"""The weather of the demo, on flows that are quickly simulated: it trains, compares and draws."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from weather import demo


def test_the_demo_trains_compares_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("weather.report.DRAWN", 1)
    small = ["data.height=8", "data.train_flows=4", "data.val_flows=4", "model.channels=4", "model.layers=1"]
    demo.main([*small, "trainer.epochs=1", "trainer.device=cpu", f"run_dir={tmp_path / 'run'}"])
    shown = "".join(capsys.readouterr().out.split())
    assert str(tmp_path / "run" / "shallow-water.gif") in shown and (tmp_path / "run" / "shallow-water.gif").is_file()
    scores = pd.read_csv(tmp_path / "run" / "scores.csv")
    row = scores.query("system == 'persistence' and channel == 'geopotential' and metric == 'rmse' and lead_h == 4")
    assert f"{row['value'].iloc[0]:.1f}" in shown
