"""What the verbs of `trifold weather` may be told: checked before torch is imported."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from common.app.config import Device, RunConfig, Section

FieldSet = Literal[
    "ncep-namerica-t995", "gfs-wind10m", "era5-uk-t2m", "speedy-5p625", "weatherbench1-5p625deg", "era5-64x32",
    "era5-240x121", "era5-1440x721",
]  # fmt: skip
ForcingName = Literal[
    "solar", "solar_hour", "year_progress", "day_progress", "position", "orography", "land_sea_mask"
]  # fmt: skip
ModelName = Annotated[
    str, Field(min_length=1, description="a model that `trifold models` shows, or a folder written by save_pretrained")
]
Channels = Annotated[int, Field(ge=1, le=4096)]
Layers = Annotated[int, Field(ge=1, le=64)]
Hours = Annotated[float, Field(gt=0, le=24 * 366)]
Weight = Annotated[float, Field(ge=0, le=1e6)]
StartTime = Annotated[str, Field(pattern=r"^\d{4}-\d{2}(-\d{2}(T\d{2}(:\d{2})?)?)?$")]


class SFNOModel(Section):
    """Spherical Fourier neural operator, arXiv:2306.03838; a globe only."""

    name: Literal["sfno"]
    channels: Channels = Field(default=64, description="features of a point")
    layers: Layers = Field(default=4, description="spherical convolutions")
    scale: int = Field(default=1, ge=1, le=16, description="how much coarser the inner Gaussian grid is")
    degrees: int = Field(default=0, ge=0, description="degrees that are convolved; 0: all that the inner grid resolves")
    orders: int = Field(default=0, ge=0, description="orders that are convolved; 0: as many as degrees")
    block: Literal["residual", "gated"] = Field(default="residual", description="as in the paper, or in neuraloperator")
    mlp_ratio: float = Field(default=2.0, gt=0, le=16, description="hidden width over channels")
    encoder_ratio: float = Field(default=0.0, ge=0, le=16, description="the same of encoder and decoder; 0: linear")
    instance_norm: bool = Field(default=True, description="normalise each sample's features over the globe")
    latitude_embedding: bool = Field(default=True, description="learn an offset of each latitude")


class FNOModel(Section):
    """Fourier neural operator on the plane, arXiv:2010.08895."""

    name: Literal["fno"]
    channels: Channels = Field(default=32, description="features of a point")
    layers: Layers = Field(default=4, description="convolutions")
    modes_north_south: int = Field(default=0, ge=0, description="rows of modes; 0: two thirds of the latitudes")
    modes_east_west: int = Field(default=0, ge=0, description="columns of modes; 0: a third of the longitudes")
    padding: float = Field(default=0.125, ge=0, le=0.5, description="continuation beyond the edges, share of the grid")
    block: Literal["residual", "gated"] = Field(default="residual", description="as in SFNO, or in neuraloperator")
    mlp_ratio: float = Field(default=2.0, gt=0, le=16, description="hidden width over channels")
    encoder_ratio: float = Field(default=0.0, ge=0, le=16, description="the same of encoder and decoder; 0: linear")
    instance_norm: bool = Field(default=True, description="normalise each sample's features over the grid")
    latitude_embedding: bool = Field(default=True, description="learn an offset of each latitude")


class UNetModel(Section):
    """U-Net of residual blocks, arXiv:1505.04597."""

    name: Literal["unet"]
    channels: Channels = Field(default=32, description="features of a point on the finest level; they double below")
    levels: int = Field(default=3, ge=1, le=8, description="resolutions, each half of the one above")
    blocks: int = Field(default=1, ge=1, le=16, description="residual blocks of a level, on each way")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of feature maps left out in training")
    networks: int = Field(
        default=1, ge=1, le=64, description="whose mean is forecast, each trained on its part of a batch"
    )


class ViTModel(Section):
    """Vision transformer over patches, arXiv:2312.03876."""

    name: Literal["vit"]
    patch: int = Field(default=2, ge=1, le=64, description="side of a patch, grid points")
    channels: Channels = Field(default=192, description="features of a patch")
    layers: Layers = Field(default=6, description="attention layers")
    heads: int = Field(default=6, ge=1, le=256, description="a divisor of the channels")
    mlp_ratio: float = Field(default=4.0, gt=0, le=16, description="hidden width over channels")
    point_channels: Channels = Field(default=32, description="features of a grid point behind the last layer")


class MeshGNNModel(Section):
    """Graph network on a refined icosahedron, GraphCast's architecture, arXiv:2212.12794."""

    name: Literal["mesh_gnn"]
    refinements: int = Field(default=4, ge=0, le=7, description="of the icosahedron; 4: edges of about 4.5 degrees")
    channels: Channels = Field(default=64, description="features of a vertex, an edge and a grid point")
    steps: Layers = Field(default=6, description="of message passing on the mesh")
    hidden_layers: int = Field(default=1, ge=1, le=8, description="of every perceptron")
    radius: float = Field(default=0.6, gt=0, le=4, description="from which a vertex gathers, longest edges of the mesh")
    margin: float = Field(default=2.0, ge=0, le=20, description="of the mesh around a region, in the same unit")


