"""The shape of every run's configuration: Hydra composes it, these models check it before torch is imported.

A field's description is the reference documentation of its key; `trifold <domain> <verb> --help` prints them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Probability = Annotated[float, Field(ge=0, lt=1)]

Device = Annotated[
    str,
    Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto: a GPU where there is one; cpu; cuda; cuda:<index>"),
]


class Section(BaseModel):
    """Base of all configuration sections: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class OptimizerConfig(Section):
    """AdamW with decoupled weight decay on matrices only (norms and biases are left out)."""

    learning_rate: float = Field(gt=0, lt=10, description="peak learning rate")
    weight_decay: float = Field(default=0.01, ge=0, description="decoupled weight decay of the matrices")
    betas: tuple[Probability, Probability] = Field(
        default=(0.9, 0.999), description="decay of the running means of gradient and squared gradient"
    )
    clip_norm: float | None = Field(default=None, gt=0, description="largest norm of the gradient; null: no clipping")


class ScheduleConfig(Section):
    """Learning rate as a fraction of its peak over the run's steps."""

    name: Literal["cosine", "one_cycle", "constant", "plateau"] = Field(
        default="cosine", description="how the rate goes down after the warm-up"
    )
    warmup_fraction: float = Field(default=0.0, ge=0, lt=1, description="share of all steps spent rising from zero")
    final_fraction: float = Field(default=0.01, ge=0, le=1, description="last learning rate over the peak")
    patience: int = Field(default=5, ge=1, description="plateau: evaluations without progress before the rate falls")
    factor: float = Field(default=0.5, gt=0, lt=1, description="plateau: what the rate is multiplied with")


class TrainerConfig(Section):
    """How a task is trained; what is trained is the task's own configuration."""

    epochs: int = Field(ge=1, description="passes over the training data")
    batch_size: int = Field(ge=1, description="samples a step over all ranks and accumulated pieces together")
    budget: int | None = Field(default=None, ge=1, description="largest total size (atoms, residues ...) held at once")
    accumulate: int = Field(default=1, ge=1, description="pieces a rank's share of a batch is cut into")
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        default="fp32", description="of activations; parameters stay in fp32"
    )
    tf32: bool = Field(default=True, description="let a GPU round the factors of fp32 matrix products to 10 bits")
    ema_decay: Probability = Field(default=0.0, description="of the averaged weights a step; 0: none are kept")
    evaluate_every: int = Field(default=1, ge=1, description="epochs between evaluations")
    checkpoint_every_steps: int | None = Field(default=None, ge=1, description="also save inside an epoch")
    keep_checkpoints: int = Field(default=2, ge=2, description="newest ones that stay on the disk, beside the best")
    select: Literal["best", "last"] = Field(
        default="best", description="weights that a run ends with: of its best evaluation, or of its last one"
    )
    early_stopping: int | None = Field(default=None, ge=1, description="evaluations without progress that end the run")
    non_finite: Literal["stop", "skip"] = Field(
        default="stop", description="what a loss or gradient that is not finite does to the run"
    )
    max_skipped: int = Field(default=10, ge=1, description="skipped steps after which a run with non_finite=skip stops")
    compile: bool = Field(default=False, description="run the model through torch.compile")
    activation_checkpointing: bool = Field(default=False, description="compute activations twice to save memory")
    deterministic: bool = Field(default=False, description="bit-identical repetition, also on a GPU; slower")
    profile_steps: int = Field(default=0, ge=0, description="steps traced from the eleventh on; 0: no profiler")
    log_every: int = Field(default=50, ge=1, description="steps between lines of metrics.jsonl")
    threads: int | None = Field(default=None, ge=1, description="CPU threads of one rank; null: torch's own choice")
    device: Device = "auto"
    parallel: Literal["ddp", "fsdp"] = Field(
        default="ddp", description="under torchrun: whole models side by side, or one model sharded over the ranks"
    )
    loggers: tuple[Literal["tensorboard", "wandb"], ...] = Field(
        default=(), description="written beside metrics.jsonl; each needs the extra of its name"
    )

    @model_validator(mode="after")
    def _divisible(self) -> TrainerConfig:
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size={self.batch_size} is not a multiple of accumulate={self.accumulate}")
        return self


class RunConfig(Section):
    """What every training run of every domain states."""

    experiment: str = Field(
        pattern=r"^[A-Za-z0-9_.\-]+$", description="name of the study and of its folder in outputs/<domain>"
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="of weights, sample order and dropout")
    run_dir: str | None = Field(default=None, description="null: outputs/<domain>/<experiment>/<time>")
    resume: str | None = Field(
        default=None, description="auto: this experiment's newest run; or a run folder; null: start anew"
    )
    check: bool = Field(default=False, description="validate configuration, data and one training step, then stop")
    offline: bool = Field(default=False, description="never touch the network")
    optimizer: OptimizerConfig
    schedule: ScheduleConfig = ScheduleConfig()
    trainer: TrainerConfig
