"""The published weights that load by name: where each comes from, on what terms, and what converts it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from common.app.errors import ConfigError
from common.app.registry import did_you_mean
from common.data.datasets import Dataset, File, fetch

if TYPE_CHECKING:
    from torch import nn

GITHUB = "https://raw.githubusercontent.com"
CHGNET = f"{GITHUB}/CederGroupHub/chgnet/48a6bada7f42603cf0133b24470c7924587effaa/chgnet/pretrained"
MATGL = f"{GITHUB}/materialsvirtuallab/matgl/e9cde2291acd0b4c4a342428e7dd5e4d596b7bf9/pretrained_models"
MEGNET = f"{GITHUB}/materialsvirtuallab/megnet/f3705760266f24b62c4810dd4abacfc25f4f64ae/mvl_models/mp-2018.6.1"

MEGNET_PAPER = "Chen et al., Chem. Mater. 31, 3564 (2019), doi:10.1021/acs.chemmater.9b01294"
M3GNET_PAPER = "Chen & Ong, Nat. Comput. Sci. 2, 718 (2022), doi:10.1038/s43588-022-00349-3"
MATGL_PAPER = "Ko et al., npj Comput. Mater. 11, 253 (2025), doi:10.1038/s41524-025-01742-y"

MATGL_ELEMENTS = [z for z in range(1, 95) if not 84 <= z <= 88]
"""Atomic numbers in the order of the rows of matgl's embeddings: no Po to Ra."""


KERAS_ELEMENTS = list(range(1, 95))
"""Rows of megnet's embedding. Those of elements that MP-2018.6.1 does not have were never learned."""


@dataclass(frozen=True)
class PublishedModel:
    """Weights that somebody else trained, before any of it is on this machine."""

    weights: Dataset
    kind: Literal["potential", "property"]
    architecture: str
    converter: str
    """The text module:function, called with ({last part of a file's name: path}, **options)."""
    card: Mapping[str, Any]
    """What a model card says beyond name, architecture, licence and citation."""
    options: Mapping[str, Any] = field(default_factory=dict)

    def load(self, offline: bool = False) -> tuple[nn.Module, dict[str, Any]]:
        """The model and its card; fetches the official files where they are not on this machine.

        Raises DownloadError where they cannot be had, CheckpointError where they are not what they should be.
        """
        paths = {Path(name).name: path for name, path in fetch(self.weights, offline=offline).items()}
        module, _, function = self.converter.partition(":")
        model = getattr(importlib.import_module(module), function)(paths, **self.options)
        card = {
            "name": self.weights.name, "domain": "materials", "kind": self.kind, "architecture": self.architecture,
            "description": self.weights.description, "licence": self.weights.licence, "citation": self.weights.citation,
            "source": [file.url for file in self.weights.files], **self.card,
        }  # fmt: skip
        return model, card


def published(name: str) -> PublishedModel:
    """Look up by name; raises ConfigError that says the nearest."""
    if name not in PUBLISHED:
        raise ConfigError(f"no published weights '{name}'. {did_you_mean(name, list(PUBLISHED))}")
    return PUBLISHED[name]


def _matgl(folder: str, json: tuple[int, str], state: tuple[int, str]) -> tuple[File, ...]:
    names = (("model.json", *json), ("state.pt", *state))
    return tuple(
        File(f"materials/weights/matgl/{folder}/{name}", size, sha256, f"{MATGL}/{folder}/{name}")
        for name, size, sha256 in names
    )


def _property(name: str, unit: str, cutoff_a: float, mae: float, elements: list[int] | None = None) -> dict[str, Any]:
    return {
        "substance": "atoms", "property": name, "unit": unit, "outcome": "regression",
        "input": {"cutoff_a": cutoff_a}, "elements": elements or MATGL_ELEMENTS,
        "metrics": {"documented_mae": mae},
    }  # fmt: skip


_BSD, _MATGL_HOME = "BSD-3-Clause", "https://github.com/materialsvirtuallab/matgl"


