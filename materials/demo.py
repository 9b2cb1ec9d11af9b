"""The materials of `trifold demo`: a small model trained from nothing, then the shipped one on known crystals."""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal
from rich.console import Console
from rich.table import Table

from common.app.composition import load_config
from materials.config import TrainConfig
from materials.predictor import PropertyPredictor
from materials.study import train

EV_PER_KJ_MOL = 1 / 96.48533212
"""One electronvolt a particle is 96.485 kJ/mol (CODATA 2018)."""

REFERENCE = (
    "standard enthalpy of formation at 298.15 K, CRC Handbook of Chemistry and Physics, 97th ed. (2016), section 5"
)


def known_crystals() -> dict[str, tuple[Atoms, float]]:
    """Crystal and measured standard enthalpy of formation of one formula unit in kJ/mol."""
    rutile = crystal(
        ["Ti", "O"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90]
    )
    return {
        "NaCl, rocksalt": (bulk("NaCl", "rocksalt", a=5.640), -411.2),
        "KCl, rocksalt": (bulk("KCl", "rocksalt", a=6.293), -436.5),
        "LiF, rocksalt": (bulk("LiF", "rocksalt", a=4.027), -616.0),
        "MgO, rocksalt": (bulk("MgO", "rocksalt", a=4.212), -601.6),
        "CaO, rocksalt": (bulk("CaO", "rocksalt", a=4.811), -634.9),
        "CsCl, caesium chloride": (bulk("CsCl", "cesiumchloride", a=4.123), -443.0),
        "CaF2, fluorite": (bulk("CaF2", "fluorite", a=5.463), -1228.0),
        "TiO2, rutile": (rutile, -944.0),
        "ZnS, zinc blende": (bulk("ZnS", "zincblende", a=5.409), -206.0),
        "ZnO, wurtzite": (bulk("ZnO", "wurtzite", a=3.250, c=5.207), -350.5),
        "AlN, wurtzite": (bulk("AlN", "wurtzite", a=3.112, c=4.982), -318.0),
        "GaAs, zinc blende": (bulk("GaAs", "zincblende", a=5.653), -71.0),
        "Si, diamond": (bulk("Si", "diamond", a=5.431), 0.0),
    }


def main(overrides: Sequence[str] = ()) -> None:
    """Train on `ionic-lattice`, then predict with `mp2018-eform`; `overrides` go to the training."""
    console = Console()
    console.print("Train a crystal graph network on computed lattice energies of ideal ionic crystals")
    config = load_config("materials", "train", ["experiment=ionic_lattice", *overrides])
    assert isinstance(config, TrainConfig)
    train(config)
    console.print("\nPredict formation energies with the shipped model mp2018-eform")
    console.print(compare(PropertyPredictor.from_pretrained("mp2018-eform")))
    console.print(
        f"Measured: {REFERENCE}. The model predicts energies of density-functional theory at 0 K,\n"
        "which differ somewhat from measured ones themselves."
    )


def compare(predictor: PropertyPredictor) -> Table:
    """Predicted beside measured formation energies."""
    known = known_crystals()
    frame = predictor.predict([atoms for atoms, _ in known.values()])
    table = Table("crystal", "predicted", "measured", "difference", caption="eV/atom", title_justify="left")
    for (name, (atoms, enthalpy)), predicted in zip(known.items(), frame[predictor.card["property"]], strict=True):
        measured = enthalpy * EV_PER_KJ_MOL / atoms_of_formula(atoms)
        table.add_row(name, f"{predicted:.3f}", f"{measured:.3f}", f"{predicted - measured:+.3f}")
    return table


def atoms_of_formula(atoms: Atoms) -> int:
    """Number of atoms in one formula unit."""
    return sum(atoms.symbols.formula.reduce()[0].count().values())
