"""Local distance difference test: the share of short native distances that a model keeps.

Mariani et al., Bioinformatics 29, 2722 (2013), doi:10.1093/bioinformatics/btt473, without its checks of
stereochemistry. Shapes: ... batch, N residues or atoms.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from protein.geometry.atom_layout import atom37_to_atom14
from protein.geometry.residue_tables import look_up

INCLUSION_A = 15.0
THRESHOLDS_A = (0.5, 1.0, 2.0, 4.0)

BLOCK = 2**18
"""Pairs that are looked at together: what the cache holds."""

SLACK_A = 0.05
"""More than the error of a distance from a product of coordinates within 1000 Å."""

FAR = 1e12
"""Å^2, of points that do not count."""


def lddt(
    model: Tensor,
    native: Tensor,
    mask: Tensor | None = None,
    residue: Tensor | None = None,
    cutoff_a: float = INCLUSION_A,
    per_point: bool = False,
) -> Tensor:
    """lDDT in 0-1 over points such as C-alpha atoms.

    model, native  [..., N, 3] in Å
    mask           [..., N] bool, points that count (default: all)
    residue        [..., N], residue that a point belongs to; distances within one do not count (default: all differ)
    per_point      [..., N] instead of [...], NaN where a point has no distance to keep

    All distances of the batch count alike, as in the paper; NaN where there is none.
    """
    kept, total = _kept(model, native, mask, residue, cutoff_a, per_point)
    if per_point:
        return kept / total
    kept, total = kept.sum(-1), total.sum(-1)
    return kept / total


def lddt_all_atom(
    model: Tensor,
    native: Tensor,
    mask: Tensor,
    types: Tensor,
    cutoff_a: float = INCLUSION_A,
    per_residue: bool = False,
) -> Tensor:
    """lDDT in 0-1 over all heavy atoms, with the naming of symmetric side chains that suits the model best.

    model, native  [..., N, 37, 3] in Å
    mask           [..., N, 37] bool, atoms that count
    types          [..., N] int64
    per_residue    [..., N] instead of [...], NaN where a residue has no distance to keep

    The naming is chosen residue by residue, by the distances to atoms whose name is certain.
    """
    model, native = (atom37_to_atom14(types, atoms) for atoms in (model, native))
    mask = atom37_to_atom14(types, mask[..., None])[..., 0].bool()
    native, mask = _best_naming(model, native, mask, types, cutoff_a)
    owner = torch.arange(types.shape[-1], device=types.device)[:, None].expand(*mask.shape)
    kept, total = _kept(
        model.flatten(-3, -2), native.flatten(-3, -2), mask.flatten(-2), owner.flatten(-2), cutoff_a, per_residue
    )
    kept, total = (value.unflatten(-1, (-1, 14)).sum(-1) for value in (kept, total))
    if not per_residue:
        kept, total = kept.sum(-1), total.sum(-1)
    return kept / total


@torch.no_grad()
def _kept(
    model: Tensor, native: Tensor, mask: Tensor | None, residue: Tensor | None, cutoff_a: float, per_point: bool
) -> tuple[Tensor, Tensor]:
    """Distances of each point that the model keeps, averaged over the thresholds, and all of them: [..., N] each.

    per_point  False: each distance may count for one of its points only, for sums over all of them
    """
    if native.device.type != "cpu":
        return _kept_of_all(model, native, mask, residue, cutoff_a)
    given = [one.shape for one in (model[..., 0], native[..., 0], mask, residue) if one is not None]
    shape = torch.broadcast_shapes(*given)
    present = native.new_ones(shape, dtype=torch.bool) if mask is None else mask.expand(shape)
    truth, found = (torch.where(present[..., None], one, 0.0).reshape(-1, 3).T.contiguous() for one in (native, model))
    owner = None if residue is None else residue.expand(shape).reshape(-1)
    kept, total = truth.new_zeros(2, present.numel())
    for first, second in _near_pairs(truth, present.reshape(-1, shape[-1]), cutoff_a):
        wanted = _apart(truth, first, second)
        counted = wanted < cutoff_a
        if owner is not None:
            counted &= owner.index_select(0, first) != owner.index_select(0, second)
        error = wanted.sub_(_apart(found, first, second)).abs_().masked_fill_(~counted, torch.inf)
        share = _thresholds_kept(error).to(kept.dtype).div_(len(THRESHOLDS_A))
        one = counted.to(kept.dtype)
        for place in (first, second) if per_point else (first,):
            kept.index_add_(0, place, share)
            total.index_add_(0, place, one)
    return kept.reshape(shape), total.reshape(shape)


def _near_pairs(points: Tensor, present: Tensor, cutoff_a: float) -> Iterator[tuple[Tensor, Tensor]]:
    """Numbers of points [3, B N] of chains [B, N] that are nearer than the cutoff, or hardly farther.

    Most pairs of a chain are far apart. One matrix product finds the others; it loses digits, so their distances are
    to be computed again.
    """
    batch, n = present.shape
    chains = points.unflatten(1, (batch, n)).transpose(0, 1)
    centre = chains.sum(-1, keepdim=True) / present.sum(-1).clamp_min(1)[:, None, None]
    local = torch.where(present[:, None], chains - centre, 0.0)
    squares = (local * local).sum(1, keepdim=True).masked_fill(~present[:, None], FAR)
    one = torch.ones_like(squares)
    left, right = torch.cat([local, squares, one], 1).mT.contiguous(), torch.cat([-2 * local, one, squares], 1)
    # Of four bands of rows, only what lies above the diagonal or near it is looked at.
    rows = max(1, min(-(-n // 4), BLOCK // max(n, 1)))
    group = max(1, BLOCK // max(rows * n, 1))
    for chain in range(0, batch, group):
        for start in range(0, n, rows):
            squared = left[chain : chain + group, start : start + rows] @ right[chain : chain + group, :, start:]
            near = (squared < (cutoff_a + SLACK_A) ** 2).triu_(1).flatten().nonzero()[:, 0].int()
            height, width = squared.shape[1:]
            row = near // width
            within = row // height
            first = row + within * (n - height) + (chain * n + start)
            yield first, near - row * width + within * n + (chain * n + start)


def _apart(points: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Distances of pairs of points [3, B N]."""
    apart = points.index_select(1, first).sub_(points.index_select(1, second))
    x, y, z = apart.mul_(apart)
    return x.add_(y).add_(z).sqrt_()


