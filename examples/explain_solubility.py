"""Say how soluble a molecule is, which of its atoms make it so, and which measured molecules the model relies on.

    python examples/explain_solubility.py "CC(=O)Oc1ccccc1C(=O)O"

Writes explained.svg: the molecule, atoms that add to the solubility in one colour, those that lower it in the other.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from materials import PropertyPredictor

PARACETAMOL = "CC(=O)Nc1ccc(O)cc1"


def main(smiles: str = PARACETAMOL) -> pd.DataFrame:
    """What each atom adds, log10(mol/L)."""
    predictor = PropertyPredictor.from_pretrained("esol", device="cpu")
    row = predictor.predict([smiles], interval=0.9).iloc[0]
    if row["error"]:
        sys.exit(f"{smiles}: {row['error']}")
    print(f"{smiles}: {row['logp']:.2f} {row['unit']}, 90 % from {row['logp_lower']:.2f} to {row['logp_upper']:.2f}")
    atoms = predictor.explain(smiles)
    for element, part in atoms.groupby("element"):
        print(f"{element} {part['logp'].sum():+.2f}")
    print(predictor.nearest(smiles, k=3).round(2).to_string(index=False))
    Path("explained.svg").write_text(predictor.draw(smiles), encoding="utf-8")
    return atoms


if __name__ == "__main__":
    main(*sys.argv[1:])
