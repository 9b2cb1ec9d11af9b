"""CHGNet: a universal potential with magnetic moments, over bonds and the angles between them.

Deng et al., Nature Machine Intelligence 5, 1031 (2023), doi:10.1038/s42256-023-00716-3.

Atoms exchange messages along pairs within 6 angstrom; pairs within 3 angstrom are also nodes of a bond graph, joined
by angles. Shapes: A atoms, P pairs, S short pairs, T angles, W width; see `atomic_graph`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from materials.models.atomic_graph import AtomicGraph, SiteProperties, sum_rows
from materials.models.crystal_graph import Z
from materials.models.cutoffs import polynomial_cutoff
from materials.models.gated_mlp import GatedMLP


@dataclass(frozen=True)
class CHGNetConfig:
    """The defaults are those of CHGNet 0.3.0."""

    width: int = 64
    layers: int = 4
    radial: int = 31
    angular: int = 15
    """Sine and cosine terms of the angle."""
    cutoff_a: float = 6.0
    angle_cutoff_a: float = 3.0
    cutoff_exponent: int = 8


class RadialBessel(nn.Module):
    """sqrt(2/c) sin(f_n d / c) / d with a smooth cutoff and learned frequencies f_n, [P] -> [P, radial]."""

    def __init__(self, radial: int, cutoff_a: float, exponent: int) -> None:
        super().__init__()
        self.cutoff_a, self.exponent = cutoff_a, exponent
        self.frequencies = nn.Parameter(torch.pi * torch.arange(1.0, radial + 1))

    def forward(self, distance: Tensor) -> Tensor:
        envelope = polynomial_cutoff(distance, self.cutoff_a, self.exponent) * (2 / self.cutoff_a) ** 0.5 / distance
        return torch.sin((distance / self.cutoff_a)[:, None] * self.frequencies) * envelope[:, None]


class AngleFourier(nn.Module):
    """(1/sqrt 2, sin f_n a, cos f_n a) / sqrt pi of the angle with learned frequencies, [T] -> [T, 1 + 2 angular]."""

    def __init__(self, angular: int) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.arange(1.0, angular + 1))

    def forward(self, cosine: Tensor) -> Tensor:
        # Short of +-1, where the derivative of the arc cosine is infinite.
        phase = torch.acos(cosine * (1 - 1e-6))[:, None] * self.frequencies
        constant = torch.full_like(phase[:, :1], 0.5**0.5)
        return torch.cat([constant, torch.sin(phase), torch.cos(phase)], dim=1) / torch.pi**0.5


class AtomConvolution(nn.Module):
    """atom_i += out(sum_j weight_ij * gated(atom_i, bond_ij, atom_j))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.message = GatedMLP((width, width, width), (width, width), norm=True)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, atoms: Tensor, bonds: Tensor, weight: Tensor, graph: AtomicGraph) -> Tensor:
        centre, neighbour = self.message.project(0, atoms), self.message.project(2, atoms)
        bond = self.message.project(1, bonds)
        total = torch.zeros_like(atoms)
        for i, j in ((graph.first, graph.second), (graph.second, graph.first)):
            hidden = bond + centre.index_select(0, i) + neighbour.index_select(0, j)
            total = total.index_add(0, i, self.message.finish(hidden) * weight)
        return atoms + self.output(total)


@dataclass(frozen=True)
class _Angles:
    """Each angle in both orders [2 T]: its directed edge, the pair of that edge, and the pair of the other edge."""

    edge: Tensor
    pair: Tensor
    other_pair: Tensor
    centre: Tensor
    """The atom that each short directed edge leaves [2 S]."""

    @classmethod
    def of(cls, graph: AtomicGraph) -> _Angles:
        short = graph.short
        edge, other = torch.cat([graph.angle_edges, graph.angle_edges.flip(0)], dim=1)
        centre = torch.cat([graph.first[:short], graph.second[:short]])
        return cls(edge, edge % max(short, 1), other % max(short, 1), centre)


