"""Scores of predicted structures: batched torch functions, coordinates in Å.

from protein.metrics import lddt, tm_score, gdt_ts, gdt_ha, rmsd, contact_precision
"""

from protein.geometry.superposition import rmsd
from protein.metrics.contacts import contact_precision
from protein.metrics.gdt import gdt_ha, gdt_ts
from protein.metrics.lddt import lddt, lddt_all_atom
from protein.metrics.secondary_structure import q3, q8
from protein.metrics.stereochemistry import bond_lengths, chain_steps, clashes, ramachandran
from protein.metrics.tm_score import tm_score

__all__ = [
    "bond_lengths",
    "chain_steps",
    "clashes",
    "contact_precision",
    "gdt_ha",
    "gdt_ts",
    "lddt",
    "lddt_all_atom",
    "q3",
    "q8",
    "ramachandran",
    "rmsd",
    "tm_score",
]
