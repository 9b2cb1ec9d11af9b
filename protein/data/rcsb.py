"""Entries of the Protein Data Bank by identifier, as mmCIF files.

Berman et al., Nucleic Acids Res. 28, 235 (2000), doi:10.1093/nar/28.1.235; archive under CC0-1.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from common.app.errors import ConfigError, DownloadError
from common.data.download import download
from common.data.locations import is_url, mirrored

ADDRESS = "https://files.rcsb.org/download/{id}.cif.gz"
LARGEST_BYTES = 300_000_000
IDENTIFIER = re.compile(r"[0-9][a-z0-9]{3}|pdb_[0-9a-z]{8}")


def fetch_entries(identifiers: Iterable[str], folder: str | Path, offline: bool = False) -> dict[str, Path]:
    """Paths of `<id>.cif.gz` in `folder` by identifier in lower case; what is there already is kept.

    TRIFOLD_MIRROR stands in for the host. Raises ConfigError for what is no identifier and DownloadError for what
    cannot be fetched.
    """
    wanted = list(dict.fromkeys(text.strip().lower() for text in identifiers))
    for identifier in wanted:
        if IDENTIFIER.fullmatch(identifier) is None:
            raise ConfigError(f"'{identifier}' is no PDB identifier; expected four characters such as 1ubq")
    return {identifier: _fetch(identifier, Path(folder), offline) for identifier in wanted}


def _fetch(identifier: str, folder: Path, offline: bool) -> Path:
    target = folder / f"{identifier}.cif.gz"
    if target.is_file():
        return target
    url = ADDRESS.format(id=identifier)
    location = mirrored(urlsplit(url).path) or url
    if offline and is_url(location):
        raise DownloadError(f"{location} was not asked: offline; put {target.name} into {folder}, or go online")
    return download(location, target, size=LARGEST_BYTES, sha256=None)