AnyModel = SFNOModel | FNOModel | UNetModel | ViTModel | MeshGNNModel


class GridData(Section):
    """Fields of a named set."""

    name: FieldSet
    variables: tuple[str, ...] | None = Field(default=None, description="those that are forecast; null: the set's own")
    levels: tuple[float, ...] | None = Field(default=None, description="hPa; null: the set's own")
    step_h: Hours | None = Field(default=None, description="hours between states of a window; null: the set's own")
    with_validation: bool = Field(
        default=False, description="learn from the validation part too: a last fit, when everything has been chosen"
    )


class OwnGrids(GridData):
    """Your files: NetCDF, Zarr or GRIB, local or at an address."""

    name: Literal["grid-files"]  # pyright: ignore[reportIncompatibleVariableOverride]
    path: str = Field(min_length=1, description="file, folder, pattern or address of the fields")
    splits: dict[str, str | tuple[str, ...]] = Field(
        description="train, val and test: a period 2013-01/2015-12, or files below the path"
    )
    constants: str | None = Field(default=None, min_length=1, description="file of orography or land-sea mask")
    units: dict[str, str] = Field(default={}, description="by variable, where files state none or a wrong one")


class FlowData(Section):
    """Random shallow-water flows, simulated when a run starts: no file is needed."""

    name: Literal["shallow-water"]
    height: int = Field(default=32, ge=8, le=1024, description="Gaussian latitudes; twice as many longitudes")
    step_h: Hours = Field(default=1.0, description="hours between states")
    spin_up_h: float = Field(default=0.0, ge=0, description="hours from the random state to the first that is used")
    states: int = Field(default=12, ge=2, le=10_000, description="states of a flow")
    train_flows: int = Field(default=128, ge=1, description="flows of the training split")
    val_flows: int = Field(default=16, ge=1, description="flows of the validation and of the test split")
    time_step_s: float = Field(default=150.0, gt=0, description="of the solver")


DataConfig = Annotated[GridData | OwnGrids | FlowData, Field(discriminator="name")]


class ForecastSettings(Section):
    """What one step of a forecast sees and gives."""

    history: int = Field(default=1, ge=1, le=8, description="past states a step sees, the present one included")
    steps: tuple[int, ...] = Field(
        default=(1,), min_length=1, description="steps that are learned, in units of data.step_h: [1], or [1,2,4]"
    )
    forcings: tuple[ForcingName, ...] = Field(
        default=(), description="solar, solar_hour, year_progress, day_progress, position, orography, land_sea_mask"
    )
    noise: int = Field(default=0, ge=0, le=1024, description="random numbers of an ensemble's member; 0: deterministic")
    deviations: bool = Field(default=False, description="learn deviations from what is usual at the time")
    at_once: bool = Field(default=False, description="the network gives all of `steps` from one look at the present")
    shrink: bool = Field(default=False, description="believe deviations as far as validation bears them out")
    recent_days: float = Field(
        default=0, ge=0, le=3660, description="correct forecasts by what those of so many days before missed; 0: do not"
    )
    doubt_days: float = Field(default=40, ge=0, le=3660, description="of forecasts without error, counted beside these")


