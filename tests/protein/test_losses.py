"""Losses: zero at the truth, blind to rigid motion, values by hand, finite gradients where geometry degenerates."""

import math

import pytest
import torch
from torch.testing import assert_close

from protein.data.residues import HAS_ATOM14, LETTERS, types_of
from protein.data.states import STATES
from protein.geometry.all_atom import frames_of_atoms, other_naming_of_frames
from protein.geometry.atom_layout import atom14_to_atom37
from protein.geometry.frames import Frames
from protein.geometry.ideal_chains import build, helix, strand
from protein.geometry.residue_tables import look_up
from protein.geometry.torsions import torsions_of_chain
from protein.losses import (
    aligned_error_loss,
    backbone_fape,
    ca_fape,
    distogram_loss,
    fape,
    masked_msa_loss,
    most_probable,
    plddt_loss,
    resolved_loss,
    side_chain_fape,
    smooth_lddt_loss,
    torsion_loss,
    violation_loss,
)
from protein.losses.confidence import aligned_errors, expected_aligned_error, plddt, predicted_tm
from protein.losses.distogram import edges
from protein.losses.naming import Truth, best_naming
from protein.losses.violation import peptide_loss
from protein.metrics import lddt

SEQUENCE = LETTERS.replace("P", "A")
TYPES = torch.from_numpy(types_of(SEQUENCE))
PRESENT = torch.from_numpy(HAS_ATOM14)[TYPES]
ALL = torch.ones(20, dtype=torch.bool)
FLOOR = math.sqrt(1e-4) / 10
"""What FAPE's smoothing leaves at the truth."""


def native() -> Truth:
    atoms = build(SEQUENCE, [helix(10), strand(10)])
    mask37 = atom14_to_atom37(TYPES, PRESENT[..., None])[..., 0]
    return Truth(atoms, PRESENT, *frames_of_atoms(TYPES, atom14_to_atom37(TYPES, atoms), mask37))


def backbone(truth: Truth) -> Frames:
    return Frames(truth.frames.rotation[:, 0], truth.frames.translation[:, 0])


MOTION = Frames.from_quaternion(torch.tensor([0.2, -0.7, 0.4, 0.5]), torch.tensor([12.0, -3.0, 5.0]))


def test_smooth_lddt_follows_lddt_and_forgets_what_is_far_off():
    true = native().atom14[:, 1]
    mask = ALL.clone()
    mask[3] = False
    best = sum(1 / (1 + math.exp(-threshold)) for threshold in (0.5, 1, 2, 4)) / 4
    for size in (0.0, 0.3, 1.0, 3.0):
        moved = true + size * torch.randn(true.shape, generator=torch.Generator().manual_seed(0))
        hard = lddt(MOTION.apply(moved), true, mask)
        assert abs((1 - float(smooth_lddt_loss(MOTION.apply(moved), true, mask))) / best - float(hard)) < 0.15
    hidden = torch.where(mask[:, None], true, torch.nan)
    assert_close(smooth_lddt_loss(moved, hidden, mask), smooth_lddt_loss(moved, true, mask))
    far = (true + torch.arange(20.0)[:, None] * 100).requires_grad_()
    smooth_lddt_loss(far, true, mask).backward()
    assert far.grad is not None and float(far.grad.abs().max()) < 1e-6


def test_fape_is_zero_at_the_truth_wherever_it_stands():
    truth = native()
    moved = Frames(MOTION.rotation @ truth.frames.rotation, MOTION.apply(truth.frames.translation))
    atoms = MOTION.apply(truth.atom14)
    value = side_chain_fape(moved, truth.frames, truth.frame_mask, atoms, truth.atom14, PRESENT)
    assert_close(value, torch.tensor(FLOOR), atol=1e-4, rtol=0)
    moved_backbone = MOTION.compose(backbone(truth))
    assert_close(backbone_fape(moved_backbone, backbone(truth), ALL), torch.tensor(FLOOR), atol=1e-4, rtol=0)
    assert_close(ca_fape(atoms[:, 1], truth.atom14[:, 1], ALL), torch.tensor(FLOOR), atol=1e-4, rtol=0)


