"""The wheel, as a user of it sees it: nothing missing, nothing too much, and its commands run outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("common", "protein", "weather", "materials")

if not (ROOT / "pyproject.toml").is_file():
    pytest.skip("not in a checkout", allow_module_level=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what belongs to the source, so that nothing is left in the checkout."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in (*PACKAGES, "tests", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            (source / name).symlink_to(ROOT / name)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(target), "."]
    done = subprocess.run(build, cwd=source, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = target.glob("trifold-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bin/ of a new environment that borrows the dependencies of this one, but not its trifold."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(folder / "bin/python"),
        "install",
        "--no-deps",
        "--no-index",
    ]
    done = subprocess.run([*install, str(wheel)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    # a line of a .pth file comes after the environment's own folder, and the .pth files in there are not read
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def files_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_everything_a_package_needs_is_inside(wheel: Path) -> None:
    """All tracked or trackable files of the four packages: code, configuration, cards, weights, tables, py.typed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    expected = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    assert {f"{package}/py.typed" for package in PACKAGES} <= expected
    assert expected - files_of(wheel) == set()


def test_nothing_else_is_inside(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in files_of(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert not [name for name in files_of(wheel) if "__pycache__" in name or name.endswith((".pt", ".pkl", ".npz"))]


def test_metadata_names_licence_and_extras(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        metadata = archive.read(name).decode()
        assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())
    assert "License-Expression: Apache-2.0" in metadata
    for extra in ("slurm", "sweep", "wandb", "tensorboard", "cloud", "hub", "dev", "peers"):
        assert f"Provides-Extra: {extra}" in metadata


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--help",), "Domains"),
        (("materials", "train", "--cfg", "job", "experiment=mp2018_eform"), "mp2018_eform"),
        (("materials", "benchmark", "--help"), "Examples"),
        (("models",), "model"),
    ],
)
def test_commands_run_outside_the_checkout(
    installed: Path, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(installed / "trifold"), *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout
    where = [str(installed / "python"), "-c", "import common, materials; print(common.__file__, materials.__file__)"]
    places = subprocess.run(where, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60).stdout.split()
    assert len(places) == 2 and all(Path(place).is_relative_to(installed.parent) for place in places)


def test_constraints_satisfy_the_requirements() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pinned = dict(line.split("==") for line in lines)
    pinned = {canonicalize_name(name): version for name, version in pinned.items()}
    assert pinned["torch"] == "2.13.0"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in project["dependencies"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), text
