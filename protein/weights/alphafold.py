"""AlphaFold 2's own parameters (google-deepmind/alphafold, params_model_*.npz, CC-BY-4.0) as our model.

Names are paths of Haiku modules; the parameters of a stack have its blocks as first axis. A matrix is [in, out], one of
an attention layer [in, heads, width] or [heads, width, out].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from common.app.errors import CheckpointError
from protein.models.alphafold import AlphaFold
from protein.weights.files import read_npz
from protein.weights.openfold import ITERATIONS, convert_openfold

ROOT = "alphafold/alphafold_iteration/"

MODULES = {
    "evoformer/preprocess_1d": "input_embedder.linear_tf_m", "evoformer/preprocess_msa": "input_embedder.linear_msa_m",
    "evoformer/left_single": "input_embedder.linear_tf_z_i", "evoformer/right_single": "input_embedder.linear_tf_z_j",
    "evoformer/pair_activiations": "input_embedder.linear_relpos",
    "evoformer/prev_pos_linear": "recycling_embedder.linear",
    "evoformer/prev_msa_first_row_norm": "recycling_embedder.layer_norm_m",
    "evoformer/prev_pair_norm": "recycling_embedder.layer_norm_z",
    "evoformer/extra_msa_activations": "extra_msa_embedder.linear", "evoformer/single_activations": "evoformer.linear",
    "predicted_lddt_head/input_layer_norm": "aux_heads.plddt.layer_norm",
    "predicted_lddt_head/act_0": "aux_heads.plddt.linear_1", "predicted_lddt_head/act_1": "aux_heads.plddt.linear_2",
    "predicted_lddt_head/logits": "aux_heads.plddt.linear_3",
    "distogram_head/half_logits": "aux_heads.distogram.linear",
    "experimentally_resolved_head/logits": "aux_heads.experimentally_resolved.linear",
    "masked_msa_head/logits": "aux_heads.masked_msa.linear",
    "predicted_aligned_error_head/logits": "aux_heads.tm.linear",
    "structure_module/single_layer_norm": "structure_module.layer_norm_s",
    "structure_module/initial_projection": "structure_module.linear_in",
    "structure_module/pair_layer_norm": "structure_module.layer_norm_z",
}  # fmt: skip

FOLD_ITERATION = {
    "invariant_point_attention/q_scalar": "ipa.linear_q", "invariant_point_attention/kv_scalar": "ipa.linear_kv",
    "invariant_point_attention/q_point_local": "ipa.linear_q_points.linear",
    "invariant_point_attention/kv_point_local": "ipa.linear_kv_points.linear",
    "invariant_point_attention/attention_2d": "ipa.linear_b",
    "invariant_point_attention/output_projection": "ipa.linear_out",
    "attention_layer_norm": "layer_norm_ipa", "transition": "transition.layers.0.linear_1",
    "transition_1": "transition.layers.0.linear_2", "transition_2": "transition.layers.0.linear_3",
    "transition_layer_norm": "transition.layer_norm", "affine_update": "bb_update.linear",
    "rigid_sidechain/input_projection": "angle_resnet.linear_in",
    "rigid_sidechain/input_projection_1": "angle_resnet.linear_initial",
    "rigid_sidechain/resblock1": "angle_resnet.layers.0.linear_1",
    "rigid_sidechain/resblock2": "angle_resnet.layers.0.linear_2",
    "rigid_sidechain/resblock1_1": "angle_resnet.layers.1.linear_1",
    "rigid_sidechain/resblock2_1": "angle_resnet.layers.1.linear_2",
    "rigid_sidechain/unnormalized_angles": "angle_resnet.linear_out",
}  # fmt: skip

STACKS = {"evoformer/extra_msa_stack": "extra_msa_stack.blocks", "evoformer/evoformer_iteration": "evoformer.blocks"}

ROW, COLUMN = "msa_row_attention_with_pair_bias", "msa_column_attention"
GLOBAL, GLOBAL_NEW = "msa_column_global_attention", "msa_att_col.global_attention"
STARTING, ENDING = "triangle_attention_starting_node", "triangle_attention_ending_node"
OUTGOING, INCOMING = "triangle_multiplication_outgoing", "triangle_multiplication_incoming"

BLOCK = {
    f"{ROW}/query_norm": "msa_att_row.layer_norm_m", f"{ROW}/feat_2d_norm": "msa_att_row.layer_norm_z",
    f"{ROW}/attention": "msa_att_row.mha", f"{COLUMN}/query_norm": "msa_att_col._msa_att.layer_norm_m",
    f"{COLUMN}/attention": "msa_att_col._msa_att.mha", f"{GLOBAL}/query_norm": "msa_att_col.layer_norm_m",
    f"{GLOBAL}/attention": GLOBAL_NEW, "outer_product_mean/layer_norm_input": "outer_product_mean.layer_norm",
    "outer_product_mean/left_projection": "outer_product_mean.linear_1",
    "outer_product_mean/right_projection": "outer_product_mean.linear_2",
    f"{STARTING}/query_norm": "pair_stack.tri_att_start.layer_norm",
    f"{STARTING}/attention": "pair_stack.tri_att_start.mha",
    f"{ENDING}/query_norm": "pair_stack.tri_att_end.layer_norm", f"{ENDING}/attention": "pair_stack.tri_att_end.mha",
    **{
        f"{theirs}_transition/{one}": f"{ours}.{other}"
        for theirs, ours in (("msa", "msa_transition"), ("pair", "pair_stack.pair_transition"))
        for one, other in (
            ("input_layer_norm", "layer_norm"), ("transition1", "linear_1"), ("transition2", "linear_2"),
        )
    },
    # Of incoming edges AlphaFold calls left what the supplement, and OpenFold, call b.
    **{
        f"{theirs}/{one}": f"pair_stack.{ours}.{other}"
        for theirs, ours, left, right in ((OUTGOING, "tri_mul_out", "a", "b"), (INCOMING, "tri_mul_in", "b", "a"))
        for one, other in (
            ("layer_norm_input", "layer_norm_in"), ("center_layer_norm", "layer_norm_out"),
            ("left_projection", f"linear_{left}_p"), ("right_projection", f"linear_{right}_p"),
            ("left_gate", f"linear_{left}_g"), ("right_gate", f"linear_{right}_g"),
            ("output_projection", "linear_z"), ("gating_linear", "linear_g"),
        )
    },
}  # fmt: skip

BARE = {
    f"{ROW}//feat_2d_weights": "msa_att_row.linear_z.weight",
    "outer_product_mean//output_w": "outer_product_mean.linear_out.weight",
    "outer_product_mean//output_b": "outer_product_mean.linear_out.bias",
    f"{STARTING}//feat_2d_weights": "pair_stack.tri_att_start.linear.weight",
    f"{ENDING}//feat_2d_weights": "pair_stack.tri_att_end.linear.weight",
}
"""Parameters of a block that belong to no layer of their own."""

PARAMETERS = {
    "weights": "weight", "bias": "bias", "scale": "weight", "offset": "bias",
    "query_w": "linear_q.weight", "key_w": "linear_k.weight", "value_w": "linear_v.weight",
    "gating_w": "linear_g.weight", "gating_b": "linear_g.bias", "output_w": "linear_o.weight",
    "output_b": "linear_o.bias",
}  # fmt: skip

POINT_WEIGHTS = "structure_module/fold_iteration/invariant_point_attention//trainable_point_weights"
TEMPLATES = ("evoformer/template_",)


def load_alphafold(path: Path, iterations: int = ITERATIONS) -> AlphaFold:
    """AlphaFold 2 of a params_model_*.npz of the monomer, with or without _ptm.

    Of model_1 and model_2 the parameters that read templates are left out; without a template they add nothing.
    Raises CheckpointError where the file holds other parameters, as those of the multimer.
    """
    return convert_openfold(openfold_names(read_npz(path), str(path)), str(path), iterations)


def openfold_names(parameters: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The parameters under the names, and in the shapes, of OpenFold; raises CheckpointError if one is not known."""
    tensors: dict[str, Tensor] = {}
    for key, value in parameters.items():
        path = key.removeprefix(ROOT)
        if path.startswith(TEMPLATES):
            continue
        found = list(_places(path, value))
        if not found:
            raise CheckpointError(f"{name} holds '{key}', which no monomer model of AlphaFold 2 without templates has")
        tensors.update(found)
    return tensors


