"""Which residues fit a fold: types of residues from the C-alpha trace and from those of some other residues.

Messages along the edges of a graph of nearest neighbours, as in Ingraham et al., NeurIPS 2019, and Dauparas et al.,
doi:10.1126/science.add2187, but from C-alpha atoms alone, which all chains have, and without an order of decoding.
R residues of all chains of a batch, K neighbours, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from protein.data.residues import UNKNOWN
from protein.geometry.frames import Frames
from protein.models.linear import linear

TYPES, MASKED = 22, 21
"""Of residues at the input: the twenty, X, and one that is to be found."""

CENTRES_A = (3.0, 18.0, 16)
SPREAD_A2 = 1.5
"""Of the Gaussians that a distance is told in."""

REACH = 8
"""Residues along the chain; all that are farther count as such."""

FEATURES = CENTRES_A[2] + 3 + 9 + 2 * REACH + 1 + 1


@dataclass(frozen=True)
class InverseFoldingConfig:
    width: int = 96
    edge_width: int = 64
    layers: int = 3
    dropout: float = 0.1


class InverseFolding(nn.Module):
    """C-alpha atoms and types, partly MASKED, to logits of the twenty types."""

    config_class = InverseFoldingConfig
    centres: Tensor

    def __init__(self, config: InverseFoldingConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_type = nn.Embedding(TYPES, config.width)
        self.embed_place = linear(2, config.width)
        self.embed_edge = linear(FEATURES, config.edge_width)
        self.layers = nn.ModuleList(MessageLayer(config) for _ in range(config.layers))
        self.out = nn.Sequential(nn.LayerNorm(config.width), linear(config.width, UNKNOWN))
        self.register_buffer("centres", torch.linspace(*CENTRES_A), persistent=False)

    def forward(self, types: Tensor, frames: Frames, framed: Tensor, near: Tensor) -> Tensor:
        """[R, 20] logits.

        types   [R] int64, MASKED where they are to be found
        frames  [R] of the trace, origins at C-alpha atoms in Å; rotations zero where `framed` [R] is False
        near    [R, K] int64, which residues are nearest; -1: none
        """
        there = (near >= 0).float()
        near = near.clamp_min(0)
        step = frames.translation[near] - frames.translation[:, None]
        distance = step.norm(dim=-1).clamp_min(0.1)
        seen = torch.einsum("rba,rkb->rka", frames.rotation, step) / distance[..., None]
        turned = torch.einsum("rba,rkbc->rkac", frames.rotation, frames.rotation[near]).flatten(-2)
        along = (near - torch.arange(len(near), device=near.device)[:, None]).clamp(-REACH, REACH) + REACH
        bumps = torch.exp(-(distance[..., None] - self.centres).square() / SPREAD_A2)
        edges = [bumps, seen, turned, functional.one_hot(along, 2 * REACH + 1).float(), framed[near][..., None].float()]
        edge = functional.gelu(self.embed_edge(torch.cat(edges, -1)))
        count = there.sum(1)
        crowding = torch.stack([count / near.shape[1], (distance * there).sum(1) / count.clamp_min(1) / 10], -1)
        x = self.embed_type(types) + self.embed_place(crowding)
        for layer in self.layers:
            x = layer(x, edge, near, there)
        return self.out(x)


class MessageLayer(nn.Module):
    """[R, W], updated by gated messages of the neighbours, then each by itself."""

    def __init__(self, config: InverseFoldingConfig) -> None:
        super().__init__()
        width, self.dropout = config.width, config.dropout
        self.norm = nn.LayerNorm(width)
        self.own, self.other = linear(width, width), linear(width, width)
        self.edge = linear(config.edge_width, width)
        self.message, self.gate = linear(width, width), linear(width, width)
        self.transition = nn.Sequential(
            nn.LayerNorm(width), linear(width, 2 * width), nn.GELU(), nn.Dropout(config.dropout),
            linear(2 * width, width),
        )  # fmt: skip

    def forward(self, x: Tensor, edge: Tensor, near: Tensor, there: Tensor) -> Tensor:
        """edge [R, K, E]; near [R, K], of which `there` [R, K] is 1 where there is a neighbour, else 0."""
        normed = self.norm(x)
        both = functional.gelu(self.own(normed)[:, None] + self.other(normed)[near] + self.edge(edge))
        messages = self.message(both) * torch.sigmoid(self.gate(both)) * there[..., None]
        x = x + functional.dropout(messages.sum(1) / there.shape[1] ** 0.5, self.dropout, self.training)
        return x + self.transition(x)
