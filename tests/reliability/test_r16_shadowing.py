"""R16: a user's folder with a common.py, weather.py or materials.py; another working folder.

Either everything works, or the message names the file that is in the way and what to do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DOMAINS = ("materials", "weather", "protein")
TRIFOLD = Path(sys.executable).with_name("trifold")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("form", ["common.py", "common/__init__.py"])
def test_a_users_common_is_named_with_the_remedy(tmp_path: Path, domain: str, form: str) -> None:
    own = tmp_path / form
    own.parent.mkdir(exist_ok=True)
    own.write_text("def load(): ...\n")
    (tmp_path / "script.py").write_text(f"import {domain}\n")
    for arguments in (("-c", f"import {domain}"), ("script.py",), ("-m", f"{domain}.train")):
        done = python(tmp_path, *arguments)
        assert done.returncode != 0
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("ImportError") and str(own) in last and "-P" in last, done.stderr


@pytest.mark.parametrize("domain", DOMAINS)
def test_python_with_safe_path_works(tmp_path: Path, domain: str) -> None:
    (tmp_path / "common.py").write_text("raise SystemExit('the wrong file')\n")
    (tmp_path / f"{domain}.py").write_text("raise SystemExit('the wrong file')\n")
    done = python(tmp_path, "-P", "-c", f"import {domain}, common; print(common.TRIFOLD_MARKER)")
    assert (done.returncode, done.stdout.strip()) == (0, "trifold"), done.stderr


def test_another_modules_common_that_came_first_is_named(tmp_path: Path) -> None:
    """As when a test runner has imported somebody's common before."""
    code = "import sys, types; sys.modules['common'] = types.ModuleType('common'); import materials"
    done = python(tmp_path, "-c", code)
    assert "ImportError" in done.stderr and "-P" in done.stderr


@pytest.mark.skipif(not TRIFOLD.exists(), reason="the console script is not installed beside this Python")
@pytest.mark.parametrize("name", ["common.py", "weather.py", "materials.py", "torch.py"])
def test_the_command_does_not_see_the_users_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("raise SystemExit('the wrong file')\n")
    done = subprocess.run(
        [str(TRIFOLD), "materials", "train", "--cfg", "job"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "optimizer" in done.stdout


def test_a_script_of_the_user_in_another_folder(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "script.py").write_text("import materials\nprint(materials.__name__)\n")
    done = python(tmp_path / "work", str(tmp_path / "script.py"))
    assert (done.returncode, done.stdout.strip()) == (0, "materials"), done.stderr
