"""Scores of one predicted chain: against the experiment, and by itself.

Shapes: L residues. Coordinates are atom37 in Å, NaN where an atom is missing.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import Tensor

from protein.data.residues import COLUMN37, TYPE_OF_LETTER
from protein.data.states import STATES, UNKNOWN_STATE
from protein.geometry.atom_layout import atom37_to_atom14
from protein.geometry.torsions import torsions_of_chain
from protein.metrics import (
    bond_lengths,
    chain_steps,
    clashes,
    contact_precision,
    lddt,
    lddt_all_atom,
    q3,
    q8,
    ramachandran,
    rmsd,
    tm_score,
)
from protein.metrics.gdt import GDT_HA_A, GDT_TS_A, shares_within
from protein.models.esmfold import virtual_c_beta

GDT_A = tuple(sorted({*GDT_TS_A, *GDT_HA_A}))
N, CA, C, CB = (COLUMN37[name] for name in ("N", "CA", "C", "CB"))
RANGES = ("long", "medium")
DIVISORS = {"l5": 5.0, "l2": 2.0, "l": 1.0}
"""Of precisions P@L/5, P@L/2 and P@L."""


def structure_scores(
    types: np.ndarray, model: np.ndarray, native: np.ndarray, length: int | None = None
) -> dict[str, float]:
    """How well a model [L, 37, 3] agrees with the native [L, 37, 3]; over residues whose C-alpha both have.

    types   [L] int64
    length  residues of the native that count for TM-score and GDT (default: those with a C-alpha in both)

    lddt_all is over all heavy atoms, NaN where the native has C-alpha atoms only.
    """
    seen = np.isfinite(model[:, CA, 0]) & np.isfinite(native[:, CA, 0])
    found, truth = (_tensor(atoms[seen, CA]) for atoms in (model, native))
    norm = float(length or seen.sum())
    both = _tensor(np.isfinite(model[..., 0]) & np.isfinite(native[..., 0]))
    all_atoms = float("nan")
    if bool(both[:, [N, CB]].any()):
        first, second = (torch.nan_to_num(_tensor(one)) for one in (model, native))
        all_atoms = float(lddt_all_atom(first, second, both, torch.from_numpy(types)))
    # GDT_TS and GDT_HA have three of their four thresholds in common.
    shares = dict(zip(GDT_A, shares_within(found, truth, None, norm, GDT_A).tolist(), strict=True))
    return {
        "lddt_ca": float(lddt(found, truth)), "lddt_all": all_atoms,
        "tm_score": float(tm_score(found, truth, length=norm)),
        "gdt_ts": float(np.mean([shares[threshold] for threshold in GDT_TS_A])),
        "gdt_ha": float(np.mean([shares[threshold] for threshold in GDT_HA_A])),
        "rmsd_a": float(rmsd(found.double(), truth.double())),
    }  # fmt: skip


def residue_lddt(model: np.ndarray, native: np.ndarray) -> np.ndarray:
    """lDDT of the C-alpha atom of each residue [L] in 0-1, NaN where one of them lacks it."""
    seen = np.isfinite(model[:, CA, 0]) & np.isfinite(native[:, CA, 0])
    found, truth = (torch.nan_to_num(_tensor(atoms[:, CA])) for atoms in (model, native))
    return np.where(seen, lddt(found, truth, _tensor(seen), per_point=True).numpy(), np.nan)


def contact_scores(contacts: np.ndarray, native: np.ndarray, types: np.ndarray, place: np.ndarray) -> dict[str, float]:
    """Precision of contacts [L, L]: p_long_l5, p_long_l2 and so on; see `metrics.contacts`.

    place  [L] int64, number of each residue in the sequence

    Native contacts are between C-beta atoms (C-alpha of glycine; where only backbones are known, where C-beta atoms
    ideally stand), and between C-alpha atoms of chains that have only these.
    """
    points = _tensor(beta_positions(native, types))
    distances = (points[:, None] - points[None]).norm(dim=-1)
    mask = torch.isfinite(points[:, 0])
    scores, residues = _tensor(contacts), torch.from_numpy(place)
    return {
        f"p_{range}_{name}": float(contact_precision(scores, distances, mask, range, divisor, residues))
        for range, (name, divisor) in product(RANGES, DIVISORS.items())
    }


def state_scores(predicted: str, states: np.ndarray) -> dict[str, float]:
    """q3 and q8 of predicted letters against states [L], indices into `STATES`, where they are known."""
    found = torch.tensor([STATES.index(letter) for letter in predicted])
    truth = torch.from_numpy(states.astype(np.int64))
    known = float((states != UNKNOWN_STATE).sum())
    return {"q3": float(q3(found, truth)), "q8": float(q8(found, truth)), "states": known}


def stereochemistry(types: np.ndarray, coords: np.ndarray, place: np.ndarray | None = None) -> dict[str, float]:
    """Whether a structure [L, 37, 3] is chemically possible, in shares and clashes per 100 residues.

    ca_steps                 neighbours whose C-alpha atoms are 3.8 +- 0.1 Å apart
    bonds                    covalent bonds within 0.05 Å of the textbook's
    clashes                  per 100 residues
    ramachandran_favoured, ramachandran_outlier
    place                    [L], see `contact_scores`: residues are bonded where it rises by one (default: all)
    """
    kinds, mask = torch.from_numpy(types), _tensor(np.isfinite(coords[..., 0]))
    follows = torch.ones(len(types), dtype=torch.bool)
    if place is not None:
        follows = torch.from_numpy(np.diff(place, prepend=place[0]) == 1)
    atoms = torch.nan_to_num(_tensor(coords))
    atom14, mask14 = atom37_to_atom14(kinds, atoms), atom37_to_atom14(kinds, mask[..., None])[..., 0].bool()
    regions = ramachandran(*torsions_of_chain(kinds, atoms, mask, follows), kinds)
    known = regions.known.clamp_min(1)
    return {
        "ca_steps": float(chain_steps(atoms[:, CA], mask[:, CA], follows)),
        "bonds": float(bond_lengths(atom14, mask14, kinds)),
        "clashes": 100 * float(clashes(atom14, mask14, kinds)) / len(types),
        "ramachandran_favoured": float(regions.favoured / known),
        "ramachandran_outlier": float(regions.outlier / known),
    }


def beta_positions(native: np.ndarray, types: np.ndarray) -> np.ndarray:
    """Between what contacts [L, 3] are: see `contact_scores`; NaN where nothing is known."""
    backbone = torch.from_numpy(np.ascontiguousarray(native[:, [N, CA, C]]))
    ideal = virtual_c_beta(backbone).numpy()
    ideal[types == TYPE_OF_LETTER["G"]] = np.nan
    known = np.where(np.isfinite(native[:, CB]), native[:, CB], ideal)
    return np.where(np.isfinite(known), known, native[:, CA])


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))