def _megnet_keras(
    name: str, file: str, weights: tuple[int, str], settings: tuple[int, str], what: str, card: Mapping[str, Any]
) -> PublishedModel:
    """One of the four models that megnet's repository holds."""
    parts = ((file, *weights), (f"{file}.json", *settings))
    files = tuple(File(f"materials/weights/megnet/{one}", size, sha, f"{MEGNET}/{one}") for one, size, sha in parts)
    dataset = Dataset(
        f"megnet-keras-2018.6.1-{name}", f"MEGNet {what}, mp-2018.6.1 (Keras)", f"{what} of crystals of MP-2018.6.1.",
        _BSD, MEGNET_PAPER, "https://github.com/materialsvirtuallab/megnet", files,
    )  # fmt: skip
    return PublishedModel(dataset, "property", "megnet", "materials.weights.megnet_keras:convert_megnet_keras", card)


_MODELS = (
    PublishedModel(
        Dataset(
            "chgnet-0.3.0", "CHGNet 0.3.0",
            "Universal potential with magnetic moments, trained on MPtrj (relaxations of the Materials Project).",
            "modified BSD (Lawrence Berkeley National Laboratory)",
            "Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3",
            "https://github.com/CederGroupHub/chgnet",
            (File(
                "materials/weights/chgnet/chgnet_0.3.0_e29f68s314m37.pth.tar", 4_863_221,
                "d14ab7c0f093efe64b60a7bcd540bca10e74fb7f46c86108a079af60524659d1",
                f"{CHGNET}/0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar",
            ),),
        ),
        "potential", "chgnet", "materials.weights.chgnet:convert_chgnet",
        {"elements": list(range(1, 95)), 
         "metrics": {"energy_mev_atom": 29, "force_mev_a": 68, "stress_gpa": 0.314, "magmom_mmub": 37}},
    ),
    PublishedModel(
        Dataset(
            "m3gnet-mp-2021.2.8-pes", "M3GNet-MP-2021.2.8-PES",
            "Universal potential, trained on relaxations of the Materials Project of February 2021.",
            _BSD, f"{M3GNET_PAPER}; {MATGL_PAPER}", _MATGL_HOME,
            _matgl("M3GNet-MP-2021.2.8-PES",
                   (5_211, "05e7db8676ceb37eb07848aff49c556b188699e1035f3df0cbbf1a2c4959148f"),
                   (1_228_529, "a9aa723705bd1a242ec8749332f137811c4a94e17995a564f8f94a9aca68061b")),
        ),
        "potential", "m3gnet", "materials.weights.matgl:convert_m3gnet",
        {"elements": MATGL_ELEMENTS, "metrics": {"energy_mev_atom": 21.1, "force_mev_a": 72, "stress_gpa": 0.380}},
    ),
    PublishedModel(
        Dataset(
            "tensornet-matpes-pbe-2025.1", "TensorNet-MatPES-PBE-v2025.1",
            "Universal potential, trained on MatPES-PBE 2025.1 (molecular dynamics and ground states, PBE without U).",
            _BSD, f"Simeon & De Fabritiis, arXiv:2306.06482; Kaplan et al., arXiv:2503.04070; {MATGL_PAPER}",
            _MATGL_HOME,
            _matgl("TensorNet-MatPES-PBE-v2025.1-PES",
                   (5_609, "cf7d1db6c89da617245021a8fde16fb79db5bc06f7b6e11ee837f06eb32137d8"),
                   (3_403_519, "d2dfa51a65d23a47fd935eb0628177d2a1088584562091ef3350ce3a002fce6a")),
        ),
        "potential", "tensornet", "materials.weights.matgl:convert_tensornet",
        {"elements": MATGL_ELEMENTS, "metrics": {"energy_mev_atom": 42, "force_mev_a": 146, "stress_gpa": 0.627}},
    ),
    PublishedModel(
        Dataset(
            "m3gnet-mp-2018.6.1-eform", "M3GNet-MP-2018.6.1-Eform",
            "Formation energy, trained on 62,315 crystals of MP-2018.6.1.",
            _BSD, f"{M3GNET_PAPER}; {MATGL_PAPER}", _MATGL_HOME,
            _matgl("M3GNet-MP-2018.6.1-Eform",
                   (3_632, "a99ca70012706a09434617a793556bbd100423dafaa9f9ebb8708fd20e226575"),
                   (1_613_923, "166d4dba4aadbc5feb27e8aa047145facbcdadb9c5de067768e00515be3b3c1f")),
        ),
        "property", "m3gnet_property", "materials.weights.matgl:convert_m3gnet",
        _property("e_form", "eV/atom", 5.0, 0.019),
        {"three_body_radial": "edge"},
    ),
    PublishedModel(
        Dataset(
            "megnet-mp-2018.6.1-eform", "MEGNet-MP-2018.6.1-Eform",
            "Formation energy, trained on 62,315 crystals of MP-2018.6.1.",
            _BSD, f"{MEGNET_PAPER}; {MATGL_PAPER}", _MATGL_HOME,
            _matgl("MEGNet-MP-2018.6.1-Eform",
                   (1_391, "d858219134667d55e3c183435475ba248231a67311573373ed7298191f05d0a4"),
                   (796_373, "35381368b17a2783f9ee09af5556cf1d84b74bf786b82d3fadd4acb38c51d040")),
        ),
        "property", "megnet", "materials.weights.matgl:convert_megnet", _property("e_form", "eV/atom", 4.0, 0.028),
    ),
    PublishedModel(
        Dataset(
            "megnet-mp-2019.4.1-bandgap", "MEGNet-MP-2019.4.1-BandGap-mfi",
            "Band gap at the level of PBE, by a model trained on four levels of theory.",
            _BSD, f"Chen et al., Nat. Comput. Sci. 1, 46 (2021), doi:10.1038/s43588-020-00002-x; {MATGL_PAPER}",
            _MATGL_HOME,
            _matgl("MEGNet-MP-2019.4.1-BandGap-mfi",
                   (1_388, "9f8f4b8709e97c6ce25353f6b6c322ce3b5e031c71115cf6b94d5cd794f39bc2"),
                   (800_529, "2927ab9646ec3e099a3e42b1358a3c477db7356e2413bfa540fe0106cde628f9")),
        ),
        "property", "megnet", "materials.weights.matgl:convert_megnet", _property("band_gap", "eV", 5.0, 0.314),
        {"readout_steps": 2},
    ),
)  # fmt: skip

