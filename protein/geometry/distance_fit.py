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
from protein.geometry.frames import Frames, length
from protein.geometry.trace import c_beta_of_trace
from protein.losses.distogram import edges
from protein.metrics.lddt import INCLUSION_A, THRESHOLDS_A

STEPS, RATE_A = 300, 0.3
"""Of Adam (Kingma & Ba, arXiv:1412.6980), and how far a coordinate moves in one of them at first."""

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


@torch.enable_grad()
def fit_distances(types: Tensor, ca: Tensor, logits: Tensor, follows: Tensor) -> Tensor:
    """C-alpha atoms [N, 3] in Å.

    types    [N] int64
    ca       [N, 3] where to start, Å
    logits   [N, N, K] of distances between C-beta atoms, see `losses.distogram`
    follows  [N] bool, bonded to the residue before
    """
    first, second, table = _pairs(logits)
    bonded = torch.nonzero(follows[1:]).squeeze(-1)
    two_apart = torch.nonzero(follows[2:] & follows[1:-1]).squeeze(-1)
    trace = ca.detach().float().clone().requires_grad_()
    optimizer = torch.optim.Adam([trace], lr=RATE_A, betas=(0.9, 0.95))
    for step in range(STEPS):
        done = step / STEPS
        optimizer.param_groups[0]["lr"] = RATE_A * min(1.0, 2 * (1 - done))
        beta = _beta(types, trace, follows)
        kept = _looked_up(table, length(beta[first] - beta[second])).sum()
        steps = length(trace[bonded + 1] - trace[bonded]) - STEP_A
        wide = length(trace[two_apart + 2] - trace[two_apart])
        bends = torch.relu(TWO_APART_A[0] - wide) + torch.relu(wide - TWO_APART_A[1])
        touch = torch.cat([_overlaps(trace, trace), _overlaps(beta, beta), _overlaps(trace, beta)])
        errors = sum(
            cost * error.square().sum()
            for cost, error in ((STEP_COST, steps), (TWO_APART_COST, bends), (APART_COST, touch))
        )
        (trace.grad,) = torch.autograd.grad(min(1.0, 0.1 + 1.35 * done) * errors - SCORE * kept, [trace])
        optimizer.step()
    return trace.detach()


def expected_lddt(types: Tensor, ca: Tensor, logits: Tensor, follows: Tensor) -> Tensor:
    """Share [N] of its short distances that each residue of a trace keeps if the distogram is right, in 0-1.

    Arguments as of `fit_distances`.
    """
    beta = _beta(types, ca.float(), follows)
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
    low = place.detach().long()[:, None]
    share = place - low[:, 0]
    return table.gather(1, low)[:, 0] * (1 - share) + table.gather(1, low + 1)[:, 0] * share


def _beta(types: Tensor, ca: Tensor, follows: Tensor) -> Tensor:
    """C-beta atoms [N, 3], C-alpha atoms where there is none or the trace does not tell."""
    beta, known = c_beta_of_trace(ca, follows)
    has = known & (types != TYPE_OF_NAME["GLY"]) & (types < UNKNOWN)
    return torch.where(has[:, None], beta, ca)


def _overlaps(atoms: Tensor, others: Tensor) -> Tensor:
    """By how much atoms of residues three or more apart are nearer than they may be, Å."""
    near = torch.cdist(atoms.detach(), others.detach()) < APART_A
    near = near.triu(NEAREST) if atoms is others else near.triu(NEAREST) | near.tril(-NEAREST)
    first, second = torch.nonzero(near, as_tuple=True)
    return torch.relu(APART_A - length(atoms[first] - others[second]))
