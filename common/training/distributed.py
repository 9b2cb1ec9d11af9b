"""One process or many: what differs between them is all here.

Processes are started by `torchrun` (or SLURM through submitit), which sets RANK, WORLD_SIZE and LOCAL_RANK.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from common.training.task import Task

T = TypeVar("T")

UNEVEN = timedelta(days=7)
"""Patience where ranks work apart for long and meet at the end."""


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

    def share(self, count: int) -> slice:
        """This rank's part of a list, in one piece: the parts of all ranks behind one another are the list."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)


ALONE = World()


def world_from_environment() -> World:
    """The world that torchrun describes, without starting communication."""
    return World(*(int(os.environ.get(name, default)) for name, default in
                   (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))))


@contextmanager
def process_group(device: torch.device, patience: timedelta | None = None) -> Iterator[World]:
    """Communication for the time of a run: NCCL between GPUs, gloo between CPUs, nothing for one process.

    patience  how long a rank waits for another; None: torch's half an hour. torchrun notices a dead rank at once
    """
    world = world_from_environment()
    started = world.is_distributed and not dist.is_initialized()
    if started:
        # hosts agree with each other through gloo also where tensors go through NCCL: that waits for no GPU
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=patience)
    try:
        yield world
    finally:
        if started:
            dist.destroy_process_group()


def gathered(world: World, value: T) -> list[T]:
    """Every rank's value in the order of ranks, on all ranks."""
    if not world.is_distributed:
        return [value]
    found: list[Any] = [None] * world.size
    dist.all_gather_object(found, value)
    return found


def from_main(world: World, value: Any) -> Any:
    """Rank 0's value, on all ranks."""
    if not world.is_distributed:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def any_rank(world: World, flag: bool) -> bool:
    """True on all ranks when `flag` is true on one."""
    if not world.is_distributed:
        return flag
    value = torch.tensor(float(flag))
    dist.all_reduce(value, op=dist.ReduceOp.MAX)
    return bool(value)


def barrier(world: World) -> None:
    if world.is_distributed:
        dist.barrier()


@contextmanager
def main_alone(world: World) -> Iterator[bool]:
    """True on the rank that has work to do; the others wait at the end until it is done, however long it takes."""
    if not world.is_distributed:
        yield True
        return
    meeting = dist.new_group(backend="gloo", timeout=UNEVEN)
    assert not isinstance(meeting, int)  # which torch gives to ranks outside of a group
    yield world.is_main
    dist.barrier(meeting)


def distribute(task: Task, world: World, device: torch.device, parallel: str) -> nn.Module:
    """The model as all ranks train it together: DistributedDataParallel, or FSDP2 sharded block by block.

    DDP wraps the model; `fully_shard` (Zhao et al., arXiv 2304.11277) replaces its parameters in place.
    Ranks start from rank 0's weights. Running statistics are each rank's own until `share_buffers`.
    """
    if not world.is_distributed:
        return task.model
    if parallel == "fsdp":
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        for tensor in (*task.model.parameters(), *task.model.buffers()):
            dist.broadcast(tensor.detach(), src=0)
        mesh = init_device_mesh(device.type, (world.size,))
        for block in task.blocks:
            fully_shard(block, mesh=mesh)
        fully_shard(task.model, mesh=mesh)
        return task.model
    from torch.nn.parallel import DistributedDataParallel

    ids = [device.index] if device.type == "cuda" else None
    wrapped = DistributedDataParallel(task.model, device_ids=ids, find_unused_parameters=task.skips_parameters)
    wrapped.broadcast_buffers = False  # an argument of another name in each version of torch
    return wrapped


def is_sharded(model: object) -> bool:
    """Whether FSDP2 holds the model, so that its forward pass is one act of all ranks."""
    return hasattr(model, "set_requires_gradient_sync")


def share_buffers(world: World, model: nn.Module) -> None:
    """Rank 0's running statistics on all ranks."""
    if world.is_distributed:
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)


def whole(tensor: Tensor) -> Tensor:
    """A tensor that may be sharded, gathered on every rank."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor  # pyright: ignore


def synchronise_gradients(model: nn.Module, last: bool) -> AbstractContextManager[None]:
    """The context of one piece of a step: gradients are reduced over the ranks only with the last."""
    if is_sharded(model):
        model.set_requires_gradient_sync(last)  # pyright: ignore[reportCallIssue]
    elif not last and hasattr(model, "no_sync"):  # DDP
        return model.no_sync()  # pyright: ignore[reportCallIssue]
    return nullcontext()
