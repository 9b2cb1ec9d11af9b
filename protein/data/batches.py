"""Packed chains as tensors, and what a batch of them is made of.

Shapes: B chains, L residues of the longest.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from common.data.packed import PackedTensors, RaggedBatch
from protein.data.chains import MISSING, UNIT_A, Chains
from protein.data.residues import UNKNOWN
from protein.data.states import UNKNOWN_STATE


def pack(chains: Chains) -> PackedTensors:
    """Rows: `types` uint8, `atom14` int16 [R, 14, 3] in hundredths of Å, `place` int32, `states` int8."""
    rows = {
        "types": torch.from_numpy(chains.types),
        "atom14": torch.from_numpy(chains.atom14),
        "place": torch.from_numpy(chains.place()).to(torch.int32),
        "states": torch.from_numpy(chains.states),
    }
    return PackedTensors(rows, torch.from_numpy(chains.lengths))


@dataclass(frozen=True)
class ChainBatch:
    """Chains padded to one length.

    types    [B, L] int64, UNKNOWN beyond a chain's end
    mask     [B, L] bool, residues of the chain
    place    [B, L] int64, in the molecule
    atom14   [B, L, 14, 3] float32 in Å, zero where missing
    present  [B, L, 14] bool, atoms that are there
    states   [B, L] int64, secondary structure, -1 where unknown
    """

    types: Tensor
    mask: Tensor
    place: Tensor
    atom14: Tensor
    present: Tensor
    states: Tensor

    @property
    def follows(self) -> Tensor:
        """[B, L] bool: bonded to the residue before, by place."""
        step = torch.diff(self.place, dim=-1) == 1
        return torch.nn.functional.pad(step & self.mask[:, 1:], (1, 0))


def padded(batch: RaggedBatch, length: int | None = None) -> ChainBatch:
    """Rows of `pack` chain by chain, padded to `length` residues (default: the longest)."""
    longest = int(batch.counts.max()) if length is None else length
    within = torch.arange(len(batch.owner), device=batch.owner.device) - batch.start[batch.owner]

    def spread(values: Tensor, fill: float) -> Tensor:
        target = values.new_full((len(batch), longest, *values.shape[1:]), fill)
        target[batch.owner, within] = values
        return target

    atoms = spread(batch.rows["atom14"], MISSING)
    present = atoms[..., 0] != MISSING
    return ChainBatch(
        types=spread(batch.rows["types"].long(), UNKNOWN),
        mask=spread(torch.ones_like(batch.owner, dtype=torch.bool), False),
        place=spread(batch.rows["place"].long(), 0),
        atom14=torch.where(present[..., None], atoms * UNIT_A, 0.0),
        present=present,
        states=spread(batch.rows["states"].long(), UNKNOWN_STATE),
    )


def crop_rows(packed: PackedTensors, ids: Tensor, first: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Rows [B, length] of residues from `first` [B] on of the chains `ids` [B], and which are in the chain, bool."""
    within = first[:, None] + torch.arange(length, device=ids.device)
    rows = (packed.starts[ids][:, None] + within).clamp(max=len(packed.rows["types"]) - 1)
    return rows, within < packed.counts[ids][:, None]


def cropped(packed: PackedTensors, ids: Tensor, first: Tensor, length: int) -> ChainBatch:
    """Residues `first` [B] and the `length` - 1 after it, of the chains `ids` [B]; padded where a chain ends before."""
    rows, inside = crop_rows(packed, ids, first, length)
    atoms = packed.rows["atom14"][rows]
    present = (atoms[..., 0] != MISSING) & inside[..., None]
    return ChainBatch(
        types=packed.rows["types"][rows].long().masked_fill(~inside, UNKNOWN),
        mask=inside,
        place=packed.rows["place"][rows].long().masked_fill(~inside, 0),
        atom14=torch.where(present[..., None], atoms * UNIT_A, 0.0),
        present=present,
        states=packed.rows["states"][rows].long().masked_fill(~inside, UNKNOWN_STATE),
    )
