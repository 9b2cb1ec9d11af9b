"""The training loop: one process or many, CPU or GPU, from the first step or from where a run was stopped."""

from __future__ import annotations

import json
import math
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from common.app.config import RunConfig
from common.app.errors import ConfigError, NumericalError
from common.data.loader import prefetched
from common.results.metrics import Accumulator
from common.training.batch_norm import norms_over_ranks
from common.training.checkpoint import Checkpointer
from common.training.distributed import (
    World,
    any_rank,
    barrier,
    distribute,
    is_sharded,
    share_buffers,
    synchronise_gradients,
    whole,
)
from common.training.ema import AveragedModel
from common.training.finite import FiniteGuard, not_finite
from common.training.optimizer import Schedule, make_optimizer, set_rate
from common.training.precision import autocast, mixed_seed, seed_generators
from common.training.progress import ProgressReport
from common.training.records import Records
from common.training.run_directory import RunDirectory
from common.training.sampler import Sampler, cut_to, split_by_budget
from common.training.signals import EXIT_STATUS, StopRequest
from common.training.task import Batch, Task


@dataclass
class Progress:
    """What a checkpoint remembers beside tensors."""

    step: int = 0
    best: float = math.inf
    best_step: int = -1
    evaluations_without_progress: int = 0
    skipped: int = 0
    seconds: float = 0.0
    schedule: dict[str, Any] = field(default_factory=dict)
    loss_scale: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "best": None if math.isinf(self.best) else self.best}

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Progress:
        return cls(**{**state, "best": math.inf if state["best"] is None else state["best"]})


