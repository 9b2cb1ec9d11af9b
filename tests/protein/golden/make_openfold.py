"""Makes openfold.npz, openfold.pt and openfold_{outputs,layers,features}.npz: a small AlphaFold 2 of random weights as
AlphaFold's parameters and as OpenFold's checkpoint, what OpenFold 2.2.0 (commit ce0029e) computes with it as a whole
and layer by layer, and its features of an alignment.

python -m venv venv && venv/bin/pip install torch==2.13.0 dm-tree ml-collections einops modelcif pandas scipy biopython
git clone https://github.com/aqlaboratory/openfold
PYTHONPATH=openfold venv/bin/python tests/protein/golden/make_openfold.py
"""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

KERNEL = ModuleType("attn_core_inplace_cuda")
KERNEL.forward_ = lambda logits, rows, columns: logits.copy_(torch.softmax(logits, -1))
sys.modules["attn_core_inplace_cuda"] = KERNEL

from openfold.config import model_config  # noqa: E402
from openfold.data.data_transforms import (  # noqa: E402
    make_atom14_masks,
    make_msa_feat,
    nearest_neighbor_clusters,
    summarize_clusters,
)
from openfold.model.model import AlphaFold  # noqa: E402
from openfold.utils.feats import build_extra_msa_feat  # noqa: E402
from openfold.utils.import_weights import (  # noqa: E402
    ParamType,
    generate_translation_dict,
    import_jax_weights_,
    process_translation_dict,
)

HERE, VERSION = Path(__file__).parent, "model_3_ptm"
SHAPES = {"c_m": 16, "c_z": 8, "c_s": 12, "c_e": 6}
STACK = {"no_heads_pair": 2, "c_hidden_pair_att": 3, "c_hidden_mul": 5, "transition_n": 2}
RESIDUES, SEQUENCES, EXTRA, CYCLES = 10, 4, 5, 2
OUTPUTS = {
    "positions": lambda out: out["sm"]["positions"][-1], "frames": lambda out: out["sm"]["frames"],
    "angles": lambda out: out["sm"]["angles"], "single": lambda out: out["single"], "pair": lambda out: out["pair"],
    **{
        name: lambda out, name=name: out[name]
        for name in (
            "lddt_logits", "plddt", "distogram_logits", "masked_msa_logits", "experimentally_resolved_logits",
            "predicted_aligned_error", "ptm_score",
        )
    },
}  # fmt: skip


def config():
    found = model_config(VERSION)
    found.globals.update(SHAPES, use_flash=False, chunk_size=None, blocks_per_ckpt=None)
    model = found.model
    model.evoformer_stack.update(STACK, no_blocks=2, no_heads_msa=2, c_hidden_msa_att=5, c_hidden_opm=3)
    model.extra_msa.extra_msa_stack.update(STACK, no_blocks=1, no_heads_msa=3, c_hidden_msa_att=2, c_hidden_opm=3)
    model.structure_module.update(no_blocks=3, c_ipa=4, no_heads_ipa=3, no_qk_points=2, no_v_points=3, c_resnet=8)
    model.heads.lddt.c_hidden = 8
    return found


@torch.no_grad()
def randomized(model):
    """Of weights that 16-bit numbers hold exactly, large enough for every part to matter."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.normal_(0, 0.8 / parameter.shape[-1] ** 0.5)
        else:
            parameter.add_(0.2 * torch.randn_like(parameter))
        parameter.copy_(parameter.half())
    return model.eval()


def parameters(model, settings):
    """As AlphaFold stores them, by OpenFold's table of names read backwards; attention has an axis of heads."""
    found = {}
    for name, place in process_translation_dict(generate_translation_dict(model, VERSION)).items():
        stack = settings.extra_msa.extra_msa_stack if "extra_msa_stack" in name else settings.evoformer_stack
        heads = stack.no_heads_pair if "triangle" in name else stack.no_heads_msa

        def back(weight, kind=place.param_type, heads=heads):
            weight = weight.detach()
            if kind is ParamType.LinearWeight:
                return weight.T
            if kind is ParamType.LinearWeightMHA:
                return weight.T.reshape(weight.shape[1], heads, -1)
            if kind is ParamType.LinearMHAOutputWeight:
                return weight.T.reshape(heads, -1, weight.shape[0])
            if kind is ParamType.LinearBiasMHA:
                return weight.reshape(heads, -1)
            if kind is ParamType.LinearWeightOPM:
                return weight.T.reshape(*[int(weight.shape[1] ** 0.5)] * 2, -1)
            return weight

        value = torch.stack([back(one) for one in place.param]) if place.stacked else back(place.param)
        found[name] = value.half().numpy()
    return found


