"""What the networks of materials are outside this package: tensors in, tensors out (see `common.export`).

Shapes: V nodes or atoms, K neighbours of a node, E directed bonds, B materials, M members, T properties.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from torch import Tensor, nn
from torch._decomp import get_decompositions
from torch.fx.experimental.proxy_tensor import make_fx

from common.app.errors import ConfigError
from common.export import Example, Exportable, Input, Output
from materials.models.ace import ACE, Surroundings
from materials.models.atomic_graph import AtomicGraph, differentiate, sum_rows
from materials.models.cgcnn import CGCNN
from materials.models.composition_batch import CompositionBatch
from materials.models.crystal_graph import CrystalGraphBatch
from materials.models.crystal_views import CrystalViews
from materials.models.dmpnn import DMPNN
from materials.models.edge_network import EdgeNetwork
from materials.models.element_attention import ElementAttention
from materials.models.joined_crystals import JoinedCrystals
from materials.models.molecular_batch import EnvironmentBatch, PackedGraphs
from materials.models.residual_cgcnn import ResidualCGCNN
from materials.models.tensornet_property import TensorNetProperty
from materials.potential import Potential
from materials.predictor import PropertyPredictor, floating

CRYSTALS = (
    (bulk("NaCl", "rocksalt", a=5.64), bulk("SiC", "zincblende", a=4.36, cubic=True), bulk("Cu", "fcc", a=3.61)),
    (bulk("CsCl", "cesiumchloride", a=4.12),),
)
MOLECULES = (("CCO", "O=C(O)c1ccccc1", "CNC"), ("CC(=O)Nc1ccc(O)cc1",))
COMPOSITIONS = (("NaCl", "Fe2O3", "SiO2"), ("LiFePO4",))
"""Examples of different sizes; elements that a model has not seen are numbers to its network like others."""

BACKWARD = [torch.ops.aten.silu_backward, torch.ops.aten.tanh_backward]
"""Derivatives that other programs know by their formula only."""

COUNTS = Input(("materials",), "how many of those rows belong to each material, which lie behind one another")
NODES = ("numbers", "neighbours", "distances", "multiplicity")
PAIRS = {
    "first": Input(("pairs",), "one atom of a pair, counted over all atoms; each pair once, periodic images included"),
    "second": Input(("pairs",), "the other"),
    "vectors": Input(("pairs", 3), "from the first to the second, in angstrom, all within the cutoff"),
}


class OfCrystals(nn.Module):
    """A network over crystals, however it sees them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model


class CrystalNetwork(OfCrystals):
    """A network over crystal graphs, inputs as of `CrystalGraphBatch`."""

    def forward(
        self, numbers: Tensor, neighbours: Tensor, distances: Tensor, multiplicity: Tensor, counts: Tensor
    ) -> tuple[Tensor]:
        crystal = owners(counts, numbers.shape[0])
        batch = CrystalGraphBatch(numbers, multiplicity, crystal, counts.shape[0], neighbours, distances)
        return (self.model(batch),)

    @staticmethod
    def inputs(predictor: PropertyPredictor) -> dict[str, Input]:
        return _crystal_inputs(predictor.card["input"])

    @staticmethod
    def example(predictor: PropertyPredictor, graphs: Any) -> tuple[dict[str, Tensor], Any]:
        packed = predictor.pack(graphs)
        batch: CrystalGraphBatch = packed.gather(torch.arange(len(packed)), predictor.device)
        return {name: getattr(batch, name) for name in NODES} | {"counts": packed.sizes}, batch


def _crystal_inputs(settings: Mapping[str, Any]) -> dict[str, Input]:
    places = settings["neighbours"]
    return {
        "numbers": Input(("nodes",), "atomic numbers; equivalent atoms may share a node"),
        "neighbours": Input(("nodes", places), "index of each node's nearest neighbours, counted over all nodes"),
        "distances": Input(("nodes", places), "their distances in angstrom; infinite: no neighbour"),
        "multiplicity": Input(("nodes",), "how many atoms of the cell a node stands for"),
        "counts": COUNTS,
    }


