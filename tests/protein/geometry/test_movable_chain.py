"""Laws of forces on chains: derivatives written by hand are those of automatic differentiation."""

import torch
from torch.testing import assert_close

from protein.geometry.distance_bounds import Bounds
from protein.geometry.frames import Frames
from protein.geometry.movable_chain import MOVES, MovableChain
from protein.geometry.trace import c_beta_gradient, c_beta_of_trace

RESIDUES = 25


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_what_a_force_does_to_turns_shifts_and_torsions() -> None:
    types = torch.arange(RESIDUES) % 21  # every kind of residue
    backbone = Frames.from_quaternion(random(RESIDUES, 4), 5 * random(RESIDUES, 3, seed=1))
    torsions = torch.nn.functional.normalize(random(RESIDUES, 7, 2, seed=2), dim=-1)
    chain, force = MovableChain(types, backbone, torsions), random(RESIDUES, 14, 3, seed=3)
    move = (0.5 * random(RESIDUES, MOVES, seed=4)).requires_grad_()
    (expected,) = torch.autograd.grad((chain.pose(move).atoms * force).sum(), [move])
    assert_close(chain.gradient(chain.pose(move.detach()), force), expected)


def test_what_missed_distances_cost() -> None:
    points = (3 * random(RESIDUES, 3)).requires_grad_()
    first, second = torch.triu_indices(RESIDUES, RESIDUES, 1)
    bounds = Bounds.joined([Bounds.of(first, second, 3.0, 6.0, 2.0), Bounds.of(first[:1], second[:1], 9.0, 9.0, 1.0)])
    distance = (points[first] - points[second]).norm(dim=-1)
    missed = torch.relu(3.0 - distance) + torch.relu(distance - 6.0)
    expected = 2 * missed.square().sum() + (distance[0] - 9.0).square()
    cost, gradient = bounds.cost(points.detach())
    assert_close(cost, expected.detach())
    assert_close(gradient, torch.autograd.grad(expected, [points])[0])
    assert_close(bounds.missed(points.detach())[:-1].abs(), missed.detach())
    assert bounds.missed(points.detach())[-1] == distance[0] - 9.0
    nothing, still = bounds.cost(torch.zeros_like(points, requires_grad=False))
    assert torch.isfinite(nothing) and torch.isfinite(still).all()


def test_what_a_force_on_c_beta_atoms_does_to_the_trace() -> None:
    ca, force = (3 * random(RESIDUES, 3)).requires_grad_(), random(RESIDUES, 3, seed=1)
    beta, _ = c_beta_of_trace(ca, torch.arange(RESIDUES) > 0)
    (expected,) = torch.autograd.grad((beta * force).sum(), [ca])
    assert_close(c_beta_gradient(ca.detach(), force), expected)
