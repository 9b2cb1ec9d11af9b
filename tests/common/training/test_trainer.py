"""The loop: one process or several, in one piece or many, averaged, compiled or checkpointed: the same study."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from common.app.errors import ConfigError
from common.data.artifact import read_tensors
from tests.common.training.toy import finish, fit, history, losses, start

PLAIN = {"task": {"dropout": 0.0}}


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    folder = tmp_path_factory.mktemp("one") / "run"
    fit(folder, **PLAIN)
    return losses(folder)


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_have_the_loss_curve_of_one(one_process: list[float], tmp_path: Path, parallel: str) -> None:
    assert finish(start(tmp_path / "run", ranks=2, parallel=parallel, **PLAIN)) == [0, 0]
    assert losses(tmp_path / "run") == pytest.approx(one_process, abs=1e-5)
    assert not list(tmp_path.glob("run-*"))


COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")


@pytest.mark.parametrize(
    "pieces",
    [
        {"accumulate": 4},
        {"budget": 7},
        {"activation_checkpointing": True},
        pytest.param({"compile": True}, marks=COMPILER),
    ],
)
def test_how_a_step_is_computed_does_not_change_it(
    one_process: list[float], tmp_path: Path, pieces: dict[str, Any]
) -> None:
    fit(tmp_path, **PLAIN, **pieces)
    assert losses(tmp_path) == pytest.approx(one_process, abs=1e-6)


def test_other_numbers_of_processes_may_go_on_with_a_run(one_process: list[float], tmp_path: Path) -> None:
    """R5: 1 -> 2 -> 1 processes, plain and sharded."""
    for parallel in ("ddp", "fsdp"):
        folder = tmp_path / parallel
        assert finish(start(folder, signals={9: 15}, **PLAIN)) == [143]
        assert finish(start(folder, ranks=2, parallel=parallel, signals={19: 15}, **PLAIN)) == [143, 143]
        assert finish(start(folder, **PLAIN)) == [0]
        scores = [line["loss"] for line in history(folder, "val")]
        assert len(scores) == 3
        assert losses(folder)[-1] == pytest.approx(one_process[-1], abs=1e-6)


def test_the_average_follows_its_formula(tmp_path: Path) -> None:
    trainer = fit(tmp_path, ema_decay=0.5, **PLAIN)
    assert trainer.average is not None
    saved = read_tensors(max((tmp_path / "checkpoints").glob("step-*")), "average.safetensors")
    assert {name.partition("::")[0] for name in saved} == set(trainer.average.average)
    best = read_tensors(tmp_path / "checkpoints" / "best", "model.safetensors")
    assert any(not torch.equal(best[name], value) for name, value in trainer.task.model.state_dict().items())


def test_early_stopping_ends_a_run_without_progress(tmp_path: Path) -> None:
    fit(tmp_path, epochs=40, early_stopping=2, optimizer={"learning_rate": 1e-12}, schedule={"name": "constant"},
        task={"dropout": 0.0, "norm": True})
    assert len(history(tmp_path, "val")) < 40


def test_only_the_newest_checkpoints_and_the_best_stay(tmp_path: Path) -> None:
    fit(tmp_path, keep_checkpoints=3)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "best", "step-00000030", "step-00000035", "step-00000036"]  # fmt: skip


def test_another_study_cannot_go_on_with_a_run(tmp_path: Path) -> None:
    fit(tmp_path)
    with pytest.raises(ConfigError, match=r"optimizer\.clip_norm: 1\.0 -> 0\.5"):
        fit(tmp_path, optimizer={"clip_norm": 0.5})


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_as_full_precision_does(one_process: list[float], tmp_path: Path, precision: str) -> None:
    fit(tmp_path, precision=precision, **PLAIN)
    assert losses(tmp_path)[-1] == pytest.approx(one_process[-1], rel=0.1)


def test_the_profiler_writes_a_trace_and_records_hold_speed_and_memory(tmp_path: Path) -> None:
    fit(tmp_path, profile_steps=3)
    trace = json.loads((tmp_path / "trace-rank0.json").read_text())
    assert trace["traceEvents"]
    line = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert line["samples_per_s"] > 0 and line["memory_gb"] > 0


def test_a_batch_larger_than_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.batch_size"):
        fit(tmp_path, task={"samples": 4})
