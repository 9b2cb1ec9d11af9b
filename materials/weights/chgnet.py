"""CHGNet checkpoints (CederGroupHub/chgnet, modified BSD) as our model.

A checkpoint is a pickle; torch's restricted unpickler reads it, which builds tensors and containers and calls nothing.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from common.app.errors import CheckpointError
from materials.models.chgnet import CHGNet, CHGNetConfig
from materials.models.crystal_graph import Z
from materials.weights.official import read_state

ELEMENTS = list(range(1, 95))

EXPECTED = {
    "read_out": "ave", "mlp_hidden_dims": [64, 64, 64], "mlp_first": True, "is_intensive": True,
    "non_linearity": "silu", "gMLP_norm": "layer", "readout_norm": "layer", "update_bond": True, "update_angle": True,
    "angle_layer_hidden_dim": 0,
}  # fmt: skip
"""Settings that the architecture here has no choice about; a checkpoint with others is refused."""


def convert_chgnet(files: dict[str, Path]) -> CHGNet:
    """The model of an official checkpoint, `files` = {any name: path}.

    Raises CheckpointError if the file is no CHGNet checkpoint or is of a version with other layers.
    """
    (path,) = files.values()
    content = read_state(path).get("model")
    if not isinstance(content, dict) or not {"state_dict", "model_args"} <= set(content):
        raise CheckpointError(f"{path} is no CHGNet checkpoint: expected 'model' with 'state_dict' and 'model_args'")
    weights, settings = content["state_dict"], content["model_args"]
    for name, value in EXPECTED.items():
        if settings.get(name) != value:
            raise CheckpointError(f"{path} was trained with {name}={settings.get(name)!r}; expected {value!r} (0.3.0)")
    config = CHGNetConfig(
        width=settings["atom_fea_dim"], layers=settings["n_conv"], radial=settings["num_radial"],
        angular=(settings["num_angular"] - 1) // 2, cutoff_a=float(settings["atom_graph_cutoff"]),
        angle_cutoff_a=float(settings["bond_graph_cutoff"]), cutoff_exponent=settings["cutoff_coeff"],
    )  # fmt: skip
    model = CHGNet(config)
    model.load_state_dict(_converted(weights, config))
    return model


def _converted(weights: dict[str, Tensor], config: CHGNetConfig) -> dict[str, Tensor]:
    embedding, energies = torch.zeros(Z + 1, config.width), torch.zeros(Z + 1)
    embedding[ELEMENTS] = weights["atom_embedding.embedding.weight"]
    energies[ELEMENTS] = weights["composition_model.fc.weight"][0]
    state = {
        "embedding.weight": embedding,
        "element_energy": energies,
        "bond_basis.frequencies": weights["bond_basis_expansion.rbf_expansion_ag.frequencies"],
        "short_bond_basis.frequencies": weights["bond_basis_expansion.rbf_expansion_bg.frequencies"],
        "angle_basis.frequencies": weights["angle_basis_expansion.fourier_expansion.frequencies"],
        "bond_embedding.weight": weights["bond_embedding.weight"],
        "bond_weight.weight": weights["bond_weights_ag.weight"],
        "short_bond_weight.weight": weights["bond_weights_bg.weight"],
        "angle_embedding.weight": weights["angle_embedding.weight"],
    }
    for part in ("weight", "bias"):
        state |= {
            f"magmom.{part}": weights[f"site_wise.{part}"],
            f"norm.{part}": weights[f"readout_norm.{part}"],
            **{
                f"readout.{n}.{part}": weights[f"mlp.layers.{theirs}.{part}"]
                for n, theirs in zip((0, 2, 4, 6), (0, 2, 4, 7), strict=True)
            },
        }
    for layer in range(config.layers):
        state |= _gated(weights, f"atom_conv_layers.{layer}.twoBody_atom", f"atom_layers.{layer}.message", (0, 3))
        state[f"atom_layers.{layer}.output.weight"] = weights[f"atom_conv_layers.{layer}.mlp_out.layers.1.weight"]
    for layer in range(config.layers - 1):
        state |= _gated(weights, f"bond_conv_layers.{layer}.twoBody_bond", f"bond_layers.{layer}.message.gated", (0, 3))
        state[f"bond_layers.{layer}.output.weight"] = weights[f"bond_conv_layers.{layer}.mlp_out.layers.1.weight"]
    for layer in range(config.layers - 2):
        state |= _gated(weights, f"angle_layers.{layer}.twoBody_bond", f"angle_layers.{layer}.gated", (1,))
    return state


def _gated(weights: dict[str, Tensor], theirs: str, ours: str, layers: tuple[int, ...]) -> dict[str, Tensor]:
    """A gated perceptron: core and gate share the first matrix here, one above the other."""
    state = {}
    for part in ("weight", "bias"):
        core, gate = ([weights[f"{theirs}.mlp_{side}.layers.{n}.{part}"] for n in layers] for side in ("core", "gate"))
        state[f"{ours}.first.{part}"] = torch.cat([core[0], gate[0]])
        for number, (one, other) in enumerate(zip(core[1:], gate[1:], strict=True)):
            state |= {f"{ours}.core.{number}.{part}": one, f"{ours}.gate.{number}.{part}": other}
        state |= {
            f"{ours}.core_norm.{part}": weights[f"{theirs}.bn1.{part}"],
            f"{ours}.gate_norm.{part}": weights[f"{theirs}.bn2.{part}"],
        }
    return state
