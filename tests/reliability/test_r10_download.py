"""R10: a server that truncates, lies, stalls, fails or redirects; eight processes after one file; offline."""

import hashlib
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from common.app.errors import DownloadError
from common.data.datasets import Dataset, File, fetch
from common.data.download import download

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
TIMEOUT_S = 1.0


class Faulty(BaseHTTPRequestHandler):
    """`/<fault>/<anything>` misbehaves; `/<fault>-once/...` does so for the first request only."""

    requests: Counter[str]

    def do_GET(self) -> None:
        fault = self.path.split("/")[1]
        self.requests[self.path] += 1
        if fault.endswith("-once"):
            fault = fault.removesuffix("-once") if self.requests[self.path] == 1 else "good"
        getattr(self, f"send_{fault}")()

    def send(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send_good(self) -> None:
        self.send(200, CONTENT)

    def send_slow(self) -> None:
        time.sleep(0.2)
        self.send(200, CONTENT)

    def send_truncated(self) -> None:
        self.send(200, CONTENT[:70_000], len(CONTENT))

    def send_short(self) -> None:
        self.send(200, CONTENT[:-1])

    def send_wrong(self) -> None:
        self.send(200, CONTENT[:-1] + b"!")

    def send_endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(2000):
            self.wfile.write(CONTENT)
        raise AssertionError("the client read two gigabytes of a one megabyte file")

    def send_missing(self) -> None:
        self.send(404, b"no such file")

    def send_broken(self) -> None:
        self.send(500, b"try later")

    def send_stalled(self) -> None:
        self.send(200, CONTENT[:1000], len(CONTENT))
        self.wfile.flush()
        time.sleep(2 * TIMEOUT_S)

    def send_local(self) -> None:
        self.send(302, b"", Location="file:///etc/passwd")

    def send_circle(self) -> None:
        self.send(302, b"", Location=self.path)

    def send_moved(self) -> None:
        self.send(302, b"", Location="/good/file")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Faulty.requests = Counter()
    with ThreadingHTTPServer(("127.0.0.1", 0), Faulty) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients hang up on purpose
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def address(server: ThreadingHTTPServer, path: str) -> str:
    return f"http://127.0.0.1:{server.server_port}/{path}"


def attempt(server: ThreadingHTTPServer, path: str, folder: Path) -> Path:
    return download(
        address(server, path), folder / "file.bin", size=len(CONTENT), sha256=SHA256, timeout_s=TIMEOUT_S,
        sleep=lambda wait: None,
    )  # fmt: skip


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


@pytest.mark.parametrize("fault", ["good", "moved"])
def test_a_sound_server_is_asked_once(server, tmp_path: Path, fault: str) -> None:
    assert attempt(server, f"{fault}/x", tmp_path).read_bytes() == CONTENT
    assert visible(tmp_path) == ["file.bin"]
    assert Faulty.requests[f"/{fault}/x"] == 1


@pytest.mark.parametrize("fault", ["truncated", "short", "wrong", "endless", "broken", "stalled"])
def test_a_passing_fault_is_survived(server, tmp_path: Path, fault: str) -> None:
    assert attempt(server, f"{fault}-once/x", tmp_path).read_bytes() == CONTENT
    assert visible(tmp_path) == ["file.bin"]
    assert Faulty.requests[f"/{fault}-once/x"] == 2


@pytest.mark.parametrize(
    ("fault", "message", "requests"),
    [
        ("truncated", "could not be read", 4),
        ("short", f"sent {len(CONTENT) - 1} bytes, expected {len(CONTENT)}", 4),
        ("wrong", f"expected {SHA256}", 4),
        ("endless", f"more than the {len(CONTENT)} bytes", 4),
        ("broken", "answered 500", 4),
        ("stalled", "could not be read", 4),
        ("missing", "answered 404", 1),
        ("local", "file:///etc/passwd", 1),
        ("circle", "expected http or https", 31),
    ],
)
def test_a_lasting_fault_is_a_named_error(server, tmp_path: Path, fault: str, message: str, requests: int) -> None:
    with pytest.raises(DownloadError, match=message) as error:
        attempt(server, f"{fault}/x", tmp_path)
    assert f"/{fault}/x" in str(error.value)
    assert visible(tmp_path) == []
    assert Faulty.requests[f"/{fault}/x"] == requests


def test_the_waits_between_attempts_grow(server, tmp_path: Path) -> None:
    waits: list[float] = []
    with pytest.raises(DownloadError):
        download(address(server, "broken/x"), tmp_path / "f", size=1, sha256=SHA256, sleep=waits.append)
    assert len(waits) == 3 and waits == sorted(waits) and waits[-1] > 4 * waits[0]


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="could not be read"):
        download("http://127.0.0.1:9/x", tmp_path / "f", size=1, sha256=SHA256, sleep=lambda wait: None)


def test_without_a_hash_the_size_is_bounded(server, tmp_path: Path) -> None:
    assert download(address(server, "good/x"), tmp_path / "a", size=len(CONTENT), sha256=None).stat().st_size == len(
        CONTENT
    )
    with pytest.raises(DownloadError, match="more than the 5000 bytes"):
        download(address(server, "good/x"), tmp_path / "b", size=5000, sha256=None, sleep=lambda wait: None)


CLIENT = """
import sys
from pathlib import Path
from common.data.download import download
download(sys.argv[1], Path(sys.argv[2]), size=int(sys.argv[3]), sha256=sys.argv[4])
"""

LOCKLESS = """
import filelock
def refuse(self, *args, **options): raise NotImplementedError("no locks here")
filelock.FileLock.acquire = refuse
"""


@pytest.mark.parametrize(
    ("prelude", "processes", "transfers"),
    [("", 8, 1), (LOCKLESS, 3, 3), pytest.param(LOCKLESS, 8, 8, marks=pytest.mark.full)],
    ids=["locks", "no locks", "no locks, 8"],
)
def test_processes_after_one_file(server, tmp_path: Path, prelude: str, processes: int, transfers: int) -> None:
    command = [sys.executable, "-c", prelude + CLIENT, address(server, "slow/x"), str(tmp_path / "file.bin")]
    clients = [subprocess.Popen([*command, str(len(CONTENT)), SHA256]) for _ in range(processes)]
    assert [client.wait(120) for client in clients] == [0] * processes
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert visible(tmp_path) == ["file.bin"]
    assert Faulty.requests["/slow/x"] <= transfers


def test_offline_means_no_request(server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIFOLD_CACHE", str(tmp_path))
    monkeypatch.delenv("TRIFOLD_DATA", raising=False)
    monkeypatch.delenv("TRIFOLD_MIRROR", raising=False)
    file = File("file.bin", len(CONTENT), SHA256, address(server, "good/file.bin"))
    dataset = Dataset("one", "One file", "", "CC0-1.0", "", "", (file,))
    with pytest.raises(DownloadError, match="offline"):
        fetch(dataset, offline=True)
    assert not Faulty.requests
    path = fetch(dataset)["file.bin"]
    assert fetch(dataset, offline=True) == {"file.bin": path}
    monkeypatch.setenv("TRIFOLD_MIRROR", address(server, "good"))
    path.unlink()
    fetch(dataset)
    assert Faulty.requests == {"/good/file.bin": 2}
