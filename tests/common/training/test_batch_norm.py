"""Batch normalisation over ranks is that of one process that holds all their rows."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import torch
from torch import Tensor, nn

from common.training.batch_norm import BatchNorm
from common.training.distributed import process_group
from tests.common.training.toy import CPU, finish
from tests.processes import processes

PARTS = (5, 2, 9)
"""Rows of each rank."""


def rows() -> Tensor:
    return torch.randn(sum(PARTS), 3, generator=torch.Generator().manual_seed(0)) * 4 + 100


def outcome(norm: nn.Module, part: Tensor, weight: Tensor) -> list[Tensor]:
    """Values, gradients of rows and parameters, and running statistics after one step."""
    part = part.clone().requires_grad_()
    found = norm(part)
    (found.pow(3) * weight).sum().backward()
    gradients = [parameter.grad for parameter in (part, *norm.parameters())]
    return [found.detach(), *(one for one in gradients if one is not None), *norm.buffers()]


def _rank(rank: int, port: int, folder: str) -> None:
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(len(PARTS)), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    with process_group(CPU):
        torch.save(outcome(BatchNorm(3), rows().split(PARTS)[rank], rows().roll(1, 0).split(PARTS)[rank]),
                   Path(folder) / f"{rank}.pt")  # fmt: skip


def test_ranks_together_are_one_process(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ranks = [processes.Process(target=_rank, args=(rank, port, str(tmp_path))) for rank in range(len(PARTS))]
    for process in ranks:
        process.start()
    assert finish(ranks) == [0] * len(PARTS)
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(len(PARTS))]
    values, of_rows, of_weight, of_bias, *buffers = outcome(nn.BatchNorm1d(3), rows(), rows().roll(1, 0))
    by_rank = list(zip(*found, strict=True))
    for expected, parts in ((values, by_rank[0]), (of_rows, by_rank[1])):
        torch.testing.assert_close(torch.cat(parts), expected, rtol=1e-4, atol=1e-3)
    for expected, parts in ((of_weight, by_rank[2]), (of_bias, by_rank[3])):  # DDP sums what each rank has
        torch.testing.assert_close(torch.stack(parts).sum(0), expected, rtol=1e-4, atol=1e-2)
    for expected, parts in zip(buffers, by_rank[4:], strict=True):
        for part in parts:
            torch.testing.assert_close(part, expected)
