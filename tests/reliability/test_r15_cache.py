"""R15: a damaged, stale or foreign cache is built again, never used in silence."""

import json
import os
import random
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from common.data.cache import cached_arrays

KEY = {"source": "e4f1c7cc", "k": 12}
TRUTH = {"rows": np.arange(3000, dtype=np.float32), "count": np.array([7, 8, 9])}


class Builder:
    """Builds the truth, and counts."""

    calls = 0

    def __call__(self) -> dict[str, np.ndarray]:
        self.calls += 1
        return TRUTH


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIFOLD_CACHE", str(tmp_path))
    cached_arrays("graphs", KEY, "1", Builder())
    (folder,) = (tmp_path / "processed").glob("graphs-*")
    return folder


def opened() -> tuple[int, list[str]]:
    """How often the cache was built again, and the warnings; the arrays must be the true ones."""
    build = Builder()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        arrays = cached_arrays("graphs", KEY, "1", build)
    assert arrays.keys() == TRUTH.keys()
    for name, array in TRUTH.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
    return build.calls, [str(warning.message) for warning in caught]


def test_a_sound_cache_is_used(folder: Path) -> None:
    assert opened() == (0, [])


@pytest.mark.parametrize("flips", [60, pytest.param(1000, marks=pytest.mark.full)])
def test_a_flipped_byte_anywhere_is_noticed(folder: Path, flips: int) -> None:
    rng = random.Random(15)
    files = sorted(folder.iterdir())
    for _ in range(flips):
        path = rng.choice(files)
        whole = path.read_bytes()
        damaged = bytearray(whole)
        place = rng.randrange(len(damaged))
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(damaged))
        built, messages = opened()
        # A manifest may lose white space without losing its meaning.
        if built or path.name != "manifest.json":
            assert built == 1, f"{path.name}: byte {place}"
            assert any(str(folder) in message and "building it again" in message for message in messages)
        assert opened()[0] == 0
        path.write_bytes(whole)
        assert opened()[0] == 0


@pytest.mark.parametrize("share", [0.0, 0.01, 0.25, 0.5, 0.99])
@pytest.mark.parametrize("name", ["arrays.safetensors", "manifest.json", "key.json"])
def test_a_cut_file_is_noticed(folder: Path, name: str, share: float) -> None:
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: int(share * len(whole))])
    built, messages = opened()
    assert built == 1 and name in messages[0]
    assert opened() == (0, [])


@pytest.mark.parametrize("name", ["arrays.safetensors", "manifest.json", "key.json"])
def test_a_lost_file_is_noticed(folder: Path, name: str) -> None:
    (folder / name).unlink()
    built, messages = opened()
    assert built == 1 and name in messages[0]


def test_a_manifest_that_lists_nothing_is_not_believed(folder: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps({"files": {}}))
    built, messages = opened()
    assert built == 1 and "arrays.safetensors" in messages[0]


def test_a_changed_code_version_leaves_the_old_cache_alone(folder: Path) -> None:
    fresh = {"rows": TRUTH["rows"] + 1}
    assert cached_arrays("graphs", KEY, "2", lambda: fresh)["rows"][0] == 1
    assert opened() == (0, [])
    assert len(list(folder.parent.glob("graphs-*"))) == 2


def test_a_cache_renamed_to_another_key_is_not_used(folder: Path) -> None:
    """As after copying folders about: the content is whole, but it is not what was asked for."""
    other = {**KEY, "k": 13}
    cached_arrays("graphs", other, "1", lambda: {"rows": TRUTH["rows"] + 1})
    (foreign,) = (path for path in folder.parent.glob("graphs-*") if path != folder)
    stepped_aside = folder.with_name("aside")
    folder.rename(stepped_aside)
    foreign.rename(folder)
    built, messages = opened()
    assert built == 1 and "key.json" in messages[0]


BUILDER = """
import sys, time
from pathlib import Path
import numpy as np
from common.data.cache import cached_arrays
def build():
    Path(sys.argv[1], f"built-{time.monotonic_ns()}").touch()
    time.sleep(0.5)
    return {"rows": np.arange(1000)}
assert cached_arrays("slow", {}, "1", build)["rows"].sum() == 499500
"""


def test_while_one_process_builds_others_wait(tmp_path: Path) -> None:
    environment = {**os.environ, "TRIFOLD_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    processes = [subprocess.Popen([sys.executable, "-c", BUILDER, str(tmp_path)], env=environment) for _ in range(6)]
    assert [process.wait(60) for process in processes] == [0] * 6
    assert len(list(tmp_path.glob("built-*"))) == 1
    assert time.monotonic() - started < 30


def test_without_locks_every_process_still_gets_the_truth(tmp_path: Path) -> None:
    lockless = (
        "import filelock\ndef refuse(self, *a, **o): raise NotImplementedError\nfilelock.FileLock.acquire = refuse\n"
    )
    environment = {**os.environ, "TRIFOLD_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", lockless + BUILDER, str(tmp_path)]
    processes = [subprocess.Popen(command, env=environment) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    left = [path.name for path in (tmp_path / "cache/processed").iterdir()]
    assert [name for name in left if name.startswith("slow-")]
