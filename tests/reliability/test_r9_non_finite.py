"""R9: no step is taken from a loss or gradient that is not finite, on any rank."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from common.app.errors import NumericalError
from common.data.artifact import read_tensors
from common.training.distributed import World
from common.training.run_directory import open_run
from common.training.trainer import Trainer
from tests.common.training.toy import CPU, ToyTask, finish, fit, ids_by_step, losses, start, toy_config

BAD = 40
"""A training sample."""


def step_of(folder: Path, sample: int) -> int:
    """The first step that a sample is in, from an undisturbed run."""
    fit(folder)
    return next(step for step, ids in sorted(ids_by_step(folder).items()) if sample in ids[0])


@pytest.mark.parametrize("fault", [{"nan_target": BAD}, {"infinite_gradient": BAD}])
def test_a_bad_sample_stops_the_run_before_its_step(tmp_path: Path, fault: dict[str, Any]) -> None:
    bad_step = step_of(tmp_path / "good", BAD)
    with pytest.raises(NumericalError, match=f"step {bad_step}"):
        fit(tmp_path / "bad", task=fault)
    told = json.loads((tmp_path / "bad" / "non_finite.json").read_text())
    assert told["step"] == bad_step and f"train-{BAD}" in told["samples"]
    assert max(ids_by_step(tmp_path / "bad")) == bad_step


def test_a_learning_rate_that_explodes_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(NumericalError, match=r"optimizer\.learning_rate"):
        fit(tmp_path, optimizer={"learning_rate": 1e30, "clip_norm": None}, schedule={"warmup_fraction": 0})
    assert all(torch.isfinite(torch.tensor(losses(tmp_path))))


def test_skipping_leaves_the_bad_steps_out_and_running_statistics_unspoiled(tmp_path: Path) -> None:
    trainer = fit(tmp_path, task={"nan_target": BAD, "norm": True}, non_finite="skip")
    assert trainer.progress.skipped == 3  # once an epoch
    assert all(torch.isfinite(value).all() for value in trainer.task.model.state_dict().values())


def test_skipping_has_a_maximum(tmp_path: Path) -> None:
    with pytest.raises(NumericalError):
        fit(tmp_path, task={"nan_target": BAD}, non_finite="skip", max_skipped=2)


def test_a_fault_on_one_rank_stops_both_with_the_same_weights(tmp_path: Path) -> None:
    codes = finish(start(tmp_path / "run", ranks=2, task={"nan_target": BAD}))
    assert codes == [1, 1]
    steps = ids_by_step(tmp_path / "run")
    told = json.loads((tmp_path / "run" / "non_finite.json").read_text())
    assert max(steps) == told["step"] and len(steps[told["step"]]) == 2


def test_a_bad_step_changes_no_weight(tmp_path: Path) -> None:
    bad_step = step_of(tmp_path / "good", BAD)
    assert bad_step > 0
    fit(tmp_path / "before", checkpoint_every_steps=bad_step, keep_checkpoints=9)
    config = toy_config(run_dir=str(tmp_path / "bad"))
    trainer = Trainer(ToyTask(nan_target=BAD), config, open_run("toy", config), World(), CPU)
    with pytest.raises(NumericalError):
        trainer.fit()
    before = read_tensors(tmp_path / "before" / "checkpoints" / f"step-{bad_step:08d}", "model.safetensors")
    after = trainer.task.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