class Trainer:
    """Trains a task into a run folder; `fit` returns when the run is complete.

    Raises NumericalError when a loss or gradient is not finite, SystemExit(143 or 130) after a signal was obeyed.
    """

    def __init__(self, task: Task, config: RunConfig, run: RunDirectory, world: World, device: torch.device) -> None:
        self.task, self.config, self.run, self.world, self.device = task, config, run, world, device
        c = config.trainer
        if c.precision == "fp16" and c.parallel == "fsdp":
            raise ConfigError("trainer.precision=fp16 does not go with trainer.parallel=fsdp; use bf16")
        task.model.to(device)
        if c.activation_checkpointing:
            for block in task.blocks:
                block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        self.model = distribute(task, world, device, c.parallel)
        self.forward: nn.Module = torch.compile(self.model) if c.compile else self.model  # pyright: ignore
        self.sizes = task.sizes("train")
        self.sampler = Sampler(len(self.sizes), c.batch_size, config.seed, world.size)
        self.total_steps = c.epochs * self.sampler.steps_per_epoch
        self.optimizer = make_optimizer(task.model, config.optimizer)
        self.optimizer.grad_scale = None  # pyright: ignore[reportAttributeAccessIssue]
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.schedule = Schedule(config.schedule, config.optimizer.learning_rate, self.total_steps)
        self.average = AveragedModel(task.model, c.ema_decay) if c.ema_decay else None
        self.scaler = torch.amp.GradScaler(device.type, enabled=c.precision == "fp16")
        self.guard = FiniteGuard(world, sticky=c.non_finite == "stop")
        self.checkpoints = Checkpointer(
            run.checkpoints, world, task.model, self.optimizer, self.average, c.keep_checkpoints
        )
        self.progress = Progress()

    def fit(self) -> Progress:
        """Train to the last step, evaluating and saving on the way."""
        self._resume()
        c, state = self.config.trainer, self.progress
        records = Records(self.run if self.world.is_main else None, c.loggers)
        report = ProgressReport(self.total_steps, state.step, self.config.experiment, silent=not self.world.is_main)
        steps = range(state.step, self.total_steps)
        losses: list[Tensor] = []  # of the steps since the last line of metrics.jsonl, still on the device
        started = time.perf_counter()
        try:
            with StopRequest() as stop, self._profiler() as profiler:
                for step, batches in zip(steps, self._steps(steps), strict=True):
                    if c.early_stopping and state.evaluations_without_progress >= c.early_stopping:
                        report.say(f"no progress in {c.early_stopping} evaluations: done")
                        break
                    losses.append(self._step(step, batches))
                    state.step = step + 1
                    report.advance()
                    if profiler:
                        profiler.step()

                    stopping = any_rank(self.world, stop.exit_status is not None)
                    saving = stopping or self._is_checkpoint(state.step)
                    if saving or state.step % c.log_every == 0 or self._ends_epoch(state.step):
                        self._stop_if_not_finite()
                        values = self._training_record(losses, time.perf_counter() - started)
                        records.write(state.step, "train", values)
                        report.describe({"epoch": values["epoch"], "loss": values["loss"]})
                        losses, started = [], time.perf_counter()

                    if self._is_evaluation(state.step):
                        epoch, scores = self._epoch(state.step), self.evaluate("val")
                        records.write(state.step, "val", {"epoch": epoch, **scores})
                        report.say(report.describe({"epoch": epoch, "loss": values["loss"], **scores}))
                        self._judge(scores)
                        started = time.perf_counter()

                    if saving or self._is_evaluation(state.step):
                        self._save()
                    if stopping:
                        report.say(f"stopped on request; go on with resume={self.run.path}")
                        raise SystemExit(stop.exit_status or EXIT_STATUS[signal.SIGTERM])
        finally:
            report.close()
            records.close()
        barrier(self.world)
        return state

    @torch.no_grad()
    def evaluate(self, split: str) -> dict[str, float]:
        """Exact means of the task's metrics over a split, with the averaged weights where the run averages."""
        c, world = self.config.trainer, self.world
        sizes = self.task.sizes(split)
        ids = np.arange(len(sizes) + -len(sizes) % world.size)  # as many on all ranks: the last again, unscored
        shares = np.minimum(ids, len(sizes) - 1).reshape(-1, world.size).T
        scored = torch.as_tensor(ids[world.rank :: world.size] < len(sizes), device=self.device)
        pieces = self._pieces(shares, sizes, math.ceil(len(scored) / c.batch_size))
        scores = Accumulator(self.device)
        self.model.eval()
        with self._averaged():
            share_buffers(world, self.task.model)
            for batch, weight in zip(self._batches(split, pieces), scored.split([len(p) for p in pieces]), strict=True):
                with autocast(self.device, c.precision):
                    scores.add(self.task.metrics(self.forward, batch), weight)
        self.model.train()
        return scores.reduce().compute()

    def check(self) -> dict[str, float]:
        """One training step and one validation batch, without writing anything."""
        self.model.train()
        loss = self._step(0, next(self._steps(range(1)))).mean()
        self._stop_if_not_finite()
        sizes, c = self.task.sizes("val"), self.config.trainer
        ids = split_by_budget(np.arange(min(len(sizes), c.batch_size)), sizes, c.budget)[0]
        self.model.eval()
        scores = Accumulator(self.device)
        with torch.no_grad(), autocast(self.device, c.precision):
            scores.add(self.task.metrics(self.forward, self.task.batch("val", ids)))
        return {"loss": float(loss), **{f"val_{name}": value for name, value in scores.compute().items()}}

    def _step(self, step: int, batches: list[Batch]) -> Tensor:
        """Gradients of all pieces, clipping, the finite check and the optimiser; returns the losses [share]."""
        c, share = self.config.trainer, self.sampler.batch_size // self.world.size
        self.task.begin(step / self.total_steps, mixed_seed(self.config.seed, step))
        seed_generators(mixed_seed(self.config.seed, step, self.world.rank), self.device)
        set_rate(self.optimizer, self.schedule.rate(step))
        self.optimizer.zero_grad(set_to_none=True)
        buffers = [b.clone() for b in self.task.model.buffers()] if c.non_finite == "skip" else []
        losses = []
        for number, batch in enumerate(batches, start=1):
            with synchronise_gradients(self.model, last=number == len(batches)):
                with autocast(self.device, c.precision):
                    loss = self.task.loss(self.forward, batch)
                self.scaler.scale(loss).backward(torch.full_like(loss, 1 / share))  # of the mean over the whole step
            losses.append(loss.detach())
        self.scaler.unscale_(self.optimizer)
        loss = torch.cat(losses)
        bad = self._take_step(step, loss)
        for buffer, before in zip(self.task.model.buffers(), buffers, strict=False):
            buffer.copy_(torch.where(bad > 0, before, buffer))  # running statistics, which no optimiser guards
        if self.average:
            self.average.update(step)
        return loss

    def _take_step(self, step: int, loss: Tensor) -> Tensor:
        """Clip, and step the optimiser unless the loss or the gradient is not finite.

        Returns 1.0 where it is not, else 0.0: decided on the device, on all ranks alike.
        """
        parameters = [p for p in self.parameters if p.grad is not None]
        norm = whole(nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))
        if clip := self.config.optimizer.clip_norm:
            nn.utils.clip_grads_with_norm_(parameters, clip, norm)
        if self.scaler.is_enabled():  # fp16: a gradient that overflows lowers the scale and is no fault
            bad = self.guard.check(step, loss.sum())
            leave_out = torch.maximum(bad, not_finite(norm))
        else:
            bad = leave_out = self.guard.check(step, loss.sum() + norm)
        if self.device.type != "cpu":  # the flag stays on the device; the host reads it with the next log line
            self.optimizer.found_inf = leave_out  # pyright: ignore[reportAttributeAccessIssue]
            self.optimizer.step()
        elif leave_out:
            self._stop_if_not_finite()
        else:
            self.optimizer.step()
        self.scaler.update()
        return bad

    def _steps(self, steps: range) -> Iterator[list[Batch]]:
        """For each step, this rank's samples in pieces that keep to the memory budget."""
        batches = ([self.task.batch("train", ids)
                    for ids in self._pieces(self.sampler.shares(step), self.sizes, self.config.trainer.accumulate)]
                   for step in steps)
        return prefetched(batches) if self.task.prefetch else batches

    def _pieces(self, shares: np.ndarray, sizes: np.ndarray, pieces: int) -> list[np.ndarray]:
        """This rank's row of `shares` [world, n] in pieces within the budget, as many on all ranks where one waits for
        another in a forward pass."""
        budget = self.config.trainer.budget
        own = split_by_budget(shares[self.world.rank], sizes, budget, pieces)
        if budget is None or not (is_sharded(self.model) or norms_over_ranks(self.task.model)):
            return own
        return cut_to(own, max(len(split_by_budget(share, sizes, budget, pieces)) for share in shares))

    def _batches(self, split: str, pieces: list[np.ndarray]) -> Iterator[Batch]:
        batches = (self.task.batch(split, ids) for ids in pieces)
        return prefetched(batches) if self.task.prefetch else batches

    def _resume(self) -> None:
        state = self.checkpoints.load_newest() if self.config.resume else None
        if state:
            self.progress = Progress.from_json(state)
            self.schedule.load_state(self.progress.schedule)
            self.scaler.load_state_dict(self.progress.loss_scale)
            self.guard.skipped = self.progress.skipped
        if self.world.is_main:
            self.run.truncate_history(self.progress.step) if self.run.metrics.exists() else None
        self.model.train()

    def _save(self) -> None:
        self.progress.schedule = self.schedule.state()
        self.progress.loss_scale = self.scaler.state_dict()
        self.progress.skipped = self.guard.read()
        share_buffers(self.world, self.task.model)
        with self._averaged():
            share_buffers(self.world, self.task.model)
        self.checkpoints.save(self.progress.step, self.progress.to_json())

    def _averaged(self) -> AbstractContextManager[None]:
        """Inside this context the model holds the averaged weights, where the run averages."""
        return self.average.swapped() if self.average else nullcontext()

    def _judge(self, scores: dict[str, float]) -> None:
        """Keep the weights when the monitored score is the best so far, or always where the last ones are asked for."""
        if self.task.monitor not in scores:
            raise ConfigError(f"the task monitors '{self.task.monitor}' but reports only {sorted(scores)}")
        score, state = scores[self.task.monitor], self.progress
        self.schedule.observe(score)
        progressed = score < state.best
        state.evaluations_without_progress = 0 if progressed else state.evaluations_without_progress + 1
        if progressed:
            state.best = score
        if progressed or self.config.trainer.select == "last":
            state.best_step = state.step
            with self._averaged():
                finite = {name: value for name, value in scores.items() if math.isfinite(value)}
                self.checkpoints.save_best({"step": state.step, "monitor": self.task.monitor, "scores": finite})

    def _stop_if_not_finite(self) -> None:
        c = self.config.trainer
        skipped, first = self.guard.read(), self.guard.first_bad_step
        if first < 0 or (c.non_finite == "skip" and skipped <= c.max_skipped):
            return
        names = self.task.names("train", self.sampler.step_ids(first))
        path = self.run.path / "non_finite.json"
        if self.world.is_main:
            path.write_text(json.dumps({"step": first, "epoch": self._epoch(first), "samples": names}, indent=1))
        raise NumericalError(
            f"loss or gradient is not finite at step {first} ({skipped} bad so far); no bad step changed the weights. "
            f"The batch's {len(names)} samples are named in {path}. Look for bad targets there, or lower "
            f"optimizer.learning_rate (now {self.config.optimizer.learning_rate:g}) or set optimizer.clip_norm"
        )

    def _ends_epoch(self, step: int) -> bool:
        return step % self.sampler.steps_per_epoch == 0

    def _is_evaluation(self, step: int) -> bool:
        every = self.config.trainer.evaluate_every * self.sampler.steps_per_epoch
        return step == self.total_steps or step % every == 0

    def _is_checkpoint(self, step: int) -> bool:
        every = self.config.trainer.checkpoint_every_steps
        return every is not None and step % every == 0

    def _epoch(self, step: int) -> float:
        return round(step / self.sampler.steps_per_epoch, 4)

    def _training_record(self, losses: list[Tensor], seconds: float) -> dict[str, float]:
        """Mean loss over all ranks since the last record (skipped steps left out), rate, speed and memory."""
        mean, loss = Accumulator(self.device), torch.cat(losses)
        mean.add({"loss": loss}, weight=torch.isfinite(loss))
        self.progress.seconds += seconds
        values = {"epoch": self._epoch(self.progress.step), **mean.reduce().compute(),
                  "learning_rate": self.schedule.rate(self.progress.step - 1),
                  "samples_per_s": len(losses) * self.sampler.batch_size / seconds}
        if self.device.type == "cuda":
            values["memory_gb"] = torch.cuda.max_memory_allocated(self.device) / 1e9
        else:
            values["memory_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        return values

    def _profiler(self) -> Any:
        """Traces steps 11.. of this process into trace.json when trainer.profile_steps is set."""
        steps = self.config.trainer.profile_steps
        if not steps:
            return nullcontext()
        from torch.profiler import ProfilerActivity, profile, schedule

        activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if self.device.type == "cuda" else [])
        path = self.run.path / f"trace-rank{self.world.rank}.json"
        return profile(activities=activities, schedule=schedule(wait=9, warmup=1, active=steps, repeat=1),
                       on_trace_ready=lambda trace: trace.export_chrome_trace(str(path)))
