"""What the verbs of `trifold materials` may be told: checked before torch is imported."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self, TypeVar, get_args

from pydantic import Field, model_validator

from common.app.config import Device, RunConfig, Section
from materials.potential_config import FrameData, FrameSet, OwnFrames, PotentialConfig, PotentialTrainConfig

CrystalSet = Literal["mp2018", "mp2018-elastic", "nomad2018", "ionic-lattice"]
MatbenchCrystalSet = Literal["matbench-perovskites", "matbench-phonons"]
MoleculeSet = Literal[
    "esol", "freesolv", "lipophilicity", "bbbp", "bace", "tox21", "sider", "hiv", "qm8", "cep-pce", "malaria",
    "polymer-tg", "clintox", "muv", "qm7", "qm9",
]  # fmt: skip
CompositionSet = Literal[
    "matbench-steels", "matbench-expt-gap", "matbench-expt-is-metal", "matbench-glass",
    "matbench-jdft2d-compositions", "matbench-phonons-compositions", "matbench-dielectric-compositions",
    "matbench-log-gvrh-compositions", "matbench-log-kvrh-compositions", "matbench-perovskites-compositions",
    "matbench-mp-gap-compositions", "matbench-mp-is-metal-compositions", "matbench-mp-e-form-compositions",
]  # fmt: skip
Budget = Annotated[int | None, Field(ge=1, description="atoms held at once; null: what suits the device")]
ModelName = Annotated[
    str, Field(min_length=1, description="a model that `trifold models` shows, or a folder written by save_pretrained")
]
Width = Annotated[int, Field(ge=1, le=4096)]
Members = Annotated[int, Field(ge=1, le=64, description="networks of an ensemble, trained side by side in one run")]
Dropout = Annotated[float, Field(ge=0, lt=1, description="share of a layer's output set to zero in training")]


class _Model(Section):
    substance: ClassVar[str]
    """What it takes: crystal, molecule or composition."""
    sees: ClassVar[str] = ""
    """The substance by which it sees that, where it is another."""


M = TypeVar("M", bound=_Model)


def _divides(model: M, part: str, whole: str) -> M:
    if getattr(model, whole) % getattr(model, part):
        raise ValueError(f"{whole}={getattr(model, whole)} is not a multiple of {part}={getattr(model, part)}")
    return model


class CGCNNConfig(_Model):
    """CGCNN as published, doi:10.1103/PhysRevLett.120.145301."""

    substance = "crystal"
    name: Literal["cgcnn"]
    width: Width = Field(default=64, description="features of an atom")
    layers: int = Field(default=4, ge=1, le=64, description="graph convolutions")
    readout_width: Width = Field(default=32, description="features of a crystal")
    basis: int = Field(
        default=41, ge=2, le=1024, description="Gaussians that a distance is expanded in, from 0 to the cutoff"
    )


class _CrystalEnsemble(_Model):
    """What all of our own have."""

    substance = "crystal"
    readout_width: Width = Field(default=128, description="features of a crystal")
    dropout: Dropout = 0.0
    readout: Literal["mean", "attention"] = Field(
        default="mean", description="mean over atoms, as for energies; attention where few atoms decide, as for gaps"
    )
    heads: int = Field(default=8, ge=1, le=256, description="readout=attention: weighted means, a divisor of the width")
    nonnegative: bool = Field(default=False, description="cut predictions off at zero")
    members: Members = 1

    @model_validator(mode="after")
    def _whole_heads(self) -> Self:
        return _divides(self, "heads", "width")


class _CrystalNetwork(_CrystalEnsemble):
    """What those over nearest neighbours have."""

    layers: int = Field(default=4, ge=1, le=64, description="graph convolutions")
    basis: int = Field(
        default=41, ge=2, le=1024, description="Gaussians that a distance is expanded in, from 0 to the cutoff"
    )


class ResidualCGCNNConfig(_CrystalNetwork):
    """CGCNN with residual SiLU convolutions, whose matrices act on atoms only."""

    name: Literal["residual_cgcnn"]
    width: Width = Field(default=96, description="features of an atom")
    message_width: Width = Field(default=192, description="features of a message between two atoms")


class EdgeNetworkConfig(_CrystalNetwork):
    """Edges have features that grow from layer to layer, for several times the time."""

    name: Literal["edge_network"]
    width: Width = Field(default=128, description="features of an atom")
    message_width: Width = Field(default=128, description="features of an edge")


class TensorNetPropertyConfig(_CrystalEnsemble):
    """TensorNet, arXiv:2306.06482; its defaults are those of the published potential that it may start from."""

    sees = "atoms"
    name: Literal["tensornet_property"]
    width: Width = Field(default=128, description="tensors of an atom")
    layers: int = Field(default=2, ge=1, le=64, description="interactions")
    radial: int = Field(default=3, ge=1, le=64, description="functions that a distance is expanded in")


class DMPNNConfig(_Model):
    """Message passing on directed bonds (chemprop's architecture), doi:10.1021/acs.jcim.9b00237."""

    substance = "molecule"
    name: Literal["dmpnn"]
    width: Width = Field(default=300, description="features of a bond")
    depth: int = Field(default=3, ge=1, le=32, description="steps of message passing, counting the first")
    readout_width: Width = Field(default=300, description="features between a molecule's vector and its properties")
    aggregation: Literal["mean", "norm"] = Field(
        default="norm", description="a molecule's vector: mean over its atoms, or their sum over 100"
    )
    dropout: Dropout = 0.0
    members: Members = 1


class MolecularGNNConfig(_Model):
    """A baseline from torch-geometric: attention over neighbours (AttentiveFP), or sums over them (GIN)."""

    substance = "molecule"
    name: Literal["attentive_fp", "gin"]
    width: Width = Field(default=200, description="features of an atom")
    layers: int = Field(default=3, ge=1, le=64, description="graph convolutions")
    readout_width: Width = Field(default=200, description="features between a molecule's vector and its properties")
    dropout: Dropout = 0.0


class ElementAttentionConfig(_Model):
    """Attention between the elements of a composition, weighted by their shares."""

    substance = "composition"
    name: Literal["element_attention"]
    width: Width = Field(default=128, description="features of an element")
    layers: int = Field(default=3, ge=1, le=64, description="attention layers")
    heads: int = Field(default=4, ge=1, le=256, description="a divisor of the width")
    readout_width: Width = Field(default=128, description="features between a composition's vector and its properties")
    dropout: Dropout = 0.0
    nonnegative: bool = Field(default=False, description="cut predictions off at zero")
    members: Members = 1

    @model_validator(mode="after")
    def _whole_heads(self) -> ElementAttentionConfig:
        return _divides(self, "heads", "width")


AnyModel = (
    CGCNNConfig | ResidualCGCNNConfig | EdgeNetworkConfig | TensorNetPropertyConfig | ElementAttentionConfig
    | DMPNNConfig | MolecularGNNConfig | PotentialConfig
)
ModelConfig = Annotated[AnyModel, Field(discriminator="name")]


class _Data(Section):
    """What is learned from, and which of its numbers."""

    substance: ClassVar[str]
    own: ClassVar[bool] = False
    target: str | tuple[str, ...] = Field(
        min_length=1, description="property, by its name in the data set; several as [a,b]"
    )
    train_limit: int | None = Field(
        default=None, ge=1, description="samples of the training split that are used; null: all"
    )
    val_limit: int | None = Field(
        default=None, ge=1, description="samples of the validation split that are used; null: all"
    )

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,) if isinstance(self.target, str) else self.target


