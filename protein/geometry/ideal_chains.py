"""Synthetic chains of helices, strands and turns at textbook torsions: for demonstrations and tests, never as data.

Torsions: Ramachandran & Sasisekharan, Adv. Protein Chem. 23, 283 (1968), doi:10.1016/S0065-3233(08)60402-7;
turns: Sibanda, Blundell & Thornton, J. Mol. Biol. 206, 759 (1989), doi:10.1016/0022-2836(89)90583-4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from protein.data.residues import types_of
from protein.geometry.all_atom import frames_of_torsions, place_atoms
from protein.geometry.chain_growth import grow_backbone
from protein.geometry.torsions import sine_cosine

ALPHA, EXTENDED, POLYPROLINE = (-57.8, -47.0), (-120.0, 130.0), (-75.0, 150.0)
"""(phi, psi) of residues in degrees."""

TURN_I_PRIME = ((60.0, 30.0), (90.0, 0.0))
TURN_II_PRIME = ((60.0, -120.0), (-80.0, 0.0))
"""(phi, psi) of the two residues between the strands of a hairpin."""

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
    """Two strands of `arm` residues, twisted as in proteins, around a type I' turn."""
    return Segment((HAIRPIN_ARM,) * arm + TURN_I_PRIME + (HAIRPIN_ARM,) * arm)


HAIRPIN_ARM = (-115.0, 135.0)


def build(sequence: str, segments: Sequence[Segment]) -> Tensor:
    """All heavy atoms [N, 14, 3] in Å, float32, of a sequence whose residues the segments cover one by one.

    Raises ValueError where the lengths differ.
    """
    pairs = [pair for segment in segments for pair in segment.torsions]
    if len(pairs) != len(sequence):
        raise ValueError(f"the segments have {len(pairs)} residues, the sequence {len(sequence)}")
    types = torch.from_numpy(types_of(sequence))
    phi, psi = torch.deg2rad(torch.tensor(pairs, dtype=torch.float64)).unbind(-1)
    omega = torch.full_like(phi, math.pi)
    backbone = grow_backbone(types, omega, phi, psi)
    chi = torch.deg2rad(torch.tensor(ROTAMER, dtype=torch.float64)).expand(len(sequence), 4)
    torsions = sine_cosine(torch.cat([torch.stack([omega, phi, psi], -1), chi], -1))
    return place_atoms(types, frames_of_torsions(types, backbone, torsions)).float()
