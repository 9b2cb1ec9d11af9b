"""R8: a full disk, a read-only folder: an error that says so, and what was saved before stays whole."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from common.app.errors import StorageError
from common.data.artifact import read_arrays, verify_artifact, write_artifact
from common.training.checkpoint import newest_valid
from tests.common.training.toy import fit, last_checkpoint
from tests.processes import processes

LARGE = {"model.safetensors": {"x": np.zeros(200_000)}}
Measured = Callable[[str, str], None]


def mounted(folder: Path, *options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system of our own cannot be mounted here")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted(folder, "size=400k")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_and_the_checkpoint_before_is_whole(small_disk: Path, measured: Measured) -> None:
    with pytest.raises(StorageError, match=r"checkpoints/(step-\d+|best) cannot be written: No space left"):
        fit(small_disk / "run", keep_checkpoints=99, checkpoint_every_steps=1)
    checkpoints = small_disk / "run" / "checkpoints"
    assert newest_valid(checkpoints) is not None
    assert not list(checkpoints.glob(".*.tmp"))
    measured("R8", "full disk: error, last checkpoint whole")


def test_a_run_goes_on_after_room_was_made(small_disk: Path, tmp_path: Path, measured: Measured) -> None:
    options = {"keep_checkpoints": 99, "checkpoint_every_steps": 1}
    fit(tmp_path / "whole", **options)
    with pytest.raises(StorageError):
        fit(small_disk / "run", **options)
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    fit(small_disk / "run", **options)
    assert last_checkpoint(small_disk / "run") == last_checkpoint(tmp_path / "whole")
    measured("R8", "room made: ends bit-identical")


def test_a_read_only_folder_is_named_and_what_is_there_stays(small_disk: Path) -> None:
    write_artifact(small_disk / "model", {"model.json": {"a": 1}})
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StorageError, match=r"model cannot be written: Read-only file system.*another folder"):
        write_artifact(small_disk / "model", {"model.json": {"a": 2}})
    verify_artifact(small_disk / "model")


def _write_with_a_limit(folder: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        write_artifact(folder, LARGE)
    except StorageError as error:
        raise SystemExit(7 if "cannot be written" in str(error) else 8) from None


def test_a_file_that_may_not_grow_leaves_the_folder_as_it_was(tmp_path: Path, measured: Measured) -> None:
    write_artifact(tmp_path / "model", {"model.safetensors": {"x": np.arange(3)}})
    writer = processes.Process(target=_write_with_a_limit, args=(tmp_path / "model",))
    writer.start()
    writer.join(60)
    assert writer.exitcode == 7
    verify_artifact(tmp_path / "model")
    assert read_arrays(tmp_path / "model", "model.safetensors")["x"].tolist() == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    measured("R8", "file size limit: error, folder as it was")
