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
    its own only where a shell of equal distances is cut. One that sees all pairs of atoms goes on seeing them.
    Raises ConfigError where one is no crystal network of ours, or where they differ in what they predict, in the data
    they were trained on, in how graphs are made but for that, or in what they take from the composition.
    """
    if len(models) < 2:
        raise ConfigError(f"models={list(map(str, models))}: an ensemble is joined from two models or more")
    parts = [PropertyPredictor.from_pretrained(model, device) for model in models]
    for model, part in zip(models, parts, strict=True):
        if not isinstance(part.model, CrystalEnsemble):
            raise ConfigError(f"{model} is a {part.card['architecture']}; crystal networks of ours are joined")
        alike = next(other for other in parts if other.card["substance"] == part.card["substance"])
        for other in (parts[0], alike):
            _check(str(model), part, str(models[parts.index(other)]), other)
    cards = [part.card for part in parts]
    network = JoinedCrystals(JoinedCrystalsConfig(tuple(map(_settings, parts))))
    for own, part in zip(network.parts, parts, strict=True):
        own.load_state_dict(part.model.state_dict())
    predictor = PropertyPredictor(network, _joined_card(name, cards), device)
    data = TypeAdapter(PropertyData).validate_python(predictor.card["recipe"]["data"])
    train = load_samples(data, "train", predictor.card, data.train_limit, offline)
    val = load_samples(data, "val", predictor.card, data.val_limit, offline)
    raw = predictor.estimate(val.graphs)
    calibrate(predictor, val, raw)
    remember_training(predictor, train)
    predictor.card["metrics"] = validation_metrics(val, predictor.calibrated(raw), predictor.card)
    return predictor


def _check(name: str, part: PropertyPredictor, other_name: str, other: PropertyPredictor) -> None:
    facts, others = _facts(part.card, other.card["substance"]), _facts(other.card, part.card["substance"])
    differing = [key for key in facts if facts[key] != others[key]]
    scales = [one.model.scale.state_dict() for one in (part, other)]  # pyright: ignore
    if not differing and not all(torch.allclose(scales[0][key], scales[1][key], 1e-4, 1e-4) for key in scales[0]):
        differing = ["recipe.baseline"]
    if differing:
        raise ConfigError(f"{name} and {other_name} differ in {', '.join(differing)} of their cards; see model.json")


def _facts(card: Mapping[str, Any], substance: str) -> dict[str, Any]:
    """What cards have to agree on: of how graphs are made nothing where the other's `substance` is another, and not the
    number of neighbours."""
    graphs = {**card["input"], "neighbours": None} if card["substance"] == substance else None
    data = {key: value for key, value in card["recipe"]["data"].items() if key not in ("neighbours", "cutoff_a")}
    return {
        **{key: card[key] for key in ("property", "unit", "outcome", "elements")},
        "input": graphs,
        "data": data,
    }


def _settings(part: PropertyPredictor) -> dict[str, Any]:
    graphs = {key: value for key, value in part.card["input"].items() if key == "neighbours"}
    return {"architecture": part.card["architecture"], **graphs, **asdict(part.model.config)}  # pyright: ignore


def _joined_card(name: str, cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The card of the one that sees most neighbours, with the recipes of all and the time that all took."""
    first = max(cards, key=lambda card: card["input"].get("neighbours", 0))
    others = [card for card in cards if card is not first]
    inputs = {card["substance"]: card["input"] for card in (*others, first)}
    substance, graphs = ("crystal-views", inputs) if len(inputs) > 1 else next(iter(inputs.items()))
    runs = [card["training"] for card in cards]
    names = ", ".join(card["recipe"]["experiment"] for card in cards)
    origins = {one["name"]: one for card in cards for one in card.get("started_from", [])}
    return {
        **{key: value for key, value in first.items() if key not in ("hyper_parameters", "calibration", "metrics")},
        "name": name,
        "architecture": "joined_crystals",
        "substance": substance,
        "input": graphs,
        "recipe": {**first["recipe"], "joined_with": [card["recipe"] for card in others]},
        **({"started_from": list(origins.values())} if origins else {}),
        "training": first["training"] | {
            "minutes": sum(run["minutes"] for run in runs),
            "note": f"Trained apart and joined: {names}; hardware is that of the first recipe, minutes are of all.",
        },
    }  # fmt: skip