class CrystalData(_Data):
    """Crystals, and how they become graphs."""

    substance = "crystal"
    name: CrystalSet
    neighbours: int = Field(default=12, ge=1, le=64, description="nearest neighbours of an atom")
    cutoff_a: float = Field(default=8.0, ge=0.5, le=20, description="largest distance of a neighbour, angstrom")


Fold = Annotated[
    int | None,
    Field(
        ge=0, le=4, description="Matbench's fold that is val, all others of the file being train; null: 3, after 0 to 2"
    ),
]


class MatbenchCrystals(CrystalData):
    """Crystals in Matbench's folds."""

    name: MatbenchCrystalSet  # pyright: ignore[reportIncompatibleVariableOverride]
    fold: Fold = None


class MoleculeData(_Data):
    """Molecules, and what a model is told beside their graphs."""

    substance = "molecule"
    name: MoleculeSet
    descriptors: bool = Field(default=False, description="give the model RDKit's descriptors of a molecule")


class CompositionData(_Data):
    """Compositions: formulas without structures."""

    substance = "composition"


class MatbenchCompositions(CompositionData):
    """Compositions in Matbench's folds."""

    name: CompositionSet
    fold: Fold = None


class OwnTable(Section):
    """A user's own materials with their properties."""

    own: ClassVar[bool] = True
    path: str = Field(min_length=1, description="your table; see `trifold materials train --help`")
    outcome: Literal["regression", "classification"] = Field(
        default="regression", description="numbers, or classes 0 and 1"
    )
    unit: str = Field(default="", description="of the target, for tables and reports")
    split_seed: int = Field(default=0, ge=0, description="of a random split, where the table has no column `split`")


