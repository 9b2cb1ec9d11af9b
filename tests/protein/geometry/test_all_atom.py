"""Torsions, placement of atoms, layouts: what is taken apart is put together again."""

import math

import pytest
import torch
from Bio.PDB.vectors import Vector, calc_dihedral
from torch.testing import assert_close

from protein.data.pdb5k import load
from protein.data.residues import ATOM14, ATOM37, CHI_ATOMS, HAS_ATOM14, HAS_CHI, LETTERS, NAMES, types_of
from protein.geometry.all_atom import frames_of_atoms, frames_of_torsions, other_naming_of_frames, place_atoms
from protein.geometry.atom_layout import atom14_to_atom37, atom37_to_atom14
from protein.geometry.chain_growth import grow_backbone
from protein.geometry.frames import Frames
from protein.geometry.ideal_chains import build, hairpin, helix, strand
from protein.geometry.ideal_geometry import CA_CA_A, HAS_GROUP
from protein.geometry.torsions import angles, other_naming, sine_cosine, torsion, torsions_of_chain
from tests.protein.geometry.test_frames import points, random_frames

TYPES = torch.from_numpy(types_of(LETTERS))


def random_torsions(seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    radians = (torch.rand(20, 7, generator=random, dtype=torch.float64) * 2 - 1) * math.pi
    radians[:, 0] = math.pi
    return sine_cosine(radians)


def grown(torsions: torch.Tensor) -> torch.Tensor:
    omega, phi, psi = angles(torsions)[:, :3].unbind(-1)
    backbone = grow_backbone(TYPES, omega, phi, psi)
    return place_atoms(TYPES, frames_of_torsions(TYPES, backbone, torsions))


def existing() -> torch.Tensor:
    return atom14_to_atom37(TYPES, torch.from_numpy(HAS_ATOM14)[TYPES][..., None])[..., 0]


@pytest.mark.parametrize("seed", range(3))
def test_torsions_are_biopythons(seed):
    four = points(seed, 4)
    expected = calc_dihedral(*(Vector(*point.tolist()) for point in four))
    assert float(angles(torsion(*four))) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_atoms_placed_by_torsions_have_those_torsions(seed):
    wanted = random_torsions(seed)
    found, defined = torsions_of_chain(TYPES, atom14_to_atom37(TYPES, grown(wanted)), existing())
    assert_close(found[defined], wanted[defined], atol=1e-5, rtol=0)
    expected = torch.cat([torch.ones(20, 3, dtype=torch.bool), torch.from_numpy(HAS_CHI)[TYPES]], -1)
    expected[0, :2] = False
    assert (defined == expected).all()


@pytest.mark.parametrize("seed", range(3))
def test_frames_of_placed_atoms_are_the_frames_they_were_placed_by(seed):
    torsions = random_torsions(seed)
    backbone = random_frames(seed, 20)
    placed_by = frames_of_torsions(TYPES, backbone, torsions)
    atoms = atom14_to_atom37(TYPES, place_atoms(TYPES, placed_by))
    found, defined = frames_of_atoms(TYPES, atoms, existing())
    # Ideal positions have three decimals, so that the atoms of a group span its axes to 1e-2 only.
    assert_close(found.rotation[defined], placed_by.rotation[defined], atol=1e-2, rtol=0)
    assert_close(found.translation[defined], placed_by.translation[defined], atol=2e-3, rtol=0)


def test_symmetric_side_chains_have_the_same_atoms_under_either_name():
    torsions = random_torsions(0)
    frames = frames_of_torsions(TYPES, random_frames(0, 20), torsions)
    other, turned = other_naming_of_frames(TYPES, frames)
    assert {NAMES[TYPES[row]] for row in turned.any(-1).nonzero()[:, 0]} == {"ASP", "GLU", "PHE", "TYR"}
    again = frames_of_torsions(
        TYPES, Frames(frames.rotation[:, 0], frames.translation[:, 0]), other_naming(TYPES, torsions)
    )
    has_group = torch.from_numpy(HAS_GROUP)[TYPES]
    assert_close(again.rotation[has_group], other.rotation[has_group])


def test_layouts_hold_the_same_atoms():
    atoms = points(0, 20, 14) * torch.from_numpy(HAS_ATOM14)[TYPES][..., None]
    assert_close(atom37_to_atom14(TYPES, atom14_to_atom37(TYPES, atoms)), atoms)
    for row, name in ((1, "CZ"), (17, "CH2")):
        column = ATOM14[row].index(name)
        assert_close(atom14_to_atom37(TYPES, atoms)[row, ATOM37.index(name)], atoms[row, column])


def test_every_torsion_is_made_of_atoms_of_its_residue():
    for residue, chis in CHI_ATOMS.items():
        names = ATOM14[NAMES.index(residue)]
        assert all(atom in names for chi in chis for atom in chi.split())


def test_ideal_chains_step_3_8_angstroms():
    steps = torch.diff(build("A" * 30, [helix(14), strand(16)])[:, 1], dim=0).norm(dim=-1)
    assert_close(steps, torch.full_like(steps, CA_CA_A), atol=0.02, rtol=0)
    assert len(build("GSGSGSGSGSGS", [hairpin(5)])) == 12


def test_real_side_chains_are_rebuilt_within_their_flexibility(shared_data):
    """Ideal bond lengths and angles with the torsions of real structures: a few tenths of an Å a residue."""
    chain = load("val", ["full"]).chain(0)
    types = torch.from_numpy(chain.types)
    atoms, mask = torch.from_numpy(chain.atom37).nan_to_num(0.0), torch.from_numpy(chain.mask)
    torsions, defined = torsions_of_chain(types, atoms, mask)
    frames, has_frame = frames_of_atoms(types, atoms, mask)
    backbone = Frames(frames.rotation[:, 0], frames.translation[:, 0])
    still = torch.tensor([0.0, 1.0])
    built = place_atoms(types, frames_of_torsions(types, backbone, torch.where(defined[..., None], torsions, still)))
    whole = has_frame[:, 0] & (defined[:, 3:] | ~torch.from_numpy(HAS_CHI)[types]).all(-1) & defined[:, 2]
    present = atom37_to_atom14(types, mask[..., None])[..., 0] & whole[:, None]
    apart = (built - atom37_to_atom14(types, atoms)).norm(dim=-1)[present]
    assert apart.square().mean().sqrt() < 0.3 and present.sum() > 500