def _thresholds_kept(error: Tensor) -> Tensor:
    """How many thresholds each error is below; as bytes, because summing Booleans takes longer than all the rest."""
    kept = (error < THRESHOLDS_A[0]).view(torch.uint8)
    for threshold in THRESHOLDS_A[1:]:
        kept += (error < threshold).view(torch.uint8)
    return kept


def _kept_of_all(
    model: Tensor, native: Tensor, mask: Tensor | None, residue: Tensor | None, cutoff_a: float
) -> tuple[Tensor, Tensor]:
    """The same from all distances: a GPU has them sooner than it could tell the host how many are near."""
    wanted = _distances(native)
    left_out = wanted >= cutoff_a
    if residue is None:
        left_out.diagonal(dim1=-2, dim2=-1).fill_(True)
    else:
        left_out |= residue[..., :, None] == residue[..., None, :]
    if mask is not None:
        left_out |= ~mask[..., :, None] | ~mask[..., None, :]
    error = wanted.sub_(_distances(model)).abs_().masked_fill_(left_out, torch.inf)
    kept = _thresholds_kept(error)
    total = left_out.shape[-1] - left_out.view(torch.uint8).sum(-1, dtype=torch.int32)
    return kept.sum(-1, dtype=torch.int32) / len(THRESHOLDS_A), total


def _best_naming(model: Tensor, native: Tensor, mask: Tensor, types: Tensor, cutoff_a: float) -> tuple[Tensor, Tensor]:
    """Native atoms [..., N, 14, 3] and mask [..., N, 14], renamed where that keeps more distances."""
    swap = look_up("swapped14", types)
    ambiguous = swap != torch.arange(14, device=types.device)
    if not bool(ambiguous.any()):
        return native, mask
    other = native.gather(-2, swap[..., None].expand_as(native))
    other_mask = mask.gather(-1, swap)
    certain = (mask & ~ambiguous).flatten(-2)
    owner = torch.arange(types.shape[-1], device=types.device)
    different = (owner[:, None, None] != owner.repeat_interleave(14)) & certain[..., None, None, :]
    better = []
    for truth, present in ((native, mask), (other, other_mask)):
        wanted = _between(truth.flatten(-3, -2), native.flatten(-3, -2)).unflatten(-2, (-1, 14))
        found = _distances(model.flatten(-3, -2)).unflatten(-2, (-1, 14))
        pairs = different & (wanted < cutoff_a) & (present & ambiguous)[..., None]
        error = (wanted - found).abs().masked_fill(~pairs, torch.inf)
        better.append(sum((error < threshold).sum((-1, -2)) for threshold in THRESHOLDS_A))
    rename = (better[1] > better[0])[..., None]
    return torch.where(rename[..., None], other, native), torch.where(rename, other_mask, mask)


def _distances(points: Tensor) -> Tensor:
    """[..., N, N], axis by axis: exact, and faster than a general function."""
    squared = points.new_zeros(())
    for axis in points.unbind(-1):
        apart = axis[..., :, None] - axis[..., None, :]
        squared = apart.mul_(apart).add_(squared)
    return squared.sqrt_()


def _between(first: Tensor, second: Tensor) -> Tensor:
    """[..., N, M]: without the matrix product that loses digits."""
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")
