"""A potential of the atomic cluster expansion with message passing, whose products are taken on a sphere.

What surrounds an atom is a density on the sphere around it, in channels. Norms of the density, of its square and their
overlap, degree by degree, do not change under rotation and couple up to four neighbours at once, angles included. They
make the atom's features, which weigh it in the density that its neighbours see in the next layer.

Atomic cluster expansion: Drautz, doi:10.1103/PhysRevB.99.014104. With messages: Batatia et al., arXiv:2206.07697.
Products of spherical functions point by point: Luo et al., arXiv:2401.10216.

Shapes: A atoms, N places for neighbours of an atom, R radial functions, K = (degree + 1)^2 harmonics, L = degree + 1,
G points on the sphere, D source channels, C density channels, H hidden width, S elements, I invariants.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from materials.models.atomic_graph import AtomicGraph, SiteProperties
from materials.models.crystal_graph import Z
from materials.models.cutoffs import polynomial_cutoff
from materials.models.spherical_harmonics import SphericalHarmonics, real_harmonics, sphere_points

CUTOFF_EXPONENT = 5
BINDING = 4.0
"""How soon an atom that neighbours approach counts as bound; one full neighbour makes it 98 % so."""


@dataclass(frozen=True)
class ACEConfig:
    """elements and the energy of one isolated atom of each, eV (or what stands for it), in float64 beside the model."""

    elements: tuple[int, ...]
    isolated_ev: tuple[float, ...]
    cutoff_a: float = 5.0
    radial: int = 8
    degree: int = 3
    order: int = 4
    """Neighbours coupled at once: 2, 3 or 4."""
    width: int = 32
    message_width: int = 8
    hidden: int = 64
    layers: int = 2
    members: int = 1


@dataclass(frozen=True)
class Surroundings:
    """The pairs of a graph as a table of each atom's neighbours; free places hold a neighbour at the cutoff.

    other    [A, N] int64, whose neighbour the atom is
    vectors  [A, N, 3], to that neighbour
    """

    other: Tensor
    vectors: Tensor

    @classmethod
    def of(cls, graph: AtomicGraph, cutoff_a: float) -> Surroundings:
        atoms, pairs = len(graph.numbers), len(graph.first)
        centre, other = torch.cat([graph.first, graph.second]), torch.cat([graph.second, graph.first])
        count = torch.bincount(centre, minlength=atoms)
        order = torch.argsort(centre, stable=True)
        start = torch.cumsum(count, 0) - count
        place = torch.arange(2 * pairs, device=centre.device) - start[centre[order]]
        edge = torch.full((atoms, int(count.max()) if pairs else 0), 2 * pairs, device=centre.device)
        edge[centre[order], place] = order
        nowhere = graph.vectors.new_tensor([[cutoff_a, 0.0, 0.0]])
        vectors = torch.cat([graph.vectors, -graph.vectors, nowhere])
        return cls(
            torch.cat([other, other.new_zeros(1)])[edge],
            vectors.index_select(0, edge.flatten()).unflatten(0, edge.shape),
        )


@dataclass(frozen=True)
class Density:
    """What a layer needs of the geometry: species [A], other [A, N], radial [A, N, R], harmonics [A, K, N]."""

    species: Tensor
    other: Tensor
    radial: Tensor
    harmonics: Tensor

    def of(self, source: Tensor) -> Tensor:
        """Density of sources [A, D] around each atom by harmonic, radial function and channel, [A, K, R D]."""
        weights = source.index_select(0, self.other.flatten()).unflatten(0, self.other.shape)
        return self.harmonics @ (self.radial[..., :, None] * weights[..., None, :]).flatten(2)

    def copies(self, count: int) -> list[Density]:
        """The density of structures that follow one another `count` times, as one for each time."""
        atoms = len(self.species) // count
        tables = (self.species, self.other, self.radial, self.harmonics)
        parts = zip(*(rows.split(atoms) for rows in tables), strict=True)
        return [
            Density(species, (other - number * atoms).clamp(min=0), radial, harmonics)  # free places name atom 0
            for number, (species, other, radial, harmonics) in enumerate(parts)
        ]


class Layer(nn.Module):
    """Features [A, F] and sources [A, D] -> features [A, H] and energies [A] in the model's unit."""

    degree_of: Tensor
    grid: Tensor
    project: Tensor
    density_scale: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, config: ACEConfig, features: int, sources: int) -> None:
        super().__init__()
        elements, degrees, self.order = len(config.elements), config.degree + 1, config.order
        columns, invariants = config.radial * sources, config.width * (1 + degrees * (config.order - 1))
        degree_of = [degree for degree in range(degrees) for _ in range(2 * degree + 1)]
        self.sizes = [2 * degree + 1 for degree in range(degrees)]
        self.mix = nn.Parameter(torch.randn(degrees, columns, config.width) / columns**0.5)
        self.element_mix = nn.Parameter(1 + 0.3 * torch.randn(elements, degrees, config.width))
        self.first = nn.Linear(invariants, config.hidden, bias=False)
        self.element_gain = nn.Parameter(1 + 0.3 * torch.randn(elements, config.hidden))
        self.element_bias = nn.Parameter(torch.zeros(elements, config.hidden))
        self.carry = nn.Linear(features, config.hidden, bias=False)
        self.second = nn.Linear(config.hidden, config.hidden)
        self.energy = nn.Linear(config.hidden + invariants, 1, bias=False)
        nn.init.zeros_(self.energy.weight)  # the energy starts as that of the references
        # A product of three harmonics is integrated exactly.
        points, weights = sphere_points(3 * config.degree)
        grid = real_harmonics(config.degree, points)
        for name, table in (("grid", grid), ("project", (grid * weights[:, None]).T)):
            self.register_buffer(name, torch.tensor(table), persistent=False)
        self.register_buffer("degree_of", torch.tensor(degree_of), persistent=False)
        self.register_buffer("density_scale", torch.ones(degrees))
        self.register_buffer("mean", torch.zeros(elements, invariants))
        self.register_buffer("spread", torch.ones(elements, invariants))

    def forward(self, features: Tensor, sources: Tensor, density: Density) -> tuple[Tensor, Tensor]:
        species = density.species
        invariants = (self.invariants(density.of(sources), species) - self.mean[species]) / self.spread[species]
        hidden = self.first(invariants) * self.element_gain[species] + self.element_bias[species]
        hidden = F.silu(self.second(F.silu(hidden + self.carry(features))))
        return hidden, self.energy(torch.cat([hidden, invariants], dim=1))[:, 0]

    def invariants(self, density: Tensor, species: Tensor) -> Tensor:
        """[A, K, R D] -> [A, I]."""
        mix = self.mix * self.density_scale[:, None, None]
        parts = [part @ matrix for part, matrix in zip(density.split(self.sizes, dim=1), mix, strict=True)]
        channels = torch.cat(parts, dim=1) * self.element_mix[species].index_select(1, self.degree_of)
        found = [channels[:, 0], self._overlap(channels, channels)]
        if self.order > 2:
            values = self.grid.to(channels.dtype) @ channels
            square = self.project.to(channels.dtype) @ (values * values)
            found.append(self._overlap(channels, square))
            if self.order > 3:
                found.append(self._overlap(square, square))
        return torch.cat(found, dim=1)

    def _overlap(self, one: Tensor, other: Tensor) -> Tensor:
        """Scalar product of each degree, [A, K, C] -> [A, L C]."""
        total = one.new_zeros(one.shape[0], len(self.sizes), one.shape[2])
        return total.index_add(1, self.degree_of, one * other).flatten(1)

    @torch.no_grad()
    def calibrate(self, sources: Tensor, density: Density) -> None:
        """Set the units of densities and invariants from typical surroundings, element by element."""
        raw = density.of(sources)
        for degree, part in enumerate(raw.split(self.sizes, dim=1)):
            self.density_scale[degree] = 1 / part.square().sum(dim=1).mean().sqrt().clamp(min=1e-6)
        invariants = self.invariants(raw, density.species)
        for element in density.species.unique():
            own = invariants[density.species == element]
            self.mean[element] = own.mean(dim=0)
            # What hardly varies is not blown up.
            self.spread[element] = own.std(dim=0, correction=0) + 0.01 * own.abs().mean(dim=0) + 1e-3


