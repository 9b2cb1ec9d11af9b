"""Synthetic chains of helices, strands and turns at textbook torsions: for demonstrations and tests, never as data.

Torsions: Ramachandran & Sasisekharan, Adv. Protein Chem. 23, 283 (1968), doi:10.1016/S0065-3233(08)60402-7;
turns: Hutchinson & Thornton, Protein Sci. 3, 2207 (1994), doi:10.1002/pro.5560031206.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from protein.data.residues import types_of
from protein.geometry.all_atom import frames_of_torsions, place_atoms
from protein.geometry.chain_growth import grow_backbone
from protein.geometry.torsions import sine_cosine

ALPHA, EXTENDED, POLYPROLINE = (-57.8, -47.0), (-120.0, 130.0), (-75.0, 150.0)
"""(phi, psi) of residues in degrees."""

HAIRPIN_ARM = (-120.0, 135.0)
TURN_I_PRIME = ((55.0, 38.0), (78.0, 20.0))
"""(phi, psi) of the strands of a hairpin and of the two residues between them."""

ROTAMER = (-65.0, 180.0, 180.0, 180.0)
"""Side-chain torsions given to every residue."""


@dataclass(frozen=True)
class Segment:
    """A stretch of residues with these backbone torsions (phi, psi), degrees."""

    torsions: tuple[tuple[float, float], ...]


def helix(length: int) -> Segment:
    """An alpha helix."""
    return Segment((ALPHA,) * length)


def strand(length: int) -> Segment:
    """An extended strand."""
    return Segment((EXTENDED,) * length)


def loop(length: int) -> Segment:
    """A polyproline-like stretch."""
    return Segment((POLYPROLINE,) * length)


def hairpin(arm: int) -> Segment:
    """Two strands of `arm` residues around a type I' turn; beyond six or so the ends drift apart."""
    return Segment((HAIRPIN_ARM,) * arm + TURN_I_PRIME + (HAIRPIN_ARM,) * arm)


def build(sequence: str, segments: Sequence[Segment]) -> Tensor:
    """All heavy atoms [N, 14, 3] in Å, float32, of a sequence whose residues the segments cover one by one.

    Raises ValueError where the lengths differ.
    """
    return build_all([sequence], [segments])[0]


def build_all(sequences: Sequence[str], chains: Sequence[Sequence[Segment]]) -> list[Tensor]:
    """As `build`, of many chains at once."""
    pairs = [[pair for segment in segments for pair in segment.torsions] for segments in chains]
    for sequence, found in zip(sequences, pairs, strict=True):
        if len(found) != len(sequence):
            raise ValueError(f"the segments have {len(found)} residues, the sequence {len(sequence)}")
    longest = max(map(len, sequences))
    types = torch.from_numpy(np.stack([types_of(sequence.ljust(longest, "X")) for sequence in sequences]))
    padded = [found + [EXTENDED] * (longest - len(found)) for found in pairs]
    phi, psi = torch.deg2rad(torch.tensor(padded, dtype=torch.float64)).unbind(-1)
    omega = torch.full_like(phi, math.pi)
    backbone = grow_backbone(types, omega, phi, psi)
    chi = torch.deg2rad(torch.tensor(ROTAMER, dtype=torch.float64)).expand(*types.shape, 4)
    torsions = sine_cosine(torch.cat([torch.stack([omega, phi, psi], -1), chi], -1))
    atoms = place_atoms(types, frames_of_torsions(types, backbone, torsions)).float()
    return [found[: len(sequence)] for found, sequence in zip(atoms, sequences, strict=True)]
