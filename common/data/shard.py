"""Which part of a list of work this process has: `shard=3/64`, or by default what torchrun says."""

from __future__ import annotations

import os
from typing import NamedTuple

from common.app.errors import ConfigError


class Shard(NamedTuple):
    """Part `number` (from 1) of `count`: the items number, number + count, ... of the list."""

    number: int = 1
    count: int = 1

    @classmethod
    def of(cls, text: str | None) -> Shard:
        """From `3/64`, or by default from the rank."""
        if text is None:
            return cls(int(os.environ.get("RANK", "0")) + 1, int(os.environ.get("WORLD_SIZE", "1")))
        number, _, total = text.partition("/")
        if not 1 <= int(number) <= int(total):
            raise ConfigError(f"shard={text}: expected number/count with a number from 1 to the count, such as 3/64")
        return cls(int(number), int(total))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def name(self) -> str:
        """For files: shard-3-of-64."""
        return f"shard-{self.number}-of-{self.count}"

    def of_range(self, length: int) -> range:
        """Positions of its items in a list."""
        return range(self.number - 1, length, self.count)


WHOLE = Shard()
"""All of it, in one process."""


def local_processes() -> int:
    """How many processes share this machine's memory and cores, by torchrun."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