@pytest.mark.parametrize("form", ["backbone", "c-alpha"])
def test_fape_tells_mirror_images_apart(form):
    truth = native()
    mirror = torch.tensor([-1.0, 1, 1])
    atoms = truth.atom14 * mirror
    if form == "backbone":
        value = backbone_fape(Frames.of_backbone(*atoms[:, :3].unbind(1)), backbone(truth), ALL)
    else:
        value = ca_fape(atoms[:, 1], truth.atom14[:, 1], ALL)
    assert value > 0.1


def test_fape_by_hand():
    """One frame at the origin, one point 3 Å off and one 50 Å off, which counts as 10 Å."""
    frame = Frames.identity((1,), torch.zeros(1))
    points, true = torch.tensor([[3.0, 0, 0], [50, 0, 0]]), torch.zeros(2, 3)
    both = torch.ones(2, dtype=torch.bool)
    assert_close(fape(frame, frame, both[:1], points, true, both), torch.tensor((3 + 10) / 20), atol=1e-4, rtol=0)
    assert_close(
        fape(frame, frame, both[:1], points, true, both, clamp_a=None), torch.tensor((3 + 50) / 20), atol=1e-4, rtol=0
    )
    only = torch.tensor([True, False])
    true[1] = torch.nan  # what is masked may be anything
    assert_close(fape(frame, frame, both[:1], points, true, only), torch.tensor(0.3), atol=1e-4, rtol=0)


def test_ca_fape_needs_neighbours_on_both_sides():
    truth = native().atom14[:, 1]
    broken = ALL.clone()
    broken[10] = False
    model = truth.clone()
    model[10:] = MOTION.apply(model[10:])  # a hinge where the chain is broken: local frames on each side are right
    assert ca_fape(model, truth, ALL) > ca_fape(truth, truth, ALL)
    alone = torch.arange(20) == 3
    assert_close(ca_fape(model, truth, alone), torch.tensor(0.0))


def test_the_better_name_is_found_and_leaves_no_error():
    truth = native()
    other, turned = other_naming_of_frames(TYPES, truth.frames)
    swap = look_up("swapped14", TYPES)
    model = truth.atom14.gather(1, swap[..., None].expand_as(truth.atom14))
    renamed = best_naming(model, truth, TYPES)
    assert turned.any()
    assert_close(renamed.atom14, model)
    assert_close(renamed.frames.rotation, other.rotation)
    assert_close(best_naming(truth.atom14, truth, TYPES).atom14, truth.atom14)


def test_torsion_loss_accepts_either_name_and_any_length_costs_little():
    truth = native()
    mask37 = atom14_to_atom37(TYPES, PRESENT[..., None])[..., 0]
    torsions, defined = torsions_of_chain(TYPES, atom14_to_atom37(TYPES, truth.atom14), mask37)
    raw = torch.where(defined[..., None], torsions, torch.tensor([0.0, 1.0]))
    assert_close(torsion_loss(raw, torsions, defined, ALL, TYPES), torch.tensor(0.0), atol=1e-6, rtol=0)
    turned = raw.clone()
    turned[3, 4] *= -1  # chi 2 of aspartate
    assert_close(torsion_loss(turned, torsions, defined, ALL, TYPES), torch.tensor(0.0), atol=1e-6, rtol=0)
    turned[1, 4] *= -1  # chi 2 of arginine: opposite on the circle, squared distance 4
    expected = torch.tensor(4.0 / int(defined.sum()))
    assert_close(torsion_loss(turned, torsions, defined, ALL, TYPES), expected, atol=1e-5, rtol=0)
    assert_close(torsion_loss(3 * raw, torsions, defined, ALL, TYPES), torch.tensor(0.02 * 2), atol=1e-5, rtol=0)


