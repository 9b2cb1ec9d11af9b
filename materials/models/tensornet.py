"""TensorNet: a potential whose atoms carry 3x3 tensors that multiply.

Simeon & De Fabritiis, NeurIPS 2023, arXiv:2306.06482.

A tensor is kept as nine components in an orthonormal basis of the 3x3 matrices: the unit matrix, three antisymmetric
and five symmetric traceless ones. Its parts are then slices, and its Frobenius norm is the sum of squares.

Shapes: A atoms, P pairs, W width; tensors [A, 9, W], filters of the three parts [P, 3, W].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from materials.models.atomic_graph import AtomicGraph, SiteProperties
from materials.models.crystal_graph import Z
from materials.models.cutoffs import cosine_cutoff
from materials.models.gated_mlp import GatedMLP
from materials.models.spherical_bessel import SmoothBessel

PARTS = (1, 3, 5)

PAIRS_AT_ONCE = 128
"""That a CPU exchanges messages of: few enough for its cache."""


@dataclass(frozen=True)
class TensorNetConfig:
    """The defaults are those of TensorNet-MatPES-PBE-v2025.1."""

    width: int = 128
    layers: int = 2
    radial: int = 3
    cutoff_a: float = 5.0


class PartLinear(nn.Module):
    """One matrix for each part of a tensor, [A, 9, W] -> [A, 9, W]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in PARTS)

    def forward(self, tensors: Tensor) -> Tensor:
        pieces = tensors.split(PARTS, dim=1)
        return torch.cat([linear(piece) for linear, piece in zip(self.parts, pieces, strict=True)], dim=1)


class Embedding(nn.Module):
    """First tensors of the atoms, from the directions to their neighbours."""

    def __init__(self, config: TensorNetConfig) -> None:
        super().__init__()
        width = config.width
        self.element = nn.Embedding(Z + 1, width)
        self.radial = nn.Linear(config.radial, 3 * width)
        self.source, self.target = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.mix = PartLinear(width)
        self.scales = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, 3 * width), nn.SiLU())

    def forward(self, graph: AtomicGraph, basis: Tensor, cutoff: Tensor, direction: Tensor) -> Tensor:
        elements = self.element(graph.numbers)
        source, target = self.source(elements).to(cutoff.dtype), self.target(elements).to(cutoff.dtype)
        filters = parts_first(self.radial(basis)).to(cutoff.dtype) * cutoff[:, None, None]
        filters = per_component(filters) * direction[:, :, None]
        total = torch.zeros(len(elements), 9, source.shape[1], dtype=cutoff.dtype, device=cutoff.device)
        # Reversed, the direction's antisymmetric part changes sign.
        sign = torch.tensor([1.0] + [-1.0] * 3 + [1.0] * 5, dtype=cutoff.dtype, device=cutoff.device)[:, None]
        for i, j, edges in ((graph.first, graph.second, filters), (graph.second, graph.first, filters * sign)):
            pair = source.index_select(0, i) + target.index_select(0, j)
            total = total.index_add(0, j, edges * pair[:, None])
        scales = parts_first(self.scales(self.norm(square(total))))
        return self.mix(total) * per_component(scales)


class Interaction(nn.Module):
    """Tensors of the neighbours, filtered by distance, multiply those of the atom."""

    def __init__(self, config: TensorNetConfig) -> None:
        super().__init__()
        width = config.width
        self.filter = nn.Sequential(
            nn.Linear(config.radial, width), nn.SiLU(), nn.Linear(width, 2 * width), nn.SiLU(),
            nn.Linear(2 * width, 3 * width), nn.SiLU(),
        )  # fmt: skip
        self.before, self.after = PartLinear(width), PartLinear(width)

    def forward(self, tensors: Tensor, graph: AtomicGraph, basis: Tensor, cutoff: Tensor, matrices: Tensor) -> Tensor:
        filters = parts_first(self.filter(basis)).to(cutoff.dtype) * cutoff[:, None, None]
        tensors = tensors / (square(tensors) + 1)[:, None]
        own = self.before(tensors).to(cutoff.dtype)
        messages = exchanged if torch.compiler.is_exporting() else Messages.apply
        message: Tensor = messages(own, filters, graph.first, graph.second)  # pyright: ignore
        # Many products of 3x3 matrices are slower in 16 bits than in 32.
        with torch.autocast(own.device.type, enabled=False):
            left, right = to_matrix(own, matrices), to_matrix(message, matrices)
            product = from_matrix(left @ right + right @ left, matrices)
        update = self.after(product / (square(product) + 1)[:, None]).to(cutoff.dtype)
        with torch.autocast(own.device.type, enabled=False):
            matrix = to_matrix(update, matrices)
            return tensors + update + from_matrix(matrix @ matrix, matrices)


class Messages(torch.autograd.Function):
    """Sums [A, 9, W] over an atom's neighbours of their tensors times the filter of the pair, one for both its ends.

    What the pairs hold is as large as all the rest, so it is made for a few of them at a time and never kept.
    """

    @staticmethod
    def forward(ctx: Any, own: Tensor, filters: Tensor, first: Tensor, second: Tensor) -> Tensor:
        ctx.save_for_backward(own, filters, first, second)
        return exchanged(own, filters, first, second)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        own, filters, first, second = ctx.saved_tensors
        gradient, by_filter = gradients[0].contiguous(), torch.empty_like(filters)
        for rows in _pieces(first):
            i, j = first[rows], second[rows]
            both = own.index_select(0, j) * gradient.index_select(0, i)
            both += own.index_select(0, i) * gradient.index_select(0, j)
            for part, components in enumerate(both.split(PARTS, dim=1)):
                by_filter[rows, part] = components.sum(dim=1)
        return exchanged(gradient, filters, first, second), by_filter, None, None


