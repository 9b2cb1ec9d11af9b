"""R11: bombs, paths out of the folder, links and devices: refused, in bounded time and size, nothing outside."""

import gzip
import io
import lzma
import random
import stat
import struct
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from common.app.errors import DataFormatError
from common.data.archive import Limits, extract

BOMB_BYTES = 64_000_000
LIMITS = Limits(bytes=20_000_000, entries=200, ratio=100)

Maker = Callable[[Path], object]


def zip_of(*entries: tuple[str, bytes], mode: int = 0) -> Maker:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries:
                info = zipfile.ZipInfo("x")
                info.filename = name
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = mode << 16
                archive.writestr(info, content)

    return make


def tar_of(*entries: tuple[str, bytes], compression: str = "gz", **header: object) -> Maker:
    def make(path: Path) -> None:
        with tarfile.open(path, f"w:{compression}") as archive:  # pyright: ignore
            for name, content in entries:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                for key, value in header.items():
                    setattr(info, key, value)
                archive.addfile(info, io.BytesIO(content))

    return make


def gzip_bomb(path: Path) -> None:
    with gzip.open(path, "wb") as stream:
        stream.write(bytes(BOMB_BYTES))


def xz_bomb(path: Path) -> None:
    with lzma.open(path, "wb", preset=0) as stream:
        stream.write(bytes(BOMB_BYTES))


def lying_zip(path: Path) -> None:
    """A member whose headers say 100 bytes and which unpacks to 64 MB."""
    zip_of(("zeros", bytes(BOMB_BYTES)))(path)
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, central + 24, 100)
    struct.pack_into("<I", data, 22, 100)
    path.write_bytes(bytes(data))


def overlapping_zip(path: Path) -> None:
    """Many directory entries that all point to one compressed block (Fifield 2019, without the quine)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0", bytes(1_000_000))
        first = archive.infolist()[0]
        for index in range(1, 500):
            entry = zipfile.ZipInfo(str(index))
            for key in ("header_offset", "compress_type", "compress_size", "file_size", "CRC"):
                setattr(entry, key, getattr(first, key))
            archive.filelist.append(entry)


def long_name_bomb(path: Path) -> None:
    """A GNU long name of 64 MB: tarfile would read it into memory."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, BOMB_BYTES
    with gzip.open(path, "wb") as stream:
        stream.write(header.tobuf(tarfile.GNU_FORMAT))
        stream.write(b"a" * BOMB_BYTES)


def sparse_bomb(path: Path) -> None:
    """A PAX sparse file: terabytes of holes in two blocks."""
    info = tarfile.TarInfo("holes")
    info.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(10**13), "GNU.sparse.numblocks": "1"}
    info.size = 1
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(b"x"))


EVIL: dict[str, Maker] = {
    "zip bomb.zip": zip_of(("zeros", bytes(BOMB_BYTES))),
    "sum of many.zip": zip_of(*((f"{i}", bytes(1_000_000)) for i in range(64))),
    "lying.zip": lying_zip,
    "overlapping.zip": overlapping_zip,
    "gzip bomb.gz": gzip_bomb,
    "xz bomb.xz": xz_bomb,
    "tar bomb.tar.gz": tar_of(("zeros", bytes(BOMB_BYTES))),
    "tar bomb.tar.xz": tar_of(("zeros", bytes(BOMB_BYTES)), compression="xz"),
    "long name.tar.gz": long_name_bomb,
    "sparse.tar.gz": sparse_bomb,
    "entries.zip": zip_of(*((f"{i}", b"") for i in range(201))),
    "entries.tar.gz": tar_of(*((f"{i}", b"") for i in range(201))),
    "folders.tar.gz": tar_of(*((f"{i}", b"") for i in range(201)), type=tarfile.DIRTYPE),
    "up.zip": zip_of(("../outside", b"x")),
    "up inside.zip": zip_of(("a/../../outside", b"x")),
    "windows up.zip": zip_of(("..\\outside", b"x")),
    "absolute.zip": zip_of(("/tmp/outside", b"x")),
    "drive.zip": zip_of(("C:outside", b"x")),
    "control.zip": zip_of(("a\x1b[2Jb", b"x")),
    "long part.zip": zip_of(("a" * 300, b"x")),
    "twice.zip": zip_of(("a", b"x"), ("a", b"y")),
    "twice by dot.tar.gz": tar_of(("a", b"x"), ("./a", b"y")),
    "file and folder.zip": zip_of(("a", b"x"), ("a/b", b"y")),
    "folder and file.zip": zip_of(("a/b", b"y"), ("a", b"x")),
    "symlink.zip": zip_of(("link", b"/etc/passwd"), mode=stat.S_IFLNK | 0o777),
    "fifo.zip": zip_of(("pipe", b""), mode=stat.S_IFIFO | 0o644),
    "up.tar.gz": tar_of(("../outside", b"x")),
    "absolute.tar.gz": tar_of(("/tmp/outside", b"x")),
    "symlink.tar.gz": tar_of(("link", b""), type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hard link.tar.gz": tar_of(("link", b""), type=tarfile.LNKTYPE, linkname="../outside"),
    "device.tar.gz": tar_of(("null", b""), type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    "block device.tar.gz": tar_of(("disk", b""), type=tarfile.BLKTYPE),
    "fifo.tar.gz": tar_of(("pipe", b""), type=tarfile.FIFOTYPE),
    "unknown.bin": lambda path: path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(1000)),  # zstd
    "empty.tar.gz": lambda path: path.write_bytes(b""),
    "not a tar.tar.gz": lambda path: path.write_bytes(gzip.compress(b"no tar at all" * 100)),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", EVIL)
def test_hostile_archives_are_refused(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    EVIL[name](home / name)
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(DataFormatError, match=name.split(".")[0]):
            extract(home / name, home / "inner" / "out", LIMITS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - start < 5
    assert peak < 3 * LIMITS.bytes
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(["home", "inner", name])


@pytest.mark.parametrize("trials", [30, pytest.param(3000, marks=pytest.mark.full)])
@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz", "x.tar"])
def test_flipped_bytes_give_the_content_or_a_typed_error(tmp_path: Path, name: str, trials: int) -> None:
    rng = random.Random(11)
    make = zip_of if name == "x.zip" else tar_of
    options = {} if name == "x.zip" else {"compression": "gz" if name.endswith("gz") else ""}
    make(("a.txt", b"one" * 300), ("b/c.txt", b"two" * 300), **options)(tmp_path / name)  # type: ignore[arg-type]
    whole = (tmp_path / name).read_bytes()
    for trial in range(trials):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        (tmp_path / name).write_bytes(bytes(damaged))
        target = tmp_path / f"out{trial}"
        try:
            extract(tmp_path / name, target, LIMITS)
        except DataFormatError:
            assert not target.exists()
    assert {path.name.rstrip("0123456789") for path in tmp_path.iterdir()} <= {name, "out"}
