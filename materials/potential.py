"""What a research script imports: a trained interatomic potential, for lists of structures and as ASE calculator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from ase import Atoms
from ase.data import chemical_symbols
from torch import Tensor

from common.app.errors import CheckpointError, DataFormatError
from common.app.registry import Registry
from common.predictor import Predictor
from materials.data.frames import FARTHEST_A
from materials.data.read import OVERLAP_A, read_any, read_crystal
from materials.models.atomic_graph import AtomicGraph, differentiate
from materials.predictor import source_name
from materials.weights.published import PUBLISHED

if TYPE_CHECKING:
    from materials.calculator import PotentialCalculator

POTENTIALS = Registry(
    "potential",
    {
        "ace": "materials.models.ace:ACE",
        "chgnet": "materials.models.chgnet:CHGNet",
        "m3gnet": "materials.models.m3gnet:M3GNet",
        "tensornet": "materials.models.tensornet:TensorNet",
    },
)

ATOMS_A_STEP = 256
"""On a CPU larger batches leave the cache and are no faster."""

ATOMS_A_STEP_ON_A_GPU = 4096


@dataclass(frozen=True)
class PotentialEnergy:
    """One structure of m atoms."""

    energy_ev: float
    forces_ev_a: np.ndarray
    """eV/angstrom [m, 3]."""
    stress_ev_a3: np.ndarray
    """eV/angstrom^3 [3, 3], the derivative of the energy by strain over the volume; NaN if not periodic."""
    magmoms: np.ndarray | None
    """Bohr magnetons [m], where the model has them."""
    energy_std_ev: float = np.nan
    """How much the members of an ensemble differ; NaN for a single potential."""
    forces_std_ev_a: np.ndarray | None = None
    """The same of each force component [m, 3]; None for a single potential."""


class Potential(Predictor):
    """Energy, forces and stress; forces and stress are the exact derivatives of the energy.

    potential = Potential.from_pretrained("chgnet-0.3.0")
    frame = potential.predict(["NaCl.cif", atoms])
    atoms.calc = potential.calculator()
    """

    domain = "materials"
    architectures = POTENTIALS

    @classmethod
    def from_pretrained(
        cls, name: str | Path, device: str = "auto", dtype: str = "float32", offline: bool = False
    ) -> Self:
        """A published potential by name (see `materials.weights.published`), or a folder of `save_pretrained`.

        Published weights are taken from TRIFOLD_DATA, TRIFOLD_MIRROR or their public address, and verified.
        """
        if str(name) not in PUBLISHED:
            return super().from_pretrained(name, device, dtype)
        entry = PUBLISHED[str(name)]
        if entry.kind != "potential":
            raise CheckpointError(f"'{name}' predicts a property and is no potential; use PropertyPredictor")
        model, card = entry.load(offline)
        return cls(model, card, device, dtype)

    @classmethod
    def is_one(cls, name: str | Path) -> bool:
        """Whether a model's name or folder is a potential's."""
        if str(name) in PUBLISHED:
            return PUBLISHED[str(name)].kind == "potential"
        return cls.card_of(name).get("architecture") in cls.architectures.paths

    def predict(self, inputs: Any | Sequence[Any], budget: int | None = None) -> pd.DataFrame:
        """One row an input, in order: id, energy_ev, energy_ev_per_atom, forces_ev_a, stress_ev_a3, magmoms,
        energy_std_ev and forces_std_ev_a (how much the members of an ensemble differ; NaN, None without), error.

        inputs: paths, ase.Atoms or pymatgen Structures, one or many; periodic in three directions, ase.Atoms also in
        none.
        An input that is refused has NaN, None for its arrays, and its reason in `error` ("" otherwise).
        budget: atoms held at once.
        """
        many = [inputs] if isinstance(inputs, str) or not isinstance(inputs, Sequence) else inputs
        names = [source_name(source, number) for number, source in enumerate(many)]
        atoms, rows, errors = [], [], [""] * len(many)
        for row, source in enumerate(many):
            try:
                one = self.read(source)
            except DataFormatError as error:
                errors[row] = str(error)
                continue
            atoms.append(one)
            rows.append(row)
        results: list[PotentialEnergy | None] = [None] * len(many)
        for row, result in zip(rows, self.evaluate(atoms, budget), strict=True):
            results[row] = result
        return _frame(names, results, errors)

    def read(self, source: Any) -> Atoms:
        """One input as a checked structure of known elements. Raises DataFormatError that says what is wrong."""
        atoms = _read(source)
        self.refuse_unknown_elements(atoms.numbers)
        return atoms

    def evaluate(self, atoms: Sequence[Atoms], budget: int | None = None) -> Iterator[PotentialEnergy]:
        """Energies of structures that need no checking, in order; periodic in any directions."""
        budget = budget or (ATOMS_A_STEP if self.device.type == "cpu" else ATOMS_A_STEP_ON_A_GPU)
        for batch in _batches(atoms, budget):
            graph, members = self.graph(batch), getattr(self.model.config, "members", 1)
            each = self.model if members == 1 else partial(self.model, apart=True)
            result = differentiate(each, graph if members == 1 else graph.repeated(members))
            ends = np.cumsum([len(one) for one in batch])[:-1]

            def of_members(values: Tensor, members: int = members) -> np.ndarray:
                return values.double().cpu().numpy().reshape(members, -1, *values.shape[1:])

            energy, forces, stress = map(of_members, (result.energy, result.forces, result.stress))
            spread = (np.full(len(batch), np.nan), [None] * len(batch))
            if members > 1:
                spread = (energy.std(axis=0), np.split(forces.std(axis=0), ends))
            magmoms = [None] * len(batch)
            if result.magmom is not None:
                magmoms = np.split(of_members(result.magmom)[0], ends)
            energies, forces = energy.mean(axis=0).tolist(), np.split(forces.mean(axis=0), ends)
            yield from map(PotentialEnergy, energies, forces, stress.mean(axis=0), magmoms, *spread)

    def graph(self, atoms: Sequence[Atoms]) -> AtomicGraph:
        """The structures as the model sees them."""
        config = self.model.config
        parameter = next(self.model.parameters())
        angle_cutoff_a = getattr(config, "angle_cutoff_a", 0.0)
        return AtomicGraph.from_atoms(atoms, config.cutoff_a, angle_cutoff_a, self.device, parameter.dtype)  # pyright: ignore

    def calculator(self) -> PotentialCalculator:
        """A calculator for ASE's optimisers and molecular dynamics."""
        from materials.calculator import PotentialCalculator

        return PotentialCalculator(self)

    def refuse_unknown_elements(self, numbers: np.ndarray) -> None:
        """Raises DataFormatError if an element is none of the training data's."""
        unknown = sorted(set(numbers.tolist()) - set(self.card["elements"]))
        if unknown:
            symbols = ", ".join(chemical_symbols[z] for z in unknown)
            raise DataFormatError(f"holds {symbols}, which the training data of '{self.card['name']}' did not")


