"""Laws of relaxation: chains become possible, good ones stay where they are, gaps stay gaps, space has no direction."""

import torch

from protein.data.residues import COLUMN14, types_of
from protein.geometry.all_atom import frames_of_atoms, frames_of_torsions, place_atoms
from protein.geometry.atom_layout import atom14_to_atom37
from protein.geometry.frames import Frames
from protein.geometry.ideal_chains import build, hairpin, helix, loop
from protein.geometry.relaxation import relax
from protein.geometry.residue_tables import look_up
from protein.geometry.torsions import torsions_of_chain
from protein.metrics import bond_lengths, chain_steps, clashes

SEQUENCE = "AELKMQRELKAEMRPSDVYWINGTFVVPSDAELKMQRELK"
SEGMENTS = [helix(14), loop(3), hairpin(4), loop(3), helix(10)]


def parts(noise_a: float, seed: int = 0) -> tuple[torch.Tensor, Frames, torch.Tensor, torch.Tensor]:
    """Types, backbones moved at random, torsions, follows."""
    torch.manual_seed(seed)
    types = torch.from_numpy(types_of(SEQUENCE))
    atoms = build(SEQUENCE, SEGMENTS)
    present = look_up("has_atom14", types)
    atom37, mask = atom14_to_atom37(types, atoms), atom14_to_atom37(types, present[..., None])[..., 0].bool()
    frames, _ = frames_of_atoms(types, atom37, mask)
    torsions, _ = torsions_of_chain(types, atom37, mask)
    follows = torch.arange(len(types)) > 0
    moved = frames.translation[:, 0] + noise_a * torch.randn(len(types), 3)
    upright = torch.nn.functional.normalize(torsions + torch.tensor([0.0, 1e-6]), dim=-1)
    return types, Frames(frames.rotation[:, 0], moved), upright, follows


def test_a_shaken_chain_becomes_possible_near_where_it_was():
    types, backbone, torsions, follows = parts(noise_a=0.6)
    present = look_up("has_atom14", types)
    before = place_atoms(types, frames_of_torsions(types, backbone, torsions))
    after = relax(types, backbone, torsions, follows)
    here = torch.ones_like(follows)
    assert chain_steps(before[:, 1], here) < 0.3
    assert chain_steps(after[:, 1], here) == 1
    assert clashes(after, present, types) == 0 < clashes(before, present, types)
    assert bond_lengths(after, present, types) == 1
    assert (after[:, 1] - backbone.translation).norm(dim=-1).mean() < 1.0


def test_a_possible_chain_stays_where_it_is():
    types, backbone, torsions, follows = parts(noise_a=0.0)
    after = relax(types, backbone, torsions, follows)
    assert (after[:, 1] - backbone.translation).norm(dim=-1).max() < 0.4


def test_a_gap_is_not_closed():
    types, backbone, torsions, follows = parts(noise_a=0.0)
    far = backbone.translation + 30.0 * (torch.arange(len(types)) >= 20)[:, None]
    follows[20] = False
    after = relax(types, Frames(backbone.rotation, far), torsions, follows)
    assert (after[20, 1] - after[19, 1]).norm() > 40


def test_ends_beside_a_gap_that_lie_on_each_other_come_apart():
    types, backbone, torsions, follows = parts(noise_a=0.0)
    ca = backbone.translation
    onto = ca + (ca[19] - ca[20]) * (torch.arange(len(types)) >= 20)[:, None]
    follows[20] = False
    after = relax(types, Frames(backbone.rotation, onto), torsions, follows)
    assert clashes(after, look_up("has_atom14", types), types) == 0
    assert (after[20, 1] - after[19, 1]).norm() > 3.5


def test_rings_of_prolines_lie_in_the_plane_of_their_peptide_bond():
    types, backbone, torsions, follows = parts(noise_a=0.0)
    proline = SEQUENCE.index("P")
    carbon, nitrogen, delta = 2, 0, COLUMN14[types[proline]]["CD"]
    turned = backbone.rotation.clone()
    turned[proline] = turned[proline] @ torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # the ring where the chain was
    after = relax(types, Frames(turned, backbone.translation), torsions, follows)
    assert clashes(after, look_up("has_atom14", types), types) == 0
    assert (after[proline - 1, carbon] - after[proline, delta]).norm() > 2.3
    assert ((after[proline, nitrogen] - after[proline, delta]).norm() - 1.47).abs() < 0.05


def test_a_turned_prediction_relaxes_to_the_turned_structure():
    types, backbone, torsions, follows = parts(noise_a=0.3)
    turn = Frames.from_quaternion(torch.tensor([0.3, -0.5, 0.7, 0.4]), torch.tensor([5.0, -3.0, 8.0]))
    plain = relax(types, backbone, torsions, follows)
    turned = relax(types, turn.compose(backbone), torsions, follows)
    apart = (turn.apply(plain) - turned).norm(dim=-1)[look_up("has_atom14", types)]
    assert apart.mean() < 0.05  # rounding grows along the way of the optimiser: a side chain may end elsewhere
