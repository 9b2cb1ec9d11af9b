"""A folder that TRIFOLD_MIRROR may name on a machine without network.

folder/<file name>   as data sets name their files, such as materials/mp2018_train.npz
folder/SHA256SUMS    of all of them: `sha256sum -c SHA256SUMS` checks a copy without this package
"""

from __future__ import annotations

import os
from pathlib import Path

from common.data.artifact import sha256_of
from common.data.datasets import Dataset, File, fetch, fetch_originals, verify
from common.data.download import download

SUMS = "SHA256SUMS"


def mirror(dataset: Dataset, folder: Path, offline: bool = False) -> list[Path]:
    """Bring a data set to this machine and copy it into `folder`; returns what lies there now.

    Of files that were converted here the originals are copied: the bytes of a conversion are not registered, so another
    machine converts them again. Raises DownloadError where something cannot be had.
    """
    paths = fetch(dataset, offline=offline)
    states = verify(dataset)
    wanted = [file for file in dataset.files if file.name in paths and states[file.name] != "converted"]
    files = {file: paths[file.name] for file in wanted}
    if len(files) < len(paths):
        files |= fetch_originals(dataset, offline)
    copied = [_copied(file, path, folder) for file, path in files.items()]
    _write_sums(folder, copied)
    return copied


def _copied(file: File, path: Path, folder: Path) -> Path:
    return download(str(path), folder / file.name, size=file.bytes, sha256=file.sha256)


def _write_sums(folder: Path, changed: list[Path]) -> None:
    """Of the files changed, and as before of all others that are still there."""
    path = folder / SUMS
    known = dict(line.split("  ", 1)[::-1] for line in path.read_text().splitlines()) if path.is_file() else {}
    known |= {file.relative_to(folder).as_posix(): sha256_of(file) for file in changed}
    lines = [f"{digest}  {name}" for name, digest in sorted(known.items()) if (folder / name).is_file()]
    part = path.with_name(f".{SUMS}.part")
    part.write_text("".join(f"{line}\n" for line in lines))
    os.replace(part, path)
