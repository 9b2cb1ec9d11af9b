"""Where the published weights are, for the tests that need them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from common.data.datasets import fetch, locate
from materials.weights.published import PUBLISHED

BESIDE = Path(__file__).parents[4] / "shared" / "data"
"""Data that may lie next to a checkout."""

Find = Callable[[str], dict[str, Path]]


@pytest.fixture
def official_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Find:
    """Paths of the official files of published weights by file name; skips the test where they are not to be had."""
    if BESIDE.is_dir() and "TRIFOLD_DATA" not in os.environ:
        monkeypatch.setenv("TRIFOLD_DATA", str(BESIDE))
    monkeypatch.setenv("TRIFOLD_CACHE", str(tmp_path))

    def find(name: str) -> dict[str, Path]:
        dataset = PUBLISHED[name].weights
        paths = locate(dataset)
        if paths is None and "TRIFOLD_MIRROR" in os.environ:
            paths = fetch(dataset)
        if paths is None:
            pytest.skip(f"the weights {name} are not on this machine: set TRIFOLD_DATA or TRIFOLD_MIRROR")
        return {path.name: path for path in paths.values()}

    return find
