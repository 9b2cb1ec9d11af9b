"""Checkpoints of megnet (materialsvirtuallab/megnet, BSD-3-Clause; Keras 2.2, HDF5) as our model.

Matrices are [inputs, outputs] there. A block's perceptrons see their inputs in another order; bonds are directed from
the atom that averages over them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import netCDF4
import numpy as np
import torch
from torch import Tensor

from common.app.errors import CheckpointError
from materials.models.crystal_graph import Z
from materials.models.megnet import MEGNet, MEGNetConfig

Weights = dict[str, Tensor]


def convert_megnet_keras(files: Mapping[str, Path]) -> MEGNet:
    """MEGNet from {"<name>.hdf5": path, "<name>.hdf5.json": path}.

    Raises CheckpointError where the files are no MEGNet of the published kind.
    """
    path = next(path for name, path in files.items() if name.endswith(".hdf5"))
    try:
        weights, layers = _read(path)
        converter = json.loads(files[f"{path.name}.json"].read_text())["graph_converter"]
        bonds = converter["bond_converter"]
        config = MEGNetConfig(
            gaussians=len(bonds["centers"]["data"]), gaussian_max_a=bonds["centers"]["data"][-1],
            gaussian_sharpness=bonds["width"] ** -2, cutoff_a=converter["cutoff"],
            readout_steps=layers["set2_set_1"]["T"], readout_narrow=layers["set2_set_1"]["n_hidden"],
            activate_updates=False, receiver="source",
        )  # fmt: skip
        model = MEGNet(config)
        model.load_state_dict(_state(weights, config))
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"{path} is no MEGNet of mp-2018.6.1 ({error!r}); fetch it again") from error
    return model


def _read(path: Path) -> tuple[Weights, dict[str, dict]]:
    """Tensors by "<layer>/<name>", and the settings of the layers."""
    weights: Weights = {}
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        for layer, group in file["model_weights"].groups.items():
            for name, values in _variables(group):
                weights[f"{layer}/{name.partition(':')[0]}"] = torch.from_numpy(np.array(values[:]))
        network = json.loads(file.getncattr("model_config"))["config"]["layers"]
    return weights, {layer["name"]: layer["config"] for layer in network}


def _variables(group: netCDF4.Group) -> list[tuple[str, netCDF4.Variable]]:
    """All below a group, by name; Keras repeats the layer's name on the way."""
    found = list(group.variables.items())
    for name, inner in group.groups.items():
        prefix = f"{name}/" if name.startswith("phi") else ""
        found += [(prefix + key, values) for key, values in _variables(inner)]
    return found


def _state(weights: Weights, config: MEGNetConfig) -> Weights:
    width = config.hidden[-1]
    table = weights["embedding_1/embeddings"]
    embedding = torch.zeros(Z + 1, table.shape[1])
    embedding[: len(table)] = table[: Z + 1]
    state = {"embedding.weight": embedding, "state": torch.zeros(config.state_width)}
    state |= {"mean": torch.tensor(0.0), "scale": torch.tensor(1.0)}
    number = 1  # dense layers are numbered in the order of the network
    for block in range(config.blocks):
        name = f"blocks.{block}.dense" if block else "encoder"
        for part in ("atom", "edge", "state"):
            for layer in range(len(config.hidden)):
                state |= _dense(weights, number, f"{name}.{part}.{2 * layer}")
                number += 1
        for theirs, ours, order in (("e", "edge", (0, 1, 2, 3)), ("v", "atom", (1, 0, 2)), ("u", "state", (2, 0, 1))):
            for layer in range(len(config.convolution_hidden)):
                kind = f"meg_net_layer_{block + 1}/phi_{theirs}"
                matrix = weights[f"{kind}/weight_{theirs}_{layer}"]
                if layer == 0:
                    matrix = torch.cat([matrix.split(width)[one] for one in order])
                key = f"blocks.{block}.update.{ours}.{2 * layer}"
                state |= {f"{key}.weight": matrix.T, f"{key}.bias": weights[f"{kind}/bias_{theirs}_{layer}"]}
    for pool, ours in ((1, "atom_pool"), (2, "edge_pool")):
        state |= _set2set(weights, f"set2_set_{pool}", ours)
    for layer in range(len(config.readout_hidden) + 1):
        state |= _dense(weights, number + layer, f"readout.{2 * layer}")
    return state


def _dense(weights: Weights, number: int, ours: str) -> Weights:
    name = f"dense_{number}"
    return {f"{ours}.weight": weights[f"{name}/kernel"].T, f"{ours}.bias": weights[f"{name}/bias"]}


def _set2set(weights: Weights, theirs: str, ours: str) -> Weights:
    """Without the gate that would keep the memory, which is always zero."""
    kernel, bias = weights[f"{theirs}/recurrent_kernel"], weights[f"{theirs}/recurrent_bias"]
    (taken, _, new, shown), (b_taken, _, b_new, b_shown) = kernel.chunk(4, dim=1), bias.chunk(4)
    return {
        f"{ours}.member.weight": weights[f"{theirs}/x_to_m_weight"].T,
        f"{ours}.member.bias": weights[f"{theirs}/x_to_m_bias"],
        f"{ours}.gates.weight": torch.cat([taken, new, shown], dim=1).T,
        f"{ours}.gates.bias": torch.cat([b_taken, b_new, b_shown]),
    }
