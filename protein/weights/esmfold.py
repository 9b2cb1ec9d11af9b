"""ESMFold checkpoints (facebookresearch/esm, and its copy at Hugging Face; MIT) as our model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.app.errors import CheckpointError
from protein.models.esmfold import ESMFold, ESMFoldConfig
from protein.models.structure_module import StructureModuleConfig
from protein.weights.esm2 import UNUSED, esm2_config, esm2_state, from_fair_esm, from_hugging_face
from protein.weights.files import read_safetensors
from protein.weights.folding_layers import reversed_offsets, structure_config, structure_module, triangles
from protein.weights.source import Source, State

LANGUAGE = "esm."
ITERATIONS = StructureModuleConfig().iterations

LAYERS = {
    "esm_s_mlp.0": "embed_state.0", "esm_s_mlp.1": "embed_state.1", "esm_s_mlp.3": "embed_state.3",
    "embedding": "embed_type", "trunk.recycle_s_norm": "recycling.norm_single",
    "trunk.recycle_z_norm": "recycling.norm_pair", "trunk.recycle_disto": "recycling.distance",
    "trunk.trunk2sm_s": "to_single", "trunk.trunk2sm_z": "to_pair", "ptm_head": "aligned_error", "lm_head": "residue",
    "lddt_head.0": "lddt.norm", "lddt_head.1": "lddt.first", "lddt_head.2": "lddt.second", "lddt_head.3": "lddt.out",
}  # fmt: skip

CONSTANTS = (
    "af2_to_esm", "trunk.structure_module.default_frames", "trunk.structure_module.group_idx",
    "trunk.structure_module.atom_mask", "trunk.structure_module.lit_positions", "positional_encoding._float_tensor",
)  # fmt: skip


def load_esmfold(
    path: Path, language: Path | None = None, heads: int | None = None, iterations: int = ITERATIONS
) -> ESMFold:
    """ESMFold of a Hugging Face folder (config.json, safetensors), or of a fair-esm .pt file.

    Of a .pt file:
    language    the ESM-2 checkpoint that belongs to it, which it does not hold
    heads       of that ESM-2, where it is of a size that was not published
    iterations  of the structure module; the published model has 8, and its weights do not tell

    Raises CheckpointError where the files are no ESMFold.
    """
    if path.is_dir():
        settings, tensors = read_safetensors(path)
        names = {name: value for name, value in tensors.items() if not name.startswith(LANGUAGE)}
        inner = from_hugging_face({n: value for n, value in tensors.items() if n.startswith(LANGUAGE)})
        source = Source(names | {LANGUAGE + name: value for name, value in inner.items()}, str(path))
        return _convert(source, settings.get("num_attention_heads"), _structure_settings(settings, path))
    if language is None:
        raise CheckpointError(f"{path} does not hold the language model: name the file of its ESM-2 (3B) too")
    inner = {LANGUAGE + name: value for name, value in from_fair_esm(language).items()}
    return _convert(Source(from_fair_esm(path) | inner, f"{path} with {language}"), heads, {"num_blocks": iterations})


def _structure_settings(settings: dict[str, Any], path: Path) -> dict[str, Any]:
    folding = settings.get("esmfold_config")
    if not isinstance(folding, dict):
        raise CheckpointError(f"{path / 'config.json'} describes no folding model: esmfold_config is {folding!r}")
    if folding.get("bypass_lm") or folding.get("esm_ablate_sequence") or not folding.get("embed_aa", True):
        raise CheckpointError(f"{path / 'config.json'} switches parts of ESMFold off, which no published model does")
    return (folding.get("trunk") or {}).get("structure_module") or {}


def _convert(source: Source, language_heads: int | None, structure: dict[str, Any]) -> ESMFold:
    language = esm2_config(source, LANGUAGE, language_heads)
    default = StructureModuleConfig()
    block = "trunk.blocks.0"
    config = ESMFoldConfig(
        language=language,
        single=source.shape(f"{block}.layernorm_1.weight")[0],
        pair=source.shape(f"{block}.mlp_pair.mlp.0.weight")[0],
        blocks=source.count("trunk.blocks."),
        single_heads=source.shape(f"{block}.pair_to_sequence.linear.weight")[0],
        pair_heads=source.shape(f"{block}.tri_att_start.linear.weight")[0],
        reach=source.shape("trunk.pairwise_positional_embedding.embedding.weight")[0] // 2 - 1,
        lddt_width=source.shape("lddt_head.1.weight")[0],
        structure=structure_config(
            source, "trunk.structure_module",
            structure.get("num_blocks", default.iterations), structure.get("dropout_rate", default.dropout),
        ),
    )  # fmt: skip
    model = ESMFold(config)
    state = esm2_state(source, LANGUAGE, "language.", language)
    state |= _heads_and_embeddings(source, config)
    for number in range(config.blocks):
        state |= _block(source, f"trunk.blocks.{number}.", f"blocks.{number}.", config)
    return source.fill(model, state, (*CONSTANTS, f"{LANGUAGE}lm_head.", *(LANGUAGE + name for name in UNUSED)))


def _heads_and_embeddings(source: Source, config: ESMFoldConfig) -> State:
    state: State = {"state_weight": source.take("esm_s_combine")}
    for theirs, ours in LAYERS.items():
        state |= source.layer(theirs, ours)
    # Row 0 is that of padding.
    offsets = source.take("trunk.pairwise_positional_embedding.embedding.weight")[1:]
    state["position.embedding.weight"] = reversed_offsets(offsets)
    # Theirs is the mean of both directions, ours the sum.
    state |= {name: value / 2 for name, value in source.layer("distogram_head", "distogram.one_way").items()}
    return state | structure_module(source, "trunk.structure_module", "structure", config.structure)


def _block(source: Source, theirs: str, ours: str, config: ESMFoldConfig) -> State:
    state: State = {}
    for one, other in {
        "layernorm_1": "norm", "seq_attention.o_proj": "attention.out", "seq_attention.g_proj": "attention.gate",
        "pair_to_sequence.layernorm": "bias.norm", "pair_to_sequence.linear": "bias.out",
        "sequence_to_pair.layernorm": "to_pair.norm", "sequence_to_pair.proj": "to_pair.project",
        "mlp_seq.mlp.0": "transition.norm", "mlp_seq.mlp.1": "transition.expand", "mlp_seq.mlp.3": "transition.out",
        "mlp_pair.mlp.0": "pair_transition.norm", "mlp_pair.mlp.1": "pair_transition.expand",
        "mlp_pair.mlp.3": "pair_transition.out",
    }.items():  # fmt: skip
        state |= source.layer(theirs + one, ours + other)
    # Theirs goes through heads first, then through queries, keys and values.
    qkv = source.take(f"{theirs}seq_attention.proj.weight").unflatten(0, (config.single_heads, 3, -1))
    state[f"{ours}attention.qkv.weight"] = qkv.transpose(0, 1).flatten(0, 2)
    product, difference = source.take(f"{theirs}sequence_to_pair.o_proj.weight").chunk(2, 1)
    state[f"{ours}to_pair.out_product.weight"] = product
    state[f"{ours}to_pair.out_product.bias"] = source.take(f"{theirs}sequence_to_pair.o_proj.bias")
    state[f"{ours}to_pair.out_difference.weight"] = difference
    return state | triangles(source, theirs, ours)
