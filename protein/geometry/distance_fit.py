"""Moves a trace of C-alpha atoms to where the most of its short distances are expected to be kept.

A structure module finds one chain for all that a network holds possible, and what is uncertain draws it together. The
distogram knows more. For every pair of residues and every distance between them it tells the expected lDDT, the
score of Mariani et al. (Bioinformatics 29, 2722 (2013), doi:10.1093/bioinformatics/btt473); their sum is maximised from
the structure module's trace on, as AlphaFold 1 descended on its distances (Senior et al., Nature 577, 706 (2020),
doi:10.1038/s41586-019-1923-7). C-beta atoms, between which distances are predicted, are placed by the trace, which so
also knows its hand. Shapes: N residues of one chain, K bins of a distogram, P pairs of residues, G distances.
"""

from __future__ import annotations

import torch
from torch import Tensor

from protein.data.residues import TYPE_OF_NAME, UNKNOWN
from protein.geometry.distance_bounds import Bounds, pulled, separation
from protein.geometry.frames import Frames
from protein.geometry.trace import c_beta_gradient, c_beta_of_trace
from protein.losses.distogram import edges
from protein.metrics.lddt import INCLUSION_A, THRESHOLDS_A

STEPS, RATE_A, DECAY, TINY = 300, 0.3, (0.9, 0.95), 1e-8
"""Of Adam (Kingma & Ba, arXiv:1412.6980); RATE_A is how far a coordinate moves in one of them at first."""

SEARCH_EVERY, REACH_A = 5, 2.0
"""Steps between searches for points that touch, and how much farther apart may be what is watched in between."""

SCORE = 3.0
"""What a kept distance is worth beside the errors of the chain."""

STEP_A, TWO_APART_A, APART_A = 3.8, (5.0, 7.2), 4.4
"""Distances of C-alpha atoms: of neighbours, the least and the largest of residues two apart, the least of others. That
is kept by C-beta atoms as well."""

STEP_COST, TWO_APART_COST, APART_COST = 20.0, 5.0, 2.0
"""Of the square of 1 Å by which these are missed, at the end; a tenth of it at the start."""

GRID_START_A, GRID_A, GRID_SIZE = 2.0, 0.25, 104
"""Distances at which expected scores are tabulated."""

SOFTNESS_A = 0.4
"""By how much thresholds of lDDT are softened, to have a gradient."""

NEAREST = 3
"""Pairs closer along the chain than this are left to the errors of the chain."""

HOPELESS = 0.3
"""Pairs less likely than this to be within reach of lDDT are left out: together they would press a long chain into a
heap, to gain a little from each."""


def fit_distances(types: Tensor, ca: Tensor, logits: Tensor, follows: Tensor) -> Tensor:
    """C-alpha atoms [N, 3] in Å.

    types    [N] int64
    ca       [N, 3] where to start, Å
    logits   [N, N, K] of distances between C-beta atoms, see `losses.distogram`
    follows  [N] bool, bonded to the residue before
    """
    scores, links, may_touch = _Scores(logits), _links(follows), _may_touch(follows)
    trace = ca.detach().double()
    mean, square = torch.zeros_like(trace), torch.zeros_like(trace)
    for step in range(STEPS):
        done = step / STEPS
        beta, placed = _beta(types, trace, follows)
        points = torch.cat([trace, beta])
        if step % SEARCH_EVERY == 0:
            touching = _touching(points, may_touch)
        errors = links.cost(points)[1] + touching.cost(points)[1]
        by_ca, by_beta = (min(1.0, 0.1 + 1.35 * done) * errors - SCORE * scores.gradient(points)).chunk(2)
        gradient = by_ca + by_beta * ~placed + c_beta_gradient(trace, by_beta * placed)
        mean.lerp_(gradient, 1 - DECAY[0])
        square.lerp_(gradient.square(), 1 - DECAY[1])
        pace = (square / (1 - DECAY[1] ** (step + 1))).sqrt() + TINY
        trace = trace - RATE_A * min(1.0, 2 * (1 - done)) / (1 - DECAY[0] ** (step + 1)) * mean / pace
    return trace.to(ca.dtype)


def expected_lddt(types: Tensor, ca: Tensor, logits: Tensor, follows: Tensor) -> Tensor:
    """Share [N] of its short distances that each residue of a trace keeps if the distogram is right, in 0-1.

    Arguments as of `fit_distances`.
    """
    beta, _ = _beta(types, ca.float(), follows)
    kept, all_ = (torch.zeros(len(types)) for _ in range(2))
    exact = _scores(logits.shape[-1], softness_a=None)
    within = (_centres(logits.shape[-1]) < INCLUSION_A).float()
    for row, distances in enumerate(torch.cdist(beta, beta)):
        chance = logits[row].float().softmax(-1)
        chance[row] = 0
        kept[row] = _looked_up(chance @ exact, distances).sum()
        all_[row] = (chance @ within).sum()
    return kept / all_.clamp_min(1e-6)


def carried(frames: Frames, ca: Tensor, follows: Tensor) -> Frames:
    """Backbones [N], each moved to its C-alpha atom [N, 3] and turned as the trace beside it has turned."""
    before, after = (_trace_frames(one, follows) for one in (frames.translation, ca.to(frames.translation)))
    return Frames(after @ before.mT @ frames.rotation, ca.to(frames.translation))


