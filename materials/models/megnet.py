"""MEGNet: a graph network whose bonds, atoms and whole crystal update each other in turn.

Chen et al., Chemistry of Materials 31, 3564 (2019), doi:10.1021/acs.chemmater.9b01294.

Shapes: A atoms, E = 2 P directed edges, B crystals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from materials.models.atomic_graph import AtomicGraph, sum_rows
from materials.models.crystal_graph import Z
from materials.models.set2set import ForgetfulSet2Set, Set2Set


@dataclass(frozen=True)
class MEGNetConfig:
    """The defaults are those of the published formation-energy model."""

    atom_width: int = 16
    gaussians: int = 100
    gaussian_max_a: float = 5.0
    gaussian_sharpness: float = 0.5
    """b in exp(-b (distance - centre)^2), 1/angstrom^2."""
    state_width: int = 2
    blocks: int = 3
    hidden: Sequence[int] = (64, 32)
    convolution_hidden: Sequence[int] = (64, 64, 32)
    readout_hidden: Sequence[int] = (32, 16)
    readout_steps: int = 2
    readout_narrow: int | None = None
    """Width that atoms and bonds are narrowed to for the weights of 2018 (ForgetfulSet2Set); None: Set2Set."""
    activate_updates: bool = True
    """Whether the last layer of a block's update is activated; in the weights of 2018 it is not."""
    cutoff_a: float = 4.0
    receiver: Literal["target", "source"] = "target"
    """Which end of a directed edge averages over its edges; weights trained with matgl 4 have "source"."""


class SoftPlus2(nn.Module):
    """log(1 + e^x) - log 2: zero at zero."""

    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(x) - log(2)


def softplus_mlp(*widths: int, activate_last: bool = True) -> nn.Sequential:
    """Linear layers of these widths, each followed by SoftPlus2."""
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), SoftPlus2())]
    return nn.Sequential(*(layers if activate_last else layers[:-1]))


class Features(nn.Module):
    """One perceptron each for edges, atoms and the crystal's state."""

    def __init__(self, edge: nn.Module, atom: nn.Module, state: nn.Module) -> None:
        super().__init__()
        self.edge, self.atom, self.state = edge, atom, state


class Block(nn.Module):
    """Edges from atoms, atoms from edges, state from both; each added to what came in."""

    def __init__(self, config: MEGNetConfig, dense: bool) -> None:
        super().__init__()
        width, hidden = config.hidden[-1], config.convolution_hidden
        self.receiver = config.receiver
        self.dense = Features(*(softplus_mlp(width, *config.hidden) if dense else nn.Identity() for _ in range(3)))
        self.update = Features(
            *(softplus_mlp(k * width, *hidden, activate_last=config.activate_updates) for k in (4, 3, 3))
        )

    def forward(
        self, edge: Tensor, atom: Tensor, state: Tensor, source: Tensor, target: Tensor, owner: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        e, v, u = self.dense.edge(edge), self.dense.atom(atom), self.dense.state(state)
        e = self.update.edge(torch.cat([v[source], v[target], e, u[owner[source]]], dim=1))
        v = self.update.atom(
            torch.cat([v, mean_rows(e, target if self.receiver == "target" else source, len(v)), u[owner]], dim=1)
        )
        crystals = len(u)
        u = self.update.state(
            torch.cat([u, mean_rows(e, owner[source], crystals), mean_rows(v, owner, crystals)], dim=1)
        )
        return edge + e, atom + v, state + u


class MEGNet(nn.Module):
    """AtomicGraph -> property of each crystal [B, 1, 1]."""

    config_class = MEGNetConfig
    state: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, config: MEGNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MEGNetConfig()
        width = config.hidden[-1]
        self.embedding = nn.Embedding(Z + 1, config.atom_width)
        self.encoder = Features(
            softplus_mlp(config.gaussians, *config.hidden),
            softplus_mlp(config.atom_width, *config.hidden),
            softplus_mlp(config.state_width, *config.hidden),
        )
        self.blocks = nn.ModuleList(Block(config, dense=number > 0) for number in range(config.blocks))
        self.edge_pool, self.atom_pool = _pool(config), _pool(config)
        self.readout = softplus_mlp(
            4 * (config.readout_narrow or width) + width, *config.readout_hidden, 1, activate_last=False
        )
        # The same for every crystal: zeros, or the embedded level of theory of a model of several.
        self.register_buffer("state", torch.zeros(config.state_width))
        self.register_buffer("mean", torch.tensor(0.0))
        self.register_buffer("scale", torch.tensor(1.0))

    def forward(self, graph: AtomicGraph) -> Tensor:
        source, target = torch.cat([graph.first, graph.second]), torch.cat([graph.second, graph.first])
        owner = graph.structure
        edge = self.encoder.edge(self._gaussians(graph.vectors.norm(dim=1))).repeat(2, 1)
        atom = self.encoder.atom(self.embedding(graph.numbers))
        state = self.encoder.state(self.state.expand(graph.structures, -1))
        for block in self.blocks:
            edge, atom, state = block(edge, atom, state, source, target, owner)
        atoms = self.atom_pool(atom, owner, graph.structures)
        edges = self.edge_pool(edge, owner[source], graph.structures)
        return self.readout(torch.cat([atoms, edges, state], dim=1))[:, None] * self.scale + self.mean

    def _gaussians(self, distance: Tensor) -> Tensor:
        config = self.config
        centres = torch.linspace(
            0, config.gaussian_max_a, config.gaussians, dtype=distance.dtype, device=distance.device
        )
        return torch.exp(-config.gaussian_sharpness * (distance[:, None] - centres) ** 2)


def _pool(config: MEGNetConfig) -> nn.Module:
    width = config.hidden[-1]
    if config.readout_narrow is None:
        return Set2Set(width, config.readout_steps)
    return ForgetfulSet2Set(width, config.readout_narrow, config.readout_steps)


def mean_rows(values: Tensor, index: Tensor, rows: int) -> Tensor:
    """Mean of the values of each index, [N, W] -> [rows, W]; zero where there are none."""
    count = torch.bincount(index, minlength=rows).clamp(min=1)
    return sum_rows(values, index, rows) / count[:, None]
