"""R2, R6: a checkpoint is whole or it is known not to be, and then the one before it is used."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from common.app.errors import CheckpointError
from common.data.artifact import read_arrays, verify_artifact, write_artifact
from common.training.checkpoint import newest_valid
from tests.common.training.toy import fit, last_checkpoint
from tests.processes import processes


def save_for_ever(folder: Path) -> None:
    for step in range(1_000_000):
        write_artifact(folder / f"step-{step:08d}", {"model.safetensors": {"step": np.full(200_000, step)}})
        if step > 1:
            shutil.rmtree(folder / f"step-{step - 2:08d}")


def check_kills_while_saving(folder: Path, trials: int) -> None:
    random = np.random.default_rng(0)
    for trial in range(trials):
        checkpoints = folder / str(trial)
        writer = processes.Process(target=save_for_ever, args=(checkpoints,))
        writer.start()
        while not list(checkpoints.glob("step-*")):
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.05))
        last = max(int(path.name[5:]) for path in checkpoints.glob("step-*"))
        writer.kill()
        writer.join()
        newest = newest_valid(checkpoints)
        assert newest is not None and int(newest.name[5:]) >= last - 1
        assert (read_arrays(newest, "model.safetensors")["step"] == int(newest.name[5:])).all()


def test_a_process_killed_while_it_saves_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    check_kills_while_saving(tmp_path, trials=5)


@pytest.mark.full
def test_50_processes_killed_while_they_save_leave_whole_checkpoints(tmp_path: Path) -> None:
    check_kills_while_saving(tmp_path, trials=50)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "run"
    fit(folder)
    return folder


@pytest.fixture
def newest(run: Path, tmp_path: Path) -> Path:
    return max(Path(shutil.copytree(run / "checkpoints", tmp_path / "checkpoints")).glob("step-*"))


@pytest.mark.parametrize("part", [0, 0.01, 0.25, 0.5, 0.99])
def test_a_cut_file_is_detected_and_the_checkpoint_before_it_used(newest: Path, part: float) -> None:
    path = newest / "model.safetensors"
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        verify_artifact(newest)
    used = newest_valid(newest.parent)
    assert used is not None and used < newest


def test_a_flipped_bit_is_detected_wherever_it_is(newest: Path) -> None:
    random = np.random.default_rng(0)
    files = [path for path in newest.iterdir() if path.name != "manifest.json"]
    for _ in range(200):
        path = files[random.integers(len(files))]
        whole = path.read_bytes()
        damaged = bytearray(whole)
        damaged[random.integers(len(whole))] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=path.name):
            verify_artifact(newest)
        path.write_bytes(whole)
    verify_artifact(newest)


def test_swapped_and_missing_files_are_detected(newest: Path) -> None:
    model, optimizer = newest / "model.safetensors", newest / "optimizer.safetensors"
    content = model.read_bytes(), optimizer.read_bytes()
    model.write_bytes(content[1])
    optimizer.write_bytes(content[0])
    with pytest.raises(CheckpointError, match=r"\.safetensors"):
        verify_artifact(newest)
    optimizer.unlink()
    model.write_bytes(content[0])
    with pytest.raises(CheckpointError, match=r"optimizer\.safetensors is missing"):
        verify_artifact(newest)


def test_a_run_whose_newest_checkpoint_is_damaged_ends_with_the_same_bits(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    (max((copy / "checkpoints").glob("step-*")) / "state.json").write_text("{}")
    fit(copy)
    assert last_checkpoint(copy) == last_checkpoint(run)


def test_no_whole_checkpoint_at_all_is_an_error_that_says_what_to_do(newest: Path) -> None:
    for folder in newest.parent.glob("step-*"):
        (folder / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match="resume=null"):
        newest_valid(newest.parent)
