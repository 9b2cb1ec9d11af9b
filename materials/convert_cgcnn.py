"""The published CGCNN checkpoints (txie-93/cgcnn, MIT) as predictors.

    convert_cgcnn("formation-energy-per-atom.pth.tar", "atom_init.json").save_pretrained("cgcnn-eform")

A checkpoint is a pickle; it is read by torch's restricted unpickler, which builds tensors, numbers and containers and
can call nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import scalar as numpy_scalar
from torch import Tensor

from common.app.errors import CheckpointError
from materials.models.cgcnn import CGCNN, CGCNNConfig
from materials.models.crystal_graph import Z
from materials.predictor import PropertyPredictor

PROPERTIES = {
    "formation-energy-per-atom": ("e_form", "eV/atom"),
    "final-energy-per-atom": ("energy", "eV/atom"),
    "band-gap": ("band_gap", "eV"),
    "efermi": ("fermi_energy", "eV"),
    "bulk-moduli": ("log10_k_vrh", "log10(GPa)"),
    "shear-moduli": ("log10_g_vrh", "log10(GPa)"),
    "poisson-ratio": ("poisson_ratio", "1"),
    "semi-metal-classification": ("is_metal", "probability"),
}

# numpy scalars that the classification checkpoint holds beside its tensors: plain data
SAFE_GLOBALS = [(numpy_scalar, "numpy.core.multiarray.scalar"), np.dtype, np.dtypes.Float64DType]


def convert_cgcnn(checkpoint: str | Path, atom_init: str | Path, device: str = "cpu") -> PropertyPredictor:
    """Read an official checkpoint `<property>.pth.tar` and the element features `atom_init.json` it was trained with.

    Raises CheckpointError when either file is not what it should be. The units are those of the paper's targets.
    """
    path = Path(checkpoint)
    name = path.name.removesuffix(".pth.tar")
    if name not in PROPERTIES:
        raise CheckpointError(f"{path}: expected one of {', '.join(f'{known}.pth.tar' for known in PROPERTIES)}")
    content = _load(path)
    features, elements = _element_features(Path(atom_init))
    try:
        model = _model(content["state_dict"], content["normalizer"], content["args"], features)
    except (KeyError, TypeError, RuntimeError) as error:  # a name that is missing, or a tensor of another shape
        raise CheckpointError(f"{path} with {atom_init}: not the layout of a CGCNN checkpoint: {error!r}") from error
    property_name, unit = PROPERTIES[name]
    is_class = unit == "probability"
    return PropertyPredictor(
        model,
        {
            "name": f"cgcnn-{name}",
            "architecture": "cgcnn",
            "substance": "crystal",
            "property": property_name,
            "unit": unit,
            "outcome": "classification" if is_class else "regression",
            "description": "Published CGCNN weights, converted",
            "input": {"neighbours": 12, "cutoff_a": model.config.cutoff_a, "collapse_tolerance_a": 1e-3},
            "elements": elements,
            "data": {"name": "Materials Project, 2017"},
            "metrics": {"validation_auc" if is_class else "validation_mae": float(content["best_mae_error"])},
            "licence": "MIT",
            "citation": "Xie & Grossman, Phys. Rev. Lett. 120, 145301 (2018), doi:10.1103/PhysRevLett.120.145301",
            "source": f"https://github.com/txie-93/cgcnn/blob/master/pre-trained/{path.name}",
        },
        device,
    )


def _model(
    weights: dict[str, Tensor], normalizer: dict[str, Any], arguments: dict[str, Any], features: Tensor
) -> CGCNN:
    if arguments["n_h"] != 1:
        raise TypeError(f"n_h is {arguments['n_h']}, expected one layer after pooling")
    classification = arguments["task"] == "classification"
    config = CGCNNConfig(
        width=arguments["atom_fea_len"],
        layers=arguments["n_conv"],
        readout_width=arguments["h_fea_len"],
    )
    model = CGCNN(config)
    if not classification:
        model.scale.set(float(normalizer["mean"]), float(normalizer["std"]))
    model.load_state_dict(model.scale.state_dict(prefix="scale.") | _converted(weights, config, features))
    return model


def _load(path: Path) -> dict[str, Any]:
    try:
        with torch.serialization.safe_globals(SAFE_GLOBALS):
            content = torch.load(path, map_location="cpu", weights_only=True)
        missing = {"state_dict", "normalizer", "args", "best_mae_error"} - set(content)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except Exception as error:  # the unpickler raises whatever a damaged or hostile file makes it raise
        raise CheckpointError(
            f"{path} is no CGCNN checkpoint that can be read without running code: {error}"
        ) from error
    if missing:
        raise CheckpointError(f"{path} is not a CGCNN checkpoint: it lacks {', '.join(sorted(missing))}")
    return content


def _element_features(path: Path) -> tuple[Tensor, list[int]]:
    """Features of each element [Z + 1, 92] (zero where unknown) and the elements that have some."""
    try:
        table = {int(z): values for z, values in json.loads(path.read_text()).items()}
        features = torch.zeros(Z + 1, len(next(iter(table.values()))))
        for z, values in table.items():
            features[z] = torch.tensor(values)
    except (OSError, ValueError, TypeError, AttributeError, LookupError, StopIteration, RuntimeError) as error:
        raise CheckpointError(
            f"{path} is no table of element features like CGCNN's atom_init.json: {error!r}"
        ) from error
    return features, sorted(table)


def _converted(weights: dict[str, Tensor], config: CGCNNConfig, features: Tensor) -> dict[str, Tensor]:
    """Official names to ours; the concatenated matrix falls into its parts for centre, neighbour and bond."""
    state = {
        "embedding.weight": features @ weights["embedding.weight"].T + weights["embedding.bias"],
        "hidden.weight": weights["conv_to_fc.weight"],
        "hidden.bias": weights["conv_to_fc.bias"],
        **{f"output.{part}": _one_output(weights[f"fc_out.{part}"]) for part in ("weight", "bias")},
    }
    width = config.width
    for layer in range(config.layers):
        theirs, ours = f"convs.{layer}", f"convolutions.{layer}"
        full = weights[f"{theirs}.fc_full.weight"]
        state |= {
            f"{ours}.centre.weight": full[:, :width],
            f"{ours}.centre.bias": weights[f"{theirs}.fc_full.bias"],
            f"{ours}.neighbour.weight": full[:, width : 2 * width],
            f"{ours}.filter.weight": full[:, 2 * width :],
        }
        for their_norm, our_norm in (("bn1", "edge_norm"), ("bn2", "node_norm")):
            for part in ("weight", "bias", "running_mean", "running_var"):
                state[f"{ours}.{our_norm}.{part}"] = weights[f"{theirs}.{their_norm}.{part}"]
    return state


def _one_output(weights: Tensor) -> Tensor:
    """Of two classes' logits their difference, which is the logit of the second; one output stays as it is."""
    return weights[1:] - weights[:1] if len(weights) == 2 else weights
