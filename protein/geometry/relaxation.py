"""Small movements that make a predicted chain chemically possible: peptide bonds, planar trans peptides, no clashes.

Residues stay rigid but for their torsions, so bonds within them keep their ideal lengths. What is minimised is a sum of
squares: distances across each peptide bond from their textbook values, the bond that closes the ring of proline,
overlaps of atoms, and how far C-alpha atoms have gone from where they were predicted. A prediction may be a heap, in
which atoms pull in all directions; so residues are first pulled apart as a whole, by their C-alpha atoms and centres.
Shapes: N residues of one chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import NamedTuple

import torch
from torch import Tensor

from protein.data.residues import COLUMN14, TYPE_OF_NAME, UNKNOWN
from protein.geometry.all_atom import frames_of_torsions, place_atoms
from protein.geometry.chain_growth import grow_backbone
from protein.geometry.frames import Frames, length
from protein.geometry.ideal_geometry import BOND_MEAN
from protein.geometry.overlaps import OVERLAP_A
from protein.geometry.residue_tables import look_up

PEPTIDE_PAIRS = ((2, 0), (1, 0), (2, 1), (1, 1), (3, 0), (3, 1))
"""Atoms (columns of atom14) of a residue and the next whose distances fix a planar peptide: C-N, CA-N, C-CA, CA-CA,
O-N, O-CA."""

PEPTIDE_A, OVERLAP_WIDTH_A, STAY_A = 0.02, 0.1, 1.0
"""Deviations that cost 1 each: of a peptide's distance, of an overlap, of a C-alpha atom from its predicted place."""

MARGIN_A = 0.15
"""Atoms are kept this much farther apart than counts as a clash."""

REACH_A = 1.0
"""Pairs of atoms that are within this of a clash are watched until the next search."""

CA_TWO_APART_A, CA_A, CENTRE_A, CA_CENTRE_A = 4.8, 4.0, 4.1, 4.1
"""Least distances of C-alpha atoms of residues two apart and of others, of centres of residues, and of a C-alpha atom
from a centre: of the pairs below 8 Å in pdb5k's all-atom validation chains at most five in a thousand are closer."""

COARSE_PEPTIDE, COARSE_WIDTH_A, COARSE_STAY_A, COARSE_REACH_A = 0.2, 0.3, 2.0, 3.0
"""While residues are pulled apart: the share of a peptide's error that counts, what else costs 1, and how much farther
residues may be that are watched."""

ROUNDS, STEPS = 20, 25
"""Rounds of each stage at most, and steps of the optimiser in one; then pairs of atoms are searched for again."""

ENOUGH = 0.1
"""A round in which the cost falls by less than this share is the last."""

MOVES = 3 + 3 + 7
"""Ways that a residue can move: a turn, a shift, and seven torsions."""


class Pairs(NamedTuple):
    """Atoms that clash or may soon: two indices into the 14 N atoms [P], and the least distance allowed [P] in Å."""

    first: Tensor
    second: Tensor
    lowest: Tensor


class Crowd(NamedTuple):
    """Points of residues that are too near or may soon be: C-alpha atoms (0) or centres (1) of residues [P], [P]."""

    one: int
    other: int
    first: Tensor
    second: Tensor
    lowest: Tensor


def relax(types: Tensor, backbone: Frames, torsions: Tensor, follows: Tensor) -> Tensor:
    """Atoms [N, 14, 3] in Å near those of a prediction.

    types     [N] int64
    backbone  [N]
    torsions  [N, 7, 2] sine and cosine
    follows   [N] bool, bonded to the residue before

    Limited-memory BFGS (Liu & Nocedal, Math. Program. 45, 503 (1989), doi:10.1007/BF01589116).
    """
    chain = _Chain(types.clamp(max=UNKNOWN), backbone, torsions, follows)
    move = torch.zeros(len(types), MOVES, dtype=torch.float64, device=types.device, requires_grad=True)
    with torch.enable_grad():
        for _ in range(ROUNDS):
            if not _falls(_optimizer(move), partial(chain.coarse_cost, move, chain.crowded(move))):
                break
        for _ in range(ROUNDS):
            pairs = near_pairs(chain.atoms(move).detach(), chain.types)
            if not _falls(_optimizer(move), partial(chain.cost, move, pairs)):
                break
    return chain.atoms(move).detach().to(backbone.translation.dtype)


