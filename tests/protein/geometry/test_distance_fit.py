"""Laws of fitting to a distogram: what is certain is found again, of the right hand; gaps stay gaps."""

import torch
from torch import Tensor
from torch.testing import assert_close

from protein.data.residues import types_of
from protein.geometry.distance_fit import carried, expected_lddt, fit_distances
from protein.geometry.frames import Frames
from protein.geometry.ideal_chains import build, hairpin, helix, loop
from protein.geometry.superposition import superpose
from protein.geometry.trace import c_beta_of_trace
from protein.losses.distogram import edges
from protein.metrics import lddt

SEQUENCE = "AELKMQRELKAEMRASDVYWINATFVVASDAELKMQRELK"
TYPES = torch.from_numpy(types_of(SEQUENCE))
FOLLOWS = torch.arange(len(TYPES)) > 0
CA = build(SEQUENCE, [helix(14), loop(3), hairpin(4), loop(3), helix(10)])[:, 1]
MOTION = Frames.from_quaternion(torch.tensor([0.3, -0.5, 0.7, 0.4]), torch.tensor([5.0, -3.0, 8.0]))


def beta(ca: Tensor, follows: Tensor = FOLLOWS) -> Tensor:
    placed, known = c_beta_of_trace(ca, follows)
    return torch.where(known[:, None], placed, ca)


def certain(points: Tensor) -> Tensor:
    """Logits of a distogram that knows."""
    truth = torch.bucketize(torch.cdist(points, points), edges())
    return 20.0 * torch.nn.functional.one_hot(truth, len(edges()) + 1)


def shaken(size_a: float) -> Tensor:
    return CA + size_a * torch.randn(CA.shape, generator=torch.Generator().manual_seed(1))


def test_certain_distances_are_found_again_from_afar_and_of_the_right_hand() -> None:
    start = shaken(4.0)
    found = fit_distances(TYPES, start, certain(beta(CA)), FOLLOWS)
    assert lddt(start, CA) < 0.4 and lddt(found, CA) > 0.85
    mirrored = CA * torch.tensor([-1.0, 1.0, 1.0])
    right, wrong = ((superpose(found, one).apply(found) - one).norm(dim=-1).mean() for one in (CA, mirrored))
    assert right < 2.0 < 3.0 < wrong


def test_a_certain_distogram_expects_the_lddt_that_a_trace_has() -> None:
    for size in (0.0, 0.4, 1.5, 5.0):
        moved = shaken(size)
        expected = expected_lddt(TYPES, moved, certain(beta(CA)), FOLLOWS)
        true = lddt(beta(moved), beta(CA), per_point=True)
        assert (expected - true).abs().mean() < 0.08 and expected.max() <= 1 + 1e-5
        assert_close(expected, expected_lddt(TYPES, MOTION.apply(moved), certain(beta(CA)), FOLLOWS), atol=0.02, rtol=0)


def test_a_distogram_that_knows_nothing_expects_little_and_keeps_the_chain_whole() -> None:
    nothing = torch.zeros(len(CA), len(CA), 64)
    assert expected_lddt(TYPES, CA, nothing, FOLLOWS).max() < 0.4
    found = fit_distances(TYPES, shaken(3.0), nothing, FOLLOWS)
    assert ((found[1:] - found[:-1]).norm(dim=-1) - 3.8).abs().max() < 0.5


def test_a_gap_is_not_closed() -> None:
    follows = FOLLOWS.clone()
    follows[20] = False
    apart = CA + 60.0 * (torch.arange(len(CA)) >= 20)[:, None]
    found = fit_distances(TYPES, apart, certain(beta(apart, follows)), follows)
    assert (found[20] - found[19]).norm() > 50


def test_backbones_go_where_their_trace_goes() -> None:
    frames = Frames(torch.eye(3).expand(len(CA), 3, 3), CA)
    moved, expected = carried(frames, MOTION.apply(CA), FOLLOWS), MOTION.compose(frames)
    assert_close(moved.rotation, expected.rotation, atol=1e-5, rtol=0)
    assert_close(moved.translation, expected.translation)
    pair = carried(Frames(frames.rotation[:2], CA[:2]), CA[:2] + 1, FOLLOWS[:2])
    assert_close(pair.translation, CA[:2] + 1)
