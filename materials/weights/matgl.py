"""Checkpoints of matgl (materialsvirtuallab/matgl, BSD-3-Clause) as our models.

`state.pt` holds tensors only and is read by torch's restricted unpickler; `model.json` holds the settings. The file
`model.pt` beside them is a pickled dictionary of the same settings and is never opened.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from ase.data import atomic_numbers
from torch import Tensor, nn

from common.app.errors import CheckpointError
from materials.models.crystal_graph import Z
from materials.models.m3gnet import M3GNet, M3GNetConfig, M3GNetProperty
from materials.models.megnet import MEGNet, MEGNetConfig
from materials.models.tensornet import TensorNet, TensorNetConfig
from materials.weights.official import read_state
from materials.weights.published import MATGL_ELEMENTS as ELEMENTS

Model = TypeVar("Model", bound=nn.Module)


def convert_m3gnet(
    files: Mapping[str, Path],
    three_body_radial: Literal["partner", "edge"] = "partner",
    receiver: Literal["target", "source"] = "target",
) -> M3GNet | M3GNetProperty:
    """M3GNet (potential) or M3GNetProperty from {"model.json": path, "state.pt": path}.

    `three_body_radial` and `receiver` (see M3GNetConfig) depend on the version of matgl that the weights were trained
    with, which no file says: "edge" before August 2023, "source" from version 4 on.

    Raises CheckpointError where the files are no M3GNet, or one with settings that no published model has.
    """
    settings, outer, weights = _read(files, "M3GNet")
    _expect(settings, files, max_l=3, rbf_type="SphericalBessel", use_smooth=False, use_phi=False, include_state=False,
            activation_type="swish", ntargets=1, task_type="regression")  # fmt: skip
    config = M3GNetConfig(
        width=settings["units"], layers=settings["nblocks"], radial=settings["max_n"], cutoff_a=settings["cutoff"],
        three_body_cutoff_a=settings["threebody_cutoff"], three_body_radial=three_body_radial,
        receiver=receiver, readout_steps=settings["niters_set2set"],
        readout_layers=settings["nlayers_set2set"],
    )  # fmt: skip
    state = _m3gnet_core(weights, config)
    if settings["is_intensive"]:
        model = M3GNetProperty(config)
        state |= _linears(weights, "model.readout.set2set.lstm", "pool.lstm")
        state |= _linears(weights, "model.final_layer.layers", "readout") | _normalizer(outer)
    else:
        model = M3GNet(config)
        state |= _gated(weights, "model.final_layer.gated", "readout") | _references(weights)
    return _loaded(model, state, files)


def convert_megnet(
    files: Mapping[str, Path],
    fidelity: int = 0,
    readout_steps: int | None = None,
    receiver: Literal["target", "source"] = "target",
) -> MEGNet:
    """MEGNet from {"model.json": path, "state.pt": path}.

    `fidelity`: level of theory that a model of several (BandGap-mfi: 0 PBE, 1 GLLB-SC, 2 HSE, 3 SCAN) shall predict.
    `readout_steps`: instead of what model.json says; BandGap-mfi was trained with 2, its model.json says 3.
    `receiver`: see convert_m3gnet.
    Raises CheckpointError where the files are no MEGNet.
    """
    settings, outer, weights = _read(files, "MEGNet")
    _expect(settings, files, activation_type="softplus2", is_classification=False, nlayers_set2set=1)
    config = MEGNetConfig(
        atom_width=settings["dim_node_embedding"], gaussians=settings["dim_edge_embedding"],
        gaussian_max_a=settings["cutoff"] + 1.0, gaussian_sharpness=settings["gauss_width"],
        state_width=settings["dim_state_embedding"], blocks=settings["nblocks"],
        hidden=tuple(settings["hidden_layer_sizes_input"]),
        convolution_hidden=tuple(settings["hidden_layer_sizes_conv"]),
        readout_hidden=tuple(settings["hidden_layer_sizes_output"]),
        readout_steps=readout_steps or settings["niters_set2set"],
        cutoff_a=settings["cutoff"], receiver=receiver,
    )  # fmt: skip
    state = {"embedding.weight": by_element(weights["model.embedding.layer_node_embedding.weight"])}
    state |= _normalizer(outer) | _linears(weights, "model.output_proj.layers", "readout")
    state |= _linears(weights, "model.edge_s2s.lstm", "edge_pool.lstm") | _linears(
        weights, "model.node_s2s.lstm", "atom_pool.lstm"
    )
    levels = weights.get("model.embedding.layer_state_embedding.weight")
    state["state"] = torch.zeros(config.state_width) if levels is None else levels[fidelity]
    for theirs, ours in (("edge", "edge"), ("node", "atom"), ("state", "state")):
        state |= _linears(weights, f"model.{theirs}_encoder.layers", f"encoder.{ours}")
        for block in range(config.blocks):
            state |= _linears(weights, f"model.blocks.{block}.{theirs}_func.layers", f"blocks.{block}.dense.{ours}")
            state |= _linears(
                weights, f"model.blocks.{block}.conv.{theirs}_func.layers", f"blocks.{block}.update.{ours}"
            )
    return _loaded(MEGNet(config), state, files)


def convert_tensornet(files: Mapping[str, Path], receiver: Literal["target", "source"] = "target") -> TensorNet:
    """TensorNet from {"model.json": path, "state.pt": path}.

    `receiver`: see convert_m3gnet; here it says which half of a pair's embedding belongs to the atom that sums.
    Raises CheckpointError where the files are no TensorNet potential of the published kind.
    """
    settings, _, weights = _read(files, "TensorNet")
    _expect(settings, files, rbf_type="SphericalBessel", use_smooth=True, activation_type="swish",
            include_state=False, equivariance_invariance_group="O(3)",
            readout_type="weighted_atom", is_intensive=False, ntargets=1)  # fmt: skip
    config = TensorNetConfig(
        width=settings["units"], layers=settings["nblocks"], radial=settings["max_n"], cutoff_a=settings["cutoff"]
    )
    width, theirs = config.width, "model.tensor_embedding"
    core = {"embedding.element.weight": by_element(weights[f"{theirs}.emb.weight"])}
    first, second = weights[f"{theirs}.emb2.weight"].split(width, dim=1)
    source, target = (first, second) if receiver == "target" else (second, first)
    core |= {"embedding.source.weight": source, "embedding.target.weight": target}
    core["embedding.source.bias"] = weights[f"{theirs}.emb2.bias"]
    for part in ("weight", "bias"):
        core |= {f"norm.{part}": weights[f"model.out_norm.{part}"], f"output.{part}": weights[f"model.linear.{part}"]}
        core[f"embedding.norm.{part}"] = weights[f"{theirs}.init_norm.{part}"]
        core[f"embedding.radial.{part}"] = torch.cat([weights[f"{theirs}.distance_proj{n}.{part}"] for n in (1, 2, 3)])
    core |= _scalars(weights, theirs, "embedding.scales") | _tensors(weights, theirs, "embedding.mix", 0)
    for layer in range(config.layers):
        theirs, ours = f"model.layers.{layer}", f"layers.{layer}"
        core |= _scalars(weights, theirs, f"{ours}.filter")
        core |= _tensors(weights, theirs, f"{ours}.before", 0) | _tensors(weights, theirs, f"{ours}.after", 3)
    state = _references(weights) | _gated(weights, "model.final_layer.gated", "readout")
    return _loaded(TensorNet(config), state | {f"core.{name}": value for name, value in core.items()}, files)


def _read(files: Mapping[str, Path], kind: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Tensor]]:
    """Settings of the network, settings of what wraps it, and weights."""
    path = files["model.json"]
    try:
        outer = json.loads(path.read_text())["kwargs"]
        found, settings = outer["model"]["@class"], outer["model"]["init_args"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is no model.json of matgl ({type(error).__name__}: {error})") from error
    if found != kind:
        raise CheckpointError(f"{path} describes a {found}; expected a {kind}")
    if (
        tuple(settings.get("element_types") or ())
        and [atomic_numbers[s] for s in settings["element_types"]] != ELEMENTS
    ):
        raise CheckpointError(f"{path} lists other elements than the 89 of the published models")
    return settings, outer, read_state(files["state.pt"])


def _expect(settings: Mapping[str, Any], files: Mapping[str, Path], **expected: Any) -> None:
    for name, value in expected.items():
        if settings.get(name) != value:
            raise CheckpointError(f"{files['model.json']}: {name} is {settings.get(name)!r}; expected {value!r}")


def _loaded(model: Model, state: dict[str, Tensor], files: Mapping[str, Path]) -> Model:
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{files['state.pt']} does not fit {files['model.json']}: {error}") from error
    return model


def _m3gnet_core(weights: dict[str, Tensor], config: M3GNetConfig) -> dict[str, Tensor]:
    state = {"core.embedding.weight": by_element(weights["model.embedding.layer_node_embedding.weight"])}
    for part in ("weight", "bias"):
        state[f"core.edge_embedding.{part}"] = weights[f"model.embedding.layer_edge_embedding.layers.0.{part}"]
    for layer in range(config.layers):
        theirs, ours = f"model.three_body_interactions.{layer}", f"core.three_body.{layer}"
        for part in ("weight", "bias"):
            state[f"{ours}.atom.{part}"] = weights[f"{theirs}.update_network_atom.layers.0.{part}"]
        state |= _gated(weights, f"{theirs}.update_network_bond", f"{ours}.edge")
        theirs, ours = f"model.graph_layers.{layer}.conv", f"core.convolutions.{layer}"
        for side in ("edge", "node"):
            state |= _gated(weights, f"{theirs}.{side}_update_func", f"{ours}.{side}")
            state[f"{ours}.{side}_filter.weight"] = weights[f"{theirs}.{side}_weight_func.weight"]
    return state


def by_element(rows: Tensor) -> Tensor:
    """Rows of matgl's 89 elements, by atomic number."""
    table = rows.new_zeros(Z + 1, *rows.shape[1:])
    table[ELEMENTS] = rows
    return table