class AtomsNetwork(OfCrystals):
    """A network over all pairs of atoms, inputs as of `AtomicGraph`."""

    def forward(
        self, numbers: Tensor, first: Tensor, second: Tensor, vectors: Tensor, counts: Tensor
    ) -> tuple[Tensor]:
        return (self.model(atomic_graph(numbers, first, second, vectors, counts)),)

    @staticmethod
    def inputs(predictor: PropertyPredictor) -> dict[str, Input]:
        return {"numbers": Input(("atoms",), "atomic numbers"), **PAIRS, "counts": COUNTS}

    @staticmethod
    def example(predictor: PropertyPredictor, graphs: Any) -> tuple[dict[str, Tensor], Any]:
        packed = predictor.pack(graphs)
        batch: AtomicGraph = floating(packed.gather(torch.arange(len(packed)), predictor.device), predictor.dtype)
        names = ("numbers", "first", "second", "vectors")
        return {name: getattr(batch, name) for name in names} | {"counts": packed.sizes}, batch


class ViewsNetwork(OfCrystals):
    """Networks over both, joined, inputs as of `CrystalViews`."""

    def forward(
        self, numbers: Tensor, neighbours: Tensor, distances: Tensor, multiplicity: Tensor, counts: Tensor,
        atoms: Tensor, first: Tensor, second: Tensor, vectors: Tensor, atom_counts: Tensor,
    ) -> tuple[Tensor]:  # fmt: skip
        crystal = owners(counts, numbers.shape[0])
        graph = CrystalGraphBatch(numbers, multiplicity, crystal, counts.shape[0], neighbours, distances)
        return (self.model(CrystalViews(graph, atomic_graph(atoms, first, second, vectors, atom_counts))),)

    @staticmethod
    def inputs(predictor: PropertyPredictor) -> dict[str, Input]:
        more = Input(("materials",), "how many of those atoms belong to each material")
        return {
            **_crystal_inputs(predictor.card["input"]["crystal"]),
            "atoms": Input(("atoms",), "atomic numbers of all atoms, equivalent or not"), **PAIRS, "atom_counts": more,
        }  # fmt: skip

    @staticmethod
    def example(predictor: PropertyPredictor, graphs: Any) -> tuple[dict[str, Tensor], Any]:
        packed = predictor.pack(graphs)
        batch: CrystalViews = floating(packed.gather(torch.arange(len(packed)), predictor.device), predictor.dtype)
        nodes = {name: getattr(batch.graph, name) for name in NODES} | {"counts": packed.graphs.sizes}  # pyright: ignore
        pairs = {name: getattr(batch.atoms, name) for name in ("first", "second", "vectors")}
        return nodes | {"atoms": batch.atoms.numbers, **pairs, "atom_counts": packed.sizes}, batch


