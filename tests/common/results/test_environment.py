"""env.json holds what reproduces a result and nothing about the person or the machine's name."""

from __future__ import annotations

import getpass
import json
import platform
import subprocess
from pathlib import Path

import torch

from common.results.environment import describe_environment, git_commit


def test_environment_is_json_and_names_versions() -> None:
    environment = describe_environment()
    assert json.loads(json.dumps(environment, allow_nan=False)) == environment
    assert environment["python"] == platform.python_version()
    assert environment["packages"]["torch"] == torch.__version__
    assert environment["cores"] >= 1


def test_environment_names_no_user_host_or_folder() -> None:
    text = json.dumps(describe_environment())
    for private in (str(Path.home()), str(Path.cwd()), platform.node()):
        assert private not in text
    assert f'"{getpass.getuser()}"' not in text


def test_commit_is_the_checkouts_own(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=n", "-c", "user.email=n@example.org")
        return subprocess.check_output(["git", "-C", str(tmp_path), *identity, *arguments], text=True).strip()

    git("init", "-q")
    (tmp_path / "file").write_text("a")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert git_commit(tmp_path) == commit
    (tmp_path / "file").write_text("b")
    assert git_commit(tmp_path) == f"{commit}+changes"
    installed = tmp_path / "lib" / "site-packages"  # a package inside somebody else's repository
    installed.mkdir(parents=True)
    assert git_commit(installed) is None
