"""M3GNet: message passing over pairs with three-body terms, as a potential and as a property model.

Chen & Ong, Nature Computational Science 2, 718 (2022), doi:10.1038/s43588-022-00349-3.

The three-body term of edge ij sums, over the other neighbours k of i, a radial function of r_ik times the Legendre
polynomial of the angle. By the addition theorem P_l(u . v) = sum_m Y_lm(u) Y_lm(v) the sum over k is a moment of atom
i, the same for all its edges: no triplets are listed, and the cost is that of the pairs.

Shapes: A atoms, E = 2 P directed edges (all pairs forward, then all reversed), N radial functions, L = 3 orders,
W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from materials.models.atomic_graph import AtomicGraph, SiteProperties, sum_rows
from materials.models.crystal_graph import Z
from materials.models.cutoffs import polynomial_cutoff
from materials.models.gated_mlp import GatedMLP
from materials.models.set2set import Set2Set
from materials.models.spherical_bessel import SphericalBessel

ORDERS = 3
ORDER_OF_HARMONIC = (0, 1, 1, 1, 2, 2, 2, 2, 2)


@dataclass(frozen=True)
class M3GNetConfig:
    """The defaults are those of the published models."""

    width: int = 64
    layers: int = 3
    radial: int = 3
    cutoff_a: float = 5.0
    three_body_cutoff_a: float = 4.0
    three_body_radial: Literal["partner", "edge"] = "partner"
    """Whose radial function and end atom a three-body term takes; see ThreeBody."""
    receiver: Literal["target", "source"] = "target"
    """Which end of a directed edge sums its messages; weights trained with matgl 4 have "source"."""
    readout_steps: int = 3
    """Of the property model's Set2Set."""
    readout_layers: int = 3


@dataclass(frozen=True)
class _Edges:
    """What is the same in every layer, for each directed edge [E, ...]."""

    source: Tensor
    target: Tensor
    receiver: Tensor
    """One of these two."""
    basis: Tensor
    """Radial functions [E, L N], order by order."""
    three_body_basis: Tensor
    """The same times the constant of Y_l0 [E, L, N]."""
    three_body_weight: Tensor
    """Cutoff of the three-body terms [E, 1]."""
    harmonics: Tensor
    """Of the edge's direction, such that their product over two edges sums to P_l [E, 9]."""


class ThreeBody(nn.Module):
    """edge_ij += gated(sum_k c_ij c_ik P_l(cos angle_jik) radial(r_ik) * sigmoid(linear(atom_k))), c the cutoff.

    That is the published formula, "partner". Weights trained with matgl up to August 2023 hold another: there the sum
    ran over the transposed list of triplets, so that radial(r_ij) and atom_j took the place of the partner's: "edge".
    """

    def __init__(self, config: M3GNetConfig) -> None:
        super().__init__()
        width, radial = config.width, config.radial
        self.of_partner = config.three_body_radial == "partner"
        self.atom = nn.Linear(width, ORDERS * radial)
        self.edge = GatedMLP((ORDERS * radial,), (width,), bias=False)

    def forward(self, atoms: Tensor, edge_features: Tensor, edges: _Edges) -> Tensor:
        seen = torch.sigmoid(self.atom(atoms)).index_select(0, edges.target).view_as(edges.three_body_basis)
        weight = edges.three_body_weight[:, :, None]
        own = edges.three_body_basis * weight * seen
        # What the edge gives to the sums of its atom's other edges, [E, L, N] or [E, L, 1].
        given = own if self.of_partner else weight.expand(-1, ORDERS, -1)
        order = torch.tensor(ORDER_OF_HARMONIC, device=atoms.device)
        moment = sum_rows(given[:, order] * edges.harmonics[:, :, None], edges.source, len(atoms))
        angular = moment.index_select(0, edges.source) * edges.harmonics[:, :, None]
        summed = torch.stack([part.sum(dim=1) for part in angular.split([1, 3, 5], dim=1)], dim=1)
        # The sum ran over all neighbours; the edge itself, at angle zero where P_l = 1, is no partner of its own.
        others = (summed - given) * (weight if self.of_partner else own)
        return edge_features + self.edge(others.flatten(1))


class Convolution(nn.Module):
    """edge += gated(source, target, edge) * filter(basis); then receiver += the sum of the same, reweighed."""

    def __init__(self, width: int, basis: int) -> None:
        super().__init__()
        widths = (width, width, width)
        self.edge, self.node = GatedMLP(widths, widths), GatedMLP(widths, widths)
        self.edge_filter, self.node_filter = nn.Linear(basis, width, bias=False), nn.Linear(basis, width, bias=False)

    def forward(self, atoms: Tensor, edge_features: Tensor, edges: _Edges) -> tuple[Tensor, Tensor]:
        edge_features = edge_features + self._message(self.edge, atoms, edge_features, edges) * self.edge_filter(
            edges.basis
        )
        message = self._message(self.node, atoms, edge_features, edges) * self.node_filter(edges.basis)
        return atoms + sum_rows(message, edges.receiver, len(atoms)), edge_features

    @staticmethod
    def _message(gated: GatedMLP, atoms: Tensor, edge_features: Tensor, edges: _Edges) -> Tensor:
        source = gated.project(0, atoms).index_select(0, edges.source)
        target = gated.project(1, atoms).index_select(0, edges.target)
        return gated.finish(gated.project(2, edge_features) + source + target)


