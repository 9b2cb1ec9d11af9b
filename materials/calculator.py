"""A potential as calculator of the Atomic Simulation Environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

if TYPE_CHECKING:
    from ase import Atoms

    from materials.potential import Potential


class PotentialCalculator(Calculator):
    """Energy and free energy (the same: there are no electrons), forces, stress, and magnetic moments if modelled.

    Units are ASE's: eV, eV/angstrom, eV/angstrom^3 in Voigt order, Bohr magnetons.
    """

    def __init__(self, potential: Potential, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.potential = potential
        self.implemented_properties = ["energy", "free_energy", "forces", "stress", "magmoms"]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Raises DataFormatError for elements the potential was not trained on."""
        super().calculate(atoms, properties or ["energy"], system_changes)
        one: Any = self.atoms
        self.potential.refuse_unknown_elements(one.numbers)
        (result,) = self.potential.evaluate([one])
        self.results = {"energy": result.energy_ev, "free_energy": result.energy_ev, "forces": result.forces_ev_a}
        if np.isfinite(result.stress_ev_a3).all():
            self.results["stress"] = full_3x3_to_voigt_6_stress(result.stress_ev_a3)
        if result.magmoms is not None:
            self.results["magmoms"] = result.magmoms
