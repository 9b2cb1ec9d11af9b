"""Where files are looked for and written.

    TRIFOLD_DATA     folder of data sets; it may be read-only, then its files are used in place
    TRIFOLD_CACHE    folder of all that this suite writes by itself; default $XDG_CACHE_HOME/trifold or ~/.cache/trifold
    TRIFOLD_MIRROR   http(s):// address or folder that stands in for every public host

Data sets are looked for in TRIFOLD_DATA, then in the cache. New ones go to TRIFOLD_DATA, or to the cache where
TRIFOLD_DATA is unset or read-only. Preprocessed arrays always go to the cache.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit


def cache_folder() -> Path:
    """The folder that this suite may write to; it need not exist yet."""
    if chosen := os.environ.get("TRIFOLD_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "trifold"


def data_folders() -> list[Path]:
    """Folders that may hold data sets, first choice first."""
    chosen = os.environ.get("TRIFOLD_DATA")
    return list(dict.fromkeys([Path(chosen).expanduser(), cache_folder()] if chosen else [cache_folder()]))


def download_folder() -> Path:
    """The first of `data_folders` that can be written to."""
    return next((folder for folder in data_folders() if _writable(folder)), cache_folder())


def is_url(location: str) -> bool:
    """Whether `location` is an http(s) address; everything else is a path."""
    return urlsplit(location).scheme in ("http", "https")


def mirrored(name: str) -> str | None:
    """Address or path of `name` on TRIFOLD_MIRROR; None where no mirror is set."""
    mirror = os.environ.get("TRIFOLD_MIRROR")
    if not mirror:
        return None
    relative = name.lstrip("/")
    return f"{mirror.rstrip('/')}/{relative}" if is_url(mirror) else str(Path(mirror).expanduser() / relative)


def _writable(folder: Path) -> bool:
    existing = next(parent for parent in [folder, *folder.absolute().parents] if parent.exists())
    # The mode counts as well: os.access says yes to root everywhere, but a read-only folder is meant to stay as it is.
    return os.access(existing, os.W_OK) and bool(existing.stat().st_mode & 0o222)