class MoleculeNetwork(nn.Module):
    """D-MPNN over a plain graph: every directed bond by itself, none merged with its equals."""

    def __init__(self, model: DMPNN) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, atoms: Tensor, bonds: Tensor, first: Tensor, last: Tensor, reverse: Tensor, counts: Tensor,
        descriptors: Tensor | None = None,
    ) -> tuple[Tensor]:  # fmt: skip
        atom_count, bond_count, molecules = atoms.shape[0], bonds.shape[0], counts.shape[0]
        at_atoms = Sums(lambda rows: sum_rows(rows, last, atom_count))
        into_bonds = Sums(lambda rows: at_atoms.sum(rows)[first] - rows[reverse])
        of_molecules = Sums(lambda rows: sum_rows(rows, owners(counts, atom_count), molecules))
        each_bond, depth = torch.arange(bond_count, device=bonds.device), self.model.config.depth
        batch = EnvironmentBatch(
            torch.cat([atoms[first], bonds], dim=1), atoms,
            [each_bond] * depth + [torch.arange(atom_count, device=atoms.device)],
            [into_bonds] * (depth - 1) + [at_atoms], of_molecules,  # pyright: ignore[reportArgumentType]
            counts, atoms.new_zeros(molecules, 0) if descriptors is None else descriptors,
        )  # fmt: skip
        return (self.model(batch),)

    @staticmethod
    def inputs(predictor: PropertyPredictor) -> dict[str, Input]:
        names = predictor.card["input"].get("descriptors")
        own = {"descriptors": Input(("materials", len(names)), "RDKit's, in the order of the card")} if names else {}
        return {
            "atoms": Input(("atoms", 72), "features, see materials.data.molecular_graphs.atom_features"),
            "bonds": Input(("bonds", 14), "features of each bond, once in each direction, see bond_features there"),
            "first": Input(("bonds",), "atom that a directed bond leaves"),
            "last": Input(("bonds",), "atom that it reaches"),
            "reverse": Input(("bonds",), "the same bond in the other direction"),
            "counts": COUNTS,
        } | own

    @staticmethod
    def example(predictor: PropertyPredictor, graphs: Any) -> tuple[dict[str, Tensor], Any]:
        packed, plain = predictor.pack(graphs), PackedGraphs(graphs.graphs)
        batch = plain.gather(torch.arange(len(plain)), predictor.device)
        first, last = batch.edges
        inputs = {
            "atoms": batch.atoms, "bonds": batch.bonds, "first": first, "last": last,
            "reverse": torch.arange(len(first), device=first.device).roll(len(first) // 2), "counts": plain.sizes,
        }  # fmt: skip
        whole: EnvironmentBatch = packed.gather(torch.arange(len(packed)), predictor.device)
        if whole.descriptors.shape[1]:
            inputs["descriptors"] = whole.descriptors
        return inputs, whole


@dataclass(frozen=True)
class Sums:
    """Stands for `Bags` where rows are summed by the plain graph."""

    sum: Callable[[Tensor], Tensor]


class CompositionNetwork(nn.Module):
    """Attention between elements, from a table with a place for each; a share of 0 means that a place is free."""

    def __init__(self, model: ElementAttention) -> None:
        super().__init__()
        self.model = model

    def forward(self, numbers: Tensor, fractions: Tensor) -> tuple[Tensor]:
        present, place = fractions > 0, torch.arange(numbers.shape[0] * numbers.shape[1], device=numbers.device)
        descriptors = fractions.new_zeros(numbers.shape[0], 0)
        return (self.model(CompositionBatch(numbers.flatten(), fractions.flatten(), place, present, descriptors)),)

    @staticmethod
    def inputs(predictor: PropertyPredictor) -> dict[str, Input]:
        return {
            "numbers": Input(("materials", "elements"), "atomic numbers of a composition; 0 where it has fewer"),
            "fractions": Input(("materials", "elements"), "their shares of its atoms, adding up to 1; 0 likewise"),
        }

    @staticmethod
    def example(predictor: PropertyPredictor, graphs: Any) -> tuple[dict[str, Tensor], Any]:
        packed = predictor.pack(graphs)
        batch: CompositionBatch = packed.gather(torch.arange(len(packed)), predictor.device)
        return {"numbers": batch.padded(batch.numbers), "fractions": batch.padded(batch.fractions)}, batch


class PotentialNetwork(nn.Module):
    """Energies with their derivatives, which are part of the network: it needs no autograd where it runs."""

    def __init__(self, model: ACE) -> None:
        super().__init__()
        self.model = model

    def forward(self, numbers: Tensor, other: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with torch.enable_grad():
            vectors = vectors.detach().requires_grad_()
            energy = self.model.site_energies(numbers, Surroundings(other, vectors))
            (gradient,) = torch.autograd.grad(energy, vectors, torch.ones_like(energy))
        forces = gradient.sum(dim=1) - sum_rows(gradient.flatten(0, 1), other.flatten(), numbers.shape[0])
        virial = (vectors[..., :, None] * gradient[..., None, :]).sum(dim=1)
        return energy.detach(), forces.detach(), virial.detach()


class Derived(nn.Module):
    """`PotentialNetwork` with its derivatives written out as operations of their own."""

    def __init__(self, network: PotentialNetwork, inputs: Mapping[str, Tensor]) -> None:
        super().__init__()
        plain: Any = get_decompositions(BACKWARD)
        trace = make_fx(network, plain, tracing_mode="symbolic", _allow_non_fake_inputs=True)
        self.operations = trace(*inputs.values())

    def forward(self, numbers: Tensor, other: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.operations(numbers, other, vectors)


NETWORKS = {
    "crystal": (CrystalNetwork, CRYSTALS),
    "atoms": (AtomsNetwork, CRYSTALS),
    "crystal-views": (ViewsNetwork, CRYSTALS),
    "molecule": (MoleculeNetwork, MOLECULES),
    "composition": (CompositionNetwork, COMPOSITIONS),
}
"""By the substance of a model's card."""

ABLE = (ResidualCGCNN, EdgeNetwork, TensorNetProperty, JoinedCrystals, CGCNN, DMPNN, ElementAttention)


def atomic_graph(numbers: Tensor, first: Tensor, second: Tensor, vectors: Tensor, counts: Tensor) -> AtomicGraph:
    """From what is known outside; volumes and angles, which properties do not need, are left out."""
    owner, none = owners(counts, numbers.shape[0]), first.new_zeros(2, 0)
    return AtomicGraph(numbers, owner, counts.shape[0], vectors.new_zeros(0), first, second, vectors, 0, none)


def owners(counts: Tensor, rows: int) -> Tensor:
    """Which material each of `rows` consecutive rows belongs to, from how many each has, [B] -> [rows]."""
    row = torch.arange(rows, device=counts.device)
    return (row[:, None] >= counts.cumsum(0)).sum(dim=1)


def exportable(name: str | Path, device: str = "cpu") -> tuple[Exportable, dict[str, Any]]:
    """A property model or potential, ready for `common.export.export`, and its card.

    Raises ConfigError for an architecture whose operations no other program has.
    """
    if Potential.is_one(name):
        potential = Potential.from_pretrained(name, device)
        return exportable_potential(potential), potential.card
    predictor = PropertyPredictor.from_pretrained(name, device)
    return exportable_properties(predictor), predictor.card


def exportable_properties(predictor: PropertyPredictor) -> Exportable:
    """One output, value [B, M, T]: what each member says of each property."""
    model = predictor.model
    if not isinstance(model, ABLE) or (isinstance(model, ElementAttention) and model.config.descriptors):
        raise _unable(predictor.card, [one.__name__ for one in ABLE])
    network, sources = NETWORKS[predictor.card["substance"]]
    examples = []
    for many in sources:
        records = [predictor.substance.read(one) for one in many]
        inputs, batch = network.example(predictor, predictor.substance.graphs_of(records, predictor.card["input"]))
        with torch.no_grad():
            examples.append(Example(inputs, {"value": model(batch)}))
    classes = predictor.card["outcome"] == "classification"
    names = ", ".join(f"{name} in {unit}" if unit else name for name, unit in predictor.properties.items())
    meaning = f"[material, member, {'logit' if classes else 'value'}]: {names}"
    scale = 1.0 if classes else predictor.substance.unit(model)
    width = examples[0].outputs["value"].shape[-1]
    if isinstance(scale, Tensor) and len(scale) < width:  # a predicted log variance after each value
        scale = torch.cat([scale, scale.new_ones(width - len(scale))])
    return Exportable(network(model), network.inputs(predictor), {"value": Output(meaning, scale)}, examples)


def exportable_potential(potential: Potential) -> Exportable:
    """Energies, forces and virials of atoms, from a table of neighbours."""
    if not isinstance(potential.model, ACE):
        raise _unable(potential.card, ["ACE"])
    examples = [_potential_example(potential, cells) for cells in ((3, 1, 1), (2, 2, 1))]
    network = PotentialNetwork(potential.model)
    inputs = {
        "numbers": Input(("atoms",), "atomic numbers"),
        "other": Input(("atoms", "places"), "the neighbours of each atom; 0 at a place that is free"),
        "vectors": Input(
            ("atoms", "places", 3),
            f"to them, in angstrom; [{potential.model.config.cutoff_a:g}, 0, 0] at a place that is free",
        ),
    }
    outputs = {
        "energy": Output("of each atom, eV; their sum is the energy"),
        "forces": Output("eV/angstrom"),
        "virial": Output("of each atom, eV: vector times derivative; their sum over the volume is the stress"),
    }
    return Exportable(Derived(network, examples[0].inputs), inputs, outputs, examples)


def _potential_example(potential: Potential, cells: tuple[int, int, int]) -> Example:
    """A rattled lattice of all elements that the potential knows, four atoms a cell."""
    atoms: Atoms = bulk("Cu", "fcc", a=4.2, cubic=True) * cells
    atoms.rattle(0.1, seed=0)
    atoms.numbers = np.resize(potential.card["elements"], len(atoms))
    graph, model = potential.graph([atoms]), potential.model
    assert isinstance(model, ACE)
    near = Surroundings.of(graph, model.config.cutoff_a)
    inputs = {"numbers": graph.numbers, "other": near.other, "vectors": near.vectors}
    _, _, virial = PotentialNetwork(model)(*inputs.values())
    forces = differentiate(model, graph).forces
    return Example(inputs, {"energy": model(graph).energy, "forces": forces, "virial": virial})


def _unable(card: Mapping[str, Any], able: list[str]) -> ConfigError:
    return ConfigError(
        f"{card['name']} ({card['architecture']}) cannot be exported: its batches have no form outside this package. "
        f"Those of {', '.join(able)} have, the last without descriptors"
    )
