"""Share of residues whose secondary structure is predicted as it is: Q3 of helix, strand and coil, Q8 of all states.

Rost & Sander, J. Mol. Biol. 232, 584 (1993), doi:10.1006/jmbi.1993.1413; states of `data.states`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from protein.data.states import STATES, THREE_STATES, UNKNOWN_STATE

THREE = "HEC"
TO_THREE = tuple(THREE.index(THREE_STATES[state]) for state in STATES)


def q8(predicted: Tensor, true: Tensor) -> Tensor:
    """Share [...] of states [..., N] that agree, where `true` is not -1; NaN where none is defined."""
    defined = true != UNKNOWN_STATE
    total = defined.sum(-1)
    return ((predicted == true) & defined).sum(-1) / total


def q3(predicted: Tensor, true: Tensor) -> Tensor:
    """As `q8`, of eight states [..., N] in the order of `STATES`, reduced to three."""
    return q8(to_three(predicted), to_three(true))


def to_three(states: Tensor) -> Tensor:
    """Indices into `THREE` of eight states [..., N]; -1 stays -1."""
    table = torch.tensor([*TO_THREE, UNKNOWN_STATE], device=states.device)
    return table[states]
