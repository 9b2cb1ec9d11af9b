"""Rank candidate crystals by a property, and say which of them the model can't tell apart.

    python examples/rank_crystals.py

Candidates are all rocksalt compounds of a few cations and anions, with cell edges from Shannon's ionic radii
(doi:10.1107/S0567739476001551). The shipped model gives their PBE band gaps with calibrated 90 % intervals: a candidate
whose interval reaches the best one's may well be the best.
"""

from __future__ import annotations

import pandas as pd
from ase import Atoms
from ase.build import bulk

from materials import PropertyPredictor

RADII_A = {"Li": 0.76, "Na": 1.02, "K": 1.38, "Mg": 0.72, "Ca": 1.00, "F": 1.33, "Cl": 1.81, "Br": 1.96, "O": 1.40}
PAIRS = [(a, x) for a in ("Li", "Na", "K") for x in ("F", "Cl", "Br")] + [(a, "O") for a in ("Mg", "Ca")]


def candidates() -> list[Atoms]:
    """Rocksalt cells; ions touch along the edge."""
    return [bulk(a + x, "rocksalt", a=2 * (RADII_A[a] + RADII_A[x])) for a, x in PAIRS]


def main() -> pd.DataFrame:
    """Candidates from the widest gap to the narrowest: gap and its interval in eV, and whether it may be the best."""
    predictor = PropertyPredictor.from_pretrained("mp2018-bandgap", device="cpu")
    name = next(iter(predictor.properties))
    crystals = candidates()
    frame = predictor.predict(crystals, interval=0.9)
    frame["id"] = [crystal.get_chemical_formula("hill") for crystal in crystals]
    frame = frame.sort_values(name, ascending=False, ignore_index=True)
    frame["may_be_best"] = frame[f"{name}_upper"] >= frame[f"{name}_lower"].iloc[0]
    print(frame[["id", name, f"{name}_lower", f"{name}_upper", "may_be_best"]].round(2).to_string(index=False))
    known = predictor.nearest(crystals[0], k=1).iloc[0]
    print(f"Of the training crystals most like LiF: {known['training_id']}, {known[name]:.2f} eV")
    return frame


if __name__ == "__main__":
    main()
