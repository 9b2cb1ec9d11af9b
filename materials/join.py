"""One ensemble out of crystal models that were trained apart, on machines of their own or of different kinds.

    join("perovskites", ["outputs/a/model", "outputs/b/model"]).save_pretrained("perovskites")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from common.app.errors import ConfigError
from materials.config import PropertyData
from materials.models.crystal_ensemble import CrystalEnsemble
from materials.models.joined_crystals import JoinedCrystals, JoinedCrystalsConfig
from materials.predictor import PropertyPredictor
from materials.samples import load_samples
from materials.study import calibrate, remember_training, validation_metrics


def join(name: str, models: Sequence[str | Path], device: str = "auto", offline: bool = False) -> PropertyPredictor:
    """The members of all `models` as one model, calibrated on the validation split that they share.

    Where one was trained with fewer neighbours than another, it sees that many of the other's graphs, which differ from
    its own only where a shell of equal distances is cut.
    Raises ConfigError where one is no crystal network of ours, or where they differ in what they predict, in the data
    they were trained on, in how graphs are made but for that, or in what they take from the composition.
    """
    if len(models) < 2:
        raise ConfigError(f"models={list(map(str, models))}: an ensemble is joined from two models or more")
    parts = [PropertyPredictor.from_pretrained(model, device) for model in models]
    for model, part in zip(models, parts, strict=True):
        _check(str(model), part, str(models[0]), parts[0])
    cards = [part.card for part in parts]
    network = JoinedCrystals(JoinedCrystalsConfig(tuple(map(_settings, parts))))
    for own, part in zip(network.parts, parts, strict=True):
        own.load_state_dict(part.model.state_dict())
    predictor = PropertyPredictor(network, _joined_card(name, cards), device)
    data = TypeAdapter(PropertyData).validate_python(predictor.card["recipe"]["data"])
    train = load_samples(data, "train", limit=data.train_limit, offline=offline)
    val = load_samples(data, "val", limit=data.val_limit, offline=offline)
    raw = predictor.estimate(val.graphs)
    calibrate(predictor, val, raw)
    remember_training(predictor, train)
    predictor.card["metrics"] = validation_metrics(val, predictor.calibrated(raw), predictor.card)
    return predictor


def _check(name: str, part: PropertyPredictor, first_name: str, first: PropertyPredictor) -> None:
    if not isinstance(part.model, CrystalEnsemble):
        raise ConfigError(f"{name} is a {part.card['architecture']}; crystal networks of ours are joined")
    facts, firsts = _facts(part.card), _facts(first.card)
    differing = [key for key in facts if facts[key] != firsts[key]]
    own, other = (one.model.scale.state_dict() for one in (part, first))  # pyright: ignore
    if not differing and not all(torch.allclose(own[key], other[key], rtol=1e-4, atol=1e-4) for key in own):
        differing = ["recipe.baseline"]
    if differing:
        raise ConfigError(f"{name} and {first_name} differ in {', '.join(differing)} of their cards; see model.json")


def _facts(card: Mapping[str, Any]) -> dict[str, Any]:
    """What the cards of all parts have to agree on: all but the number of neighbours in how graphs are made."""
    graphs = {"input": card["input"], "data": card["recipe"]["data"]}
    return {
        **{key: card[key] for key in ("property", "unit", "outcome", "elements")},
        **{key: {**settings, "neighbours": None} for key, settings in graphs.items()},
    }


def _settings(part: PropertyPredictor) -> dict[str, Any]:
    settings = asdict(part.model.config)  # pyright: ignore
    return {"architecture": part.card["architecture"], "neighbours": part.card["input"]["neighbours"], **settings}


def _joined_card(name: str, cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The card of the one that sees most neighbours, with the recipes of all and the time that all took."""
    first = max(cards, key=lambda card: card["input"]["neighbours"])
    others = [card for card in cards if card is not first]
    runs = [card["training"] for card in cards]
    names = ", ".join(card["recipe"]["experiment"] for card in cards)
    return {
        **{key: value for key, value in first.items() if key not in ("hyper_parameters", "calibration", "metrics")},
        "name": name,
        "architecture": "joined_crystals",
        "recipe": {**first["recipe"], "joined_with": [card["recipe"] for card in others]},
        "training": first["training"] | {
            "minutes": sum(run["minutes"] for run in runs),
            "note": f"Trained apart and joined: {names}; hardware is that of the first recipe, minutes are of all.",
        },
    }  # fmt: skip
