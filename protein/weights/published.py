"""The published weights that load by name or from their official files: where each comes from, and on what terms.

The publishers state no hashes, so sizes are upper bounds.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.app.errors import CheckpointError, ConfigError
from common.app.registry import did_you_mean
from common.data.datasets import Dataset, File, Source, fetch

if TYPE_CHECKING:
    from torch import nn

    from protein.models.esm2 import ESM2

FAIR = "https://dl.fbaipublicfiles.com/fair-esm/models"
OPENFOLD = "https://huggingface.co/nz/OpenFold/resolve/main"
ALPHAFOLD = "https://storage.googleapis.com/alphafold/alphafold_params_2022-12-06.tar"

ESM_PAPER = "Lin et al., Science 379, 1123 (2023), doi:10.1126/science.ade2574"
ALPHAFOLD_PAPER = "Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2"
OPENFOLD_PAPER = "Ahdritz et al., Nat. Methods 21, 1514 (2024), doi:10.1038/s41592-024-02272-z"

ESM_HOME = "https://github.com/facebookresearch/esm"
MOST_BYTES = {"8M": 50e6, "35M": 200e6, "150M": 800e6, "650M": 3.5e9, "3B": 7e9, "15B": 35e9}
LANGUAGE_OF_ESMFOLD = "esm2_t36_3B_UR50D"


@dataclass(frozen=True)
class PublishedModel:
    """Weights that somebody else trained, before any of it is on this machine."""

    weights: Dataset
    architecture: str
    """Name of a structure predictor, or "esm2": a language model."""
    loader: str
    """The text module:function, called with the paths of the files."""
    card: Mapping[str, Any] = field(default_factory=dict)

    def load(self, offline: bool = False) -> nn.Module:
        """The model; fetches the official files where they are not on this machine.

        Raises DownloadError where they cannot be had, CheckpointError where they are not what they should be.
        """
        names = [file.name for file in self.weights.files]
        paths = fetch(self.weights, names, offline)
        return _function(self.loader)(*(paths[name] for name in names))


def load_published(name: str | Path, offline: bool = False) -> tuple[nn.Module, dict[str, Any]] | None:
    """Model and card of published weights by name, or of their official file or folder; None for anything else."""
    if str(name) in PUBLISHED:
        published = PUBLISHED[str(name)]
        if published.architecture == "esm2":
            raise CheckpointError(
                f"'{name}' is a language model and predicts no structures; protein.weights.esm2.load_esm2 loads it"
            )
        facts = published.weights
        card = {
            "name": facts.name, "architecture": published.architecture, "description": facts.description,
            "licence": facts.licence, "citation": facts.citation, "source": [file.url for file in facts.files],
        }  # fmt: skip
        return published.load(offline), card | dict(published.card)
    path = Path(name)
    if not path.exists() or (path / "model.json").is_file():
        return None
    architecture, model = _official(path)
    licence, citation = _TERMS[architecture]
    return model, {
        "name": path.stem, "architecture": architecture, "description": f"Published weights from {path.name}.",
        "licence": licence, "citation": citation,
    }  # fmt: skip


def load_language(name: str) -> ESM2:
    """ESM-2 by its published name, or from its official file or folder; raises ConfigError for an unknown name."""
    from protein.weights.esm2 import load_esm2

    if Path(name).exists():
        return load_esm2(Path(name))
    known = [name for name, one in PUBLISHED.items() if one.architecture == "esm2"]
    if name not in known:
        raise ConfigError(f"no language model '{name}'. {did_you_mean(name, known)}")
    return PUBLISHED[name].load()  # type: ignore[return-value]


def load_fair_esmfold(path: Path, language: Path | None = None) -> nn.Module:
    """ESMFold of a fair-esm .pt file, and its language model, by default beside it."""
    from protein.weights.esmfold import load_esmfold

    language = language or path.with_name(f"{LANGUAGE_OF_ESMFOLD}.pt")
    if not language.is_file():
        raise CheckpointError(f"{path} does not hold its language model; put {language.name} beside it")
    return load_esmfold(path, language)


def extract_alphafold(originals: Mapping[str, Path], folder: Path) -> None:
    """The parameter files of AlphaFold's archive, for `common.data.datasets`."""
    from common.data.archive import Limits, members

    for name, stream in members(next(iter(originals.values())), Limits(bytes=12_000_000_000, entries=100)):
        if Path(name).suffix == ".npz":
            with (folder / Path(name).name).open("wb") as target:
                while piece := stream.read(1 << 24):
                    target.write(piece)


