"""Forecast, score against persistence, draw: the way of a weather study, on a flow that is simulated here.

    python examples/forecast_flow.py

A spherical Fourier neural operator learns shallow-water flows for a few seconds, then forecasts one it has not seen.
`trifold weather train experiment=swe_sfno` learns the same for longer. With analyses in files, a shipped model such as
`Forecaster.from_pretrained("ncep-namerica-t995")` and `xarray.open_dataset` take the place of both.
Writes flow/ (the run with its report, the model) and forecast.svg.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from common.app.composition import load_config
from common.results.plots import to_svg
from weather import Forecaster
from weather.config import FlowData, TrainConfig
from weather.metrics import rmse, verifying
from weather.pictures import maps
from weather.simulate.flow_fields import flow_splits
from weather.study import train

HOURS = 6
SMALL = (
    "data.height=16", "data.time_step_s=600", "data.train_flows=6", "data.val_flows=1", "data.states=7",
    "model.channels=16", "model.layers=2", "optimizer.learning_rate=4e-3", "trainer.epochs=4", "trainer.batch_size=16",
    "trainer.threads=1", "trainer.device=cpu",
)  # fmt: skip


def main() -> pd.DataFrame:
    """RMSE of the geopotential, m2/s2, by lead time in hours: of the forecast and of persistence."""
    folder = Path("flow")
    config = load_config("weather", "train", [*SMALL, f"run_dir={folder}/run", f"save_as={folder}/model"])
    assert isinstance(config, TrainConfig) and isinstance(config.data, FlowData)
    train(config)

    forecaster = Forecaster.from_pretrained(folder / "model", device="cpu")
    flow = flow_splits(config.data, ["test"])["test"].fields.dataset
    forecast = forecaster.forecast(flow.isel(time=slice(0, 1)), lead_hours=HOURS)["geopotential"]
    truth = verifying(flow["geopotential"], forecast)
    persistence = flow["geopotential"].isel(time=0, drop=True)
    lead = ("prediction_timedelta",)
    systems = {"forecast": forecast, "persistence": 0 * forecast + persistence}
    scores = pd.DataFrame(
        {name: rmse(fields, truth, keep=lead) for name, fields in systems.items()},
        index=forecaster.leads(HOURS) * forecaster.step_h,
    )
    print(scores.round(1).rename_axis("lead time, h").to_string())
    last = {"time": 0, "prediction_timedelta": -1}
    figure = maps(forecast.isel(last).values, truth.isel(last).values, forecaster.grid, "geopotential", "m2/s2")
    Path("forecast.svg").write_text(to_svg(figure), encoding="utf-8")
    return scores


if __name__ == "__main__":
    main()