class AngleMessage(nn.Module):
    """gated(bond_ij, bond_ik, angle_jik, atom_i), [2 T, W]."""

    def __init__(self, width: int, hidden: bool) -> None:
        super().__init__()
        self.gated = GatedMLP((width,) * 4, (width,) * (2 if hidden else 1), norm=True)

    def forward(self, atoms: Tensor, bonds: Tensor, angle: Tensor, angles: _Angles) -> Tensor:
        project = self.gated.project
        edge = project(0, bonds).repeat(2, 1) + project(3, atoms).index_select(0, angles.centre)
        hidden = project(2, angle) + edge.index_select(0, angles.edge)
        return self.gated.finish(hidden + project(1, bonds).index_select(0, angles.other_pair))


class BondConvolution(nn.Module):
    """bond_ij += out(sum_k weight_ij weight_ik * gated(bond_ij, bond_ik, angle_jik, atom_i))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.message = AngleMessage(width, hidden=True)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, atoms: Tensor, bonds: Tensor, weight: Tensor, angle: Tensor, angles: _Angles) -> Tensor:
        message = self.message(atoms, bonds, angle, angles) * weight.index_select(0, angles.other_pair)
        return bonds + self.output(sum_rows(message, angles.pair, len(bonds)) * weight)


class CHGNet(nn.Module):
    """AtomicGraph -> SiteProperties(energy [A] eV, magmom [A] Bohr magnetons)."""

    config_class = CHGNetConfig
    element_energy: Tensor

    def __init__(self, config: CHGNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or CHGNetConfig()
        width, exponent = config.width, config.cutoff_exponent
        self.embedding = nn.Embedding(Z + 1, width)
        self.bond_basis = RadialBessel(config.radial, config.cutoff_a, exponent)
        self.short_bond_basis = RadialBessel(config.radial, config.angle_cutoff_a, exponent)
        self.angle_basis = AngleFourier(config.angular)
        self.bond_embedding = nn.Linear(config.radial, width, bias=False)
        self.bond_weight = nn.Linear(config.radial, width, bias=False)
        self.short_bond_weight = nn.Linear(config.radial, width, bias=False)
        self.angle_embedding = nn.Linear(1 + 2 * config.angular, width, bias=False)
        self.atom_layers = nn.ModuleList(AtomConvolution(width) for _ in range(config.layers))
        self.bond_layers = nn.ModuleList(BondConvolution(width) for _ in range(config.layers - 1))
        # What the last update of the angles would give is never read.
        self.angle_layers = nn.ModuleList(AngleMessage(width, hidden=False) for _ in range(config.layers - 2))
        self.magmom = nn.Linear(width, 1)
        self.norm = nn.LayerNorm(width)
        hidden = [layer for _ in range(3) for layer in (nn.Linear(width, width), nn.SiLU())]
        self.readout = nn.Sequential(*hidden, nn.Linear(width, 1))
        self.register_buffer("element_energy", torch.zeros(Z + 1))

    def forward(self, graph: AtomicGraph) -> SiteProperties:
        short = graph.short
        distance = graph.vectors.norm(dim=1)
        basis = self.bond_basis(distance)
        weight = self.bond_weight(basis)
        short_weight = self.short_bond_weight(self.short_bond_basis(distance[:short]))
        short_bonds, long_bonds = self.bond_embedding(basis).split([short, len(distance) - short])
        angles = _Angles.of(graph)
        angle = self.angle_embedding(self.angle_basis(_cosines(graph, distance))).repeat(2, 1)
        atoms = self.embedding(graph.numbers)
        for number, (atom_layer, bond_layer) in enumerate(zip(self.atom_layers[:-1], self.bond_layers, strict=True)):
            atoms = atom_layer(atoms, torch.cat([short_bonds, long_bonds]), weight, graph)
            short_bonds = bond_layer(atoms, short_bonds, short_weight, angle, angles)
            if number < len(self.angle_layers):
                angle = angle + self.angle_layers[number](atoms, short_bonds, angle, angles)
        magmom = self.magmom(atoms)[:, 0].abs()
        atoms = self.atom_layers[-1](atoms, torch.cat([short_bonds, long_bonds]), weight, graph)
        energy = self.readout(self.norm(atoms))[:, 0] + self.element_energy[graph.numbers]
        return SiteProperties(energy, magmom.detach())


def _cosines(graph: AtomicGraph, distance: Tensor) -> Tensor:
    """Cosine of each angle [T]."""
    unit = graph.vectors[: graph.short] / distance[: graph.short, None]
    directed = torch.cat([unit, -unit])
    one, other = graph.angle_edges
    return (directed.index_select(0, one) * directed.index_select(0, other)).sum(dim=1)