def test_distogram_loss_of_certainty_is_zero_and_of_ignorance_log_of_bins():
    points = native().atom14[:, 1]
    distance = torch.cdist(points, points)
    width = (21.6875 - 2.3125) / 62
    target = ((distance - 2.3125) / width).ceil().clamp(0, 63).long()
    logits = 100.0 * torch.nn.functional.one_hot(target, 64)
    assert_close(distogram_loss(logits, points, ALL), torch.tensor(0.0), atol=1e-5, rtol=0)
    assert_close(distogram_loss(torch.zeros(20, 20, 64), points, ALL), torch.tensor(math.log(64)))
    half = torch.arange(20) < 10
    points = torch.where(half[:, None], points, torch.nan)
    assert_close(distogram_loss(logits, points, half), torch.tensor(0.0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("near", [1.0, 6.0])
def test_distogram_loss_is_least_at_true_probabilities_however_near_pairs_count(near: float):
    points = 5 * torch.randn(1, 60, 3, generator=torch.Generator().manual_seed(0)).double()
    known = torch.ones(1, 60, dtype=torch.bool)
    apart = torch.cdist(points, points)[~torch.eye(60, dtype=torch.bool)[None]]
    frequency = torch.bucketize(apart, edges().double()).bincount(minlength=64) / len(apart)
    assert 0.2 < frequency[:41].sum() < 0.95, "pairs on both sides of 15 Å"
    logits = frequency.clamp_min(1e-30).log().requires_grad_()
    (gradient,) = torch.autograd.grad(distogram_loss(logits.expand(1, 60, 60, 64), points, known, near).sum(), logits)
    assert_close(gradient, torch.zeros(64), atol=1e-6, rtol=0)


def test_near_pairs_count_as_often_as_they_are_told_to():
    points = torch.tensor([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0], [0.0, 20.0, 0.0]])
    known = torch.ones(3, dtype=torch.bool)
    logits = torch.zeros(3, 3, 64)
    # 41 bins end within 15 Å: a near pair's share is 6 / (6 * 41 + 23), a far one's 1 / (6 * 41 + 23).
    near, far = math.log((6 * 41 + 23) / 6), math.log(6 * 41 + 23)
    assert_close(distogram_loss(logits, points, known, near=6.0), torch.tensor((6 * near + 2 * far) / 8))


def test_confidence_losses_are_least_where_the_model_knows_itself():
    truth = native()
    ca = truth.atom14[:, 1]
    certain = torch.full((20, 50), -50.0)
    certain[:, 49] = 50.0
    assert_close(plddt_loss(certain, ca, ca, ALL), torch.tensor(0.0))
    assert_close(plddt(certain), torch.full((20,), 99.0))
    frames = backbone(truth)
    exact = torch.full((20, 20, 64), -50.0)
    exact[..., 0] = 50.0
    assert_close(aligned_error_loss(exact, frames, frames, ALL), torch.tensor(0.0))
    assert_close(expected_aligned_error(exact), torch.full((20, 20), 0.25))
    assert predicted_tm(exact, ALL) > 0.7  # d0 of the shortest chains is half an Å
    far = exact.roll(-1, -1)
    assert_close(expected_aligned_error(far), torch.full((20, 20), 31.75))
    assert predicted_tm(far, ALL) < 0.01
    moved = Frames(frames.rotation, frames.translation + torch.tensor([5.0, 0, 0]))
    assert_close(aligned_errors(moved, frames), torch.zeros(20, 20), atol=1e-4, rtol=0)


def test_resolved_and_masked_losses_by_hand():
    exists = torch.tensor([[True, True, False]])
    value = resolved_loss(torch.tensor([[0.0, 100.0, -3.0]]), torch.tensor([[1.0, 1.0, 1.0]]), exists)
    assert_close(value, torch.tensor(math.log(2) / 2))
    hidden = torch.tensor([[True, False]])
    logits = torch.tensor([[[0.0, 0.0], [9.0, 0.0]]])
    assert_close(masked_msa_loss(logits, torch.tensor([[1, 1]]), hidden), torch.tensor(math.log(2)))
    assert_close(masked_msa_loss(logits, torch.tensor([[1, 1]]), hidden & False), torch.tensor(0.0))


def test_three_kinds_of_coil_outweigh_one_likelier_strand():
    share = dict.fromkeys(STATES, 1e-6) | {"E": 0.4, "T": 0.2, "S": 0.15, "C": 0.25}
    logits = torch.tensor([list(share.values()), list((share | {"E": 0.7}).values())]).log()
    assert [STATES[state] for state in most_probable(logits)] == ["C", "E"]
    assert torch.equal(most_probable(torch.eye(8) * 9), torch.arange(8))


def test_violations_are_zero_for_ideal_chains_and_grow_with_damage():
    atoms = native().atom14
    assert_close(peptide_loss(atoms, PRESENT, TYPES), torch.tensor(0.0))
    assert violation_loss(atoms, PRESENT, TYPES) < 0.05
    assert_close(violation_loss(MOTION.apply(atoms), PRESENT, TYPES), violation_loss(atoms, PRESENT, TYPES))
    stretched = atoms.clone()
    stretched[10:] += torch.tensor([2.0, 0, 0])
    assert peptide_loss(stretched, PRESENT, TYPES) > 0.01
    follows = torch.arange(20) != 10
    assert_close(peptide_loss(stretched, PRESENT, TYPES, follows), torch.tensor(0.0))
    assert violation_loss(0.5 * atoms, PRESENT, TYPES) > violation_loss(atoms, PRESENT, TYPES) + 1


def test_a_batch_is_its_members():
    truth = native()
    atoms = torch.stack([truth.atom14, 0.9 * truth.atom14])
    types, mask = TYPES.expand(2, -1), PRESENT.expand(2, -1, -1)
    together = violation_loss(atoms, mask, types)
    apart = torch.stack([violation_loss(one, PRESENT, TYPES) for one in atoms])
    assert_close(together, apart)
    ca = atoms[:, :, 1]
    both = ca_fape(ca, ca.flip(0), ALL.expand(2, -1))
    assert_close(both, torch.stack([ca_fape(ca[0], ca[1], ALL), ca_fape(ca[1], ca[0], ALL)]))


@pytest.mark.parametrize("place", ["one point", "a line", "far away"])
def test_gradients_are_finite_at_degenerate_geometry(place):
    truth = native()
    atoms = {
        "one point": torch.zeros(20, 14, 3),
        "a line": torch.arange(280.0).reshape(20, 14, 1).expand(20, 14, 3).contiguous(),
        "far away": truth.atom14 * 1000,
    }[place].requires_grad_()
    frames = Frames.of_backbone(*atoms[:, :3].unbind(1))
    loss = (
        backbone_fape(frames, backbone(truth), ALL)
        + ca_fape(atoms[:, 1], truth.atom14[:, 1], ALL)
        + violation_loss(atoms, PRESENT, TYPES)
        + torsion_loss(atoms[:, :7, :2], torch.zeros(20, 7, 2), torch.ones(20, 7, dtype=torch.bool), ALL, TYPES)
    )
    loss.backward()
    assert loss.isfinite() and atoms.grad is not None and atoms.grad.isfinite().all()


def test_losses_agree_with_finite_differences():
    truth = native()
    random = torch.Generator().manual_seed(0)
    ca = truth.atom14[:6, 1].double()
    model = (ca + torch.randn(6, 3, generator=random)).requires_grad_()
    few = torch.ones(6, dtype=torch.bool)
    assert torch.autograd.gradcheck(lambda x: ca_fape(x, ca, few, clamp_a=None), model)
    atoms = (truth.atom14[:2].double() * 0.8).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: violation_loss(x, PRESENT[:2], TYPES[:2]), atoms)
