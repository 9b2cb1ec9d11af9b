"""ESM-2 and ESMFold from every official format compute what the official code computes; see golden/make_esm.py."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from common.app.errors import CheckpointError
from protein.geometry.frames import Frames
from protein.geometry.residue_tables import look_up
from protein.models.esm2 import SIZES
from protein.weights.esm2 import load_esm2
from protein.weights.esmfold import load_esmfold

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def golden():
    return load_file(GOLDEN / "esm_outputs.safetensors")


@pytest.fixture(scope="module")
def esmfold():
    return load_esmfold(GOLDEN / "esmfold").eval()


@pytest.mark.parametrize(
    ("name", "load"),
    [("esm2", lambda: load_esm2(GOLDEN / "esm2")), ("fair", lambda: load_esm2(GOLDEN / "esm2_fair.pt", heads=2))],
)
def test_states_and_logits_of_esm2_equal_the_official_ones(name, load, golden):
    model, tokens = load().eval(), golden["tokens"]
    present = tokens != 1
    with torch.no_grad():
        states = torch.stack(list(model.states(tokens)))
        logits = model.logits(states[-1])
    assert (states - golden[f"{name}.states"])[:, present].abs().max() < 1e-5
    assert (logits - golden[f"{name}.logits"])[present].abs().max() < 1e-5
    assert golden[f"{name}.logits"].std() > 0.1


@pytest.mark.parametrize("chunk", [None, 5])
def test_every_output_of_esmfold_equals_the_official_one(chunk, golden, esmfold):
    theirs = {name.removeprefix("esmfold."): value for name, value in golden.items()}
    mask = golden["mask"].bool()
    pairs, groups = mask[:, :, None] & mask[:, None], mask[..., None] & look_up("has_group", golden["types"])
    with torch.no_grad():
        found = esmfold(golden["types"], mask, golden["index"], cycles=3, chunk=chunk)
    structure, frames = found.structure, Frames.from_quaternion(theirs["frames"][..., :4], theirs["frames"][..., 4:])
    for ours, official, present in (
        (structure.atom14, theirs["positions"][-1], mask),
        (structure.groups.rotation, theirs["sidechain_frames"][-1][..., :3, :3], groups),
        (structure.groups.translation, theirs["sidechain_frames"][-1][..., :3, 3], groups),
        (structure.frames.rotation[-1], frames.rotation[-1], mask),
        (structure.frames.translation[0], frames.translation[0], mask),
        (structure.torsions[-1], theirs["angles"][-1], mask),
        (structure.raw_torsions[0], theirs["unnormalized_angles"][0], mask),
        (found.single, theirs["s_s"], mask),
        (found.pair, theirs["s_z"], pairs),
        (found.language, theirs["lm_logits"], mask),
        (found.lddt[:, :, :3], theirs["lddt_head"][-1], mask),
        (found.plddt(), 100 * theirs["plddt"], mask),
        (found.distogram, theirs["distogram_logits"], pairs),
        (found.pae(), theirs["predicted_aligned_error"], pairs),
    ):
        assert (ours - official)[present].abs().max() < 1e-4
        assert official[present].std() > 0.01


def test_ptm_equals_the_official_one_whether_padded_or_not(golden, esmfold):
    types = golden["long"]
    mask = torch.arange(27) < torch.tensor([[27], [23]])
    with torch.no_grad():
        together = esmfold(types, mask).ptm()
        alone = torch.cat([esmfold(types[:1]).ptm(), esmfold(types[1:, :23]).ptm()])
    assert (together - golden["long.ptm"]).abs().max() < 1e-6
    assert (alone - golden["long.ptm"]).abs().max() < 1e-6


def test_a_folder_in_several_files_is_the_same(tmp_path, golden, esmfold):
    folder = shutil.copytree(GOLDEN / "esmfold", tmp_path / "esmfold")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    parts = {name: f"model-0000{1 + number % 3}-of-00003.safetensors" for number, name in enumerate(tensors)}
    for part in set(parts.values()):
        save_file({name: tensors[name] for name in tensors if parts[name] == part}, folder / part)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    assert equal(load_esmfold(folder), esmfold)


def test_a_fair_esm_file_with_that_of_its_language_model_is_the_same(tmp_path, esmfold):
    """Outside the language model the folder keeps the names of the file."""
    tensors = load_file(GOLDEN / "esmfold" / "model.safetensors")
    folding = {name: value for name, value in tensors.items() if not name.startswith("esm.")}
    torch.save({"cfg": {}, "model": folding}, tmp_path / "esmfold.pt")
    model = load_esmfold(tmp_path / "esmfold.pt", GOLDEN / "esm2_fair.pt", heads=2, iterations=3)
    language = load_esm2(GOLDEN / "esm2_fair.pt", heads=2)
    assert model.config == esmfold.config
    language.head = None
    assert equal(model.language, language)
    model.language = esmfold.language
    assert equal(model, esmfold)


def test_a_file_that_lacks_its_language_model_says_so():
    with pytest.raises(CheckpointError, match="ESM-2"):
        load_esmfold(GOLDEN / "esm2_fair.pt")


def test_a_size_that_was_not_published_is_refused_where_heads_are_not_known():
    with pytest.raises(CheckpointError, match="2 layers of width 16"):
        load_esm2(GOLDEN / "esm2_fair.pt")


def test_the_published_sizes_have_the_published_numbers_of_parameters():
    """Lin et al., 2023: 8 M to 15 B. Blocks hold 12 w^2 + 13 w; embedding, last norm and head follow once."""
    for name, size in SIZES.items():
        width = size.width
        count = size.layers * (12 * width**2 + 13 * width) + 33 * width + 2 * width + width**2 + 3 * width + 33
        stated = float(name.split("_")[2].rstrip("MB")) * (1e9 if "B_" in name else 1e6)
        assert count == pytest.approx(stated, rel=0.07)


def equal(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
