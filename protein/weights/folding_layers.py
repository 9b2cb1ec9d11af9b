"""Layers that OpenFold, and ESMFold after it, name alike: from their names to ours."""

from __future__ import annotations

from torch import Tensor

from protein.models.structure_module import StructureModuleConfig
from protein.weights.source import Source, State


def gated_attention(source: Source, theirs: str, ours: str) -> State:
    """Queries, keys and values, which are one matrix here, gate and output."""
    return (
        source.joined([f"{theirs}.linear_{part}" for part in "qkv"], f"{ours}.qkv")
        | source.layer(f"{theirs}.linear_g", f"{ours}.gate")
        | source.layer(f"{theirs}.linear_o", f"{ours}.out")
    )


def triangle_attention(source: Source, theirs: str, ours: str) -> State:
    return (
        source.layer(f"{theirs}.layer_norm", f"{ours}.norm")
        | source.layer(f"{theirs}.linear", f"{ours}.bias.out")
        | gated_attention(source, f"{theirs}.mha", f"{ours}.attention")
    )


def triangle_multiplication(source: Source, theirs: str, ours: str) -> State:
    return (
        source.layer(f"{theirs}.layer_norm_in", f"{ours}.norm")
        | source.joined([f"{theirs}.linear_a_p", f"{theirs}.linear_b_p"], f"{ours}.edges")
        | source.joined([f"{theirs}.linear_a_g", f"{theirs}.linear_b_g"], f"{ours}.edges_gate")
        | source.layer(f"{theirs}.layer_norm_out", f"{ours}.norm_out")
        | source.layer(f"{theirs}.linear_z", f"{ours}.out")
        | source.layer(f"{theirs}.linear_g", f"{ours}.gate")
    )


def triangles(source: Source, theirs: str, ours: str) -> State:
    """The four triangle updates of a block; `theirs` and `ours` are its prefixes, with a dot."""
    return (
        triangle_multiplication(source, f"{theirs}tri_mul_out", f"{ours}outgoing")
        | triangle_multiplication(source, f"{theirs}tri_mul_in", f"{ours}incoming")
        | triangle_attention(source, f"{theirs}tri_att_start", f"{ours}starting")
        | triangle_attention(source, f"{theirs}tri_att_end", f"{ours}ending")
    )


def structure_module(source: Source, theirs: str, ours: str, config: StructureModuleConfig) -> State:
    """`config` as `structure_config` gives it."""
    pairs = {
        "layer_norm_s": "norm_single", "layer_norm_z": "norm_pair", "linear_in": "project",
        "ipa.linear_q": "attention.query", "ipa.linear_kv": "attention.key_value",
        _points(source, theirs, "q"): "attention.query_point",
        _points(source, theirs, "kv"): "attention.key_value_point",
        "ipa.linear_b": "attention.pair_bias", "ipa.linear_out": "attention.out",
        "layer_norm_ipa": "norm_attention", "transition.layer_norm": "norm_transition",
        "bb_update.linear": "backbone",
        "angle_resnet.linear_in": "torsions.project", "angle_resnet.linear_initial": "torsions.project_initial",
        "angle_resnet.linear_out": "torsions.out",
    }  # fmt: skip
    for layer in range(config.transition_layers):
        for number, name in enumerate(("first", "second", "out"), 1):
            pairs[f"transition.layers.{layer}.linear_{number}"] = f"transition.{layer}.{name}"
    for block in range(config.torsion_blocks):
        for number, name in enumerate(("first", "out"), 1):
            pairs[f"angle_resnet.layers.{block}.linear_{number}"] = f"torsions.blocks.{block}.{name}"
    state = {f"{ours}.attention.point_weight": source.take(f"{theirs}.ipa.head_weights")}
    for one, other in pairs.items():
        state |= source.layer(f"{theirs}.{one}", f"{ours}.{other}")
    return state


def structure_config(source: Source, theirs: str, iterations: int, dropout: float) -> StructureModuleConfig:
    """Hyper-parameters that the shapes of the weights tell; the iterations share theirs."""
    heads = source.shape(f"{theirs}.ipa.head_weights")[0]
    query_points = source.shape(f"{theirs}.{_points(source, theirs, 'q')}.weight")[0] // (3 * heads)
    all_points = source.shape(f"{theirs}.{_points(source, theirs, 'kv')}.weight")[0] // (3 * heads)
    return StructureModuleConfig(
        single=source.shape(f"{theirs}.layer_norm_s.weight")[0],
        pair=source.shape(f"{theirs}.layer_norm_z.weight")[0],
        heads=heads,
        head_width=source.shape(f"{theirs}.ipa.linear_q.weight")[0] // heads,
        query_points=query_points,
        value_points=all_points - query_points,
        iterations=iterations,
        transition_layers=source.count(f"{theirs}.transition.layers."),
        torsion_width=source.shape(f"{theirs}.angle_resnet.linear_in.weight")[0],
        torsion_blocks=source.count(f"{theirs}.angle_resnet.layers."),
        dropout=dropout,
    )


def reversed_offsets(embedding: Tensor) -> Tensor:
    """Rows of relative positions j - i, as those of i - j."""
    return embedding.flip(0)


def _points(source: Source, theirs: str, kind: str) -> str:
    """Of two names that versions of OpenFold give the projection to points, the one in this file."""
    name = f"ipa.linear_{kind}_points"
    return f"{name}.linear" if f"{theirs}.{name}.linear.weight" in source else name