_KERAS = (
    _megnet_keras(
        "eform", "formation_energy.hdf5",
        (820_992, "82363f6ef74747f67bccd75fa0237dfaab5f0da519bf5f9cf8f4bcc11c53712b"),
        (2_792, "46566670b0c5ab13ebe6497ea3383fe772e90fe62517282448387694896cabd0"),
        "Formation energy", _property("e_form", "eV/atom", 4.0, 0.028, KERAS_ELEMENTS),
    ),
    _megnet_keras(
        "bandgap", "band_gap_regression.hdf5",
        (820_992, "e149197440863b06e819c3cc11550f7c78eee329b916112dab84d884d21306de"),
        (2_762, "96285e10309b8bc4091ec5c45b784958b3626e3b0d70ace96493717341438be9"),
        "Band gap, learned from gaps above zero,", _property("band_gap", "eV", 4.0, 0.32, KERAS_ELEMENTS),
    ),
    _megnet_keras(
        "bulk-modulus", "log10K.hdf5",
        (822_256, "283e249977d9ac718c92a28590f35bf6ba53f49642469b98e11627a03e24dd05"),
        (2_770, "96415cd0a10c00f174fd8b7560d0df1588f877e9df619f74a0aa702624dd32f4"),
        "Bulk modulus", _property("log10_k_vrh", "log10(GPa)", 4.0, 0.05, KERAS_ELEMENTS),
    ),
    _megnet_keras(
        "shear-modulus", "log10G.hdf5",
        (822_256, "f62c31daa7a8d984c7f094ea7e70e4940c14417e4368d7297b567a907430dea2"),
        (2_772, "c4eda11354f7d240d2a75a8a6aafa67005cc2c6a96351b7330095495a6bbaa79"),
        "Shear modulus", _property("log10_g_vrh", "log10(GPa)", 4.0, 0.079, KERAS_ELEMENTS),
    ),
)  # fmt: skip

PUBLISHED: dict[str, PublishedModel] = {model.weights.name: model for model in (*_MODELS, *_KERAS)}

WEIGHTS: dict[str, Dataset] = {name: model.weights for name, model in PUBLISHED.items()}
"""Their files, for `trifold data`."""
