"""AdamW with parameter groups, and the learning-rate schedules."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from common.app.config import OptimizerConfig, ScheduleConfig


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter, arXiv 1711.05101); vectors (norms, biases) get no weight decay.

    Its state is there from the start, so that a checkpoint has a place to be loaded into.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=config.learning_rate, betas=config.betas, fused=True
    )
    for p in parameters:
        optimizer.state[p] = {"step": torch.zeros((), device=p.device), "exp_avg": torch.zeros_like(p),
                              "exp_avg_sq": torch.zeros_like(p)}
    return optimizer


@dataclass
class Schedule:
    """Learning rate at each step. Only `plateau` has a state: the factor reached and how long it waited."""

    config: ScheduleConfig
    peak: float
    total_steps: int
    scale: float = 1.0
    best: float = math.inf
    waited: int = 0

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        warmup = int(self.config.warmup_fraction * self.total_steps)
        if step < warmup:
            return self.peak * (step + 1) / warmup
        progress = (step - warmup) / max(1, self.total_steps - warmup)
        final = self.config.final_fraction
        match self.config.name:
            case "constant":
                return self.peak
            case "plateau":
                return self.peak * max(self.scale, final)
            case "cosine":  # Loshchilov & Hutter, arXiv 1608.03983
                return self.peak * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress)))
            case "one_cycle":  # Smith & Topin, arXiv 1708.07120: linear up over 30 %, cosine down
                if progress < 0.3:
                    return self.peak * (0.04 + 0.96 * progress / 0.3)
                return self.peak * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * (progress - 0.3) / 0.7)))

    def observe(self, value: float) -> None:
        """Tell the plateau schedule a validation value (lower is better)."""
        if value < self.best:
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.config.name == "plateau" and self.waited >= self.config.patience:
            self.scale *= self.config.factor
            self.waited = 0

    def state(self) -> dict[str, float | None]:
        return {"scale": self.scale, "best": _json_number(self.best), "waited": self.waited}

    def load_state(self, state: dict[str, Any]) -> None:
        self.scale, self.waited = state["scale"], state["waited"]
        self.best = math.inf if state["best"] is None else state["best"]


def _json_number(value: float) -> float | None:
    return None if math.isinf(value) else value


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
