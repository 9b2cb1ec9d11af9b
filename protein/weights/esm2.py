"""ESM-2 checkpoints (facebookresearch/esm, and its copies at Hugging Face; MIT) as our model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from common.app.errors import CheckpointError
from protein.models.esm2 import ESM2, SIZES, ESM2Config
from protein.weights.files import read_checkpoint, read_safetensors
from protein.weights.source import Source, State

UNUSED = ("contact_head.", "lm_head.weight", "lm_head.decoder.", "embed_positions.")
"""What the files hold besides: a regression of contacts, and copies."""

CONSTANT = "inv_freq"
"""End of names that hold the frequencies of rotary positions."""

HUGGING_FACE_NAMES = {
    "attention.self.query": "self_attn.q_proj", "attention.self.key": "self_attn.k_proj",
    "attention.self.value": "self_attn.v_proj", "attention.output.dense": "self_attn.out_proj",
    "attention.LayerNorm": "self_attn_layer_norm", "intermediate.dense": "fc1", "output.dense": "fc2",
    "LayerNorm": "final_layer_norm",
}  # fmt: skip


def load_esm2(path: Path, heads: int | None = None) -> ESM2:
    """ESM-2 of a fair-esm .pt file, or of a Hugging Face folder (config.json, safetensors).

    It has its head where the file has.

    heads  of attention, where a .pt file is of a size that was not published

    Raises CheckpointError where there is no ESM-2 in it.
    """
    if path.is_dir():
        settings, tensors = read_safetensors(path)
        source = Source(from_hugging_face(tensors), str(path))
        heads = settings.get("num_attention_heads", heads)
    else:
        source = Source(from_fair_esm(path), str(path))
    config = esm2_config(source, "", heads)
    head = "lm_head.bias" in source
    state = esm2_state(source, "", "", config)
    if head:
        state |= source.layer("lm_head.dense", "head.dense") | source.layer("lm_head.layer_norm", "head.norm")
        state["head.bias"] = source.take("lm_head.bias")
    return source.fill(ESM2(config, head), state, UNUSED)


def esm2_config(source: Source, theirs: str, heads: int | None = None) -> ESM2Config:
    """The hyper-parameters of weights under the prefix `theirs`; `heads`, if None, by the published size."""
    layers, width = source.count(f"{theirs}layers."), source.shape(f"{theirs}embed_tokens.weight")[1]
    if heads is None:
        found = [size.heads for size in SIZES.values() if (size.layers, size.width) == (layers, width)]
        if not found:
            raise CheckpointError(
                f"{source.name} has {layers} layers of width {width}, which is none of the published sizes of ESM-2: "
                + ", ".join(f"{size.layers} of {size.width}" for size in SIZES.values())
            )
        heads = found[0]
    return ESM2Config(layers, width, heads)


def esm2_state(source: Source, theirs: str, ours: str, config: ESM2Config) -> State:
    """Weights under fair-esm's names and the prefix `theirs` as ours under the prefix `ours`, without the head."""
    state = source.layer(f"{theirs}embed_tokens", f"{ours}embedding")
    state |= source.layer(f"{theirs}emb_layer_norm_after", f"{ours}norm")
    for layer in range(config.layers):
        one, other = f"{theirs}layers.{layer}", f"{ours}layers.{layer}"
        state |= source.joined([f"{one}.self_attn.{part}_proj" for part in "qkv"], f"{other}.qkv")
        state |= source.layer(f"{one}.self_attn.out_proj", f"{other}.out")
        state |= source.layer(f"{one}.self_attn_layer_norm", f"{other}.norm_attention")
        state |= source.layer(f"{one}.final_layer_norm", f"{other}.norm_transition")
        state |= source.layer(f"{one}.fc1", f"{other}.transition.0")
        state |= source.layer(f"{one}.fc2", f"{other}.transition.2")
    return state


def from_hugging_face(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a Hugging Face folder under the names of fair-esm."""
    return {_fair_name(name): value for name, value in tensors.items() if not name.endswith(CONSTANT)}


def from_fair_esm(path: Path) -> dict[str, Tensor]:
    """The tensors of a fair-esm .pt file; raises CheckpointError if it is none."""
    content = read_checkpoint(path).get("model")
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is no checkpoint of fair-esm: expected weights under 'model'")
    return {
        name.removeprefix("encoder.").removeprefix("sentence_encoder."): value
        for name, value in content.items()
        if not name.endswith(CONSTANT)
    }


def _fair_name(name: str) -> str:
    name = name.removeprefix("esm.")
    name = name.replace("embeddings.word_embeddings", "embed_tokens").replace("embeddings.position", "embed_positions")
    name = name.replace("encoder.emb_layer_norm_after", "emb_layer_norm_after")
    if name.startswith("encoder.layer."):
        number, _, rest = name.removeprefix("encoder.layer.").partition(".")
        inner, _, end = rest.rpartition(".")
        end = {"gamma": "weight", "beta": "bias"}.get(end, end)
        return f"layers.{number}.{HUGGING_FACE_NAMES.get(inner, inner)}.{end}"
    return name
