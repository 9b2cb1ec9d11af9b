"""Which chains are predicted together, and how many rows of their pairs at a time, within a limit of memory.

Shapes: B chains of a batch, N residues of its longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from common.data.shard import local_processes
from protein.models.memory_plan import GB, MemoryPlan, TrunkShape, plan

BATCH_PAIRS = {"cpu": 2**15, "cuda": 2**20}
"""B N^2 that is worth a batch: with less of them the cores of a device are not busy."""

ALIKE = 0.8
"""The shortest chain of a batch has at least this share of the longest: padding is computed too."""

FREE_SHARE = 0.8
"""Of the memory that is free now, where no limit is set."""


class Size(NamedTuple):
    """What the memory of a prediction depends on: residues, and sequences of its alignment, in full and extra."""

    residues: int
    sequences: int = 0
    extra: int = 0


class Batch(NamedTuple):
    """Numbers of the chains, and the plan of their memory."""

    members: tuple[int, ...]
    plan: MemoryPlan


def batches(
    shape: TrunkShape, sizes: Sequence[Size], limit_gb: float, most_pairs: int
) -> tuple[list[Batch], list[Batch]]:
    """Batches of chains that fit within the limit, the shortest first, and chains that do not even alone.

    most_pairs  B N^2 of a batch; 0: each chain by itself
    """
    found: list[Batch] = []
    refused: list[Batch] = []
    group: tuple[int, ...] = ()
    for member in sorted(range(len(sizes)), key=sizes.__getitem__):
        longest, count = sizes[member].residues, len(group) + 1
        together = plan(shape, longest, limit_gb, count, *sizes[member][1:])
        alike = group and sizes[group[0]].residues >= ALIKE * longest and count * longest**2 <= most_pairs
        if alike and together.fits:
            group = (*group, member)
            found[-1] = Batch(group, together)
            continue
        group, alone = (member,), plan(shape, longest, limit_gb, 1, *sizes[member][1:])
        (found if alone.fits else refused).append(Batch(group, alone))
    return found, refused


def free_memory_gb(device: torch.device) -> float:
    """What may be used of the memory that is free on the device."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else _available_bytes() / local_processes()
    return FREE_SHARE * free / GB


def _available_bytes() -> float:
    """Of main memory, as Linux tells it; infinite where nothing is known."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        machine = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return float("inf")
    try:  # a container may be allowed less than the machine has
        limit, used = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError):
        return machine
    return min(machine, limit - used)