def layers(model):
    """What each layer of the first blocks adds to random representations, padding included in the masks."""
    msa, pair = torch.randn(SEQUENCES, RESIDUES, SHAPES["c_m"]), torch.randn(RESIDUES, RESIDUES, SHAPES["c_z"])
    extra = torch.randn(SEQUENCES, RESIDUES, SHAPES["c_e"])
    mask, rows = torch.arange(RESIDUES) < RESIDUES - 2, torch.arange(SEQUENCES) < SEQUENCES - 1
    places, pairs = (rows[:, None] & mask).float(), (mask[:, None] & mask).float()
    block, pair_stack = model.evoformer.blocks[0], model.evoformer.blocks[0].pair_stack
    found = {
        "row_attention": block.msa_att_row(msa, pair, places), "column_attention": block.msa_att_col(msa, places),
        "msa_transition": block.msa_transition(msa), "outer_product_mean": block.outer_product_mean(msa, places),
        "outgoing": pair_stack.tri_mul_out(pair, pairs), "incoming": pair_stack.tri_mul_in(pair, pairs),
        "starting": pair_stack.tri_att_start(pair, pairs),
        "ending": pair_stack.tri_att_end(pair.transpose(0, 1), pairs).transpose(0, 1),
        "pair_transition": pair_stack.pair_transition(pair),
        "extra_column_attention": model.extra_msa_stack.blocks[0].msa_att_col(extra, places),
    }  # fmt: skip
    return {"layers_msa": msa, "layers_pair": pair, "layers_extra": extra} | {
        f"layer_{name}": value for name, value in found.items()
    }


def alignment_features():
    """An alignment, and the features of its first sequences with the others in clusters, nothing masked."""
    msa, extra = (torch.randint(0, 22, (count, RESIDUES)) for count in (SEQUENCES, 4 * SEQUENCES))
    deletions, extra_deletions = (torch.randint(0, 4, one.shape).float() for one in (msa, extra))
    protein = {
        "aatype": msa[0], "msa": msa, "deletion_matrix": deletions, "msa_mask": torch.ones(msa.shape),
        "between_segment_residues": torch.zeros(RESIDUES, dtype=torch.long), "extra_msa": extra,
        "extra_deletion_matrix": extra_deletions, "extra_msa_mask": torch.ones(extra.shape),
    }  # fmt: skip
    given = {name: value.clone() for name, value in protein.items() if "mask" not in name}
    found = make_msa_feat()(summarize_clusters()(nearest_neighbor_clusters(gap_agreement_weight=0.0)(protein)))
    found["extra_msa_feat"] = build_extra_msa_feat(found)
    wanted = ("msa_feat", "extra_msa_feat", "target_feat")
    return {f"alignment_{name}": value.numpy() for name, value in given.items()} | {
        f"features_{name}": found[name].numpy() for name in wanted
    }


def inputs():
    """One of CYCLES alignments a cycle; the last residues, and some sequences, are padding."""
    types, index = torch.randint(0, 20, (RESIDUES,)), torch.arange(RESIDUES)
    index[6:] += 5
    mask = (index < index[-2]).float()
    rows, extra_rows = (torch.arange(n) < n - 1 for n in (SEQUENCES, EXTRA))
    target = torch.nn.functional.pad(torch.nn.functional.one_hot(types, 21), (1, 0)).float()
    atoms = make_atom14_masks({"aatype": types})
    fixed = {
        **atoms, "residue_index": index, "target_feat": target, "seq_mask": mask,
        "msa_mask": rows[:, None] * mask, "extra_msa_mask": extra_rows[:, None] * mask,
    }  # fmt: skip
    batch = {name: value[..., None].repeat(*[1] * value.ndim, CYCLES) for name, value in fixed.items()}
    shape = (EXTRA, RESIDUES, CYCLES)
    return batch | {
        "msa_feat": torch.rand(SEQUENCES, RESIDUES, 49, CYCLES).half().float(),
        "extra_msa": torch.randint(0, 23, shape), "extra_has_deletion": torch.randint(0, 2, shape).float(),
        "extra_deletion_value": torch.rand(shape).half().float(),
    }  # fmt: skip


@torch.no_grad()
def main():
    torch.manual_seed(11)
    settings = config()
    model = randomized(AlphaFold(settings))
    np.savez(HERE / "openfold.npz", **parameters(model, settings.model))
    again = AlphaFold(settings)
    import_jax_weights_(again, HERE / "openfold.npz", version=VERSION)
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), again.parameters(), strict=True))
    weights = {name: value.half() for name, value in model.state_dict().items()}
    torch.save(weights, HERE / "openfold.pt")
    batch = inputs()
    golden = {name: value.numpy().copy() for name, value in batch.items() if "atom" not in name}
    found = model(batch)
    golden |= {f"out_{name}": read(found).numpy() for name, read in OUTPUTS.items()}
    np.savez_compressed(HERE / "openfold_outputs.npz", **golden)
    np.savez_compressed(HERE / "openfold_layers.npz", **{name: value.numpy() for name, value in layers(model).items()})
    np.savez_compressed(HERE / "openfold_features.npz", **alignment_features())


if __name__ == "__main__":
    main()