class Network(nn.Module):
    """One member of an ensemble."""

    def __init__(self, config: ACEConfig) -> None:
        super().__init__()
        self.elements = len(config.elements)
        widths = [(self.elements, self.elements)] + [(config.hidden, config.message_width)] * (config.layers - 1)
        self.layers = nn.ModuleList(Layer(config, features, sources) for features, sources in widths)
        self.sources = nn.ModuleList(nn.Linear(features, sources) for features, sources in widths[1:])

    def forward(self, density: Density) -> Tensor:
        """Energy of each atom in the model's unit [A]."""
        features = sources = F.one_hot(density.species, self.elements).to(density.radial.dtype)
        energy = torch.zeros_like(features[:, 0])
        for number, layer in enumerate(self.layers):
            if number:
                sources = self._message(number, features)
            features, share = layer(features, sources, density)
            energy = energy + share
        return energy

    @torch.no_grad()
    def calibrate(self, density: Density) -> None:
        """Set the units of each layer from typical surroundings."""
        features = sources = F.one_hot(density.species, self.elements).to(density.radial.dtype)
        for number, layer in enumerate(self.layers):
            if number:
                sources = self._message(number, features)
            layer.calibrate(sources, density)  # pyright: ignore[reportCallIssue]
            features, _ = layer(features, sources, density)

    def _message(self, number: int, features: Tensor) -> Tensor:
        """What atoms tell their neighbours, [A, H] -> [A, D]; bounded, because products amplify it layer by layer."""
        return torch.tanh(self.sources[number - 1](features))