class Rollout(Section):
    """How far ahead is trained and validated."""

    targets: int = Field(
        default=1, ge=1, le=200, description="steps, or looks with at_once, of a forecast that the loss sees at the end"
    )
    grow_until: float = Field(default=0.0, ge=0, le=1, description="share of the run in which targets grow from 1")
    validation: int | None = Field(default=None, ge=1, le=1000, description="steps that validation sees; null: targets")
    members: int = Field(default=1, ge=1, le=64, description="of an ensemble in training, with forecast.noise")


class LossSettings(Section):
    """What an error counts, in units of each channel's tendency."""

    name: Literal["mse", "l1", "crps", "almost_fair_crps"] = Field(
        default="mse", description="crps: the fair score of an ensemble; almost_fair_crps: arXiv:2412.15832"
    )
    weights: dict[str, Weight] = Field(default={}, description="by variable or channel (temperature_850); else 1")
    pressure_weighted: bool = Field(default=False, description="levels count by their pressure, as in GraphCast")
    spectral: Weight = Field(default=0.0, description="of the loss of amplitudes by wavenumber")
    spectrum: Literal["zonal", "spherical"] = Field(
        default="zonal", description="wavenumbers along latitudes, or degrees of spherical harmonics on a globe"
    )


class TrainConfig(RunConfig):
    """`trifold weather train`."""

    domain: Literal["weather"] = "weather"
    model: Annotated[AnyModel, Field(discriminator="name")]
    data: DataConfig
    forecast: ForecastSettings = ForecastSettings()
    rollout: Rollout = Rollout()
    loss: LossSettings = LossSettings()
    mirror: bool = Field(
        default=False, description="learn from a mirrored world too, whose hemispheres have changed places; globes only"
    )
    start_from: ModelName | tuple[ModelName, ...] | None = Field(
        default=None,
        description="a trained model whose weights are the start, where they fit; of several with model.networks the "
        "networks in turn; null: random ones",
    )
    save_as: str | None = Field(
        default=None, min_length=1, description="folder that the trained forecaster is also saved to"
    )

    @property
    def learns_validation(self) -> bool:
        """Whether nothing is left that the weights have not seen."""
        return not isinstance(self.data, FlowData) and self.data.with_validation

    @model_validator(mode="after")
    def _fits_together(self) -> TrainConfig:
        if self.learns_validation and (self.trainer.select != "last" or self.forecast.shrink):
            raise ValueError(
                f"data.with_validation=true with trainer.select={self.trainer.select} and forecast.shrink="
                f"{self.forecast.shrink}: what was learned from cannot choose; set trainer.select=last, "
                "forecast.shrink=false and as many epochs as were best before"
            )
        if self.loss.name.endswith("crps") != (self.rollout.members > 1):
            raise ValueError(
                f"loss.name={self.loss.name} with rollout.members={self.rollout.members}: a CRPS needs at least 2 "
                "members, other losses take 1"
            )
        if (self.forecast.noise > 0) != (self.rollout.members > 1):
            raise ValueError(
                f"forecast.noise={self.forecast.noise} with rollout.members={self.rollout.members}: members differ by "
                "their noise, so set both or neither"
            )
        steps = self.forecast.steps
        if list(steps) != sorted(set(steps)) or steps[0] < 1 or any(step % steps[0] for step in steps):
            raise ValueError(f"forecast.steps={list(steps)}: expected rising multiples of the first, such as [1,2,4]")
        rolled = max(self.rollout.targets, self.rollout.validation or 1) > 1
        if self.forecast.at_once and rolled and steps != tuple(range(1, len(steps) + 1)):
            raise ValueError(
                f"forecast.at_once with rollout.targets={self.rollout.targets}, rollout.validation="
                f"{self.rollout.validation} and forecast.steps={list(steps)}: the next look needs every state; set "
                "steps to 1, 2, 3, ... without a gap, or targets to 1 and validation to null"
            )
        if self.forecast.shrink and self.forecast.noise:
            raise ValueError("forecast.shrink with forecast.noise: members have to differ as weather does; choose one")
        if self.forecast.recent_days and (self.forecast.noise or self.forecast.shrink):
            raise ValueError(
                f"forecast.recent_days={self.forecast.recent_days:g} with forecast.noise={self.forecast.noise} and "
                f"forecast.shrink={self.forecast.shrink}: what is corrected is deterministic and not shrunk; set 0 and "
                "false"
            )
        if steps != (1,) and self.forecast.history > 1 and not (self.forecast.at_once and steps[0] == 1):
            raise ValueError(
                f"forecast.history={self.forecast.history} goes with forecast.steps=[1], or with forecast.at_once and "
                "steps that start at 1"
            )
        return self