def _official(path: Path) -> tuple[str, nn.Module]:
    """Architecture and model of a file or folder, by what it holds."""
    from protein.weights.alphafold import load_alphafold
    from protein.weights.esmfold import load_esmfold
    from protein.weights.files import read_checkpoint
    from protein.weights.openfold import load_openfold

    if path.is_dir():
        return "esmfold", load_esmfold(path)
    if path.suffix == ".npz":
        return "alphafold", load_alphafold(path)
    names = read_checkpoint(path).get("model")
    if not isinstance(names, dict):
        return "alphafold", load_openfold(path)
    if any(name.startswith("trunk.") for name in names):
        return "esmfold", load_fair_esmfold(path)
    raise CheckpointError(f"{path} holds no structure predictor; expected ESMFold, OpenFold or AlphaFold 2")


def _function(text: str) -> Any:
    module, _, name = text.partition(":")
    return getattr(importlib.import_module(module), name)


_MIT, _CC_BY = "MIT", "CC-BY-4.0"
_TERMS = {"esmfold": (_MIT, ESM_PAPER), "alphafold": (_CC_BY, f"{ALPHAFOLD_PAPER}; {OPENFOLD_PAPER}")}


def _fair(name: str, most_bytes: float) -> File:
    return File(f"protein/weights/esm/{name}.pt", int(most_bytes), None, f"{FAIR}/{name}.pt")


def _language(layers: int, size: str) -> PublishedModel:
    name = f"esm2_t{layers}_{size}_UR50D"
    return PublishedModel(
        Dataset(
            name, f"ESM-2, {layers} layers, {size} parameters",
            "Language model of protein sequences, trained on UniRef50/90.", _MIT, ESM_PAPER, ESM_HOME,
            (_fair(name, MOST_BYTES[size]),),
        ),
        "esm2", "protein.weights.esm2:load_esm2",
    )  # fmt: skip


def _openfold(name: str, what: str) -> PublishedModel:
    return PublishedModel(
        Dataset(
            f"openfold_{name}", f"OpenFold {name}", f"AlphaFold 2 trained anew by OpenFold, {what}; templates unused.",
            _CC_BY, f"{OPENFOLD_PAPER}; {ALPHAFOLD_PAPER}", "https://github.com/aqlaboratory/openfold",
            (File(f"protein/weights/openfold/{name}.pt", 400_000_000, None, f"{OPENFOLD}/{name}.pt"),),
        ),
        "alphafold", "protein.weights.openfold:load_openfold",
    )  # fmt: skip


def _alphafold(number: str) -> PublishedModel:
    return PublishedModel(
        Dataset(
            f"alphafold_model_{number}", f"AlphaFold 2, model_{number}",
            f"Parameters model_{number} of DeepMind, which read no templates.", _CC_BY, ALPHAFOLD_PAPER,
            "https://github.com/google-deepmind/alphafold",
            (File(f"protein/weights/alphafold/params_model_{number}.npz", 500_000_000),),
            (Source((File(f"protein/weights/alphafold/{Path(ALPHAFOLD).name}", 7_000_000_000, None, ALPHAFOLD),),
                    "protein.weights.published:extract_alphafold"),),
        ),
        "alphafold", "protein.weights.alphafold:load_alphafold",
    )  # fmt: skip


_MODELS = (
    PublishedModel(
        Dataset(
            "esmfold_v1", "ESMFold v1",
            "Structure from one sequence, through the language model ESM-2 of 3 billion parameters.",
            _MIT, ESM_PAPER, ESM_HOME, (_fair("esmfold_3B_v1", 4e9), _fair(LANGUAGE_OF_ESMFOLD, MOST_BYTES["3B"])),
        ),
        "esmfold", "protein.weights.published:load_fair_esmfold",
    ),
    *(_openfold(f"finetuning_no_templ_{number}", "finetuned without templates") for number in (1, 2)),
    _openfold("finetuning_no_templ_ptm_1", "finetuned without templates, with predicted aligned errors"),
    *(_openfold(f"finetuning_ptm_{number}", "with predicted aligned errors") for number in (1, 2)),
    *(_openfold(f"finetuning_{number}", f"checkpoint {number}") for number in (2, 3, 4, 5)),
    *(_alphafold(number) for number in ("3", "4", "5", "3_ptm", "4_ptm", "5_ptm")),
    *(_language(*size) for size in ((6, "8M"), (12, "35M"), (30, "150M"), (33, "650M"), (36, "3B"), (48, "15B"))),
)  # fmt: skip

PUBLISHED: dict[str, PublishedModel] = {model.weights.name: model for model in _MODELS}

WEIGHTS: dict[str, Dataset] = {name: model.weights for name, model in PUBLISHED.items()}
"""Their files, for `trifold data`."""