class ACE(nn.Module):
    """AtomicGraph -> SiteProperties(energy [A] eV, float64): the mean over the members of an ensemble.

    An atom without neighbours has the energy `isolated_ev` of its element exactly. Total energies have more digits than
    float32: these energies are kept and added in float64.
    """

    config_class = ACEConfig
    index_of: Tensor
    bound_energy: Tensor
    unit: Tensor

    def __init__(self, config: ACEConfig) -> None:
        super().__init__()
        self.config, elements = config, len(config.elements)
        self.harmonics = SphericalHarmonics(config.degree)
        self.networks = nn.ModuleList(Network(config) for _ in range(config.members))
        index_of = torch.zeros(Z + 1, dtype=torch.int64)
        index_of[list(config.elements)] = torch.arange(elements)
        self.register_buffer("index_of", index_of, persistent=False)
        self.register_buffer("bound_energy", torch.zeros(elements))
        self.register_buffer("unit", torch.tensor(1.0))
        self.isolated_ev = torch.tensor(config.isolated_ev, dtype=torch.float64)

    @property
    def layers(self) -> list[nn.Module]:
        """The repeated blocks."""
        return [layer for network in self.networks for layer in network.layers]  # pyright: ignore

    def forward(self, graph: AtomicGraph, apart: bool = False) -> SiteProperties:
        """apart: the graph holds as many copies of its structures, one behind the other, as there are members, and each
        member sees one of them; so each has forces of its own, although all come from one derivative.
        """
        return SiteProperties(self.site_energies(graph.numbers, Surroundings.of(graph, self.config.cutoff_a), apart))

    def site_energies(self, numbers: Tensor, near: Surroundings, apart: bool = False) -> Tensor:
        """Energy of each atom in eV, float64 [A], from atomic numbers [A] and neighbours."""
        density, binding = self._density(numbers, near)
        if apart:
            parts = density.copies(len(self.networks))
            energy = torch.cat([network(part) for network, part in zip(self.networks, parts, strict=True)])
        else:
            energy = torch.stack([network(density) for network in self.networks]).mean(dim=0)
        energy = (energy * self.unit + self.bound_energy[density.species]) * binding
        return energy.double() + self.isolated_ev.to(energy.device)[density.species]

    @torch.no_grad()
    def calibrate(self, graph: AtomicGraph, bound_energy_ev: Tensor, unit_ev: float) -> None:
        """Set what is not learned: units from typical structures, the mean energy [S] that an element's atom gains when
        bound, and the unit of what is learned beyond it."""
        self.bound_energy.copy_(bound_energy_ev)
        self.unit.fill_(unit_ev)
        density, _ = self._density(graph.numbers, Surroundings.of(graph, self.config.cutoff_a))
        for network in self.networks:
            network.calibrate(density)  # pyright: ignore[reportCallIssue]

    def _density(self, numbers: Tensor, near: Surroundings) -> tuple[Density, Tensor]:
        """The surroundings expanded, and how bound each atom is [A], from 0 alone to 1."""
        cutoff = self.config.cutoff_a
        distance = near.vectors.norm(dim=2, keepdim=True)
        envelope = polynomial_cutoff(distance, cutoff, CUTOFF_EXPONENT)
        order = torch.arange(1, self.config.radial + 1, device=distance.device, dtype=distance.dtype)
        radial = torch.sin(distance * (order * (pi / cutoff))) / distance * envelope  # arXiv:2003.03123, equation 7
        harmonics = self.harmonics(near.vectors / distance).mT
        binding = 1 - torch.exp(-BINDING * envelope.sum(dim=(1, 2)))
        return Density(self.index_of[numbers], near.other, radial, harmonics), binding