def _linears(weights: dict[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    """Everything below a prefix, renamed: perceptrons and recurrent layers, numbered alike on both sides."""
    return {f"{ours}{key[len(theirs) :]}": value for key, value in weights.items() if key.startswith(f"{theirs}.")}


def _gated(weights: dict[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    """A gated perceptron: core and gate share the first matrix here, one above the other."""
    state = {}
    for part in ("weight", "bias"):
        core, gate = (_numbered(weights, f"{theirs}.{side}", part) for side in ("layers", "gates"))
        if core:
            state[f"{ours}.first.{part}"] = torch.cat([core[0], gate[0]])
            for number, (one, other) in enumerate(zip(core[1:], gate[1:], strict=True)):
                state |= {f"{ours}.core.{number}.{part}": one, f"{ours}.gate.{number}.{part}": other}
    return state


def _numbered(weights: dict[str, Tensor], prefix: str, part: str) -> list[Tensor]:
    found = {
        int(m[1]): value
        for key, value in weights.items()
        if (m := re.fullmatch(rf"{re.escape(prefix)}\.(\d+)\.{part}", key))
    }
    return [found[number] for number in sorted(found)]


def _normalizer(outer: Mapping[str, Any]) -> dict[str, Tensor]:
    """Mean and scale from text such as "Normalizer: Mean=-1.65, Std: 1.07"."""
    found = re.search(r"Mean\s*[=:]\s*([-+.\deE]+).*?Std\s*[=:]\s*([-+.\deE]+)", str(outer.get("target_transformer")))
    if not found:
        raise CheckpointError(
            f"model.json names the target transformer {outer.get('target_transformer')!r}, expected a Normalizer"
        )
    return {"mean": torch.tensor(float(found[1])), "scale": torch.tensor(float(found[2]))}


def _references(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Scale of the energies, and energies of the lone elements."""
    return {
        "scale": weights["data_std"].float(),
        "element_energy": by_element(weights["element_refs.property_offset"].float()),
    }


def _tensors(weights: dict[str, Tensor], theirs: str, ours: str, start: int) -> dict[str, Tensor]:
    return {f"{ours}.parts.{n}.weight": weights[f"{theirs}.linears_tensor.{start + n}.weight"] for n in range(3)}


def _scalars(weights: dict[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    """A perceptron whose last layer gives the three parts of each channel in turn; here channels follow parts."""
    state = {}
    for part in ("weight", "bias"):
        layers = _numbered(weights, f"{theirs}.linears_scalar", part)
        layers[-1] = layers[-1].unflatten(0, (-1, 3)).transpose(0, 1).flatten(0, 1)
        state |= {f"{ours}.{2 * number}.{part}": layer for number, layer in enumerate(layers)}
    return state
