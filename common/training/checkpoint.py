"""Everything a run needs to go on exactly: weights, optimiser, averages, schedule and step.

    checkpoints/step-00001234/   *.safetensors  state.json  manifest.json
    checkpoints/best/            model.safetensors (averaged where the run averages)  state.json  manifest.json

Random numbers and the sample order follow from (seed, step, rank), so they need no room here.
One process writes model.safetensors, optimizer.safetensors and average.safetensors; ranks that hold a model sharded by
FSDP write one file each, through torch.distributed.checkpoint. Either kind is read by any number of processes, sharded
or not: a tensor is found by its name, whatever file or slice holds it.
"""

from __future__ import annotations

import shutil
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from common.app.errors import CheckpointError
from common.data.artifact import encode, read_json, read_tensors, staged_folder, verify_artifact
from common.training.distributed import World, barrier, from_main, is_sharded, whole
from common.training.ema import AveragedModel

SEPARATOR = "::"
"""Between a parameter's name and what belongs to it: `layer.weight::exp_avg`."""


class Checkpointer:
    """Writes, prunes and finds the checkpoints of one run folder."""

    def __init__(self, folder: Path, world: World, model: nn.Module, optimizer: torch.optim.Optimizer,
                 average: AveragedModel | None, keep: int) -> None:
        self.folder, self.world, self.keep = folder, world, keep
        self.model, self.optimizer, self.average = model, optimizer, average

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write `step-<step>` and remove checkpoints older than the newest `keep`."""
        target = self.folder / f"step-{step:08d}"
        with staged_folder(target) if self.world.is_main else nullcontext() as staged:
            if staged:
                (staged / "state.json").write_bytes(encode("state.json", state))
            if is_sharded(self.model):
                self._write_shards(from_main(self.world, staged))
            elif staged:
                for name, tensors in self._tensors().items():
                    (staged / name).write_bytes(encode(name, tensors))
        if self.world.is_main:
            # a newer folder is a damaged one that was passed over: it must not count, and is overwritten in its time
            written = [folder for folder in step_folders(self.folder) if folder.name <= target.name]
            for old in written[: -self.keep]:
                shutil.rmtree(old)
        barrier(self.world)

    def save_best(self, state: dict[str, Any]) -> None:
        """Write the weights the model holds now as `best`."""
        weights = full_state(self.model)
        if self.world.is_main:
            with staged_folder(self.folder / "best") as staged:
                (staged / "model.safetensors").write_bytes(encode("model.safetensors", weights))
                (staged / "state.json").write_bytes(encode("state.json", state))
        barrier(self.world)

    def load_newest(self) -> dict[str, Any] | None:
        """Restore the newest checkpoint that is whole and return its state; None where there is none.

        A damaged one is named on stderr and the one before it is used. What a killed run left half-written is removed.
        """
        if self.world.is_main:
            self._clear_unfinished()
        folder = from_main(self.world, newest_valid(self.folder) if self.world.is_main else None)
        if folder is None:
            return None
        self._read(folder)
        return read_json(folder, "state.json")

    def _clear_unfinished(self) -> None:
        """Remove what a killed process was writing; a `best` it had moved aside takes its place again."""
        best = self.folder / "best"
        for aside in self.folder.glob(".best.*.old/"):
            if not best.exists():
                aside.rename(best)
        for unfinished in (*self.folder.glob(".step-*/"), *self.folder.glob(".best.*/")):
            shutil.rmtree(unfinished)

    def _tensors(self) -> dict[str, dict[str, Tensor]]:
        """What is saved and restored in place, by file; names are unique over all files."""
        names: dict[Tensor, str] = {parameter: name for name, parameter in self.model.named_parameters()}
        files = {
            "model.safetensors": self.model.state_dict(),
            "optimizer.safetensors": {f"{names[parameter]}{SEPARATOR}{key}": value
                                      for parameter, values in self.optimizer.state.items()
                                      for key, value in values.items()},
        }
        if self.average:
            files["average.safetensors"] = {f"{name}{SEPARATOR}average": value
                                            for name, value in self.average.average.items()}
        return files

    def _all_tensors(self) -> dict[str, Tensor]:
        return {name: value for tensors in self._tensors().values() for name, value in tensors.items()}

    def _write_shards(self, folder: Path) -> None:
        from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
        from torch.distributed.checkpoint.state_dict_saver import save

        save(self._all_tensors(), storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True))

    def _read(self, folder: Path) -> None:
        from torch.distributed.checkpoint.api import CheckpointException
        from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
        from torch.distributed.checkpoint.state_dict_loader import load

        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "torch.distributed is disabled")  # one process: that is so
                load(self._all_tensors(), storage_reader=HuggingFaceStorageReader(str(folder)))
        except (RuntimeError, ValueError, CheckpointException) as error:
            raise CheckpointError(
                f"{folder} does not fit this model: {error}. "
                "Restore the code that wrote it, or start anew with resume=null"
            ) from error


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
    return {name: whole(value).cpu() for name, value in model.state_dict().items()}
