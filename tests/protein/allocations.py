"""How much memory a calculation takes at its worst, counted tensor by tensor: exact, and the same on every machine."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Allocations(TorchDispatchMode):
    """Follows the storages that operations make, until they are freed; `peak` is the most bytes at once.

    What an operation needs inside itself is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live, self.peak = 0, 0
        self._seen: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tensor in _tensors(args):  # weights and inputs, which were there before
            self._seen.add(tensor.untyped_storage())
        found = operation(*args, **(kwargs or {}))
        for tensor in _tensors(found):
            self._count(tensor.untyped_storage())
        return found

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage not in self._seen:
            self._seen.add(storage)
            self.live += (size := storage.nbytes())
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._free, size)

    def _free(self, size: int) -> None:
        self.live -= size


def peak_allocated(run: Callable[[], object]) -> int:
    """Bytes that run() allocates at its worst, without gradients."""
    with torch.no_grad(), Allocations() as allocations:
        run()
    return allocations.peak


def _tensors(value: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]
