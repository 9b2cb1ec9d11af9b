"""The base of every domain's predictor: a trained model with what it needs to be used, in one verified folder.

folder/model.safetensors   weights
folder/model.json          the model card: architecture, hyper-parameters, input settings, unit, data, metrics, licence
folder/manifest.json       SHA-256 of both
"""

from __future__ import annotations

import importlib.resources
from abc import ABC
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

import torch
from torch import nn

from common.app.errors import CheckpointError, ConfigError
from common.app.registry import Registry, did_you_mean
from common.data.artifact import read_json, read_tensors, verify_artifact, write_artifact
from common.training.precision import keep_freed_memory, select_device

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32}
"""What weights and inputs are held in. With bfloat16 only products are computed in it (autocast): distances, angles and
other inputs keep the digits they need."""


class Predictor(ABC):
    """A model, its card, and the device it computes on.

    A domain sets `domain` and `architectures` and adds `predict`.
    """

    domain: ClassVar[str]
    architectures: ClassVar[Registry]

    def __init__(self, model: nn.Module, card: Mapping[str, Any], device: str = "auto", dtype: str = "float32") -> None:
        if dtype not in DTYPES:
            raise ConfigError(f"dtype={dtype!r}: {did_you_mean(dtype, list(DTYPES))}")
        keep_freed_memory()
        self.card = dict(card)
        self.device = select_device(device)
        self.dtype = DTYPES[dtype]
        self.precision = "bf16" if dtype == "bfloat16" else "fp32"
        self.model = model.to(self.device, self.dtype).eval().requires_grad_(False)

    @classmethod
    def from_pretrained(cls, name: str | Path, device: str = "auto", dtype: str = "float32") -> Self:
        """Load a shipped model by name, or any folder that `save_pretrained` wrote.

        Raises ConfigError for an unknown name, CheckpointError for a folder that is damaged or of another domain.
        """
        folder = cls._find(name)
        verify_artifact(folder)
        card = read_json(folder, "model.json")
        if card.get("domain") != cls.domain:
            raise CheckpointError(f"{folder} holds a model of domain '{card.get('domain')}', expected '{cls.domain}'")
        architecture = cls.architectures[card["architecture"]]
        model = architecture(_config(architecture.config_class, card["hyper_parameters"], folder))
        try:
            model.load_state_dict(read_tensors(folder, "model.safetensors"))
        except RuntimeError as error:
            raise CheckpointError(
                f"{folder}/model.safetensors does not fit architecture '{card['architecture']}': {error}"
            ) from error
        predictor = cls(model, card, device, dtype)
        predictor.read_more(folder)
        return predictor

    def save_pretrained(self, folder: str | Path, half: bool = False) -> Path:
        """Write model and card as a folder that `from_pretrained` reads; an existing one is replaced as a whole.

        half  weights in 16 bits (IEEE half precision), for half the size; they are read back as 32 bits
        """
        card = {**self.card, "domain": self.domain, "hyper_parameters": asdict(self.model.config)}  # pyright: ignore
        weights = self.model.state_dict()
        if half:
            weights = {name: w.half() if w.is_floating_point() else w for name, w in weights.items()}
        files = {"model.safetensors": weights, "model.json": card, **self.more_files()}
        write_artifact(Path(folder), files)
        return Path(folder)

    def more_files(self) -> dict[str, Any]:
        """What a domain keeps beside weights and card: {file name: content}."""
        return {}

    def read_more(self, folder: Path) -> None:  # noqa: B027 (a domain may have nothing more to read)
        """Take back what `more_files` wrote; the folder has been verified."""

    @classmethod
    def shipped(cls) -> dict[str, Path]:
        """The models that come with the package, by name."""
        root = Path(str(importlib.resources.files(cls.domain))) / "pretrained"
        return {path.parent.name: path.parent for path in sorted(root.glob("*/model.json"))}

    @classmethod
    def known_names(cls) -> list[str]:
        """What `from_pretrained` takes besides folders."""
        return list(cls.shipped())

    @classmethod
    def card_of(cls, name: str | Path) -> dict[str, Any]:
        """The card of a shipped model or a folder, without its weights. Raises as `from_pretrained` does."""
        return read_json(cls._find(name), "model.json")

    @classmethod
    def _find(cls, name: str | Path) -> Path:
        shipped = cls.shipped()
        if str(name) in shipped:
            return shipped[str(name)]
        if (Path(name) / "model.json").is_file():
            return Path(name)
        raise ConfigError(
            f"no {cls.domain} model '{name}': it is neither a shipped model nor a folder with a model.json. "
            f"{did_you_mean(str(name), cls.known_names())}"
        )


def _config(config_class: type, values: Mapping[str, Any], folder: Path, within: str = "") -> Any:
    """The hyper-parameters of a card as the dataclass that wrote them, dataclasses inside it included."""
    known = {field.name for field in fields(config_class)}
    if unknown := sorted(set(values) - known):
        raise CheckpointError(
            f"{folder}/model.json has hyper-parameters this version does not know: "
            + ", ".join(within + name for name in unknown)
        )
    hints = get_type_hints(config_class)
    typed = {name: _value(hints[name], value, folder, f"{within}{name}.") for name, value in values.items()}
    try:
        return config_class(**typed)
    except TypeError as error:
        raise CheckpointError(f"{folder}/model.json lacks hyper-parameters of this version: {error}") from error


def _value(hint: Any, value: Any, folder: Path, within: str) -> Any:
    """JSON has neither dataclasses nor tuples."""
    kinds = [kind for kind in (hint, *get_args(hint)) if is_dataclass(kind) and isinstance(kind, type)]
    if kinds and isinstance(value, Mapping):
        return _config(kinds[0], value, folder, within)
    if isinstance(value, list) and tuple in (get_origin(hint), *map(get_origin, get_args(hint))):
        return tuple(value)
    return value
