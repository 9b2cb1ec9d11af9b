"""R17: killed during download, conversion or preprocessing and run again: it completes, and nothing is done twice."""

import hashlib
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

CONTENT = bytes(range(256)) * 2000


class Halting(BaseHTTPRequestHandler):
    """Sends three quarters of a file at its first request, and all of it from then on."""

    requests: Counter[str]
    over: threading.Event

    def do_GET(self) -> None:
        self.requests[self.path] += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        most = 3 * len(CONTENT) // 4
        self.wfile.write(CONTENT[:most])
        self.wfile.flush()
        if self.requests[self.path] == 1:
            self.over.wait(60)
        self.wfile.write(CONTENT[most:])

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Halting.requests, Halting.over = Counter(), threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Halting) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients die on purpose
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        Halting.over.set()
        server.shutdown()


def start(code: str, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRIFOLD_")}
    environment = {**kept, "TRIFOLD_CACHE": str(folder), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder.parent)}
    with (folder.parent / "stderr.txt").open("wb") as messages:
        return subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment, stderr=messages)


def kill_once(process: subprocess.Popen[bytes], busy: Callable[[], bool], delay_s: float = 0.0) -> None:
    """SIGKILL, `delay_s` after `busy` became true."""
    deadline = time.monotonic() + 60
    while not busy():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(delay_s)
    process.kill()
    process.wait()


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*") if not path.name.endswith(".lock")]


FETCH = """
import sys
from common.data.datasets import Dataset, File, Source, fetch
sha256, size, url = sys.argv[1], int(sys.argv[2]), sys.argv[3]
original = File("field/originals/raw.bin", size, sha256, url + "/raw.bin")
one = File("field/one.bin", size, sha256, url + "/one.bin")
two = File("field/two.bin", 10 * size, "0" * 64)
fetch(Dataset("pair", "", "", "", "", "", (one, two), (Source((original,), "slow_converter:convert"),)))
"""

CONVERTER = """
import time
from pathlib import Path
def convert(originals, folder):
    data = originals["raw.bin"].read_bytes()
    with (folder / "two.bin").open("wb") as stream:
        stream.write(data)
        stream.flush()
        started = Path(__file__).with_name("converting")
        if not started.exists():
            started.touch()
            time.sleep(60)
        stream.write(data)
"""


def test_killed_in_every_phase_of_a_fetch(server: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (tmp_path / "slow_converter.py").write_text(CONVERTER)
    arguments = (hashlib.sha256(CONTENT).hexdigest(), str(len(CONTENT)), server)

    def partial(name: str) -> Callable[[], bool]:
        return lambda: any(part.stat().st_size for part in cache.glob(f"field/**/.{name}.*.part"))

    kill_once(start(FETCH, cache, *arguments), partial("one.bin"))
    assert not (cache / "field/one.bin").exists()

    kill_once(start(FETCH, cache, *arguments), partial("raw.bin"))
    assert (cache / "field/one.bin").read_bytes() == CONTENT
    assert not (cache / "field/originals/raw.bin").exists()

    kill_once(start(FETCH, cache, *arguments), (tmp_path / "converting").exists)
    assert (cache / "field/originals/raw.bin").read_bytes() == CONTENT
    assert not (cache / "field/two.bin").exists()

    assert start(FETCH, cache, *arguments).wait(60) == 0
    assert (cache / "field/two.bin").read_bytes() == 2 * CONTENT
    assert leftovers(cache) == []
    assert start(FETCH, cache, *arguments).wait(60) == 0
    assert Halting.requests == {"/one.bin": 2, "/raw.bin": 2}


PREPARE = """
import sys
from pathlib import Path
import numpy as np
from common.data.cache import cached_arrays
def build():
    Path(sys.argv[1]).touch()
    return {str(i): np.full(50_000, i) for i in range(20)}
arrays = cached_arrays("rows", {}, "1", build)
assert all((arrays[str(i)] == i).all() for i in range(20))
"""


@pytest.mark.parametrize("trials", [4, pytest.param(50, marks=pytest.mark.full)])
def test_killed_while_preprocessing(tmp_path: Path, trials: int) -> None:
    rng = random.Random(17)
    for trial in range(trials):
        cache, building = tmp_path / f"cache{trial}", tmp_path / f"building{trial}"
        kill_once(start(PREPARE, cache, str(building)), building.exists, rng.uniform(0, 0.25))
        whole = bool(list(cache.glob("processed/rows-*")))
        building.unlink()
        assert start(PREPARE, cache, str(building)).wait(60) == 0
        # Built again unless it was complete.
        assert building.exists() != whole, (tmp_path / "stderr.txt").read_text()
        assert leftovers(cache) == []
        building.unlink(missing_ok=True)
        assert start(PREPARE, cache, str(building)).wait(60) == 0
        assert not building.exists()
