"""Reference values of potentials, from their own packages.

    python tests/materials/golden/make_potentials.py chgnet tests/materials/golden/chgnet-0.3.0.json
    python tests/materials/golden/make_potentials.py <folder of a matgl model> tests/materials/golden/<name>.json

Needs chgnet 0.4.2 or matgl 4.1.2 (with numpy, ase and pymatgen); not run by the tests, which read what it wrote.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk


def structures() -> list[Atoms]:
    """Six crystals of one to five elements at rest, and each displaced by about 0.1 angstrom in a strained cell."""
    perovskite = Atoms(
        "SrTiO3", cell=[3.9, 3.9, 3.9], pbc=True,
        scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
    )  # fmt: skip
    ideal = [
        bulk("Si", "diamond", 5.43), bulk("NaCl", "rocksalt", 5.64), bulk("Fe", "bcc", 2.87, cubic=True),
        bulk("ZnS", "wurtzite", a=3.82, c=6.26), perovskite, bulk("Cu", "fcc", 3.61) * (2, 1, 2),
    ]  # fmt: skip
    random = np.random.default_rng(2026)
    moved = []
    for one in ideal:
        other = one.copy()
        other.set_cell(one.cell.array @ (np.eye(3) + random.normal(0, 0.02, (3, 3))), scale_atoms=True)
        other.positions += random.normal(0, 0.1, other.positions.shape)
        moved.append(other)
    return ideal + moved


def chgnet_reference() -> tuple[str, Callable[[Atoms], dict[str, Any]]]:
    from chgnet.model.model import CHGNet
    from pymatgen.io.ase import AseAtomsAdaptor

    model = CHGNet.load(model_name="0.3.0", use_device="cpu", verbose=False)

    def evaluate(atoms: Atoms) -> dict[str, Any]:
        out = model.predict_structure(AseAtomsAdaptor.get_structure(atoms))
        return {
            "energy_ev": float(out["e"]) * len(atoms), "forces_ev_a": out["f"].tolist(),
            "stress_ev_a3": (out["s"] / 160.21766208).tolist(), "magmoms": out["m"].tolist(),
        }  # fmt: skip

    return f"chgnet {importlib.metadata.version('chgnet')}", evaluate


def matgl_reference(folder: str) -> tuple[str, Callable[[Atoms], dict[str, Any]]]:
    import matgl
    from matgl.ext.ase import PESCalculator

    calculator = PESCalculator(matgl.load_model(folder), stress_unit="eV/A3")

    def evaluate(atoms: Atoms) -> dict[str, Any]:
        one = atoms.copy()
        one.calc = calculator
        return {
            "energy_ev": float(one.get_potential_energy()), "forces_ev_a": one.get_forces().tolist(),
            "stress_ev_a3": one.get_stress(voigt=False).tolist(),
        }  # fmt: skip

    return f"matgl {importlib.metadata.version('matgl')}", evaluate


def main(source: str, target: str) -> None:
    version, evaluate = chgnet_reference() if source == "chgnet" else matgl_reference(source)
    cases = [
        {
            "numbers": atoms.numbers.tolist(),
            "cell": atoms.cell.tolist(),
            "positions": atoms.positions.tolist(),
            **evaluate(atoms),
        }
        for atoms in structures()
    ]
    content = {"made_with": version, "script": "tests/materials/golden/make_potentials.py", "cases": cases}
    Path(target).write_text(json.dumps(content))


if __name__ == "__main__":
    main(*sys.argv[1:])
