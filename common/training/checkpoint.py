"""Everything a run needs to go on exactly: weights, optimiser, averages, schedule and step.

    checkpoints/step-00001234/   model.safetensors  optimizer.safetensors  [average.safetensors]  state.json  manifest.json
    checkpoints/best/            model.safetensors (averaged where the run averages)  state.json  manifest.json

Random numbers and the sample order follow from (seed, step, rank), so they need no room here.
Runs sharded by FSDP write the tensors through torch.distributed.checkpoint into the same folder, and may resume with
another number of processes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from common.app.errors import CheckpointError
from common.data.artifact import read_json, read_tensors, staged_folder, verify_artifact, encode
from common.training.distributed import World, barrier, from_main
from common.training.ema import AveragedParameters

SEPARATOR = "::"


class Checkpointer:
    """Writes, prunes and finds the checkpoints of one run folder."""

    def __init__(self, folder: Path, world: World, model: nn.Module, optimizer: torch.optim.Optimizer,
                 average: AveragedParameters | None, keep: int) -> None:
        self.folder, self.world, self.keep = folder, world, keep
        self.model, self.optimizer, self.average = model, optimizer, average
        self.sharded = hasattr(model, "set_requires_gradient_sync")

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write `step-<step>` and remove checkpoints older than the newest `keep`."""
        target = self.folder / f"step-{step:08d}"
        if self.sharded:
            self._save_sharded(target, state)
        elif self.world.is_main:
            with staged_folder(target) as temporary:
                for name, tensors in self._tensors().items():
                    (temporary / name).write_bytes(encode(name, tensors))
                (temporary / "state.json").write_bytes(encode("state.json", state))
        if self.world.is_main:
            for old in step_folders(self.folder)[: -self.keep]:
                shutil.rmtree(old)
        barrier(self.world)

    def save_best(self, state: dict[str, Any]) -> None:
        """Write the weights the model holds now as `best`."""
        weights = full_state(self.model)
        if self.world.is_main:
            with staged_folder(self.folder / "best") as temporary:
                (temporary / "model.safetensors").write_bytes(encode("model.safetensors", weights))
                (temporary / "state.json").write_bytes(encode("state.json", state))
        barrier(self.world)

    def load_newest(self) -> dict[str, Any] | None:
        """Restore the newest checkpoint that is whole and return its state; None where there is none.

        A damaged one is named on stderr and the one before it is used.
        """
        folder = from_main(self.world, newest_valid(self.folder) if self.world.is_main else None)
        if folder is None:
            return None
        state = read_json(folder, "state.json")
        if self.sharded:
            self._load_sharded(folder)
            return state
        files = {name: read_tensors(folder, name) for name in self._tensors()}
        self.model.load_state_dict(files["model.safetensors"])
        _load_optimizer(self.model, self.optimizer, files["optimizer.safetensors"])
        if self.average:
            self.average.load_state(files["average.safetensors"])
        return state

    def _tensors(self) -> dict[str, dict[str, Tensor]]:
        files = {"model.safetensors": self.model.state_dict(),
                 "optimizer.safetensors": _optimizer_state(self.model, self.optimizer)}
        if self.average:
            files["average.safetensors"] = self.average.state()
        return files

    def _sharded_state(self) -> dict[str, Any]:
        from torch.distributed.checkpoint.state_dict import get_state_dict

        model, optimizer = get_state_dict(self.model, self.optimizer)
        state: dict[str, Any] = {"model": model, "optimizer": optimizer}
        if self.average:
            state["average"] = self.average.state()
        return state

    def _save_sharded(self, target: Path, state: dict[str, Any]) -> None:
        import torch.distributed.checkpoint as dcp

        # rank 0 owns the staged folder; all ranks write their shards into it before it is sealed and renamed
        staged = staged_folder(target) if self.world.is_main else None
        temporary = from_main(self.world, staged.__enter__() if staged else None)
        dcp.save(self._sharded_state(), checkpoint_id=temporary)
        barrier(self.world)
        if staged:
            (temporary / "state.json").write_bytes(encode("state.json", state))
            staged.__exit__(None, None, None)

    def _load_sharded(self, folder: Path) -> None:
        import torch.distributed.checkpoint as dcp
        from torch.distributed.checkpoint.state_dict import set_state_dict

        state = self._sharded_state()
        dcp.load(state, checkpoint_id=folder)
        set_state_dict(self.model, self.optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
        if self.average:
            self.average.load_state(state["average"])


def step_folders(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))


def newest_valid(folder: Path) -> Path | None:
    """The newest whole `step-*` checkpoint; raises CheckpointError when there are some and none is whole."""
    problems = []
    for candidate in reversed(step_folders(folder)):
        try:
            verify_artifact(candidate)
            return candidate
        except CheckpointError as error:
            problems.append(str(error))
            print(f"warning: checkpoint passed over: {error}", file=sys.stderr)
    if problems:
        raise CheckpointError(f"no whole checkpoint under {folder}: {'; '.join(problems)}. Start anew with resume=null")
    return None


def load_best(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and state of the best checkpoint of a run."""
    verify_artifact(folder / "best")
    return read_tensors(folder / "best", "model.safetensors"), read_json(folder / "best", "state.json")


def full_state(model: nn.Module) -> dict[str, Tensor]:
    """The whole state dict on every rank's CPU, gathered when it is sharded."""
    from torch.distributed.tensor import DTensor

    return {name: (value.full_tensor() if isinstance(value, DTensor) else value).cpu()
            for name, value in model.state_dict().items()}


def _optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {f"{name}{SEPARATOR}{key}": value for name, parameter in model.named_parameters()
            for key, value in optimizer.state.get(parameter, {}).items()}


def _load_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        name, _, kind = key.rpartition(SEPARATOR)
        parameter = parameters[name]
        # a fused optimiser keeps its step counter on the parameter's device, as float32
        optimizer.state[parameter][kind] = value.to(parameter.device)
