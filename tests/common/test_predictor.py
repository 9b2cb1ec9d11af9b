"""A saved model comes back with its hyper-parameters as they were, however they are nested."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
import torch
from torch import nn

from common.app.errors import CheckpointError
from common.app.registry import Registry
from common.data.artifact import read_tensors, write_artifact
from common.predictor import Predictor


@dataclass(frozen=True)
class Part:
    width: int = 3
    steps: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Whole:
    size: int
    part: Part = field(default_factory=Part)
    other: Part | None = None


class Net(nn.Linear):
    config_class = Whole

    def __init__(self, config: Whole) -> None:
        super().__init__(config.size, config.part.width)
        self.config = config


class Toy(Predictor):
    domain = "toy"
    architectures = Registry("model", {"net": f"{__name__}:Net"})

    @classmethod
    def shipped(cls) -> dict[str, Path]:
        return {}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "__getitem__", lambda self, name: {"net": Net}[name])


CONFIG = Whole(4, Part(5, (7, 8, 9)), Part(1, ()))


def test_nested_hyper_parameters_come_back_as_they_were(tmp_path: Path) -> None:
    folder = Toy(Net(CONFIG), {"architecture": "net"}, "cpu").save_pretrained(tmp_path / "model")
    again = Toy.from_pretrained(folder, "cpu").model
    assert again.config == CONFIG and isinstance(again.config.part, Part) and again.config.part.steps == (7, 8, 9)  # type: ignore[union-attr]


def test_weights_in_16_bits_take_half_the_room_and_come_back_as_32(tmp_path: Path) -> None:
    toy = Toy(Net(CONFIG), {"architecture": "net"}, "cpu")
    whole, half = (toy.save_pretrained(tmp_path / name, half=name == "half") for name in ("whole", "half"))
    again = Toy.from_pretrained(half, "cpu").model.state_dict()
    for name, weight in toy.model.state_dict().items():
        assert again[name].dtype == torch.float32
        torch.testing.assert_close(again[name], weight, rtol=2**-11, atol=2**-25)
    sizes = [sum(w.nbytes for w in read_tensors(folder, "model.safetensors").values()) for folder in (whole, half)]
    assert sizes[0] == 2 * sizes[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"part": {"widht": 3}}, r"part\.widht"), ({"depth": 3}, "depth"), ({"size": None}, "lacks .*size")],
)
def test_other_hyper_parameters_are_named(tmp_path: Path, change: dict, message: str) -> None:
    values = json.loads(json.dumps(asdict(CONFIG))) | change
    values = {name: value for name, value in values.items() if value is not None}
    card = {"domain": "toy", "architecture": "net", "hyper_parameters": values}
    write_artifact(tmp_path / "model", {"model.safetensors": Net(CONFIG).state_dict(), "model.json": card})
    with pytest.raises(CheckpointError, match=message):
        Toy.from_pretrained(tmp_path / "model", "cpu")