class _Chain:
    """A predicted chain, to be moved by [N, 13]: a turn and a shift of each residue, and turns about its torsions."""

    def __init__(self, types: Tensor, backbone: Frames, torsions: Tensor, follows: Tensor) -> None:
        self.types, self.follows = types, follows
        self.backbone = Frames(backbone.rotation.detach().double(), backbone.translation.detach().double())
        self.sine, self.cosine = torsions.detach().double().unbind(-1)

    def atoms(self, move: Tensor) -> Tensor:
        """[N, 14, 3] in Å."""
        sine, cosine = torch.sin(move[:, 6:]), torch.cos(move[:, 6:])
        turned = [self.sine * cosine + self.cosine * sine, self.cosine * cosine - self.sine * sine]
        groups = frames_of_torsions(self.types, self.backbone.update(move[:, :6]), torch.stack(turned, -1))
        return place_atoms(self.types, groups)

    def coarse_cost(self, move: Tensor, crowded: Sequence[Crowd]) -> Tensor:
        """As `cost`, with residues instead of atoms; a prediction may be left by far."""
        atoms = self.atoms(move)
        points = self.points(atoms)
        errors = [
            COARSE_PEPTIDE * peptide_errors(atoms, self.follows),
            (atoms[:, 1] - self.backbone.translation) / COARSE_STAY_A,
        ]
        for crowd in crowded:
            apart = length(points[crowd.one][crowd.first] - points[crowd.other][crowd.second])
            errors.append(torch.relu(crowd.lowest - apart) / COARSE_WIDTH_A)
        return _sum_of_squares(errors, move)

    def points(self, atoms: Tensor) -> tuple[Tensor, Tensor]:
        """C-alpha atoms and centres of residues [N, 3]."""
        has = look_up("has_atom14", self.types)[..., None]
        return atoms[:, 1], (atoms * has).sum(1) / has.sum(1)

    def crowded(self, move: Tensor) -> list[Crowd]:
        """Residues two or more apart that are too near, or may soon be."""
        points = self.points(self.atoms(move).detach())
        found = []
        for one, other, least in ((0, 0, CA_A), (1, 1, CENTRE_A), (0, 1, CA_CENTRE_A), (1, 0, CA_CENTRE_A)):
            near = torch.cdist(points[one], points[other]) < least + COARSE_REACH_A
            first, second = torch.nonzero(near.triu(2), as_tuple=True)
            lowest = torch.full_like(first, least, dtype=torch.float64)
            if one == other == 0:
                lowest[second - first == 2] = CA_TWO_APART_A
            found.append(Crowd(one, other, first, second, lowest))
        return found

    def cost(self, move: Tensor, pairs: Pairs) -> Tensor:
        """What is minimised; its gradient goes to `move`."""
        atoms = self.atoms(move)
        flat = atoms.flatten(0, 1)
        overlap = torch.relu(pairs.lowest + MARGIN_A - length(flat[pairs.first] - flat[pairs.second]))
        gone = atoms[:, 1] - self.backbone.translation
        errors = [peptide_errors(atoms, self.follows), ring_errors(atoms, self.types), overlap / OVERLAP_WIDTH_A,
                  gone / STAY_A]  # fmt: skip
        return _sum_of_squares(errors, move)


def peptide_errors(atom14: Tensor, follows: Tensor) -> Tensor:
    """Deviations [N - 1, 6] of the distances across peptide bonds, in units of PEPTIDE_A; zero where there is none."""
    ideal = _peptide_distances().to(atom14)
    before, after = ([pair[side] for pair in PEPTIDE_PAIRS] for side in range(2))
    return (length(atom14[:-1, before] - atom14[1:, after]) - ideal) / PEPTIDE_A * follows[1:, None]


def ring_errors(atom14: Tensor, types: Tensor) -> Tensor:
    """Deviations of the bond N-CD of prolines from its length, in units of PEPTIDE_A: it depends on their torsions."""
    proline = TYPE_OF_NAME["PRO"]
    nitrogen, delta = 0, COLUMN14[proline]["CD"]
    atoms = atom14[types == proline]
    return (length(atoms[:, nitrogen] - atoms[:, delta]) - BOND_MEAN[proline, nitrogen, delta]) / PEPTIDE_A


def near_pairs(atom14: Tensor, types: Tensor) -> Pairs:
    """The pairs of a chain's atoms [N, 14, 3].

    As for `overlaps`, atoms of one residue, those of a peptide bond and two sulphurs of cysteines do not count.
    """
    has = look_up("has_atom14", types)
    ca = atom14[:, 1]
    extent = ((atom14 - ca[:, None]).norm(dim=-1) * has).amax(-1)
    widest = 2 * float(look_up("radius14", types, atom14.dtype).max()) - OVERLAP_A + REACH_A
    close = torch.cdist(ca, ca) < extent[:, None] + extent + widest
    i, j = torch.nonzero(close.triu(1), as_tuple=True)
    radius = look_up("radius14", types, atom14.dtype)
    lowest = radius[i, :, None] + radius[j, None, :] - OVERLAP_A
    counts = has[i, :, None] & has[j, None, :]
    carbon, nitrogen, cysteine = 2, 0, TYPE_OF_NAME["CYS"]
    sulphur = COLUMN14[cysteine]["SG"]
    counts[j - i == 1, carbon, nitrogen] = False
    counts[(types[i] == cysteine) & (types[j] == cysteine), sulphur, sulphur] = False
    pair, one, other = torch.nonzero(counts & (torch.cdist(atom14[i], atom14[j]) < lowest + REACH_A), as_tuple=True)
    return Pairs(i[pair] * 14 + one, j[pair] * 14 + other, lowest[pair, one, other])


def _optimizer(move: Tensor) -> torch.optim.LBFGS:
    return torch.optim.LBFGS([move], max_iter=STEPS, line_search_fn="strong_wolfe")


def _falls(optimizer: torch.optim.LBFGS, cost: Callable[[], Tensor]) -> bool:
    """Move for one round; whether that was worth another."""
    before = optimizer.step(cost)
    return bool(cost() < (1 - ENOUGH) * before)


def _sum_of_squares(errors: Sequence[Tensor], move: Tensor) -> Tensor:
    total = torch.stack([error.square().sum() for error in errors]).sum()
    (move.grad,) = torch.autograd.grad(total, [move])
    return total.detach()


@cache
def _peptide_distances() -> Tensor:
    """[6] Å, of PEPTIDE_PAIRS in two ideal residues."""
    types = torch.zeros(2, dtype=torch.long)
    straight = torch.full((2,), torch.pi, dtype=torch.float64)
    backbone = grow_backbone(types, straight, straight, straight)
    extended = torch.tensor([0.0, -1.0], dtype=torch.float64).expand(2, 7, 2)
    atoms = place_atoms(types, frames_of_torsions(types, backbone, extended))
    return torch.stack([(atoms[0, one] - atoms[1, other]).norm() for one, other in PEPTIDE_PAIRS])
