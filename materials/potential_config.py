"""What a training of an interatomic potential may be told: checked before torch is imported."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from common.app.config import RunConfig, Section

FrameSet = Literal[
    "mlearn-ni", "mlearn-cu", "mlearn-li", "mlearn-mo", "mlearn-si", "mlearn-ge", "acac-300k", "acac-600k",
    "3bpa-300k", "3bpa-mixedt",
]  # fmt: skip
Weight = Annotated[float, Field(ge=0, le=1e9)]


class PotentialConfig(Section):
    """Atomic cluster expansion with message passing, doi:10.1103/PhysRevB.99.014104, arXiv:2206.07697."""

    substance: ClassVar[str] = "frame"
    name: Literal["ace"]
    cutoff_a: float = Field(default=5.0, ge=1, le=20, description="largest distance of a neighbour, angstrom")
    radial: int = Field(default=8, ge=1, le=64, description="radial functions")
    degree: int = Field(default=3, ge=0, le=6, description="largest degree of the spherical harmonics")
    order: int = Field(default=4, ge=2, le=4, description="neighbours of an atom that are coupled at once")
    width: int = Field(default=32, ge=1, le=1024, description="channels of the density around an atom")
    message_width: int = Field(default=8, ge=1, le=256, description="channels in which an atom tells of itself")
    hidden: int = Field(default=64, ge=1, le=4096, description="features of an atom")
    layers: int = Field(default=2, ge=1, le=8, description="steps of message passing, counting the first")
    members: int = Field(
        default=1, ge=1, le=64, description="potentials of an ensemble, trained side by side in one run"
    )


class FrameData(Section):
    """Structures with energies and forces, and what errors of each count."""

    substance: ClassVar[str] = "frame"
    own: ClassVar[bool] = False
    name: FrameSet
    energy_weight: Weight = Field(default=100.0, description="of the loss of the energy in eV/atom")
    force_weight: Weight = Field(default=1.0, description="of the loss of the forces in eV/angstrom")
    stress_weight: Weight = Field(default=0.0, description="of the loss of the stress in eV/angstrom^3, where known")
    train_limit: int | None = Field(default=None, ge=1, description="frames of the training split used; null: all")
    val_limit: int | None = Field(default=None, ge=1, description="frames of the validation split used; null: all")


class OwnFrames(FrameData):
    """Your frames: extended XYZ with energy, forces and, where known, stress."""

    own: ClassVar[bool] = True
    name: Literal["frame-files"]  # pyright: ignore[reportIncompatibleVariableOverride]
    path: str = Field(min_length=1, description="extended XYZ file of the frames")
    val_path: str | None = Field(
        default=None, min_length=1, description="file of the validation frames; null: a tenth of the others"
    )
    split_seed: int = Field(default=0, ge=0, description="of that tenth")
    isolated_ev: dict[str, float] = Field(
        default={}, description="energy of one isolated atom by element, eV; empty: a mean stands for it"
    )


class PotentialTrainConfig(RunConfig):
    """`trifold materials train` on frames."""

    domain: Literal["materials"] = "materials"
    model: PotentialConfig
    data: Annotated[FrameData | OwnFrames, Field(discriminator="name")]
    loss: Literal["l1", "mse", "huber"] = Field(default="mse", description="of energies per atom, forces and stress")
    save_as: str | None = Field(
        default=None, min_length=1, description="folder that the potential is also saved to, for Potential and ASE"
    )

    @model_validator(mode="after")
    def _differentiable_twice(self) -> PotentialTrainConfig:
        if self.trainer.compile or self.trainer.precision != "fp32":
            raise ValueError(
                "training on forces takes second derivatives of the model: trainer.compile must be false and "
                f"trainer.precision fp32, found {self.trainer.compile} and {self.trainer.precision}"
            )
        return self
