"""Laws of the accumulator: the mean of all samples, whatever the batches and ranks; no wait for the device."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn
from torch.utils._python_dispatch import TorchDispatchMode

from common.results.metrics import Accumulator


def test_mean_over_unequal_batches_is_the_mean_over_all_samples() -> None:
    values = torch.rand(1000, generator=torch.Generator().manual_seed(0))
    accumulator = Accumulator()
    for batch in values.split([1, 7, 300, 692]):
        accumulator.add({"mae": batch, "half": batch / 2})
    assert accumulator.compute()["mae"] == values.double().sum().item() / 1000
    assert accumulator.compute()["half"] == accumulator.compute()["mae"] / 2


def test_float64_sums_keep_what_float32_sums_lose() -> None:
    accumulator = Accumulator()
    accumulator.add({"x": torch.tensor([2.0**25])})
    for _ in range(64):
        accumulator.add({"x": torch.tensor([1.0])})
    assert accumulator.compute()["x"] == (2.0**25 + 64) / 65


def test_weights_and_missing_samples() -> None:
    accumulator = Accumulator()
    accumulator.add({"loss": torch.tensor([1.0, 4.0, math.nan])}, weight=torch.tensor([3.0, 1.0, 0.0]))
    assert accumulator.compute() == {"loss": 7 / 4}
    accumulator.add({"loss": torch.tensor(5.0)}, weight=4)  # a batch mean with its batch size
    assert accumulator.compute() == {"loss": 27 / 8}
    accumulator.add({"loss": torch.tensor([math.nan])})
    assert math.isnan(accumulator.compute()["loss"])
    accumulator.reset()
    assert accumulator.compute() == {}


def test_a_metric_without_weight_is_nan_and_not_zero() -> None:
    accumulator = Accumulator()
    accumulator.add({"loss": torch.ones(2)}, weight=0.0)
    assert math.isnan(accumulator.compute()["loss"])


def test_add_never_reads_a_value_back() -> None:
    class NoWait(TorchDispatchMode):
        """Fails on every operation that makes the host wait for a device: reading a value, counting the non-zeros."""

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            assert func.overloadpacket.__name__ not in ("_local_scalar_dense", "nonzero", "is_nonzero", "equal"), func
            return func(*args, **(kwargs or {}))

    accumulator = Accumulator()
    with NoWait():
        for _ in range(2):
            accumulator.add({"loss": torch.rand(8)}, weight=torch.rand(8))
            accumulator.add({"mae": torch.rand(())}, weight=8)
        with pytest.raises(AssertionError):
            torch.ones(()).item()


def test_add_keeps_no_graph() -> None:
    accumulator = Accumulator()
    accumulator.add({"loss": torch.ones(3, requires_grad=True)})
    assert not any(total.requires_grad for total in accumulator._totals.values())


def test_two_ranks_give_the_result_of_one(tmp_path: Path) -> None:
    spawn(_rank, args=(str(tmp_path),), nprocs=2)
    whole = Accumulator()
    whole.add({"loss": _samples()})
    whole.add({"late": _samples()[:3]})
    expected = whole.compute()
    for rank in range(2):
        assert torch.load(tmp_path / f"{rank}.pt", weights_only=True) == expected


def _samples() -> torch.Tensor:
    return torch.rand(101, generator=torch.Generator().manual_seed(1))


def _rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    accumulator = Accumulator()
    accumulator.add({"loss": _samples()[:70] if rank == 0 else _samples()[70:]})
    if rank == 1:  # the other rank has never seen this name
        accumulator.add({"late": _samples()[:3]})
    first, second = accumulator.reduce().compute(), accumulator.reduce().compute()
    assert first == second, "reducing must not change what it reduces"
    assert Accumulator().reduce().compute() == {}
    torch.save(first, f"{folder}/{rank}.pt")
    dist.destroy_process_group()