def _places(path: str, value: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Where a parameter belongs: nowhere, at one place, or for one of a stack in each of its blocks."""
    for theirs, ours in STACKS.items():
        if path.startswith(f"{theirs}/"):
            inner = path.removeprefix(f"{theirs}/")
            target = BARE.get(inner) or _renamed(inner, BLOCK)
            if target:
                yield from ((f"{ours}.{block}.{target}", _matrix(one, target)) for block, one in enumerate(value))
            return
    if path == POINT_WEIGHTS:
        yield "structure_module.ipa.head_weights", value
        return
    prefix = "structure_module/fold_iteration/"
    if path.startswith(prefix):
        target = _renamed(path.removeprefix(prefix), FOLD_ITERATION)
        target = target and f"structure_module.{target}"
    else:
        target = _renamed(path, MODULES)
    if target:
        yield target, _matrix(value, target)


def _renamed(path: str, modules: Mapping[str, str]) -> str | None:
    module, _, parameter = path.partition("//")
    if module not in modules or parameter not in PARAMETERS:
        return None
    return f"{modules[module]}.{PARAMETERS[parameter]}"


def _matrix(value: Tensor, target: str) -> Tensor:
    """[out, in] of a weight, flat of a bias."""
    if target.endswith("bias") or value.ndim == 1:
        return value.flatten()
    inputs_last = target.endswith(("linear_o.weight", "linear_out.weight"))
    flat = value.flatten(0, -2) if inputs_last else value.flatten(1)
    return flat.T.contiguous()
