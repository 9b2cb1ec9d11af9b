"""OpenFold checkpoints (aqlaboratory/openfold, CC-BY-4.0) as our AlphaFold 2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common.app.errors import CheckpointError
from protein.models.alphafold import AlphaFold, AlphaFoldConfig
from protein.models.evoformer import EvoformerConfig
from protein.models.structure_module import StructureModuleConfig
from protein.weights.files import read_checkpoint
from protein.weights.folding_layers import gated_attention, structure_config, structure_module, triangles
from protein.weights.source import Source, State

WRAPPERS = re.compile(r"^(module\.)?(model\.)?")
"""What training frameworks put before a name."""

NEW_NAMES = (
    ("core.tri_", "pair_stack.tri_"), ("core.pair_transition", "pair_stack.pair_transition"),
    ("core.msa_transition", "msa_transition"), ("core.outer_product_mean", "outer_product_mean"),
)  # fmt: skip
"""What layers are called now that stood elsewhere in version 1."""

LAYERS = {
    "input_embedder.linear_tf_z_i": "embed_target_left", "input_embedder.linear_tf_z_j": "embed_target_right",
    "input_embedder.linear_tf_m": "embed_target_msa", "input_embedder.linear_msa_m": "embed_msa",
    "extra_msa_embedder.linear": "embed_extra", "recycling_embedder.layer_norm_m": "recycling.norm_single",
    "recycling_embedder.layer_norm_z": "recycling.norm_pair", "evoformer.linear": "to_single",
    "aux_heads.plddt.layer_norm": "lddt.norm", "aux_heads.plddt.linear_1": "lddt.first",
    "aux_heads.plddt.linear_2": "lddt.second", "aux_heads.plddt.linear_3": "lddt.out",
    "aux_heads.distogram.linear": "distogram.one_way", "aux_heads.masked_msa.linear": "masked_msa",
    "aux_heads.experimentally_resolved.linear": "resolved",
}  # fmt: skip

TEMPLATES = ("template_",)
"""Starts of the names of what reads templates. Without a template it adds nothing, so it has no place here."""

CONSTANTS = tuple(f"structure_module.{name}" for name in ("default_frames", "group_idx", "atom_mask", "lit_positions"))


ITERATIONS = StructureModuleConfig().iterations


def load_openfold(path: Path, iterations: int = ITERATIONS) -> AlphaFold:
    """AlphaFold 2 of an OpenFold .pt file of any version, averaged weights where it holds them.

    iterations  of the structure module; all published models have 8, and their weights do not tell

    Raises CheckpointError where the file is no monomer model of OpenFold.
    """
    return convert_openfold(_weights(read_checkpoint(path), path), str(path), iterations)


def convert_openfold(tensors: Mapping[str, Tensor], name: str, iterations: int = ITERATIONS) -> AlphaFold:
    """The same of tensors under OpenFold's names; `name` is what errors call them."""
    source = Source({_current_name(key): value for key, value in tensors.items()}, name)
    if "input_embedder.linear_relpos.weight" not in source:
        raise CheckpointError(f"{name} is no AlphaFold 2 model in OpenFold's names")
    config = _config(source, iterations)
    state: State = {}
    for theirs, ours in LAYERS.items():
        state |= source.layer(theirs, ours)
    if config.aligned_error:
        state |= source.layer("aux_heads.tm.linear", "aligned_error")
    state["position.embedding.weight"] = _table(source, "input_embedder.linear_relpos", nothing=False)
    state["recycling.distance.weight"] = _table(source, "recycling_embedder.linear", nothing=True)
    state |= structure_module(source, "structure_module", "structure", config.structure)
    for theirs, ours, stack in (("extra_msa_stack", "extra", config.extra), ("evoformer",) * 2 + (config.evoformer,)):
        for number in range(stack.blocks):
            state |= _block(source, f"{theirs}.blocks.{number}.", f"{ours}.blocks.{number}.", stack)
    return source.fill(AlphaFold(config), state, TEMPLATES + CONSTANTS)


def _weights(content: dict[str, Any], path: Path) -> dict[str, Tensor]:
    """The averaged weights of a training checkpoint, or the only ones that there are."""
    averaged = content.get("ema")
    for found in (averaged.get("params") if isinstance(averaged, dict) else None, content.get("state_dict"), content):
        if isinstance(found, dict) and found and all(isinstance(value, Tensor) for value in found.values()):
            return found
    raise CheckpointError(
        f"{path} holds no weights of OpenFold: expected a dictionary of tensors, itself or under 'state_dict' or 'ema'"
    )


