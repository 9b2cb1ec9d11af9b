"""Two commands set everything up; where they cannot, one line says what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

if not (ROOT / "Makefile").is_file() or not shutil.which("make"):
    pytest.skip("needs a checkout and make", allow_module_level=True)


def make(folder: Path, *arguments: str, pythons: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run make where the only Pythons are scripts that stand for a version each."""
    commands = folder / "bin"
    commands.mkdir()
    for name in ("sh", "make", "test", "touch", "rm"):
        if path := shutil.which(name):
            (commands / name).symlink_to(path)
    for name, version in pythons.items():
        script = commands / name
        # the first call asks whether the version is supported; what follows is only reported
        script.write_text(
            f'#!/bin/sh\ncase "$1" in -c) {"exit 0" if version == "good" else "exit 1"};; esac\necho "{name} $@"\n'
        )
        script.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (folder / name).symlink_to(ROOT / name)
    env = {"PATH": str(commands), "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(["make", *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("pythons", [{}, {"python3": "old"}, {"python3": "old", "python3.12": "old"}])
def test_no_supported_python_is_one_line(tmp_path: Path, pythons: dict[str, str]) -> None:
    done = make(tmp_path, "run", pythons=pythons)
    assert done.returncode == 2
    assert done.stdout.splitlines() == ["No Python 3.11-3.13 found: install one, then: make PYTHON=/path/to/python3"]
    assert not (tmp_path / ".venv").exists()


def test_no_virtual_environment_is_one_line(tmp_path: Path) -> None:
    done = make(tmp_path, "run", "PYTHON=false", pythons={})
    assert done.returncode == 2
    assert "install its venv module" in done.stdout


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        ({"python3": "good", "python3.12": "good"}, "python3 "),
        ({"python3": "old", "python3.12": "good"}, "python3.12 "),
        ({"python3.11": "good"}, "python3.11 "),
    ],
)
def test_the_first_supported_python_is_taken(tmp_path: Path, pythons: dict[str, str], chosen: str) -> None:
    done = make(tmp_path, "-n", "run", pythons=pythons)
    assert done.returncode == 0, done.stderr
    assert f"{chosen}-m venv .venv" in done.stdout
    assert "pip install -c constraints.txt -e ." in done.stdout
    assert done.stdout.strip().splitlines()[-1] == ".venv/bin/trifold demo"


def test_an_installation_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name in ("bin/python", "dev.stamp", "run.stamp"):
        (tmp_path / ".venv" / name).touch()
    for goal, last in (("run", ".venv/bin/trifold demo"), ("test", ".venv/bin/python -m pytest")):
        folder = tmp_path / goal
        folder.mkdir()
        (folder / ".venv").symlink_to(tmp_path / ".venv")
        done = make(folder, "-n", goal, pythons={"python3": "good"})
        assert done.stdout.strip().splitlines() == [last]