def _read(source: Any) -> Atoms:
    """A crystal from anything that `read_crystal` takes, or a checked molecule: atoms without periodicity."""
    if isinstance(source, DataFormatError):
        raise source
    name, atoms = read_any(source)
    if atoms.pbc.any():
        return read_crystal(source)
    if not len(atoms) or not (np.abs(atoms.positions) < FARTHEST_A).all():
        raise DataFormatError(f"{name}: expected atoms at finite positions in angstrom")
    from scipy.spatial.distance import pdist  # slow to import: not where crystals are predicted

    distances = pdist(atoms.positions)
    if distances.size and distances.min() < OVERLAP_A:
        raise DataFormatError(
            f"{name}: two atoms are {distances.min():.3g} Å apart; expected at least {OVERLAP_A} Å"
        )
    return Atoms(atoms.numbers, atoms.positions)


def _batches(atoms: Sequence[Atoms], budget: int) -> Iterator[list[Atoms]]:
    """Consecutive structures of at most `budget` atoms together, or one that is larger alone."""
    batch: list[Atoms] = []
    for one in atoms:
        if batch and sum(map(len, batch)) + len(one) > budget:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _frame(names: list[str], results: Sequence[PotentialEnergy | None], errors: list[str]) -> pd.DataFrame:
    energies = [np.nan if one is None else one.energy_ev for one in results]
    per_atom = [np.nan if one is None else one.energy_ev / len(one.forces_ev_a) for one in results]

    def column(name: str) -> pd.Series:
        return pd.Series([None if one is None else getattr(one, name) for one in results], dtype=object)

    columns = {"id": names, "energy_ev": energies, "energy_ev_per_atom": per_atom}
    columns |= {name: column(name) for name in ("forces_ev_a", "stress_ev_a3", "magmoms")}
    columns["energy_std_ev"] = [np.nan if one is None else one.energy_std_ev for one in results]
    return pd.DataFrame({**columns, "forces_std_ev_a": column("forces_std_ev_a"), "error": errors})
