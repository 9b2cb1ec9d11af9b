"""Small fields, written and served as users have them."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

LATITUDES = np.linspace(-75, 75, 6)
LONGITUDES = np.arange(0, 360, 45.0)


def example(times: int = 12, start: str = "2020-01-01", step_h: int = 6, seed: int = 0) -> xr.Dataset:
    """Temperature on two levels and at 2 m, and wind, in canonical form."""
    random = np.random.default_rng(seed)
    time = np.datetime64(start, "ns") + np.arange(times) * np.timedelta64(step_h, "h")
    shape = (times, len(LATITUDES), len(LONGITUDES))
    grid = ("latitude", "longitude")
    return xr.Dataset(
        {
            "temperature": (
                ("time", "level", *grid),
                random.normal(250, 10, (times, 2, *shape[1:])).astype(np.float32),
                {"units": "K"},
            ),
            "2m_temperature": (("time", *grid), random.normal(285, 10, shape).astype(np.float32), {"units": "K"}),
            "10m_u_component_of_wind": (
                ("time", *grid),
                random.normal(0, 5, shape).astype(np.float32),
                {"units": "m s-1"},
            ),
        },
        {"time": time, "level": [500, 850], "latitude": LATITUDES, "longitude": LONGITUDES},
    )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which a local server offers it."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    folder = tmp_path / "served"
    folder.mkdir()
    handler: Callable = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
