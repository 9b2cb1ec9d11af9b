"""What the verbs of `trifold materials` may be told: checked before torch is imported."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from common.app.config import Device, RunConfig, Section

DatasetName = Annotated[
    Literal["mp2018", "ionic-lattice"], Field(description="a data set that `trifold data list` shows")
]
BatchSize = Annotated[int, Field(ge=1, description="crystals a step")]
ModelName = Annotated[
    str, Field(min_length=1, description="a model that `trifold models` shows, or a folder written by save_pretrained")
]
Target = Annotated[str, Field(min_length=1, description="property, by its name in the data set")]


class CGCNNConfig(Section):
    """CGCNN as published, doi:10.1103/PhysRevLett.120.145301."""

    name: Literal["cgcnn"]
    width: int = Field(default=64, ge=1, le=4096, description="features of an atom")
    layers: int = Field(default=4, ge=1, le=64, description="graph convolutions")
    readout_width: int = Field(default=32, ge=1, le=4096, description="features of a crystal")
    basis: int = Field(
        default=41, ge=2, le=1024, description="Gaussians that a distance is expanded in, from 0 to the cutoff"
    )


class ResidualCGCNNConfig(Section):
    """CGCNN with residual SiLU convolutions, whose matrices act on atoms only."""

    name: Literal["residual_cgcnn"]
    width: int = Field(default=96, ge=1, le=4096, description="features of an atom")
    message_width: int = Field(default=192, ge=1, le=4096, description="features of a message between two atoms")
    layers: int = Field(default=4, ge=1, le=64, description="graph convolutions")
    readout_width: int = Field(default=128, ge=1, le=4096, description="features of a crystal")
    basis: int = Field(
        default=41, ge=2, le=1024, description="Gaussians that a distance is expanded in, from 0 to the cutoff"
    )
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of a convolution's output set to zero in training"
    )


ModelConfig = Annotated[CGCNNConfig | ResidualCGCNNConfig, Field(discriminator="name")]


class DataConfig(Section):
    """Which crystals are learned from, and how they become graphs."""

    name: DatasetName
    target: Target
    neighbours: int = Field(default=12, ge=1, le=64, description="nearest neighbours of an atom")
    cutoff_a: float = Field(default=8.0, ge=0.5, le=20, description="largest distance of a neighbour, angstrom")
    train_limit: int | None = Field(
        default=None, ge=1, description="crystals of the training split that are used; null: all"
    )
    val_limit: int | None = Field(
        default=None, ge=1, description="crystals of the validation split that are used; null: all"
    )


class TrainConfig(RunConfig):
    """`trifold materials train`."""

    domain: Literal["materials"] = "materials"
    model: ModelConfig
    data: DataConfig
    loss: Literal["l1", "mse", "huber"] = Field(
        default="l1", description="of residuals in units of their mean absolute value"
    )
    baseline: Literal["none", "composition"] = Field(
        default="composition",
        description="what the network corrects: the median, or a linear function of the element fractions",
    )
    save_as: str | None = Field(
        default=None,
        min_length=1,
        description="folder that the trained predictor is also saved to, ready for model=<folder>",
    )


class EvaluateConfig(Section):
    """`trifold materials evaluate`."""

    model: ModelName
    data: DatasetName
    target: Target | None = Field(
        default=None, description="property, by its name in the data set; null: the model's own"
    )
    split: Literal["train", "val", "test"] = Field(default="test", description="official part of the data set")
    device: Device = "auto"
    batch_size: BatchSize = 256
    output: str | None = Field(
        default=None, min_length=1, description="folder of report and predictions; null: a new one under outputs/"
    )
    offline: bool = Field(default=False, description="never touch the network")


class PredictConfig(Section):
    """`trifold materials predict`."""

    model: ModelName
    input: str = Field(min_length=1, description="a structure file (CIF, POSCAR, extxyz ...) or a folder of them")
    output: str = Field(
        min_length=1, description="a .csv file, or a folder that gets predictions.csv; rejected.csv lies beside"
    )
    device: Device = "auto"
    budget: int | None = Field(default=None, ge=1, description="atoms a step; null: what the device holds")
    offline: bool = Field(default=False, description="never touch the network")


class BenchmarkConfig(Section):
    """`trifold materials benchmark`."""

    table: Literal["mp2018"] = Field(description="published table that is reproduced")
    train: bool = Field(default=False, description="run the training recipe first, instead of using the shipped model")
    device: Device = "auto"
    output: str | None = Field(
        default=None, min_length=1, description="folder of table and report; null: a new one under outputs/"
    )
    offline: bool = Field(default=False, description="never touch the network")
