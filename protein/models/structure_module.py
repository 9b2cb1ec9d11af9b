"""The structure module: from representations to backbone frames, torsions and all heavy atoms.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement, algorithms 20 and 23.
Shapes: B batch, N residues, S width of single, C width of pair, T iterations. Never in 16-bit numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from protein.geometry.all_atom import frames_of_torsions, place_atoms
from protein.geometry.frames import Frames
from protein.models.attention import key_bias
from protein.models.invariant_point_attention import InvariantPointAttention
from protein.models.linear import linear

TORSIONS = 7
NM_A = 10.0
"""Frames are moved in nm, atoms are placed in Å."""
EPSILON = 1e-8
"""Smallest squared length of (sine, cosine) before it is made 1."""


@dataclass(frozen=True)
class StructureModuleConfig:
    """The defaults are those of AlphaFold 2."""

    single: int = 384
    pair: int = 128
    heads: int = 12
    head_width: int = 16
    query_points: int = 4
    value_points: int = 8
    iterations: int = 8
    transition_layers: int = 1
    torsion_width: int = 128
    torsion_blocks: int = 2
    dropout: float = 0.1


class Structure(NamedTuple):
    """What the structure module finds.

    frames          [T, B, N] backbones after each iteration, Å
    torsions        [T, B, N, 7, 2] sine and cosine
    raw_torsions    [T, B, N, 7, 2] before their length was made 1
    groups          [B, N, 8] rigid groups at the end, Å
    atom14          [B, N, 14, 3] Å; zero where a residue has no such atom
    single          [B, N, S] at the end
    """

    frames: Frames
    torsions: Tensor
    raw_torsions: Tensor
    groups: Frames
    atom14: Tensor
    single: Tensor


class StructureModule(nn.Module):
    """Iterations of invariant point attention, with the same weights, that move the backbones from the origin."""

    def __init__(self, config: StructureModuleConfig) -> None:
        super().__init__()
        self.config, width = config, config.single
        self.norm_single = nn.LayerNorm(width)
        self.norm_pair = nn.LayerNorm(config.pair)
        self.project = linear(width, width)
        self.attention = InvariantPointAttention(
            width, config.pair, config.heads, config.head_width, config.query_points, config.value_points
        )
        self.norm_attention = nn.LayerNorm(width)
        self.transition = nn.ModuleList(_TransitionLayer(width) for _ in range(config.transition_layers))
        self.norm_transition = nn.LayerNorm(width)
        self.backbone = linear(width, 6, start="zero")
        self.torsions = _Torsions(width, config.torsion_width, config.torsion_blocks)

    def forward(self, single: Tensor, pair: Tensor, types: Tensor, mask: Tensor | None = None) -> Structure:
        """single [B, N, S], pair [B, N, N, C], types [B, N] int64, mask [B, N] bool."""
        precise = torch.promote_types(single.dtype, torch.float32)
        with torch.autocast(single.device.type, enabled=False):
            return self._iterate(single.to(precise), self.norm_pair(pair.to(precise)), types, mask)

    def _iterate(self, single: Tensor, pair: Tensor, types: Tensor, mask: Tensor | None) -> Structure:
        initial = self.norm_single(single)
        single = self.project(initial)
        bias = self.attention.bias(pair, None if mask is None else key_bias(mask))
        frames = Frames.identity(types.shape, single)
        backbones, torsions, raw_torsions = [], [], []
        for _ in range(self.config.iterations):
            single = single + self.attention(single, pair, frames, bias)
            single = self.norm_attention(self._dropout(single))
            for layer in self.transition:
                single = layer(single)
            single = self.norm_transition(self._dropout(single))
            frames = frames.update(self.backbone(single))
            raw = self.torsions(single, initial)
            backbones.append(frames.scaled(NM_A))
            raw_torsions.append(raw)
            torsions.append(raw / raw.square().sum(-1, keepdim=True).clamp_min(EPSILON).sqrt())
            frames = frames.with_fixed_rotation()
        groups = frames_of_torsions(types, backbones[-1], torsions[-1])
        stacked = Frames(*(torch.stack(parts) for parts in zip(*map(_parts, backbones), strict=True)))
        return Structure(
            stacked, torch.stack(torsions), torch.stack(raw_torsions), groups, place_atoms(types, groups), single
        )

    def _dropout(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.config.dropout, self.training)


class _TransitionLayer(nn.Module):
    """Three linear layers and a residual connection, [B, N, S] to [B, N, S]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = linear(width, width, start="relu")
        self.second = linear(width, width, start="relu")
        self.out = linear(width, width, start="zero")

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(functional.relu(self.second(functional.relu(self.first(x)))))


class _Torsions(nn.Module):
    """Sine and cosine of the torsions [B, N, 7, 2], of any length, from the present and the initial [B, N, S]."""

    def __init__(self, width: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.project = linear(width, hidden)
        self.project_initial = linear(width, hidden)
        self.blocks = nn.ModuleList(
            nn.ModuleDict({"first": linear(hidden, hidden, start="relu"), "out": linear(hidden, hidden, start="zero")})
            for _ in range(blocks)
        )
        self.out = linear(hidden, 2 * TORSIONS)

    def forward(self, single: Tensor, initial: Tensor) -> Tensor:
        x = self.project(functional.relu(single)) + self.project_initial(functional.relu(initial))
        for block in self.blocks:
            x = x + block["out"](functional.relu(block["first"](functional.relu(x))))  # type: ignore[index]
        return self.out(functional.relu(x)).unflatten(-1, (TORSIONS, 2))


def _parts(frames: Frames) -> tuple[Tensor, Tensor]:
    return frames.rotation, frames.translation
