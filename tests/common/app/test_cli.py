"""The console script as a user has it, in an empty folder."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import common

TRIFOLD = Path(sys.executable).with_name("trifold")

if not TRIFOLD.exists():
    pytest.skip("the console script is not installed beside this Python", allow_module_level=True)


def trifold(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name not in ("HYDRA_FULL_ERROR", "TRIFOLD_TRACEBACK")}
    return subprocess.run(
        [str(TRIFOLD), *arguments], cwd=folder, env=env | environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "Domains"),
        (("--help",), "trifold materials train --help"),
        (("--version",), f"trifold {common.__version__}"),
        (("materials", "--help"), "evaluate"),
        (("materials", "train", "--help"), "trainer.epochs="),
        (("materials", "predict", "--help"), "Exit status"),
        (("materials", "benchmark", "--help"), "table=???"),
        (("models",), "model"),
        (("data", "list"), "CC-BY"),
        (("data", "licence", "mp2018"), "cite:"),
    ],
)
def test_looking_around_needs_no_torch(tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    done = trifold(tmp_path, *arguments, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0, done.stderr[-2000:]
    assert expected in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "common.app.errors" in imported
    assert "torch" not in imported
    assert not list(tmp_path.iterdir()), "looking around leaves nothing behind"


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (("materals",), 2, "Did you mean 'materials'?"),
        (("materials", "trian"), 2, "Did you mean 'train'?"),
        (("materials", "train", "--epochs", "3"), 2, "key=value"),
        (("materials", "train", "--experimental-rerun", "config.pickle"), 2, "pickle"),
        (("materials", "train", "trainer.epoch=3"), 1, "trainer.epoch=3: unknown key; did you mean trainer.epochs?"),
        (("materials", "predict"), 1, "input: needs a value"),
        (("protein", "predict", "sequence=MKV"), 1, "sequence=MKV: unknown key"),
        (("models", "no-such-model"), 1, "no-such-model"),
        (("data", "fetch", "mp2081"), 1, "Did you mean 'mp2018'?"),
        (("data", "fech", "mp2018"), 1, "Did you mean 'fetch'?"),
    ],
)
def test_errors_are_one_message_with_the_remedy(
    tmp_path: Path, arguments: tuple[str, ...], status: int, expected: str
) -> None:
    done = trifold(tmp_path, *arguments)
    assert done.returncode == status
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_a_traceback_is_there_for_who_asks(tmp_path: Path) -> None:
    done = trifold(tmp_path, "materials", "train", "trainer.epoch=3", TRIFOLD_TRACEBACK="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_module_and_command_are_the_same(tmp_path: Path) -> None:
    module = subprocess.run(
        [sys.executable, "-m", "materials.train", "--cfg", "job"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert module.returncode == 0, module.stderr
    assert module.stdout == trifold(tmp_path, "materials", "train", "--cfg", "job").stdout


def test_help_takes_no_time(tmp_path: Path) -> None:
    """1.0 and 1.5 s, of processor time: one thread works, and other processes must not fail this test."""
    for arguments, limit in ((("--help",), 1.0), (("materials", "train", "trainer.epoch=3"), 1.5)):
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        trifold(tmp_path, *arguments)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime
        assert seconds <= limit, f"trifold {' '.join(arguments)} took {seconds:.2f} s"


def test_doctor_tells_what_there_is(tmp_path: Path) -> None:
    done = trifold(tmp_path, "doctor", COLUMNS="200", TRIFOLD_DATA=str(tmp_path))
    assert done.returncode == 0, done.stderr
    for word in ("Python", "torch", "cores", "GPU", "distributed", str(tmp_path), "models"):
        assert word in done.stdout


def test_completion_of_domains_verbs_and_keys(tmp_path: Path) -> None:
    for line, expected in {
        "trifold ma": "materials",
        "trifold materials ev": "evaluate",
        "trifold materials train model=": "model=cgcnn",
        "trifold materials train optimizer.": "optimizer.learning_rate=",
    }.items():
        done = trifold(tmp_path, "-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
        assert expected in done.stdout.split(), line
    assert "complete" in trifold(tmp_path, "-sc", "install=bash").stdout
