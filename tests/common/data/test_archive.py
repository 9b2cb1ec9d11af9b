"""What went into an archive comes out of it."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from common.app.errors import DataFormatError
from common.data.archive import extract, members

FILES = {"table.csv": b"a,b\n1,2\n", "cif/mp-1.cif": b"data_x\n" * 500, "cif/empty.cif": b"", "Größe.txt": b"1"}


def make_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("cif")
        for name, content in FILES.items():
            archive.writestr(name, content)


def make_tar(path: Path, mode: Any, prefix: str = "") -> None:
    with tarfile.open(path, mode) as archive:
        folder = tarfile.TarInfo(prefix + "cif")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in FILES.items():
            entry = tarfile.TarInfo(prefix + name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


MAKERS = {
    "x.zip": make_zip,
    "x.tar": lambda path: make_tar(path, "w"),
    "x.tar.gz": lambda path: make_tar(path, "w:gz"),
    "x.tgz": lambda path: make_tar(path, "w:gz", prefix="./"),
    "x.tar.bz2": lambda path: make_tar(path, "w:bz2"),
    "x.tar.xz": lambda path: make_tar(path, "w:xz"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_archives(tmp_path: Path, name: str) -> None:
    MAKERS[name](tmp_path / name)
    assert {member: stream.read() for member, stream in members(tmp_path / name)} == FILES
    extract(tmp_path / name, tmp_path / "out" / "x")
    found = {path.relative_to(tmp_path / "out/x").as_posix(): path for path in (tmp_path / "out/x").rglob("*")}
    assert {name: path.read_bytes() for name, path in found.items() if path.is_file()} == FILES
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x"]


@pytest.mark.parametrize(
    ("name", "opener"), [("a.csv.gz", gzip.open), ("a.csv.bz2", bz2.open), ("a.csv.xz", lzma.open)]
)
def test_single_files(tmp_path: Path, name: str, opener) -> None:
    with opener(tmp_path / name, "wb") as stream:
        stream.write(FILES["cif/mp-1.cif"])
    assert [(member, stream.read()) for member, stream in members(tmp_path / name)] == [
        ("a.csv", FILES["cif/mp-1.cif"])
    ]


def test_members_may_be_left_unread(tmp_path: Path) -> None:
    make_tar(tmp_path / "x.tar.gz", "w:gz")
    assert [name for name, _ in members(tmp_path / "x.tar.gz")] == list(FILES)


@pytest.mark.parametrize("name", ["x.tar.gz", "x.zip", "x.tar.xz", "x.tar.bz2"])
def test_an_archive_cut_anywhere_is_refused(tmp_path: Path, name: str) -> None:
    MAKERS[name](tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for share in (0.01, 0.3, 0.6, 0.9, 0.99):
        (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataFormatError, match=name):
            extract(tmp_path / name, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_an_existing_folder_is_not_touched(tmp_path: Path) -> None:
    make_zip(tmp_path / "x.zip")
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError):
        extract(tmp_path / "x.zip", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
