"""One process does the work while the others wait for its result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def locked(path: Path, timeout_s: float = 1800.0) -> Iterator[bool]:
    """Hold `.<name>.lock` beside `path`; yields whether it is really held.

    The lock only saves work. Where the file system has none, or another process keeps it for longer than `timeout_s`,
    the caller goes on without: what it writes must be right by itself (temporary name, verification, rename).
    The operating system frees the lock of a process that dies.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=timeout_s)
    with suppress(Timeout, NotImplementedError, OSError):
        lock.acquire()
    try:
        yield lock.is_locked
    finally:
        lock.release()
