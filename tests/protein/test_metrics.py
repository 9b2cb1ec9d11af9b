"""Scores of structures against independent implementations, published pairs, and their invariances."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from protein.data.read import read_chain
from protein.data.residues import HAS_ATOM14, LETTERS, types_of
from protein.data.states import STATES
from protein.geometry.atom_layout import atom14_to_atom37
from protein.geometry.frames import Frames
from protein.geometry.ideal_chains import build, hairpin, helix, strand
from protein.geometry.superposition import superpose
from protein.geometry.torsions import torsions_of_chain
from protein.metrics import (
    bond_lengths,
    chain_steps,
    clashes,
    contact_precision,
    gdt_ha,
    gdt_ts,
    lddt,
    lddt_all_atom,
    q3,
    q8,
    ramachandran,
    rmsd,
    tm_score,
)
from protein.metrics.tm_score import distance_scale

Pair = tuple[torch.Tensor, torch.Tensor, dict]


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    """C-alpha atoms [N, 3] of conformer pairs, matched by residue number, and reference scores."""
    folder = Path(__file__).parents[3] / "shared" / "data" / "protein" / "metrics"
    if not folder.is_dir():
        pytest.skip("no pairs of structures beside the checkout")
    found = []
    for entry in json.loads((folder / "reference_scores.json").read_text())["conformer_pairs"]:
        places = []
        for key in ("model", "native"):
            chain = read_chain(folder / entry[key])
            numbers = zip(chain.number.tolist(), chain.insertion.tolist(), strict=True)
            places.append({number: chain.atom37[row, 1] for row, number in enumerate(numbers) if chain.observed[row]})
        shared = sorted(places[0].keys() & places[1].keys())
        if len(shared) == entry["n_common"]:
            found.append((*(torch.tensor(np.array([p[n] for n in shared])).double() for p in places), entry))
    return found


def noisy(seed: int, *shape: int, error_a: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    native = 3.8 * torch.cumsum(torch.nn.functional.normalize(torch.randn(*shape, 3, generator=random), dim=-1), -2)
    return (native + error_a * torch.randn(*shape, 3, generator=random)).double(), native.double()


def moved(points: torch.Tensor) -> torch.Tensor:
    motion = Frames.from_quaternion(
        torch.tensor([0.3, -0.5, 0.7, 0.2], dtype=torch.float64), torch.tensor([9.0, -4.0, 30.0], dtype=torch.float64)
    )
    return motion.apply(points)


def test_lddt_and_rmsd_are_biotites(pairs):
    assert len(pairs) >= 20
    for model, native, entry in pairs:
        assert float(lddt(model, native)) == pytest.approx(entry["lddt_ca_biotite"], abs=1e-4)
        assert float(rmsd(model, native)) == pytest.approx(entry["kabsch_rmsd_ca"], abs=1e-3)


def test_tm_score_is_at_least_that_of_one_superposition_and_near_tm_align(pairs):
    """TM-align may align other residues to each other, so it is a bound only where the structures are alike."""
    for model, native, entry in pairs[:12]:
        apart = (superpose(model, native).unsqueeze(-1).apply(model) - native).norm(dim=-1)
        scale = distance_scale(torch.tensor(float(len(native))))
        least_squares = float((1 / (1 + (apart / scale) ** 2)).mean())
        reference = entry["tmalign"]["tm_norm_chain2"] * entry["tmalign"]["len2"] / len(native)
        found = float(tm_score(model, native))
        assert found >= least_squares - 1e-9
        if entry["kabsch_rmsd_ca"] < 0.8 and entry["tmalign"]["len2"] == len(native):
            assert found == pytest.approx(reference, abs=1e-3)


def test_gdt_is_at_least_that_of_one_superposition(pairs):
    for model, native, entry in pairs[:10]:
        assert float(gdt_ts(model, native)) >= np.mean(entry["frac_within_1_2_4_8"]) - 1e-6


def test_a_domain_that_is_right_counts_fully():
    """Half of the model is exact, half turned away: the best superposition is that of one half."""
    _, native = noisy(0, 120)
    model = native.clone()
    model[60:] = moved(native[60:]) + 40
    assert float(gdt_ha(model, native)) == pytest.approx(0.5, abs=0.02)
    assert 0.5 <= float(tm_score(model, native)) < 0.56
    assert 0.4 < float(lddt(model, native)) < 1


def test_a_shorter_native_length_is_the_callers():
    model, native = noisy(1, 50)
    mask = torch.arange(50) < 30
    assert_close(tm_score(model[:30], native[:30], length=50.0), tm_score(model, native, mask, length=50.0))


@pytest.mark.parametrize("score", [lddt, tm_score, gdt_ts, gdt_ha])
def test_scores_do_not_see_rigid_motion_batching_or_padding(score):
    model, native = noisy(2, 3, 40)
    mask = torch.arange(40) < torch.tensor([[40], [25], [10]])
    together = score(model, native, mask)
    for one in range(3):
        alone = score(moved(model[one, mask[one]]), native[one, mask[one]])
        assert_close(alone, together[one], atol=1e-6, rtol=0)
    assert_close(score(native, native), torch.ones(3), check_dtype=False, atol=1e-6, rtol=0)


@pytest.mark.parametrize("score", [tm_score, gdt_ts])
def test_mirror_images_are_not_the_native(score):
    _, native = noisy(3, 80)
    assert float(score(native * torch.tensor([-1.0, 1, 1], dtype=torch.float64), native)) < 0.6


def test_lddt_by_hand():
    """Three points on a line; the last is 3 Å off, so that two of its distances are kept by one threshold in four."""
    native = torch.tensor([[0.0, 0, 0], [3, 0, 0], [6, 0, 0]])
    model = torch.tensor([[0.0, 0, 0], [3, 0, 0], [9, 0, 0]])
    assert_close(lddt(model, native), torch.tensor((4 + 1 + 1) / 12))
    assert_close(lddt(model, native, per_point=True), torch.tensor([5 / 8, 5 / 8, 2 / 8]))
    assert lddt(model[:1], native[:1]).isnan()
    assert lddt(model * 100, native * 100).isnan()


def test_all_atom_lddt_takes_the_better_name_of_symmetric_atoms():
    types = torch.from_numpy(types_of("DAFAYAE"))
    atoms = build("DAFAYAE", [helix(7)])
    mask = torch.from_numpy(HAS_ATOM14)[types]
    native, present = atom14_to_atom37(types, atoms), atom14_to_atom37(types, mask[..., None])[..., 0]
    swapped = native.clone()
    for row, first, second in ((0, 16, 17), (2, 12, 13), (2, 20, 21), (4, 12, 13), (4, 20, 21), (6, 26, 27)):
        swapped[row, [first, second]] = native[row, [second, first]]
    assert_close(lddt_all_atom(swapped, native, present, types), torch.tensor(1.0))
    swapped[1, 1] += 3  # nothing excuses a wrong C-alpha
    assert lddt_all_atom(swapped, native, present, types) < 1


def test_all_atom_lddt_is_biotites():
    structure = pytest.importorskip("biotite.structure")
    atoms = build("GALVKSGGTWRC", [helix(12)])
    types = torch.from_numpy(types_of("GALVKSGGTWRC"))
    mask = torch.from_numpy(HAS_ATOM14)[types]
    model = atoms + torch.randn(atoms.shape, generator=torch.Generator().manual_seed(0))

    def array(coordinates: torch.Tensor):
        found = structure.AtomArray(int(mask.sum()))
        found.coord, found.res_id = coordinates[mask].numpy(), mask.nonzero()[:, 0].numpy() + 1
        return found

    expected = structure.lddt(array(atoms), array(model), aggregation="all")
    layout = (atom14_to_atom37(types, value) for value in (model, atoms, mask[..., None]))
    found = lddt_all_atom(*(value if value.shape[-1] == 3 else value[..., 0] for value in layout), types)
    assert float(found) == pytest.approx(float(expected), abs=1e-4)


def test_contact_precision_by_hand():
    n = 50
    distances = torch.full((n, n), 20.0)
    for i, j in ((0, 30), (5, 40), (3, 9), (2, 20)):
        distances[i, j] = distances[j, i] = 5.0
    scores = torch.zeros(n, n)
    scores[0, 30], scores[30, 0], scores[1, 45], scores[3, 9], scores[2, 20] = 3, 3, 2.5, 9, 8
    # The best five long-range pairs by score: (0, 30) is a contact, (1, 45) and the rest are not.
    assert_close(contact_precision(scores, distances, divisor=25), torch.tensor(0.5))
    assert_close(contact_precision(scores, distances, range="short", divisor=50), torch.tensor(1.0))
    assert_close(contact_precision(scores, distances, range="medium", divisor=50), torch.tensor(1.0))
    assert contact_precision(scores[:20, :20], distances[:20, :20]).isnan()
    mask = torch.arange(n) != 30
    assert_close(contact_precision(scores, distances, mask, divisor=49), torch.tensor(0.0))


def test_the_native_has_all_its_contacts():
    _, native = noisy(4, 2, 60)
    distances = torch.cdist(native, native)
    few = (distances < 8).triu(24).sum((-1, -2)).min()
    if few:
        assert_close(contact_precision(-distances, distances, divisor=60 / float(few)), torch.ones(2))


def test_q3_and_q8_by_hand():
    true = torch.tensor([STATES.index(letter) for letter in "HGEBTC"] + [-1])
    predicted = torch.tensor([STATES.index(letter) for letter in "HHEESH"] + [0])
    assert_close(q8(predicted, true), torch.tensor(2 / 6))
    assert_close(q3(predicted, true), torch.tensor(5 / 6))


def test_ideal_chains_are_chemically_possible():
    sequence = "ARNDCQEGHILKMFSTWYV"  # the ring of proline is not closed by these torsions
    types = torch.from_numpy(types_of(sequence))
    atoms, mask = build(sequence, [helix(19)]), torch.from_numpy(HAS_ATOM14)[types]
    assert int(clashes(atoms, mask, types)) == 0
    assert float(chain_steps(atoms[:, 1], mask[:, 1])) == 1
    assert float(bond_lengths(atoms, mask, types)) == 1
    layout = (atom14_to_atom37(types, value) for value in (atoms, mask[..., None]))
    torsions, defined = torsions_of_chain(types, *(v if v.shape[-1] == 3 else v[..., 0] for v in layout))
    found = ramachandran(torsions, defined, types)
    assert found.favoured == found.known == 18


def test_clashes_are_counted_once_and_exceptions_not_at_all():
    types = torch.from_numpy(types_of("CAC"))
    mask = torch.from_numpy(HAS_ATOM14)[types]
    atoms = torch.arange(3)[:, None, None] * 100.0 + torch.arange(14)[None, :, None] * torch.tensor([5.0, 0, 0])
    assert int(clashes(atoms, mask, types)) == 0
    near = atoms.clone()
    near[2, 1] = near[0, 1] + 1.0
    assert int(clashes(near, mask, types)) == 1
    bridge = atoms.clone()
    bridge[2, 5] = bridge[0, 5] + torch.tensor([1.9, 0, 0])
    assert int(clashes(bridge, mask, types)) == 0
    peptide = atoms.clone()
    peptide[1, 0] = peptide[0, 2] + torch.tensor([1.33, 0, 0])
    assert int(clashes(peptide, mask, types)) == 0
    assert int(clashes(near.expand(2, -1, -1, -1), mask.expand(2, -1, -1), types.expand(2, -1))[1]) == 1


def test_hairpins_and_helices_lie_in_favoured_regions():
    sequence = LETTERS.replace("P", "A") * 2
    types = torch.from_numpy(types_of(sequence))
    atoms = build(sequence, [helix(14), strand(14), hairpin(5)])
    layout = atom14_to_atom37(types, atoms)
    torsions, defined = torsions_of_chain(types, layout, layout.abs().sum(-1) > 0)
    found = ramachandran(torsions, defined, types)
    assert int(found.outlier) == 0 and int(found.favoured + found.allowed) == int(found.known)
