"""Batches prepared ahead of use, for data that does not fit on the device."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class _End:
    """After the last item: nothing, or the exception that ended the work."""

    error: BaseException | None = None


def prefetched(items: Iterable[T], depth: int = 2) -> Iterator[T]:
    """Iterate over `items` while a thread keeps up to `depth` of them ready, in order.

    An exception in the thread is raised here; leaving the loop early ends the thread.
    """
    worker = _Worker(items, depth)
    try:
        while not isinstance(item := worker.ready.get(), _End):
            yield item
        if item.error:
            raise item.error
    finally:
        worker.close()


class _Worker(Generic[T]):
    def __init__(self, items: Iterable[T], depth: int) -> None:
        self.items = items
        self.ready: queue.Queue[T | _End] = queue.Queue(maxsize=depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="prefetch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            for item in self.items:
                if not self._put(item):
                    return
            self._put(_End())
        except BaseException as error:  # handed to the reader, which raises it
            self._put(_End(error))

    def _put(self, item: T | _End) -> bool:
        """Wait for room; False when nobody reads any more."""
        while not self._closed.is_set():
            try:
                self.ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
