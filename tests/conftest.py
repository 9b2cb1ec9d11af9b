"""What all tests share: one CPU thread, and a cache of their own."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; small tensors gain nothing from more

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
"""Packed copies of the real data sets beside the checkout, where there are some."""


# A test states a law, not how fast a busy machine finds an example.
settings.register_profile("trifold", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("trifold")


def pytest_configure(config: pytest.Config) -> None:
    folder = tempfile.TemporaryDirectory(prefix="trifold-tests-")
    config.add_cleanup(folder.cleanup)
    os.environ.setdefault("TRIFOLD_CACHE", folder.name)


@pytest.fixture
def shared_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real data, used through TRIFOLD_MIRROR; the test is skipped, saying so, where they are absent."""
    mirror = Path(os.environ.get("TRIFOLD_MIRROR") or SHARED_DATA)
    if not (mirror / "materials" / "mp2018_val.npz").is_file():
        pytest.skip(f"real data are not here: no materials/mp2018_val.npz under TRIFOLD_MIRROR or {SHARED_DATA.name}")
    monkeypatch.setenv("TRIFOLD_MIRROR", str(mirror))
    return mirror


@pytest.fixture
def data_in_place(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real data, read where they lie (TRIFOLD_DATA)."""
    monkeypatch.setenv("TRIFOLD_DATA", str(shared_data))
    return shared_data
