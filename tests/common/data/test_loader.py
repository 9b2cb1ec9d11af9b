"""Laws of the prefetching iterator: the same items, errors where they arise, and no thread left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from common.data.loader import prefetched


def prefetch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_items_come_in_order_and_falsy_ones_too() -> None:
    items = [None, 0, "", *range(100), None]
    assert list(prefetched(items)) == items
    assert prefetch_threads() == []


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone") as caught:
        list(prefetched(items()))
    taken: list[int] = []
    for item in (reader := prefetched(items())):
        taken.append(item)
        if item == 2:
            break
    with pytest.raises(OSError, match="disk gone"):
        next(reader)
    assert taken == [1, 2]
    assert any(entry.name == "items" for entry in caught.traceback)
    assert prefetch_threads() == []


def test_leaving_early_ends_the_thread() -> None:
    made: list[int] = []

    def endless() -> Iterator[int]:
        for i in iter(int, 1):
            made.append(i)
            yield i

    reader = prefetched(endless(), depth=3)
    next(reader)
    reader.close()
    assert prefetch_threads() == []
    assert len(made) <= 1 + 3 + 1


def test_items_are_made_ahead_but_no_more_than_depth() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(10):
            made.append(i)
            yield i

    reader = prefetched(items(), depth=2)
    next(reader)
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(made) == 1 + 2 + 1  # one taken, two ready, one in hand
    reader.close()