class OwnCrystals(OwnTable, CrystalData):
    """Your structures: a CSV with a column `file`, or a folder in CGCNN's layout."""

    name: Literal["crystal-files"]  # pyright: ignore[reportIncompatibleVariableOverride]
    split: Literal["random"] = Field(
        default="random", description="how parts are drawn where the table has no column `split`"
    )


class OwnMolecules(OwnTable, MoleculeData):
    """Your molecules: a CSV with a column `smiles`."""

    name: Literal["molecule-table"]  # pyright: ignore[reportIncompatibleVariableOverride]
    split: Literal["random", "scaffold"] = Field(
        default="scaffold", description="how parts are drawn where the table has no column `split`"
    )


class OwnCompositions(OwnTable, CompositionData):
    """Your compositions: a CSV with a column `formula`."""

    name: Literal["composition-table"]
    split: Literal["random"] = Field(
        default="random", description="how parts are drawn where the table has no column `split`"
    )


OwnData = OwnCrystals | OwnMolecules | OwnCompositions
PropertyData = CrystalData | MatbenchCrystals | MoleculeData | MatbenchCompositions | OwnData
DataConfig = PropertyData | FrameData | OwnFrames


class TrainConfig(RunConfig):
    """`trifold materials train`."""

    domain: Literal["materials"] = "materials"
    model: ModelConfig
    data: DataConfig = Field(discriminator="name")
    loss: Literal["l1", "mse", "huber", "gaussian"] = Field(
        default="l1",
        description="of errors in units of the property's spread; gaussian: the model predicts a variance, too",
    )
    baseline: Literal["none", "composition"] = Field(
        default="composition",
        description="what a crystal network corrects: the median, or a linear function of the element fractions",
    )
    start_from: ModelName | None = Field(
        default=None, description="a trained model whose weights are the start, where they fit; null: random ones"
    )
    save_as: str | None = Field(
        default=None,
        min_length=1,
        description="folder that the trained predictor is also saved to, ready for model=<folder>",
    )

    @property
    def property_data(self) -> PropertyData:
        """The data section, where properties are learned."""
        assert not isinstance(self.data, FrameData)
        return self.data

    @property
    def sees(self) -> str:
        """The substance by which the model sees the data, where it is not theirs."""
        return getattr(self.model, "sees", "")

    @property
    def potential(self) -> PotentialTrainConfig | None:
        """The part that concerns an interatomic potential, where the data are frames."""
        if not isinstance(self.data, FrameData):
            return None
        return PotentialTrainConfig.model_validate(self.model_dump(include=set(PotentialTrainConfig.model_fields)))

    @model_validator(mode="after")
    def _same_substance(self) -> TrainConfig:
        if self.model.substance != self.data.substance:
            fitting = [name for kind in get_args(AnyModel) if kind.substance == self.data.substance for name in
                       get_args(kind.model_fields["name"].annotation)]  # fmt: skip
            raise ValueError(
                f"model={self.model.name} takes a {self.model.substance}, data={self.data.name} holds a "
                f"{self.data.substance} a row; choose one of model={', '.join(fitting)}"
            )
        if self.potential and (self.start_from or self.baseline != "composition"):
            raise ValueError("start_from and baseline are for properties; a potential takes neither")
        return self


