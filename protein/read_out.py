"""From what a model returns to predictions.  Shapes: B chains, N residues of the longest, L of one, K bins."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from common.app.errors import NumericalError
from protein.data.residues import COLUMN37, HAS_ATOM37, TYPE_OF_NAME, UNKNOWN, types_of
from protein.data.states import STATES
from protein.geometry.all_atom import frames_of_torsions, place_atoms
from protein.geometry.atom_layout import atom14_to_atom37
from protein.geometry.distance_fit import carried, expected_lddt, fit_distances
from protein.geometry.frames import Frames
from protein.geometry.relaxation import relax
from protein.geometry.secondary_structure import assign
from protein.losses.confidence import expected_aligned_error
from protein.losses.distogram import contact_probability
from protein.losses.secondary import most_probable
from protein.model_inputs import Query
from protein.models.chunking import slices
from protein.models.fold_output import FoldOutput
from protein.prediction import Prediction

ROWS = 64
"""Of pairs whose probabilities are computed at a time."""

BACKBONE = [COLUMN37[name] for name in ("N", "CA", "C", "O")]


def predictions_of(
    output: FoldOutput, queries: Sequence[Query], distogram: bool = False, fitted: bool = False, relaxed: bool = False
) -> list[Prediction]:
    """One prediction a query; raises NumericalError where coordinates are not finite.

    distogram  also keep the probabilities of distances
    fitted     move the trace to where most of the predicted distances are kept, see `geometry.distance_fit`; pLDDT is
               then what these distances make of it, not what the model's head says
    relaxed    move atoms a little, until the chain is chemically possible, see `geometry.relaxation`
    """
    plddt = output.plddt()
    if plddt.ndim == 3:  # of every atom
        plddt = plddt[..., COLUMN37["CA"]]
    ptm = None if output.aligned_error is None else output.ptm()
    found = []
    for row, query in enumerate(queries):
        own_ptm = None if ptm is None else float(ptm[row])
        atoms, expected = _finished(output, row, query, fitted, relaxed)
        confidence = plddt[row] if expected is None else expected
        found.append(_prediction(output, row, query, atoms, confidence, own_ptm, distogram))
    return found


def _finished(output: FoldOutput, row: int, query: Query, fitted: bool, relaxed: bool) -> tuple[Tensor, Tensor | None]:
    """Atoms [L, 14, 3] in Å, on the CPU, and the pLDDT [L] that distances give, where they were fitted to."""
    structure, length = output.structure, len(query.sequence)
    atoms = structure.atom14[row, :length].float().cpu()
    if not bool(torch.isfinite(atoms).all()):
        raise NumericalError(f"{query.id}: coordinates are not finite; expected finite ones, try dtype='float32'")
    if length < 2 or not (fitted or relaxed):
        return atoms, None
    types = torch.from_numpy(types_of(query.sequence)).clamp(max=UNKNOWN)
    frames = Frames(*(part[-1, row, :length].float().cpu() for part in vars(structure.frames).values()))
    torsions = structure.torsions[-1, row, :length].float().cpu()
    follows = torch.ones(length, dtype=torch.bool)
    follows[0] = False
    if query.place is not None:
        follows = torch.from_numpy(np.diff(query.place, prepend=query.place[0] - 2) == 1)
    if not fitted:
        return relax(types, frames, torsions, follows), None
    logits = output.distogram[row, :length, :length].cpu()
    frames = carried(frames, fit_distances(types, frames.translation, logits, follows), follows)
    atoms = place_atoms(types, frames_of_torsions(types, frames, torsions))
    if relaxed:
        atoms = relax(types, frames, torsions, follows)
    return atoms, 100 * expected_lddt(types, atoms[:, 1], logits, follows)


def _prediction(
    output: FoldOutput, row: int, query: Query, atoms: Tensor, plddt: Tensor, ptm: float | None, distogram: bool
) -> Prediction:
    length, types = len(query.sequence), types_of(query.sequence)
    coords = atom14_to_atom37(torch.from_numpy(types), atoms).numpy()
    coords[~HAS_ATOM37[types]] = np.nan
    secondary, error = output.secondary, output.aligned_error
    probabilities, contacts = _distances(output.distogram[row, :length, :length], distogram)
    return Prediction(
        id=query.id,
        sequence=query.sequence,
        coords=coords,
        plddt=plddt[:length].cpu().numpy(),
        contacts=contacts,
        secondary=from_coordinates(coords, types) if secondary is None else _letters(secondary[row, :length]),
        pae=None if error is None else _by_rows(expected_aligned_error, error[row, :length, :length]),
        ptm=ptm,
        distogram=probabilities,
        changes=query.changes,
    )


def from_coordinates(coords: np.ndarray, types: np.ndarray) -> str:
    """Secondary structure [L] by DSSP of atom37 coordinates [L, 37, 3] in Å and residue types [L]."""
    return assign(coords[:, BACKBONE], types == TYPE_OF_NAME["PRO"])


def _letters(logits: Tensor) -> str:
    return "".join(STATES[state] for state in most_probable(logits).tolist())


def _distances(logits: Tensor, keep: bool) -> tuple[np.ndarray | None, np.ndarray]:
    """Probabilities [L, L, K] float16 if they are kept, and those of contacts [L, L], from logits [L, L, K]."""
    contacts = np.empty(logits.shape[:2], np.float32)
    probabilities = np.empty(logits.shape, np.float16) if keep else None
    for where in slices(len(logits), ROWS):
        part = logits[where].float().softmax(-1).cpu()
        contacts[where] = contact_probability(part).numpy()
        if probabilities is not None:
            probabilities[where] = part.numpy()
    return probabilities, contacts


def _by_rows(function: Callable[[Tensor], Tensor], logits: Tensor) -> np.ndarray:
    return torch.cat([function(logits[where]).cpu() for where in slices(len(logits), ROWS)]).numpy()