def _current_name(name: str) -> str:
    name = WRAPPERS.sub("", name)
    for old, new in NEW_NAMES:
        name = name.replace(old, new)
    return name


def _config(source: Source, iterations: int) -> AlphaFoldConfig:
    """Hyper-parameters that the shapes of the weights tell."""
    return AlphaFoldConfig(
        evoformer=_stack(source, "evoformer"),
        extra=_stack(source, "extra_msa_stack"),
        structure=structure_config(source, "structure_module", iterations, StructureModuleConfig().dropout),
        reach=source.shape("input_embedder.linear_relpos.weight")[1] // 2,
        lddt_width=source.shape("aux_heads.plddt.linear_1.weight")[0],
        aligned_error="aux_heads.tm.linear.weight" in source,
    )


def _stack(source: Source, theirs: str) -> EvoformerConfig:
    block = f"{theirs}.blocks.0"
    wide, msa = source.shape(f"{block}.msa_transition.linear_1.weight")
    msa_heads, pair = source.shape(f"{block}.msa_att_row.linear_z.weight")
    pair_heads = source.shape(f"{block}.pair_stack.tri_att_start.linear.weight")[0]
    return EvoformerConfig(
        blocks=source.count(f"{theirs}.blocks."),
        msa=msa,
        pair=pair,
        msa_heads=msa_heads,
        msa_head_width=source.shape(f"{block}.msa_att_row.mha.linear_q.weight")[0] // msa_heads,
        pair_heads=pair_heads,
        pair_head_width=source.shape(f"{block}.pair_stack.tri_att_start.mha.linear_q.weight")[0] // pair_heads,
        product_width=source.shape(f"{block}.outer_product_mean.linear_1.weight")[0],
        triangle_width=source.shape(f"{block}.pair_stack.tri_mul_out.linear_a_p.weight")[0],
        transition_factor=wide // msa,
        global_columns=f"{block}.msa_att_col.global_attention.linear_q.weight" in source,
    )


def _table(source: Source, theirs: str, nothing: bool) -> Tensor:
    """A linear layer of one-hot features as a table of its outputs, with `nothing` first one for no feature at all."""
    state = source.layer(theirs, "")
    rows = state[".weight"].T.float()  # a sum in 16-bit numbers would lose digits
    return (torch.cat([torch.zeros_like(rows[:1]), rows]) if nothing else rows) + state[".bias"]


def _block(source: Source, theirs: str, ours: str, config: EvoformerConfig) -> State:
    state: State = {}
    for one, other in {
        "msa_att_row.layer_norm_m": "row_attention.norm", "msa_att_row.layer_norm_z": "row_attention.bias.norm",
        "msa_att_row.linear_z": "row_attention.bias.out", "msa_transition.layer_norm": "msa_transition.norm",
        "msa_transition.linear_1": "msa_transition.expand", "msa_transition.linear_2": "msa_transition.out",
        "outer_product_mean.layer_norm": "outer_product_mean.norm",
        "outer_product_mean.linear_out": "outer_product_mean.out",
        "pair_stack.pair_transition.layer_norm": "pair_transition.norm",
        "pair_stack.pair_transition.linear_1": "pair_transition.expand",
        "pair_stack.pair_transition.linear_2": "pair_transition.out",
    }.items():  # fmt: skip
        state |= source.layer(theirs + one, ours + other)
    state |= gated_attention(source, f"{theirs}msa_att_row.mha", f"{ours}row_attention.attention")
    products = [f"{theirs}outer_product_mean.linear_{number}" for number in (1, 2)]
    state |= source.joined(products, f"{ours}outer_product_mean.columns")
    state |= _columns(source, f"{theirs}msa_att_col", f"{ours}column_attention", config.global_columns)
    return state | triangles(source, f"{theirs}pair_stack.", ours)


def _columns(source: Source, theirs: str, ours: str, global_columns: bool) -> State:
    if not global_columns:
        norm = source.layer(f"{theirs}._msa_att.layer_norm_m", f"{ours}.norm")
        return norm | gated_attention(source, f"{theirs}._msa_att.mha", f"{ours}.attention")
    inner = f"{theirs}.global_attention"
    return (
        source.layer(f"{theirs}.layer_norm_m", f"{ours}.norm")
        | source.layer(f"{inner}.linear_q", f"{ours}.query")
        | source.joined([f"{inner}.linear_k", f"{inner}.linear_v"], f"{ours}.key_value")
        | source.layer(f"{inner}.linear_g", f"{ours}.gate")
        | source.layer(f"{inner}.linear_o", f"{ours}.out")
    )
