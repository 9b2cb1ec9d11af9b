"""A chain of rigid residues that turn, shift and twist, and how a force on its atoms moves them.

The derivative by an angle is the torque about its axis, so that no graph of operations is needed.
Shapes: N residues of one chain.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from protein.data.residues import HAS_ATOM14
from protein.geometry.all_atom import frames_of_torsions, place_atoms
from protein.geometry.frames import Frames
from protein.geometry.ideal_geometry import CHI_GROUPS, GROUP_OF_ATOM14, GROUPS

MOVES = 3 + 3 + 7
"""Ways that a residue can move: a turn, a shift, and seven torsions."""

_group = np.arange(GROUPS)[:, None]
_carrier = GROUP_OF_ATOM14[:, None, :]
_hangs_on = (_group == 0) | (_carrier == _group) | ((_group >= CHI_GROUPS.start) & (_carrier >= _group))
MOVED_ATOMS = torch.from_numpy(_hangs_on & HAS_ATOM14[:, None, :]).double()
"""[21, 8, 14]: 1 for the atoms that move with a group: all with the backbone, later ones with each chi."""


class Pose(NamedTuple):
    """Atoms [N, 14, 3] in Å, zero where there is none; the groups [N, 8] that carry them; the turn [N, 3] taken."""

    atoms: Tensor
    groups: Frames
    turn: Tensor


class MovableChain:
    """Backbones and torsions to start from, in double precision.

    A move is [N, 13]: a turn as for `Frames.update`, a shift in the residue's axes in Å, and turns about the seven
    torsions in radians.
    """

    def __init__(self, types: Tensor, backbone: Frames, torsions: Tensor) -> None:
        self.types, self.backbone = types, backbone.to(torch.float64)
        self.sine, self.cosine = torsions.double().unbind(-1)
        self.moved = MOVED_ATOMS[types]

    def pose(self, move: Tensor) -> Pose:
        """Where a move takes the atoms."""
        sine, cosine = torch.sin(move[:, 6:]), torch.cos(move[:, 6:])
        turned = [self.sine * cosine + self.cosine * sine, self.cosine * cosine - self.sine * sine]
        groups = frames_of_torsions(self.types, self.backbone.update(move[:, :6]), torch.stack(turned, -1))
        return Pose(place_atoms(self.types, groups), groups, move[:, :3])

    def gradient(self, pose: Pose, by_atom: Tensor) -> Tensor:
        """By the move [N, 13], of what has the gradient [N, 14, 3] by atoms.

        A small turn by w about the origin o of a group changes it by w . sum of (x - o) x force over its atoms x.
        """
        turning = torch.linalg.cross(pose.atoms, by_atom)
        force, torque = (self.moved @ torch.cat([by_atom, turning], -1)).split(3, -1)
        torque = torque - torch.linalg.cross(pose.groups.translation, force)
        twist = (pose.groups.rotation[..., 0] * torque).sum(-1)
        shift = (self.backbone.rotation * force[:, 0, :, None]).sum(-2)
        own = (pose.groups.rotation[:, 0] * torque[:, 0, :, None]).sum(-2)
        # The quaternion (1, b) changed by d turns by 2 (d - b x d) / (1 + b b) about the residue's own axes.
        turn = 2 * (own + torch.linalg.cross(pose.turn, own)) / (1 + pose.turn.square().sum(-1, keepdim=True))
        return torch.cat([turn, shift, twist[:, 1:]], -1)