def _trace_frames(ca: Tensor, follows: Tensor) -> Tensor:
    """Rotations [N, 3, 3] of C-alpha atoms with their neighbours; of an end of the chain those of its neighbour."""
    if len(ca) < 3:
        return torch.eye(3, dtype=ca.dtype).expand(len(ca), 3, 3)
    last = ~torch.cat([follows[1:], follows.new_zeros(1)])
    middle = (torch.arange(len(ca)) + (~follows).long() - last.long()).clamp(1, len(ca) - 2)
    return Frames.from_axes(ca[middle], ca[middle + 1] - ca[middle], ca[middle - 1] - ca[middle]).rotation


class _Scores:
    """The expected scores of all pairs that may be near. Points: N C-alpha atoms, then N C-beta atoms."""

    def __init__(self, logits: Tensor) -> None:
        first, second, table = _pairs(logits)
        self.first, self.second = first + len(logits), second + len(logits)
        self.slopes = torch.diff(table) / GRID_A

    def gradient(self, points: Tensor) -> Tensor:
        """Of the sum of scores, linear between the distances tabulated, by points [2 N, 3]."""
        apart, distance = separation(points, self.first, self.second)
        place = (distance - GRID_START_A) / GRID_A
        low = place.long().clamp(0, GRID_SIZE - 2)
        slope = self.slopes.gather(1, low[:, None])[:, 0] * ((place >= 0) & (place < GRID_SIZE - 1))
        return pulled(points, self.first, self.second, apart, slope / distance)


def _links(follows: Tensor) -> Bounds:
    """Distances between neighbours, and between residues two apart."""
    (before,) = torch.nonzero(follows[1:], as_tuple=True)
    (start,) = torch.nonzero(follows[2:] & follows[1:-1], as_tuple=True)
    steps = Bounds.of(before, before + 1, STEP_A, STEP_A, STEP_COST)
    return Bounds.joined([steps, Bounds.of(start, start + 2, *TWO_APART_A, TWO_APART_COST)])


def _may_touch(follows: Tensor) -> Tensor:
    """Pairs of points [2 N, 2 N], each once, of residues three or more apart or not of one stretch of the chain."""
    residue, stretch = torch.arange(len(follows)).repeat(2), (~follows).cumsum(0).repeat(2)
    along = (residue[:, None] - residue).abs() >= NEAREST
    return (along | (stretch[:, None] != stretch)).triu_(1)


def _touching(points: Tensor, may_touch: Tensor) -> Bounds:
    """Those that do, or may before the next search."""
    flat = points.float()
    near = (torch.cdist(flat, flat) < APART_A + REACH_A) & may_touch
    first, second = torch.nonzero(near, as_tuple=True)
    return Bounds.of(first, second, APART_A, torch.inf, APART_COST)


def _pairs(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs of residues [P], [P] that may be near, and the expected score of each at all distances [P, G]."""
    scores = _scores(logits.shape[-1], SOFTNESS_A)
    within = (_centres(logits.shape[-1]) < INCLUSION_A).float()
    one, other = [torch.zeros(0, dtype=torch.long)], [torch.zeros(0, dtype=torch.long)]
    tables = [torch.zeros(0, GRID_SIZE)]
    for row in range(len(logits) - NEAREST):
        chance = logits[row, row + NEAREST :].float().softmax(-1)
        chosen = torch.nonzero(chance @ within > HOPELESS).squeeze(-1)
        one.append(torch.full_like(chosen, row))
        other.append(chosen + row + NEAREST)
        tables.append(chance[chosen] @ scores)
    return torch.cat(one), torch.cat(other), torch.cat(tables)


def _scores(bins: int, softness_a: float | None) -> Tensor:
    """Expected share of thresholds [K, G] that a distance keeps whose truth lies in a bin; beyond lDDT's reach none."""
    centres = _centres(bins)[:, None, None]
    missed = (GRID_START_A + GRID_A * torch.arange(GRID_SIZE)[:, None] - centres).abs()
    slack = torch.tensor(THRESHOLDS_A) - missed
    kept = (slack > 0).float() if softness_a is None else torch.sigmoid(slack / softness_a)
    return kept.mean(-1) * (centres[..., 0] < INCLUSION_A)


def _centres(bins: int) -> Tensor:
    """[K] in Å; the first bin holds what is bonded to bonded atoms, the last all that is far."""
    upper = edges(bins)
    width = upper[1] - upper[0]
    return torch.cat([upper[:1] + 1.6, (upper[1:] + upper[:-1]) / 2, upper[-1:] + width])


def _looked_up(table: Tensor, distance: Tensor) -> Tensor:
    """Values [P] of tables [P, G] at distances [P], linear between those tabulated."""
    place = ((distance - GRID_START_A) / GRID_A).clamp(0, GRID_SIZE - 1.001)
    low = place.long()[:, None]
    share = place - low[:, 0]
    return table.gather(1, low)[:, 0] * (1 - share) + table.gather(1, low + 1)[:, 0] * share


def _beta(types: Tensor, ca: Tensor, follows: Tensor) -> tuple[Tensor, Tensor]:
    """C-beta atoms [N, 3], C-alpha atoms where there is none or the trace does not tell; where it does [N, 1]."""
    beta, known = c_beta_of_trace(ca, follows)
    placed = (known & (types != TYPE_OF_NAME["GLY"]) & (types < UNKNOWN))[:, None]
    return torch.where(placed, beta, ca), placed
