"""A cached array is the built one, bit for bit, and belongs to its content and code version only."""

import time
from pathlib import Path

import numpy as np
import pytest

from common.app.errors import DataFormatError
from common.data.cache import cached_arrays


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIFOLD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Counting:
    """A builder that knows how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> dict[str, np.ndarray]:
        self.calls += 1
        rng = np.random.default_rng(self.calls)
        return {
            "real": rng.normal(size=(7, 3)),
            "flags": rng.random(5) < 0.5,
            "small": rng.integers(0, 200, 11).astype(np.uint8),
            "scalar": np.array(3.5, np.float32),
            "none": np.zeros((0, 4), np.int64),
            "transposed": rng.normal(size=(3, 4)).astype(np.float32).T,
        }


def test_what_is_read_equals_what_was_built() -> None:
    build = Counting()
    built = cached_arrays("graphs", {"k": 12}, "1", build)
    read = cached_arrays("graphs", {"k": 12}, "1", build)
    assert build.calls == 1 and read.keys() == built.keys()
    for name in built:
        assert read[name].dtype == built[name].dtype
        np.testing.assert_array_equal(read[name], built[name])


@pytest.mark.parametrize(
    ("kind", "key", "version"),
    [
        ("pairs", {"k": 12, "cutoff": 8.0}, "1"),
        ("graphs", {"k": 13, "cutoff": 8.0}, "1"),
        ("graphs", {"k": 12, "cutoff": 8.0}, "2"),
        ("graphs", {"k": 12}, "1"),
        ("graphs", {"k": "12", "cutoff": 8.0}, "1"),
    ],
)
def test_another_kind_key_or_version_is_built_anew(kind: str, key: dict, version: str) -> None:
    build = Counting()
    cached_arrays("graphs", {"k": 12, "cutoff": 8.0}, "1", build)
    cached_arrays(kind, key, version, build)
    assert build.calls == 2


def test_the_order_of_the_key_does_not_matter() -> None:
    build = Counting()
    cached_arrays("graphs", {"k": 12, "cutoff": 8.0}, "1", build)
    cached_arrays("graphs", {"cutoff": 8.0, "k": 12}, "1", build)
    assert build.calls == 1


def test_text_is_refused() -> None:
    with pytest.raises(DataFormatError, match="'ids' has dtype <U2"):
        cached_arrays("ids", {}, "1", lambda: {"ids": np.array(["ab"])})


def test_without_a_writable_cache_the_arrays_are_built_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TRIFOLD_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(RuntimeWarning, match="TRIFOLD_CACHE"):
        assert cached_arrays("graphs", {}, "1", Counting())["real"].shape == (7, 3)


@pytest.mark.parametrize("megabytes", [30, pytest.param(150, marks=pytest.mark.full)])
def test_opening_takes_well_below_a_second(megabytes: int) -> None:
    arrays = {"rows": np.random.default_rng(0).random(megabytes * 1_000_000 // 8)}
    cached_arrays("large", {}, "1", lambda: arrays)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        read = cached_arrays("large", {}, "1", Counting())
        times.append(time.perf_counter() - start)
    np.testing.assert_array_equal(read["rows"], arrays["rows"])
    assert min(times) < 1.0