class EvaluateConfig(Section):
    """`trifold weather evaluate`."""

    model: ModelName
    data: FieldSet | Literal["grid-files", "shallow-water"] | None = Field(
        default=None, description="a set that `trifold data list` shows; null: the one the model was trained on"
    )
    path: str | None = Field(default=None, min_length=1, description="data=grid-files: file, folder or address")
    split: Literal["train", "val", "test"] = Field(default="test", description="official part of the data set")
    lead_hours: tuple[Hours, ...] | None = Field(default=None, description="[6,24,72]; null: up to five days")
    members: int = Field(default=1, ge=1, le=1000, description="of the ensemble")
    every: int = Field(default=1, ge=1, description="start forecasts from every so manieth state")
    baselines: bool = Field(default=True, description="persistence, climatology and ridge regression beside it")
    device: Device = "auto"
    output: str | None = Field(
        default=None, min_length=1, description="folder of report and scores; null: a new one under outputs/"
    )
    offline: bool = Field(default=False, description="never touch the network")


class PredictConfig(Section):
    """`trifold weather predict`."""

    model: ModelName
    input: str = Field(min_length=1, description="NetCDF, Zarr or GRIB of the initial states: file, folder or address")
    output: str = Field(min_length=1, description="forecast.zarr or forecast.nc, in WeatherBench 2 layout")
    lead_hours: Hours = Field(description="how far ahead")
    members: int = Field(default=1, ge=1, le=1000, description="of the ensemble")
    starts: tuple[StartTime, ...] | Literal["last", "all"] = Field(
        default="last", description="start times [2014-06-01T00,...], or all, or the last one in the input"
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="of the ensemble")
    shard: str | None = Field(
        default=None,
        pattern=r"^\d+/\d+$",
        description="3/64: the third of 64 parts of the starts, into one output; null: all, or torchrun's rank",
    )
    units: dict[str, str] = Field(default={}, description="by variable, where the input states none or a wrong one")
    device: Device = "auto"
    batch_size: int | None = Field(default=None, ge=1, description="states stepped at once; null: what suits the model")
    offline: bool = Field(default=False, description="never touch the network")


class BenchmarkConfig(Section):
    """`trifold weather benchmark`."""

    table: Literal["ncep_namerica", "speedy", "speedy_ensemble", "swe_sfno", "weatherbench1"] = Field(
        description="table that is reproduced"
    )
    train: bool = Field(default=False, description="run the training recipe first, instead of using the shipped model")
    device: Device = "auto"
    output: str | None = Field(
        default=None, min_length=1, description="folder of table and report; null: a new one under outputs/"
    )
    offline: bool = Field(default=False, description="never touch the network")
