"""Superposition against scipy, its gradient against finite differences, and degenerate sets of points."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.testing import assert_close

from protein.geometry.superposition import rmsd, superpose
from tests.protein.geometry.test_frames import points, random_frames


@pytest.mark.parametrize("seed", range(3))
def test_a_motion_is_found_again(seed):
    motion, moving = random_frames(seed), points(seed, 7)
    found = superpose(moving, motion.apply(moving))
    assert_close(found.rotation, motion.rotation)
    assert_close(found.apply(moving), motion.apply(moving))


@pytest.mark.parametrize("seed", range(3))
def test_it_is_scipys(seed):
    moving, fixed = points(seed, 9), points(seed + 1, 9)
    weights = points(seed + 2, 9)[:, 0].abs()
    centres = [(np.average(p, axis=0, weights=weights)) for p in (moving.numpy(), fixed.numpy())]
    expected, _ = Rotation.align_vectors(fixed.numpy() - centres[1], moving.numpy() - centres[0], weights=weights)
    assert_close(superpose(moving, fixed, weights).rotation, torch.from_numpy(expected.as_matrix()))


def test_a_mirror_image_is_not_reached():
    moving = points(0, 20)
    found = superpose(moving, moving * torch.tensor([-1.0, 1, 1], dtype=torch.float64))
    assert_close(torch.linalg.det(found.rotation), torch.tensor(1.0, dtype=torch.float64))
    assert rmsd(moving, -moving) > 0.1


def test_a_batch_is_its_members_and_padding_changes_nothing():
    moving, fixed = points(0, 3, 12), points(1, 3, 12)
    mask = torch.arange(12) < torch.tensor([[12], [7], [4]])
    together = rmsd(moving, fixed, mask)
    apart = [rmsd(moving[i, mask[i]], fixed[i, mask[i]]) for i in range(3)]
    assert_close(together, torch.stack(apart))


@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_agree_with_finite_differences(weighted):
    moving, fixed = points(0, 6).requires_grad_(), points(1, 6).requires_grad_()
    weights = points(2, 6)[:, 0].abs() if weighted else None
    assert torch.autograd.gradcheck(lambda a, b: superpose(a, b, weights).apply(a), (moving, fixed))


@pytest.mark.parametrize("kind", ["equal singular values", "on a line", "one point", "mirrored", "all at one place"])
def test_degenerate_sets_give_finite_gradients(kind):
    moving = {
        "equal singular values": torch.cat([torch.eye(3), -torch.eye(3)]),
        "on a line": torch.arange(5.0)[:, None] * torch.ones(3),
        "one point": torch.ones(1, 3),
        "mirrored": torch.cat([torch.eye(3), -torch.eye(3)]),
        "all at one place": torch.zeros(4, 3),
    }[kind].double().requires_grad_()  # fmt: skip
    fixed = moving.detach() * (-1 if kind == "mirrored" else 1)
    motion = superpose(moving, fixed)
    (motion.apply(moving) ** 3).sum().backward()
    assert moving.grad is not None and moving.grad.isfinite().all()
    assert_close(motion.rotation @ motion.rotation.mT, torch.eye(3, dtype=torch.float64))
