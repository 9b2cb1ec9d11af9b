"""Working through a large tensor some rows at a time, so that what a layer needs beside it stays small.

Shapes: B batch, R rows, ... the rest. `chunk` is the number of rows at a time; None: all at once. Results do not depend
on it. Where gradients are recorded, a chunk's intermediate values are computed again in the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Update = Callable[[Tensor, slice], Tensor]
"""From some rows [B, r, ...], and which of all they are, to what belongs to them."""


def add_by_rows(x: Tensor, update: Update, chunk: int | None) -> Tensor:
    """x [B, R, ...] plus update(rows, where) of its rows; the update of a row may depend on no other row of x.

    Without gradients the sum is formed in x itself.
    """
    if torch.is_grad_enabled():
        return x + collect(update, x, chunk, 1)
    for where in slices(x.shape[1], chunk):
        rows = x[:, where]
        rows.add_(update(rows, where))
    return x


def collect(function: Update, x: Tensor, chunk: int | None, dim: int) -> Tensor:
    """What function(rows, where) gives for the rows of x [B, R, ...], joined along axis `dim` of the result."""
    size = x.shape[1]
    if chunk is None or chunk >= size:
        return function(x, slice(0, size))
    if torch.is_grad_enabled():
        pieces = [checkpoint(function, x[:, where], where, use_reentrant=False) for where in slices(size, chunk)]
        return torch.cat(pieces, dim)  # type: ignore[arg-type]
    result: Tensor | None = None
    for where in slices(size, chunk):
        piece = function(x[:, where], where)
        if result is None:
            result = piece.new_empty(*piece.shape[:dim], size, *piece.shape[dim + 1 :])
        result.narrow(dim, where.start, where.stop - where.start).copy_(piece)
        del piece  # before the next one is made
    assert result is not None
    return result


def slices(size: int, chunk: int | None) -> Iterator[slice]:
    """Consecutive slices that cover `size` rows."""
    if chunk is None:
        yield slice(0, size)
        return
    for start in range(0, size, chunk):
        yield slice(start, min(start + chunk, size))
