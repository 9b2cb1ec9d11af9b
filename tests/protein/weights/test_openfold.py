"""AlphaFold 2 from every official format computes what OpenFold computes; see golden/make_openfold.py."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from protein.geometry.frames import Frames
from protein.models.alphafold import AlignmentFeatures
from protein.weights.alphafold import load_alphafold
from protein.weights.openfold import load_openfold

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "openfold_outputs.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.fixture(scope="module")
def model():
    return load_openfold(GOLDEN / "openfold.pt", iterations=3).eval()


def features(golden, cycle):
    seen = {name: value[..., cycle][None] for name, value in golden.items() if not name.startswith("out_")}
    deletions = torch.stack([seen["extra_has_deletion"], seen["extra_deletion_value"]], -1)
    return AlignmentFeatures(
        types=seen["aatype"],
        residue_index=seen["residue_index"],
        msa=seen["msa_feat"],
        extra=torch.cat([functional.one_hot(seen["extra_msa"], 23), deletions], -1),
        mask=seen["seq_mask"].bool(),
        msa_rows=seen["msa_mask"][..., 0].bool(),
        extra_rows=seen["extra_msa_mask"][..., 0].bool(),
    )


@pytest.mark.parametrize("chunk", [None, 3])
def test_every_output_equals_that_of_openfold(chunk, golden, model):
    seen = [features(golden, cycle) for cycle in range(2)]
    mask, rows = seen[0].mask[0], seen[0].msa_rows[0]
    pairs, places = mask[:, None] & mask, rows[:, None] & mask
    with torch.no_grad():
        found = model(seen, chunk=chunk)
    structure, frames = found.structure, golden["out_frames"]
    frames = Frames.from_quaternion(frames[..., :4], frames[..., 4:])
    for ours, name, present, tolerance in (
        (structure.atom14[0], "positions", mask, 1e-3),
        (structure.torsions[-1, 0], "angles", mask, 1e-4),
        (found.single[0], "single", mask, 1e-4),
        (found.pair[0], "pair", pairs, 1e-4),
        (found.lddt[0], "lddt_logits", mask, 1e-4),
        (found.plddt()[0], "plddt", mask, 1e-4),
        (found.distogram[0], "distogram_logits", pairs, 1e-4),
        (found.language[0], "masked_msa_logits", places, 1e-4),
        (found.resolved[0], "experimentally_resolved_logits", mask, 1e-4),
        (found.pae()[0], "predicted_aligned_error", pairs, 1e-4),
    ):
        theirs = golden[f"out_{name}"][-1] if name == "angles" else golden[f"out_{name}"]
        assert (ours - theirs)[present].abs().max() < tolerance
        assert theirs[present].std() > 0.01
    assert (structure.frames.rotation[:, 0] - frames.rotation)[:, mask].abs().max() < 1e-4
    assert (structure.frames.translation[:, 0] - frames.translation)[:, mask].abs().max() < 1e-3


def test_every_layer_equals_that_of_openfold(model):
    with np.load(GOLDEN / "openfold_layers.npz") as arrays:
        golden = {name: torch.from_numpy(arrays[name])[None] for name in arrays.files}
    msa, pair, extra = (golden[f"layers_{name}"] for name in ("msa", "pair", "extra"))
    mask, rows = torch.arange(10)[None] < 8, torch.arange(4)[None] < 3
    block = model.evoformer.blocks[0]
    found = {
        "row_attention": block.row_attention(msa, pair, mask) - msa,
        "column_attention": block.column_attention(msa, rows) - msa,
        "msa_transition": block.msa_transition(msa) - msa,
        "outer_product_mean": block.outer_product_mean(msa, pair, rows) - pair,
        **{name: getattr(block, name)(pair, mask) - pair for name in ("outgoing", "incoming", "starting", "ending")},
        "pair_transition": block.pair_transition(pair) - pair,
        "extra_column_attention": model.extra.blocks[0].column_attention(extra, rows) - extra,
    }
    for name, update in found.items():
        present = rows[0] if update.shape[1] == 4 else mask[0]
        difference = (update - golden[f"layer_{name}"])[:, present][:, :, mask[0]]
        assert difference.abs().max() < 1e-5, name
        assert update[:, present][:, :, mask[0]].std() > 0.01, name


def test_alphafold_s_own_parameters_give_the_same_weights(model):
    assert_equal(load_alphafold(GOLDEN / "openfold.npz", iterations=3), model)


def test_names_of_version_1_in_a_training_checkpoint_give_the_same_averaged_weights(tmp_path, model):
    weights = torch.load(GOLDEN / "openfold.pt", weights_only=True)
    averaged = {f"model.{version_1(name)}": value for name, value in weights.items()}
    latest = {f"model.{version_1(name)}": value + 1 for name, value in weights.items()}
    torch.save({"ema": {"params": averaged, "decay": 0.999}, "state_dict": latest, "epoch": 3}, tmp_path / "v1.ckpt")
    assert_equal(load_openfold(tmp_path / "v1.ckpt", iterations=3), model)


def test_what_reads_templates_is_left_out(tmp_path, model):
    weights = torch.load(GOLDEN / "openfold.pt", weights_only=True)
    weights["template_angle_embedder.linear_1.weight"] = torch.zeros(3)
    torch.save(weights, tmp_path / "templates.pt")
    assert_equal(load_openfold(tmp_path / "templates.pt", iterations=3), model)


def version_1(name):
    """What a tensor was called before layers moved: the inverse of OpenFold's convert_deprecated_v1_keys."""
    if ".blocks." in name:
        for layer in ("msa_transition", "outer_product_mean"):
            name = name.replace(f".{layer}.", f".core.{layer}.")
        name = name.replace("pair_stack.", "core.")
    return name.replace("_points.linear.", "_points.")


def assert_equal(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    assert one.config == other.config
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