def exchanged(own: Tensor, filters: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """What `Messages` gives."""
    total = torch.zeros_like(own)
    for rows in _pieces(first):
        for here, there in ((first[rows], second[rows]), (second[rows], first[rows])):
            message = own.index_select(0, there)
            for part, components in enumerate(message.split(PARTS, dim=1)):
                components *= filters[rows, part, None]
            total.index_add_(0, here, message)
    return total


def _pieces(pairs: Tensor) -> list[slice]:
    if torch.compiler.is_exporting() or pairs.device.type != "cpu":
        return [slice(None)]
    return [slice(start, start + PAIRS_AT_ONCE) for start in range(0, len(pairs), PAIRS_AT_ONCE)]


class TensorNetCore(nn.Module):
    """AtomicGraph -> invariants of its atoms [A, W]."""

    matrices: Tensor

    def __init__(self, config: TensorNetConfig) -> None:
        super().__init__()
        self.cutoff_a, width = config.cutoff_a, config.width
        self.basis = SmoothBessel(config.radial, config.cutoff_a)
        self.embedding = Embedding(config)
        self.layers = nn.ModuleList(Interaction(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(3 * width)
        self.output = nn.Linear(3 * width, width)
        self.register_buffer("matrices", basis_matrices(), persistent=False)

    def forward(self, graph: AtomicGraph) -> Tensor:
        vectors = graph.vectors.to(self.matrices.dtype)
        distance = vectors.norm(dim=1)
        basis, cutoff = self.basis(distance), cosine_cutoff(distance, self.cutoff_a)
        tensors = self.embedding(graph, basis, cutoff, _direction(vectors / distance[:, None], self.matrices))
        for layer in self.layers:
            tensors = layer(tensors, graph, basis, cutoff, self.matrices)
        norms = torch.cat([square(part) for part in tensors.split(PARTS, dim=1)], dim=1)
        return self.output(self.norm(norms))


class TensorNet(nn.Module):
    """AtomicGraph -> SiteProperties(energy [A] eV)."""

    config_class = TensorNetConfig
    element_energy: Tensor
    scale: Tensor

    def __init__(self, config: TensorNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TensorNetConfig()
        width = config.width
        self.core = TensorNetCore(config)
        self.readout = GatedMLP((width,), (width, width, width, 1), activate=False)
        self.register_buffer("element_energy", torch.zeros(Z + 1))
        self.register_buffer("scale", torch.tensor(1.0))

    def forward(self, graph: AtomicGraph) -> SiteProperties:
        energy = self.readout(self.core(graph))[:, 0] * self.scale
        return SiteProperties(energy + self.element_energy[graph.numbers])


def basis_matrices() -> Tensor:
    """Orthonormal basis of the 3x3 matrices [9, 3, 3]: trace, antisymmetric (of x, y, z), symmetric traceless."""
    basis = torch.zeros(9, 3, 3, dtype=torch.float64)
    basis[0] = torch.eye(3) / 3**0.5
    for axis in range(3):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        basis[1 + axis, j, i], basis[1 + axis, i, j] = 0.5**0.5, -(0.5**0.5)
        basis[4 + axis, i, j] = basis[4 + axis, j, i] = 0.5**0.5
    basis[7] = torch.diag(torch.tensor([1.0, -1.0, 0.0])) / 2**0.5
    basis[8] = torch.diag(torch.tensor([-1.0, -1.0, 2.0])) / 6**0.5
    return basis.float()


def square(tensors: Tensor) -> Tensor:
    """Squared Frobenius norm, [A, C, W] -> [A, W]."""
    return (tensors * tensors).sum(dim=1)


def parts_first(values: Tensor) -> Tensor:
    """[N, 3 W] -> [N, 3, W]."""
    return values.unflatten(1, (3, -1))


def per_component(values: Tensor) -> Tensor:
    """A factor of each part to one of each of its components, [N, 3, W] -> [N, 9, W]."""
    return values.repeat_interleave(torch.tensor(PARTS, device=values.device), dim=1, output_size=9)


def to_matrix(tensors: Tensor, matrices: Tensor) -> Tensor:
    """[A, 9, W] -> [A, W, 3, 3]."""
    return (tensors.mT @ matrices.flatten(1)).unflatten(2, (3, 3))


def from_matrix(matrix: Tensor, matrices: Tensor) -> Tensor:
    """[A, W, 3, 3] -> [A, 9, W]."""
    return (matrix.flatten(2) @ matrices.flatten(1).T).mT


def _direction(unit: Tensor, matrices: Tensor) -> Tensor:
    """Components of 1, of the cross product with u, and of u u^T - 1/3, for unit vectors [P, 3] -> [P, 9]."""
    symmetric = torch.einsum("pi,kij,pj->pk", unit, matrices[4:], unit)
    return torch.cat([torch.full_like(unit[:, :1], 3**0.5), 2**0.5 * unit, symmetric], dim=1)
