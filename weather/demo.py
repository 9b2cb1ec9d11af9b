"""The weather of `trifold demo`: a small forecaster of simulated shallow water, and what it forecasts, drawn."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table

from common.app.composition import load_config
from weather.config import TrainConfig
from weather.study import train

CHANNEL, LEADS_H = "geopotential", (1, 2, 4, 6)


def main(overrides: Sequence[str] = ()) -> None:
    """Train on `shallow-water`, then show errors and where the forecast is drawn; `overrides` go to the training."""
    console = Console()
    console.print("Train a spherical Fourier neural operator on shallow-water flows, simulated now: no file is needed")
    config = load_config("weather", "train", ["experiment=shallow_water", *overrides])
    assert isinstance(config, TrainConfig)
    run = train(config)
    assert run is not None
    console.print("\nForecast flows that it has not seen")
    console.print(compare(pd.read_csv(run.path / "scores.csv")))
    drawn = ", ".join(str(path) for path in [*sorted(run.path.glob("*.gif")), run.path / "report.html"])
    console.print(f"A forecast beside the truth, drawn: {drawn}", soft_wrap=True)


def compare(scores: pd.DataFrame) -> Table:
    """Error of the forecaster and of what needs no network, by lead time."""
    chosen = scores.query("channel == @CHANNEL and metric == 'rmse' and lead_h in @LEADS_H")
    wide = chosen.pivot_table(index="system", columns="lead_h", values="value", sort=False)
    table = Table("system", *(f"{lead:g} h" for lead in wide.columns), caption="RMSE of geopotential, m² s⁻²")
    for system, *values in wide.itertuples():
        table.add_row(str(system), *(f"{value:.1f}" for value in values))
    return table