class M3GNetCore(nn.Module):
    """AtomicGraph -> features of each atom [A, W]."""

    def __init__(self, config: M3GNetConfig) -> None:
        super().__init__()
        self.three_body_cutoff_a, self.receiver = config.three_body_cutoff_a, config.receiver
        basis = ORDERS * config.radial
        self.embedding = nn.Embedding(Z + 1, config.width)
        self.basis = SphericalBessel(ORDERS, config.radial, config.cutoff_a)
        self.edge_embedding = nn.Linear(basis, config.width)
        self.three_body = nn.ModuleList(ThreeBody(config) for _ in range(config.layers))
        self.convolutions = nn.ModuleList(Convolution(config.width, basis) for _ in range(config.layers))

    def forward(self, graph: AtomicGraph) -> Tensor:
        edges = self._edges(graph)
        atoms = self.embedding(graph.numbers)
        edge_features = F.silu(self.edge_embedding(edges.basis))
        for three_body, convolution in zip(self.three_body, self.convolutions, strict=True):
            edge_features = three_body(atoms, edge_features, edges)
            atoms, edge_features = convolution(atoms, edge_features, edges)
        return atoms

    def _edges(self, graph: AtomicGraph) -> _Edges:
        distance = graph.vectors.norm(dim=1)
        unit = graph.vectors / distance[:, None]
        basis = self.basis(distance)
        weight = polynomial_cutoff(distance, self.three_body_cutoff_a, exponent=3)[:, None]
        constant = ((2 * torch.arange(ORDERS, device=unit.device) + 1) / (4 * torch.pi)).sqrt().to(unit.dtype)
        three_body = basis.unflatten(1, (ORDERS, -1)) * constant[:, None]
        source, target = torch.cat([graph.first, graph.second]), torch.cat([graph.second, graph.first])
        return _Edges(
            source=source, target=target, receiver=target if self.receiver == "target" else source,
            basis=basis.repeat(2, 1), three_body_basis=three_body.repeat(2, 1, 1),
            three_body_weight=weight.repeat(2, 1), harmonics=_harmonics(torch.cat([unit, -unit])),
        )  # fmt: skip


class M3GNet(nn.Module):
    """The potential: AtomicGraph -> SiteProperties(energy [A] eV)."""

    config_class = M3GNetConfig
    element_energy: Tensor
    scale: Tensor

    def __init__(self, config: M3GNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or M3GNetConfig()
        self.core = M3GNetCore(config)
        self.readout = GatedMLP((config.width,), (config.width,) * 3 + (1,), activate=False)
        self.register_buffer("element_energy", torch.zeros(Z + 1))
        self.register_buffer("scale", torch.tensor(1.0))

    def forward(self, graph: AtomicGraph) -> SiteProperties:
        energy = self.readout(self.core(graph))[:, 0] * self.scale
        return SiteProperties(energy + self.element_energy[graph.numbers])


class M3GNetProperty(nn.Module):
    """The model of an intensive property: AtomicGraph -> [B, 1, 1]."""

    config_class = M3GNetConfig
    mean: Tensor
    scale: Tensor

    def __init__(self, config: M3GNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or M3GNetConfig()
        self.core = M3GNetCore(config)
        self.pool = Set2Set(config.width, config.readout_steps, config.readout_layers)
        self.readout = silu_mlp(2 * config.width, config.width, config.width, 1)
        self.register_buffer("mean", torch.tensor(0.0))
        self.register_buffer("scale", torch.tensor(1.0))

    def forward(self, graph: AtomicGraph) -> Tensor:
        pooled = self.pool(self.core(graph), graph.structure, graph.structures)
        return self.readout(pooled)[:, None] * self.scale + self.mean


def silu_mlp(*widths: int) -> nn.Sequential:
    """Linear layers of these widths with SiLU between them."""
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.SiLU())]
    return nn.Sequential(*layers[:-1])


def _harmonics(unit: Tensor) -> Tensor:
    """Real spherical harmonics of orders 0 to 2 over sqrt((2l+1)/4pi), [E, 3] -> [E, 9]."""
    x, y, z = unit.unbind(1)
    second = (x * y, y * z, z * x, (x * x - y * y) / 2, (2 * z * z - x * x - y * y) / (2 * 3**0.5))
    return torch.stack([torch.ones_like(x), x, y, z, *(3**0.5 * value for value in second)], dim=1)