class EvaluateConfig(Section):
    """`trifold materials evaluate`."""

    model: ModelName
    data: Literal[
        CrystalSet,
        MatbenchCrystalSet,
        CompositionSet,
        MoleculeSet,
        FrameSet,
        "crystal-files",
        "molecule-table",
        "composition-table",
        "frame-files",
    ] = Field(description="a data set that `trifold data list` shows, or the kind of your own table or frames")
    path: str | None = Field(default=None, min_length=1, description="your own table; see `trifold materials train`")
    split: Literal["train", "val", "test"] = Field(default="test", description="official part of the data set")
    device: Device = "auto"
    budget: Budget = None
    output: str | None = Field(
        default=None, min_length=1, description="folder of report and predictions; null: a new one under outputs/"
    )
    offline: bool = Field(default=False, description="never touch the network")


class PredictConfig(Section):
    """`trifold materials predict`."""

    model: ModelName
    input: str = Field(
        min_length=1,
        description="structures (CIF, POSCAR, extxyz ..., Zarr), molecules (SDF, .smi), a table (.csv, .tsv, .parquet; "
        "also .gz), or a folder of such files",
    )
    output: str = Field(
        min_length=1, description="a .csv file, or a folder that gets predictions.csv; rejected.csv lies beside"
    )
    column: str | None = Field(
        default=None, min_length=1, description="column of SMILES, formulas or structures; null: by its usual names"
    )
    id_column: str | None = Field(
        default=None, min_length=1, description="column that names the rows; null: by its usual names, if there is one"
    )
    interval: float | None = Field(
        default=None, gt=0, lt=1, description="0.9: also the ends of calibrated 90 % intervals; null: none"
    )
    shard: str | None = Field(
        default=None,
        pattern=r"^\d+/\d+$",
        description="3/64: the third of 64 parts, merged by the one that ends last; null: all, or torchrun's rank",
    )
    workers: int | None = Field(
        default=None, ge=0, description="processes that read and build graphs; 0: none; null: one a core"
    )
    time_limit_s: float = Field(
        default=60.0, gt=0, description="an input that takes longer to read is rejected, with workers"
    )
    device: Device = "auto"
    budget: int | None = Field(default=None, ge=1, description="atoms a step; null: what the device holds")
    offline: bool = Field(default=False, description="never touch the network")


class BenchmarkConfig(Section):
    """`trifold materials benchmark`."""

    table: Literal["mp2018", "matbench", "moleculenet", "mlip"] = Field(
        description="published table that is reproduced"
    )
    train: bool = Field(default=False, description="run the training recipe first, instead of using the shipped model")
    device: Device = "auto"
    submission: str | None = Field(
        default=None,
        min_length=1,
        description="table=matbench: write our predictions into this file instead, in Matbench's format: of the "
        "shipped models for fold 3, with train=true of a model for each fold",
    )
    output: str | None = Field(
        default=None, min_length=1, description="folder of table, report, runs; null: a new one under outputs/"
    )
    offline: bool = Field(default=False, description="never touch the network")

    @model_validator(mode="after")
    def _a_format_of_matbench(self) -> BenchmarkConfig:
        if self.submission and self.table != "matbench":
            raise ValueError(f"submission is a file of Matbench's; use it with table=matbench, not table={self.table}")
        return self
