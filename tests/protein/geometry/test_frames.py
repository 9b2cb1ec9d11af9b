"""Rigid frames: group laws, quaternions, and a finite gradient where points coincide."""

import pytest
import torch
from torch.testing import assert_close

from protein.geometry.frames import Frames


def random_frames(seed: int, *shape: int) -> Frames:
    random = torch.Generator().manual_seed(seed)
    return Frames.from_quaternion(
        torch.randn(*shape, 4, generator=random, dtype=torch.float64),
        10 * torch.randn(*shape, 3, generator=random, dtype=torch.float64),
    )


def points(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("seed", range(3))
def test_rotations_are_proper(seed):
    rotation = random_frames(seed, 4).rotation
    assert_close(rotation.mT @ rotation, torch.eye(3, dtype=torch.float64).expand(4, 3, 3))
    assert_close(torch.linalg.det(rotation), torch.ones(4, dtype=torch.float64))


@pytest.mark.parametrize("seed", range(3))
def test_composition_is_associative_and_has_an_inverse(seed):
    a, b, c = (random_frames(seed + i, 3) for i in range(3))
    x = points(seed, 3)
    assert_close(a.compose(b).compose(c).apply(x), a.compose(b.compose(c)).apply(x))
    assert_close(a.compose(b).apply(x), a.apply(b.apply(x)))
    assert_close(a.compose(a.invert()).apply(x), x)
    assert_close(a.apply_inverse(a.apply(x)), x)
    assert_close(a.invert().apply(x), a.apply_inverse(x))


@pytest.mark.parametrize("seed", range(3))
def test_quaternions_round_trip(seed):
    frames = random_frames(seed, 8)
    again = Frames.from_quaternion(frames.quaternion(), frames.translation)
    assert_close(again.rotation, frames.rotation)


def test_half_turns_have_a_quaternion():
    """The real part is zero there, which the textbook formula divides by."""
    axes = torch.diag(torch.tensor([1.0, 1.0, 1.0], dtype=torch.float64))
    turns = 2 * axes[:, :, None] * axes[:, None, :] - torch.eye(3, dtype=torch.float64)
    frames = Frames(turns, torch.zeros(3, 3, dtype=torch.float64))
    assert_close(Frames.from_quaternion(frames.quaternion(), frames.translation).rotation, turns)


@pytest.mark.parametrize("seed", range(3))
def test_frames_of_moved_atoms_are_moved_frames(seed):
    motion, atoms = random_frames(seed), points(seed + 1, 5, 3)
    frames = Frames.of_backbone(*atoms.unbind(1))
    moved = Frames.of_backbone(*motion.apply(atoms).unbind(1))
    expected = motion.compose(frames)
    assert_close(moved.rotation, expected.rotation)
    assert_close(moved.translation, expected.translation)


def test_the_backbone_frame_has_its_axes_where_stated():
    n, ca, c = torch.tensor([[-0.5, 1.4, 0.0], [0.0, 0.0, 0.0], [1.5, 0.0, 0.0]])
    assert_close(Frames.of_backbone(n, ca, c).rotation, torch.eye(3), atol=1e-6, rtol=0)


def test_an_update_of_zero_changes_nothing_and_small_ones_are_differentiable():
    frames = random_frames(0, 6)
    step = torch.zeros(6, 6, dtype=torch.float64, requires_grad=True)
    moved = frames.update(step)
    assert_close(moved.rotation, frames.rotation)
    assert torch.autograd.gradcheck(lambda s: frames.update(s).apply(points(3, 6)), step)


def test_coinciding_points_give_a_finite_gradient():
    atoms = torch.zeros(3, 2, 3, requires_grad=True)
    Frames.of_backbone(*atoms).rotation.sum().backward()
    assert atoms.grad is not None and atoms.grad.isfinite().all()
