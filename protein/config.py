"""What the verbs of `trifold protein` may be told: checked before torch is imported."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from common.app.config import Device, RunConfig, Section

ModelName = Annotated[
    str, Field(min_length=1, description="a model that `trifold models` shows, or a folder written by save_pretrained")
]
Width = Annotated[int, Field(ge=8, le=4096)]
Depth = Annotated[int, Field(ge=0, le=128)]
Weight = Annotated[float, Field(ge=0, le=1e3)]
Share = Annotated[float, Field(ge=0, le=1)]


class FoldModel(Section):
    """The compact folder."""

    name: Literal["fold"]
    single: Width = Field(default=128, description="features of a residue; a multiple of heads")
    pair: Width = Field(default=32, description="features of a pair of residues; even")
    stem_width: Width = Field(default=160, description="features of a residue in the stem")
    stem_blocks: Depth = Field(default=5, description="of the stem: convolutions along the sequence; 0: none")
    voters: int = Field(default=0, ge=0, le=16, description="further stems, which vote on the secondary structure only")
    sequence_blocks: Depth = Field(default=4, description="of attention and convolution, on the sequence alone")
    blocks: Depth = Field(default=8, description="of the trunk, on residues and pairs")
    heads: int = Field(default=8, ge=1, le=64, description="of attention over residues")
    triangle_every: int = Field(default=2, ge=1, le=128, description="every so manieth block multiplies triangles")
    triangle_heads: int = Field(default=0, ge=0, le=64, description="of attention around triangles; 0: none")
    iterations: int = Field(default=4, ge=1, le=16, description="of the structure module")
    cycles: int = Field(default=1, ge=1, le=16, description="of recycling, at most in training and always in use")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="of updates")

    @model_validator(mode="after")
    def _divisible(self) -> FoldModel:
        if self.voters and not self.stem_blocks:
            raise ValueError(f"voters={self.voters} are stems; set stem_blocks, which is 0")
        for width, heads, what in (
            (self.single, self.heads, "single"),
            (self.pair, self.triangle_heads or 1, "pair"),
            (self.pair, 2, "pair"),
        ):
            if width % heads:
                raise ValueError(f"model.{what}={width} is not a multiple of {heads}")
        return self


class IdealChains(Section):
    """Helices, hairpins and turns that are built when a run starts, SYNTHETIC: no file is needed."""

    name: Literal["ideal-chains"]
    chains: int = Field(default=256, ge=2, le=100_000, description="chains to train on; an eighth as many to validate")


class Pdb5k(Section):
    """Chains of the Protein Data Bank, split by homology."""

    name: Literal["pdb5k"]
    chains: int | None = Field(
        default=None, ge=2, description="train on this many at random, of nested subsets; null: on all"
    )
    subset_seed: int = Field(default=0, ge=0, lt=2**32, description="of the order that subsets are taken from")


class OwnChains(Section):
    """Your structures, packed by `trifold data prepare domain=protein`."""

    name: Literal["chain-store"]
    path: str = Field(min_length=1, description="folder with train.npz and val.npz")


DataConfig = Annotated[IdealChains | Pdb5k | OwnChains, Field(discriminator="name")]


class Curriculum(Section):
    """What is learned when, in shares of the run."""

    pairs_from: Share = Field(default=0.0, description="before this, secondary structure only, by the stem alone")
    crop: int = Field(default=96, ge=16, le=2048, description="residues in a row that a step sees of a chain")
    structure_from: Share = Field(default=0.5, description="before this, distances and secondary structure only")
    trunk_until: Share = Field(default=1.0, description="from here on, structure module and confidence alone learn")
    violations_from: Share = Field(default=0.9, description="from here on impossible chemistry costs, too")
    hidden: float = Field(default=0.12, ge=0, le=0.9, description="share of residues hidden in training, to be guessed")
    redesigned: Share = Field(
        default=0.0,
        description="share of draws in which, before structures are learned, some of a chain's residues are others "
        "that fit their places; above 0 a network first learns from the training chains which do",
    )
    validation_crop: int = Field(default=256, ge=16, le=4096, description="the same of validation chains")


class LossWeights(Section):
    """What each part of the loss counts."""

    distogram: Weight = 1.0
    near: float = Field(default=6.0, ge=1, le=1e3, description="how often a pair within 15 Å counts; others once")
    secondary: Weight = 0.5
    residue: Weight = Field(default=0.1, description="of guessing hidden residues")
    fape: Weight = Field(default=1.5, description="of frame-aligned errors, of backbones and of all atoms")
    smooth_lddt: Weight = Field(default=0.2, description="of distances between C-alpha atoms below 15 Å")
    torsion: Weight = 0.5
    lddt: Weight = Field(default=0.05, description="of predicting one's own lDDT")
    aligned_error: Weight = Field(default=0.05, description="of predicting one's own aligned errors")
    violation: Weight = 0.1


class TrainConfig(RunConfig):
    """`trifold protein train`."""

    domain: Literal["protein"] = "protein"
    model: FoldModel
    data: DataConfig
    curriculum: Curriculum = Curriculum()
    loss: LossWeights = LossWeights()
    start_from: ModelName | None = Field(
        default=None, description="a trained model whose weights are the start, where they fit; null: random ones"
    )
    save_as: str | None = Field(
        default=None, min_length=1, description="folder that the trained predictor is also saved to"
    )
    save_half: bool = Field(default=False, description="save its weights in 16 bits: half the size")
    reported: int | None = Field(
        default=None, ge=1, description="validation chains that a run's report folds and scores; null: all"
    )

    @model_validator(mode="after")
    def _has_stem(self) -> TrainConfig:
        if self.curriculum.pairs_from and not self.model.stem_blocks:
            raise ValueError("curriculum.pairs_from needs a stem that learns before: set model.stem_blocks")
        return self


class BenchmarkConfig(Section):
    """`trifold protein benchmark`."""

    table: Literal["pdb5k", "pdb5k_curve"] = Field(description="table that is reproduced")
    train: bool = Field(
        default=False,
        description="run the training recipes first, instead of using the shipped model; pdb5k_curve always does",
    )
    device: Device = "auto"
    output: str | None = Field(
        default=None, min_length=1, description="folder of table and report; null: a new one under outputs/"
    )
    offline: bool = Field(default=False, description="never touch the network")


class PredictConfig(Section):
    """`trifold protein predict`."""

    model: ModelName
    input: str = Field(min_length=1, description="a FASTA file, or a folder of them; also .gz, .bz2, .xz")
    output: str = Field(
        min_length=1, description="folder of structures, arrays, summary.csv, rejected.csv, report.html"
    )
    msa_dir: str | None = Field(
        default=None,
        min_length=1,
        description="folder with <name of a sequence>.a3m or .sto, for models that read them",
    )
    format: Literal["pdb", "mmcif", "both"] = Field(default="both", description="of the structures")
    distogram: bool = Field(
        default=True, description="write probabilities of distance too: 64 bins a pair, 12 MB at 300 residues"
    )
    cycles: int | None = Field(default=None, ge=1, le=64, description="of recycling; null: as the model was trained")
    fit: bool | None = Field(
        default=None,
        description="move atoms to where most of the predicted distances are kept; null: as the model's card says",
    )
    relax: bool | None = Field(
        default=None, description="move atoms until the chain is chemically possible; null: as the model's card says"
    )
    memory_gb: float | None = Field(default=None, gt=0, description="limit of the activations; null: what is free")
    shard: str | None = Field(
        default=None,
        pattern=r"^\d+/\d+$",
        description="3/64: the third of 64 parts, into one folder; null: all, or torchrun's rank",
    )
    draw: int = Field(default=100, ge=0, description="predictions that the report shows; the table lists all")
    dtype: Literal["float32", "bfloat16"] = Field(
        default="float32", description="bfloat16: 16 bits, but for coordinates"
    )
    triton: bool = Field(default=False, description="multiply triangles by Triton kernels, on a GPU")
    device: Device = "auto"
    offline: bool = Field(default=False, description="never touch the network")


class EvaluateConfig(Section):
    """`trifold protein evaluate`: a model on a data set, or predictions that lie in files."""

    model: ModelName | None = Field(default=None, description="a model that `trifold models` shows, or its folder")
    data: Literal["pdb5k", "chain-store", "cb513", "ts115", "ideal-chains"] = Field(
        default="pdb5k", description="chains to predict and score; cb513 and ts115 know secondary structure only"
    )
    path: str | None = Field(default=None, min_length=1, description="data=chain-store: folder of `data prepare`")
    split: Literal["train", "val", "test", "ts50"] = Field(default="test", description="part of the data set")
    kind: Literal["all", "full", "ca"] = Field(default="all", description="all-atom chains, C-alpha chains, or both")
    predictions: str | None = Field(default=None, min_length=1, description="folder or file of predicted structures")
    structures: str | None = Field(
        default=None, min_length=1, description="folder or file of the experimental ones, named as the predictions"
    )
    limit: int | None = Field(default=None, ge=1, description="score the first chains only; null: all")
    cycles: int | None = Field(default=None, ge=1, le=64, description="of recycling; null: as the model was trained")
    fit: bool | None = Field(
        default=None,
        description="move atoms to where most of the predicted distances are kept; null: as the model's card says",
    )
    relax: bool | None = Field(
        default=None, description="move atoms until the chain is chemically possible; null: as the model's card says"
    )
    memory_gb: float | None = Field(default=None, gt=0, description="limit of the activations; null: what is free")
    device: Device = "auto"
    output: str | None = Field(
        default=None, min_length=1, description="folder of report and scores; null: a new one under outputs/"
    )
    offline: bool = Field(default=False, description="never touch the network")

    @model_validator(mode="after")
    def _one_of_two(self) -> EvaluateConfig:
        if (self.model is None) == (self.predictions is None):
            raise ValueError("give either model=<name> or predictions=<folder>")
        if (self.predictions is None) != (self.structures is None):
            raise ValueError("predictions and structures go together")
        if (self.data == "chain-store") != (self.path is not None):
            raise ValueError("data=chain-store and path=<folder> go together")
        return self
