"""One process or many: what differs between them is all here.

Processes are started by `torchrun` (or SLURM through submitit), which sets RANK, WORLD_SIZE and LOCAL_RANK.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from common.training.task import Task


@dataclass(frozen=True)
class World:
    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    @property
    def is_distributed(self) -> bool:
        return self.size > 1


def world_from_environment() -> World:
    """The world that torchrun describes, without starting communication."""
    return World(*(int(os.environ.get(name, default)) for name, default in
                   (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))))


@contextmanager
def process_group(device: torch.device) -> Iterator[World]:
    """Communication for the time of a run: NCCL between GPUs, gloo between CPUs, nothing for one process."""
    world = world_from_environment()
    started = world.is_distributed and not dist.is_initialized()
    if started:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield world
    finally:
        if started:
            dist.destroy_process_group()


def from_main(world: World, value: Any) -> Any:
    """Rank 0's value, on all ranks."""
    if not world.is_distributed:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def any_rank(world: World, flag: bool, device: torch.device) -> bool:
    """True on all ranks when `flag` is true on one."""
    if not world.is_distributed:
        return flag
    value = torch.tensor(float(flag), device=device)
    dist.all_reduce(value, op=dist.ReduceOp.MAX)
    return bool(value)


def barrier(world: World) -> None:
    if world.is_distributed:
        dist.barrier()


def distribute(task: Task, world: World, device: torch.device, parallel: str) -> nn.Module:
    """The model as all ranks train it together: DistributedDataParallel, or FSDP2 sharded block by block.

    DDP wraps the model; `fully_shard` (Zhao et al., arXiv 2304.11277) replaces its parameters in place.
    """
    if not world.is_distributed:
        return task.model
    if parallel == "fsdp":
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(device.type, (world.size,))
        for block in task.blocks:
            fully_shard(block, mesh=mesh)
        fully_shard(task.model, mesh=mesh)
        return task.model
    from torch.nn.parallel import DistributedDataParallel

    return DistributedDataParallel(task.model, device_ids=[device.index] if device.type == "cuda" else None)


@contextmanager
def synchronise_gradients(model: nn.Module, last: bool) -> Iterator[None]:
    """Reduce gradients over the ranks only with the last piece of a step."""
    if hasattr(model, "set_requires_gradient_sync"):  # FSDP2
        model.set_requires_gradient_sync(last)
        yield
    elif hasattr(model, "no_sync") and not last:  # DDP
        with model.no_sync():
            yield
    else:
        yield
