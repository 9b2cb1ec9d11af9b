"""Small movements that make a predicted chain chemically possible: peptide bonds, planar trans peptides, no clashes.

Residues stay rigid but for their torsions, so bonds within them keep their ideal lengths. What is minimised is a sum of
squares: distances across each peptide bond from their textbook values, the ring of proline, which has to close and to
lie in the plane of its peptide bond, overlaps of atoms, and how far C-alpha atoms have gone from where they were
predicted. A prediction may be a heap, in which atoms pull in all directions; so residues are first pulled apart as a
whole, by their C-alpha atoms and centres. Then it goes on while atoms clash and there is anything to gain.
Shapes: N residues of one chain.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from protein.data.residues import COLUMN14, TYPE_OF_NAME, UNKNOWN
from protein.geometry.all_atom import frames_of_torsions, place_atoms
from protein.geometry.chain_growth import grow_backbone
from protein.geometry.distance_bounds import Bounds
from protein.geometry.frames import Frames
from protein.geometry.ideal_geometry import BOND_MEAN
from protein.geometry.movable_chain import MOVES, MovableChain
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

C_CD_A, C_CD_WIDTH_A = 2.4, 0.05
"""Least distance of the C before a proline from its CD, and the deviation that costs 1. It is 2.51 Å where the ring
lies in the plane of the peptide bond, as it must, and less with any other phi."""

COARSE_PEPTIDE, COARSE_WIDTH_A, COARSE_STAY_A, COARSE_REACH_A = 0.2, 0.3, 2.0, 3.0
"""While residues are pulled apart: the share of a peptide's error that counts, what else costs 1, and how much farther
residues may be that are watched."""

ROUNDS, STEPS, MEMORY = 20, 25, 20
"""Rounds of each stage at most, steps of the optimiser in one, and how many of these it remembers; then pairs of atoms
are searched for again."""

COARSE_ENOUGH, ENOUGH, HARDLY = 0.3, 0.1, 0.02
"""A round in which the cost falls by less than this share is the last: of those that pull residues apart, where no
atoms clash, and where some do."""

NOTHING = 1e-12
"""A cost of which no share is taken."""


def relax(types: Tensor, backbone: Frames, torsions: Tensor, follows: Tensor) -> Tensor:
    """Atoms [N, 14, 3] in Å near those of a prediction.

    types     [N] int64
    backbone  [N]
    torsions  [N, 7, 2] sine and cosine
    follows   [N] bool, bonded to the residue before

    Limited-memory BFGS (Liu & Nocedal, Math. Program. 45, 503 (1989), doi:10.1007/BF01589116).
    """
    chain = _Relaxation(types.clamp(max=UNKNOWN), backbone, torsions, follows)
    move = torch.zeros(len(types), MOVES, dtype=torch.float64)
    for _ in range(ROUNDS):
        move, gain = chain.descend(move, chain.coarse_bounds(move), COARSE_STAY_A)
        if gain < COARSE_ENOUGH:
            break
    near = chain.near(move)
    for _ in range(ROUNDS):
        move, gain = chain.descend(move, Bounds.joined([chain.bonds, near]), STAY_A)
        near = chain.near(move)
        clash = bool((near.missed(chain.points(move)) < -MARGIN_A).any())
        if gain < (HARDLY if clash else ENOUGH):
            break
    return chain.pose(move).atoms.to(backbone.translation.dtype)


class _Relaxation(MovableChain):
    """A predicted chain and what it should become. Points of bounds: 14 N atoms, then N centres of residues."""

    def __init__(self, types: Tensor, backbone: Frames, torsions: Tensor, follows: Tensor) -> None:
        super().__init__(types, backbone, torsions)
        self.peptides = peptide_bonds(follows)
        self.bonds = Bounds.joined([self.peptides, ring_bonds(types, follows)])
        self.bonded = torch.diag(follows[1:], 1)
        has = look_up("has_atom14", types).double()
        self.share = (has / has.sum(-1, keepdim=True))[..., None]

    def descend(self, move: Tensor, bounds: Bounds, stay_a: float) -> tuple[Tensor, float]:
        """The move after one round, and the share by which that lowered the cost."""
        costs: list[float] = []

        def cost(flat: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = self.cost(torch.from_numpy(flat).view_as(move), bounds, stay_a)
            costs.append(float(value))
            return costs[-1], gradient.flatten().numpy()

        start, options = move.flatten().numpy(), {"maxiter": STEPS, "maxcor": MEMORY}
        found = minimize(cost, start, jac=True, method="L-BFGS-B", options=options)
        return torch.from_numpy(found.x).view_as(move), 1 - found.fun / max(costs[0], NOTHING)

    def cost(self, move: Tensor, bounds: Bounds, stay_a: float) -> tuple[Tensor, Tensor]:
        """What is minimised, and its gradient [N, 13]."""
        pose = self.pose(move)
        cost, by_point = bounds.cost(self._points(pose.atoms))
        by_atom, by_centre = by_point.split([14 * len(move), len(move)])
        by_atom = by_atom.view_as(pose.atoms) + self.share * by_centre[:, None]
        gone = (pose.atoms[:, 1] - self.backbone.translation) / stay_a
        by_atom[:, 1] += 2 / stay_a * gone
        return cost + gone.square().sum(), self.gradient(pose, by_atom)

    def points(self, move: Tensor) -> Tensor:
        """[15 N, 3] in Å."""
        return self._points(self.pose(move).atoms)

    def coarse_bounds(self, move: Tensor) -> Bounds:
        """Peptide bonds, and residues that are too near or may soon be."""
        atoms, centres = self.points(move).split([14 * len(move), len(move)])
        number = torch.arange(len(move))
        ca, centre = (atoms[1::14], 14 * number + 1), (centres, number + 14 * len(move))
        found = [replace(self.peptides, weight=COARSE_PEPTIDE**2 * self.peptides.weight)]
        for one, other, least in (
            (ca, ca, CA_A), (centre, centre, CENTRE_A), (ca, centre, CA_CENTRE_A), (centre, ca, CA_CENTRE_A)
        ):  # fmt: skip
            near = torch.cdist(one[0], other[0]) < least + COARSE_REACH_A
            first, second = torch.nonzero(near.triu(1) & ~self.bonded, as_tuple=True)
            lowest = torch.full_like(first, least, dtype=torch.float64)
            if one is other is ca:
                lowest[second - first == 2] = CA_TWO_APART_A
            found.append(Bounds.of(one[1][first], other[1][second], lowest, torch.inf, COARSE_WIDTH_A**-2))
        return Bounds.joined(found)

    def near(self, move: Tensor) -> Bounds:
        """Atoms that clash, or may soon."""
        return near_pairs(self.pose(move).atoms, self.types)

    def _points(self, atoms: Tensor) -> Tensor:
        return torch.cat([atoms.flatten(0, 1), (atoms * self.share).sum(1)])


def peptide_bonds(follows: Tensor) -> Bounds:
    """Distances across each peptide bond."""
    (after,) = torch.nonzero(follows[1:], as_tuple=True)
    pairs = [
        Bounds.of(14 * after + one, 14 * (after + 1) + other, distance, distance, PEPTIDE_A**-2)
        for (one, other), distance in zip(PEPTIDE_PAIRS, _peptide_distances(), strict=True)
    ]
    return Bounds.joined(pairs)


def ring_bonds(types: Tensor, follows: Tensor) -> Bounds:
    """The rings of prolines: the bond N-CD, whose length depends on their torsions, and CD far from the C before."""
    proline, nitrogen, carbon = TYPE_OF_NAME["PRO"], 0, 2
    delta = COLUMN14[proline]["CD"]
    (where,) = torch.nonzero(types == proline, as_tuple=True)
    length = float(BOND_MEAN[proline, nitrogen, delta])
    closed = Bounds.of(14 * where + nitrogen, 14 * where + delta, length, length, PEPTIDE_A**-2)
    joined = where[follows[where]]
    flat = Bounds.of(14 * (joined - 1) + carbon, 14 * joined + delta, C_CD_A, torch.inf, C_CD_WIDTH_A**-2)
    return Bounds.joined([closed, flat])


def near_pairs(atom14: Tensor, types: Tensor) -> Bounds:
    """The pairs of a chain's atoms [N, 14, 3] that clash or may soon, kept a margin farther apart.

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
    least = lowest[pair, one, other] + MARGIN_A
    return Bounds.of(14 * i[pair] + one, 14 * j[pair] + other, least, torch.inf, OVERLAP_WIDTH_A**-2)


@cache
def _peptide_distances() -> Tensor:
    """[6] Å, of PEPTIDE_PAIRS in two ideal residues."""
    types = torch.zeros(2, dtype=torch.long)
    straight = torch.full((2,), torch.pi, dtype=torch.float64)
    backbone = grow_backbone(types, straight, straight, straight)
    extended = torch.tensor([0.0, -1.0], dtype=torch.float64).expand(2, 7, 2)
    atoms = place_atoms(types, frames_of_torsions(types, backbone, extended))
    return torch.stack([(atoms[0, one] - atoms[1, other]).norm() for one, other in PEPTIDE_PAIRS])
