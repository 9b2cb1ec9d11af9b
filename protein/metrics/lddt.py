"""Local distance difference test: the share of short native distances that a model keeps.

Mariani et al., Bioinformatics 29, 2722 (2013), doi:10.1093/bioinformatics/btt473, without its checks of
stereochemistry. Shapes: ... batch, N residues or atoms.
"""

from __future__ import annotations

import torch
from torch import Tensor

from protein.geometry.atom_layout import atom37_to_atom14
from protein.geometry.residue_tables import look_up

INCLUSION_A = 15.0
THRESHOLDS_A = (0.5, 1.0, 2.0, 4.0)


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
    kept, total = _kept(model, native, mask, residue, cutoff_a)
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
    kept, total = _kept(model.flatten(-3, -2), native.flatten(-3, -2), mask.flatten(-2), owner.flatten(-2), cutoff_a)
    kept, total = (value.unflatten(-1, (-1, 14)).sum(-1) for value in (kept, total))
    if not per_residue:
        kept, total = kept.sum(-1), total.sum(-1)
    return kept / total


@torch.no_grad()
def _kept(
    model: Tensor, native: Tensor, mask: Tensor | None, residue: Tensor | None, cutoff_a: float
) -> tuple[Tensor, Tensor]:
    """Distances of each point that the model keeps, averaged over the thresholds, and all of them: [..., N] each."""
    wanted = _distances(native)
    left_out = wanted >= cutoff_a
    if residue is None:
        left_out.diagonal(dim1=-2, dim2=-1).fill_(True)
    else:
        left_out |= residue[..., :, None] == residue[..., None, :]
    if mask is not None:
        left_out |= ~mask[..., :, None] | ~mask[..., None, :]
    error = wanted.sub_(_distances(model)).abs_().masked_fill_(left_out, torch.inf)
    # Bytes, because summing Booleans takes longer than all the rest.
    kept = (error < THRESHOLDS_A[0]).view(torch.uint8)
    for threshold in THRESHOLDS_A[1:]:
        kept += (error < threshold).view(torch.uint8)
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
