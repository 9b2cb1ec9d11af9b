"""Where a data set is looked for, and that only what was registered is handed out."""

import hashlib
import os
from pathlib import Path

import pytest

from common.app.errors import DownloadError
from common.data import datasets, download, locations
from common.data.datasets import Dataset, File, Source, fetch, locate, verify

CONTENT = b"one row\n" * 100
NAME = "field/rows.bin"


def registered(content: bytes = CONTENT, name: str = NAME, url: str | None = None) -> File:
    return File(name, len(content), hashlib.sha256(content).hexdigest(), url)


def rows(*files: File, sources: tuple[Source, ...] = ()) -> Dataset:
    return Dataset("rows", "Rows", "rows", "CC0-1.0", "nobody", "", files or (registered(),), sources)


def put(folder: Path, content: bytes = CONTENT, name: str = NAME) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def shout(originals: dict[str, Path], folder: Path) -> None:
    """A converter: the file in capitals."""
    (folder / "rows.bin").write_bytes(originals["whisper.txt"].read_bytes().upper())


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    for name in ("TRIFOLD_DATA", "TRIFOLD_MIRROR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRIFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "WAITS_S", ())
    return {name: tmp_path / name for name in ("cache", "data", "mirror")}


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert locations.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("TRIFOLD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert locations.cache_folder() == tmp_path / "xdg" / "trifold"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locations.cache_folder() == tmp_path / ".cache" / "trifold"


def test_a_file_that_is_here_is_used_in_place(places, monkeypatch) -> None:
    monkeypatch.setenv("TRIFOLD_DATA", str(places["data"]))
    here = put(places["data"])
    assert fetch(rows(), offline=True) == {NAME: here} == locate(rows())
    assert not places["cache"].exists()


def test_a_read_only_data_folder_is_not_written_to(places, monkeypatch) -> None:
    monkeypatch.setenv("TRIFOLD_DATA", str(places["data"]))
    monkeypatch.setenv("TRIFOLD_MIRROR", str(places["mirror"]))
    places["data"].mkdir()
    put(places["mirror"])
    os.chmod(places["data"], 0o555)
    try:
        assert fetch(rows()) == {NAME: places["cache"] / NAME}
        assert list(places["data"].iterdir()) == []
    finally:
        os.chmod(places["data"], 0o755)


def test_a_mirror_folder_serves_offline_and_what_it_serves_is_kept(places, monkeypatch) -> None:
    monkeypatch.setenv("TRIFOLD_MIRROR", str(places["mirror"]))
    source = put(places["mirror"])
    assert locate(rows()) is None
    fetch(rows(), offline=True)
    source.unlink()
    assert fetch(rows(), offline=True)[NAME].read_bytes() == CONTENT


def test_a_mirror_replaces_the_host_of_a_public_address(places, monkeypatch) -> None:
    monkeypatch.setenv("TRIFOLD_MIRROR", str(places["mirror"]))
    put(places["mirror"], name="pub/v1/rows.bin")
    dataset = rows(registered(url="https://data.example.org/pub/v1/rows.bin"))
    assert fetch(dataset, offline=True)[NAME].read_bytes() == CONTENT


def test_a_damaged_copy_is_reported_and_replaced(places, monkeypatch) -> None:
    monkeypatch.setenv("TRIFOLD_MIRROR", str(places["mirror"]))
    put(places["mirror"])
    flipped = bytearray(CONTENT)
    flipped[17] ^= 1
    here = put(places["cache"], bytes(flipped))
    with pytest.raises(DownloadError, match=r"rows\.bin is damaged"):
        verify(rows())
    with pytest.warns(RuntimeWarning, match=r"rows\.bin here is not what was registered"):
        assert fetch(rows()) == {NAME: here}
    assert here.read_bytes() == CONTENT
    assert verify(rows()) == {NAME: "registered"}


def test_a_wrong_file_on_the_mirror_is_refused(places, monkeypatch) -> None:
    monkeypatch.setenv("TRIFOLD_MIRROR", str(places["mirror"]))
    put(places["mirror"], CONTENT[::-1])
    with pytest.raises(DownloadError, match="SHA-256"):
        fetch(rows())
    assert not (places["cache"] / NAME).exists()


def test_the_error_for_a_missing_data_set_says_how_to_get_it(places, monkeypatch) -> None:
    monkeypatch.setenv("TRIFOLD_MIRROR", "http://mirror.invalid/base/")
    with pytest.raises(DownloadError) as error:
        fetch(rows(), offline=True)
    for fact in ("'rows'", "0.0 MB", "CC0-1.0", NAME, "trifold data fetch rows", "TRIFOLD_MIRROR", "TRIFOLD_DATA",
                 "http://mirror.invalid/base/field/rows.bin was not asked: offline", str(places["cache"])):  # fmt: skip
        assert fact in str(error.value)


def test_an_unknown_file_name_meets_its_neighbour() -> None:
    with pytest.raises(DownloadError, match=r"no file 'field/row\.bin'. Did you mean 'field/rows\.bin'"):
        fetch(rows(), ["field/row.bin"])


def test_originals_are_converted_once_and_then_guarded(places, monkeypatch) -> None:
    monkeypatch.setenv("TRIFOLD_MIRROR", str(places["mirror"]))
    monkeypatch.setattr(datasets.importlib, "import_module", lambda name: globals_of_this_test)
    whisper = CONTENT.lower()
    original = registered(whisper, "field/originals/whisper.txt", "https://example.org/raw/whisper.txt")
    dataset = rows(registered(b"another packing of the same"), sources=(Source((original,), "here:shout"),))
    put(places["mirror"], whisper, "raw/whisper.txt")

    path = fetch(dataset)[NAME]
    assert path.read_bytes() == CONTENT.upper()
    assert verify(dataset) == {NAME: "converted"}
    assert not list(places["cache"].glob(".*.converting/"))

    written = path.stat().st_mtime_ns
    assert fetch(dataset, offline=True)[NAME].stat().st_mtime_ns == written
    path.write_bytes(path.read_bytes() + b"!")
    assert locate(dataset) is None
    with pytest.warns(RuntimeWarning, match="looking for another"):
        assert fetch(dataset)[NAME].read_bytes() == CONTENT.upper()


def test_a_file_without_registered_hash_is_fetched_by_name_only(places, monkeypatch) -> None:
    monkeypatch.setenv("TRIFOLD_MIRROR", str(places["mirror"]))
    extra = File("field/extra.bin", 10_000)
    put(places["mirror"])
    put(places["mirror"], name=extra.name)
    dataset = rows(registered(), extra)
    assert list(fetch(dataset)) == [NAME]
    assert verify(dataset) == {NAME: "registered", extra.name: "missing"}
    fetch(dataset, [extra.name])
    assert verify(dataset)[extra.name] == "unregistered"


def test_a_packed_file_that_is_here_stays_when_another_is_converted(places, monkeypatch) -> None:
    monkeypatch.setenv("TRIFOLD_MIRROR", str(places["mirror"]))
    monkeypatch.setattr(datasets.importlib, "import_module", lambda name: globals_of_this_test)
    put(places["mirror"], b"whisper", "raw/whisper.txt")
    source = Source(
        (registered(b"whisper", "field/originals/whisper.txt", "https://e.org/raw/whisper.txt"),), "here:both"
    )
    extra = File("field/extra.bin", 10_000)
    dataset = rows(registered(), extra, sources=(source,))
    put(places["cache"])
    assert fetch(dataset, [extra.name])[extra.name].read_bytes() == b"WHISPER"
    assert verify(dataset) == {NAME: "registered", extra.name: "converted"}


class globals_of_this_test:
    """Stands in for the module that a converter is named by."""

    shout = staticmethod(shout)

    @staticmethod
    def both(originals: dict[str, Path], folder: Path) -> None:
        shout(originals, folder)
        (folder / "extra.bin").write_bytes((folder / "rows.bin").read_bytes())
