"""What a mirror is made of serves another machine that has no network."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from common.app import data
from common.app.errors import DownloadError
from common.data import download
from common.data.datasets import Dataset, File, Source, fetch, verify
from common.data.mirror import SUMS, mirror

PACKED, RAW = b"one row\n" * 100, b"One Row\n" * 100


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def lower(originals: dict[str, Path], folder: Path) -> None:
    """A converter whose result is not the published file byte for byte."""
    (folder / "rows.bin").write_bytes(originals["raw.txt"].read_bytes().lower() + b"\n")


PUBLISHED = File("field/rows.bin", len(PACKED), digest(PACKED))
SOURCE = Source((File("field/originals/raw.txt", len(RAW), digest(RAW)),), f"{__name__}:lower")
ROWS = Dataset("rows", "Rows", "rows", "CC0-1.0", "nobody", "", (PUBLISHED,), (SOURCE,))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Be on the machine `name`, with a cache of its own, a mirror or none."""
    monkeypatch.setattr(download, "WAITS_S", ())
    monkeypatch.delenv("TRIFOLD_DATA", raising=False)

    def go(name: str, mirror: Path | None = None) -> Path:
        monkeypatch.setenv("TRIFOLD_CACHE", str(tmp_path / name))
        monkeypatch.setenv("TRIFOLD_MIRROR", str(mirror or tmp_path / "nowhere"))
        return tmp_path / name

    return go


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_a_mirror_serves_a_machine_without_network(machine, tmp_path: Path) -> None:
    put(machine("first") / PUBLISHED.name, PACKED)
    assert mirror(ROWS, tmp_path / "mirror") == [tmp_path / "mirror" / PUBLISHED.name]
    machine("cluster", tmp_path / "mirror")
    assert fetch(ROWS, offline=True)[PUBLISHED.name].read_bytes() == PACKED


def test_of_converted_files_the_originals_are_mirrored_and_convert_again(machine, tmp_path: Path) -> None:
    machine("first", tmp_path / "web")
    put(tmp_path / "web" / SOURCE.files[0].name, RAW)
    fetch(ROWS)
    assert verify(ROWS) == {PUBLISHED.name: "converted"}
    assert mirror(ROWS, tmp_path / "mirror") == [tmp_path / "mirror" / SOURCE.files[0].name]
    machine("cluster", tmp_path / "mirror")
    assert fetch(ROWS, offline=True)[PUBLISHED.name].read_bytes() == RAW.lower() + b"\n"


def test_sums_are_those_of_sha256sum_and_keep_what_was_there(machine, tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    put(folder / "other.bin", b"other")
    (folder / SUMS).write_text(f"{digest(b'other')}  other.bin\n{digest(b'gone')}  gone.bin\n")
    put(machine("first") / PUBLISHED.name, PACKED)
    mirror(ROWS, folder)
    assert (folder / SUMS).read_text() == f"{digest(PACKED)}  {PUBLISHED.name}\n{digest(b'other')}  other.bin\n"


def test_what_cannot_be_had_is_said_and_the_others_are_mirrored(
    machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(machine("first") / PUBLISHED.name, PACKED)
    absent = Dataset("absent", "Absent", "absent", "CC0-1.0", "nobody", "", (File("absent.bin", 1, digest(b"x")),))
    with pytest.raises(DownloadError, match=r"absent\.bin"):
        mirror(absent, tmp_path / "mirror")
    monkeypatch.setattr(data, "registered", lambda domains: {"absent": absent, "rows": ROWS})
    assert data.run(["mirror", str(tmp_path / "mirror"), "all"], []) == 1
    said = capsys.readouterr()
    assert "absent.bin not found" in said.err and PUBLISHED.name in said.out
    assert (tmp_path / "mirror" / PUBLISHED.name).read_bytes() == PACKED


def test_size_and_citation_are_told(machine, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    put(machine("first") / PUBLISHED.name, PACKED)
    monkeypatch.setattr(data, "registered", lambda domains: {"rows": ROWS})
    assert data.run(["size", "rows"], []) == data.run(["citation", "all"], []) == 0
    assert capsys.readouterr().out == "rows: 0.0 MB, here 0.0 MB\nrows: nobody\n"
