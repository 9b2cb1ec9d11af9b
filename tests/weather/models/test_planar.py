"""Planar baselines: FNO parity with neuraloperator, what lies beyond an edge, U-Nets of any size."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from common.app.errors import ConfigError
from tests.weather.models.peers import from_neuraloperator
from weather.models.boundary import pad
from weather.models.fno import FNO, FNOConfig
from weather.models.unet import UNet, UNetConfig

GOLDEN = Path(__file__).parents[1] / "golden" / "neuraloperator.npz"


def test_fno_equals_neuraloperator():
    golden = {key: torch.from_numpy(value) for key, value in np.load(GOLDEN).items()}
    config = FNOConfig(
        2, 3, 10, 16, channels=4, layers=2, modes_north_south=6, modes_east_west=4, padding=0.0,
        block="gated", mlp_ratio=0.5, encoder_ratio=2.0, instance_norm=False, latitude_embedding=False,
    )  # fmt: skip
    ours = FNO(config)
    state = {key.removeprefix("fno/"): value for key, value in golden.items() if key.startswith("fno/")}
    ours.load_state_dict(from_neuraloperator(state, 2))
    with torch.no_grad():
        expected = golden["fno/output"]
        assert (ours(golden["input"]) - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize(
    "boundary, first", [("globe", -math.pi / 2 + math.pi / 24), ("globe_with_poles", -math.pi / 2)]
)
def test_beyond_the_edge_of_a_globe_lies_the_globe(boundary, first):
    """A function of the point on the sphere, continued over poles and seam, is that function there."""
    step = -2 * first / 11
    rows, columns = torch.arange(-3, 15) * step + first, torch.arange(-2, 18) * (2 * math.pi / 16)
    latitude, longitude = torch.meshgrid(rows, columns, indexing="ij")
    x, y, z = latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()
    beyond = (x + 2 * y * z - z**3)[None, None]
    assert torch.allclose(pad(beyond[..., 3:-3, 2:-2], 3, 2, boundary), beyond, atol=1e-6)


def test_beyond_the_edge_of_a_region_the_edge_is_repeated():
    padded = pad(torch.arange(6.0).view(1, 1, 2, 3), 1, 1, "region")
    assert padded[0, 0, 0].tolist() == [0, 0, 1, 2, 2] and padded[0, 0, -1].tolist() == [3, 3, 4, 5, 5]


@pytest.mark.parametrize("architecture, config", [(UNet, UNetConfig), (FNO, FNOConfig)])
def test_turning_the_globe_turns_the_output(architecture, config):
    torch.manual_seed(0)
    model = architecture(config(2, 3, 16, 32, "globe", channels=4))
    state = torch.randn(2, 2, 16, 32)
    with torch.no_grad():
        assert torch.allclose(model(state.roll(4, -1)), model(state).roll(4, -1), atol=1e-5)


@pytest.mark.parametrize("architecture, config", [(UNet, UNetConfig), (FNO, FNOConfig)])
@pytest.mark.parametrize("shape, boundary", [((25, 53), "region"), ((17, 32), "globe_with_poles")])
def test_any_grid_and_every_parameter_learns(architecture, config, shape, boundary):
    torch.manual_seed(0)
    model = architecture(config(2, 3, *shape, boundary, channels=4, condition=2))
    output = model(torch.randn(2, 2, *shape), condition=torch.randn(2, 2))
    assert output.shape == (2, 3, *shape)
    output.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_says_what_does_not_fit():
    with pytest.raises(ConfigError, match="two points left"):
        UNet(UNetConfig(1, 1, 8, 8, levels=4))
    with pytest.raises(ConfigError, match="20 by 5 modes"):
        FNO(FNOConfig(1, 1, 16, 16, modes_north_south=20))


def test_networks_are_trained_apart_and_give_their_mean() -> None:
    """A part of a batch moves one network; where a batch has fewer samples, a network sees none. Members take turns."""
    torch.manual_seed(0)
    model = UNet(UNetConfig(2, 3, 8, 16, channels=4, levels=2, condition=5, networks=3))
    state, condition = torch.randn(7, 2, 8, 16), torch.randn(7, 5)
    each = [network(state, condition) for network in model.networks]
    torch.testing.assert_close(model.eval()(state, condition), sum(each) / 3)
    member = torch.tensor([4, 0, 1, 1, 3, 2, 0])
    theirs = torch.stack([each[number % 3][place] for place, number in enumerate(member.tolist())])
    torch.testing.assert_close(model(state, condition, member), theirs)
    apart = torch.cat([each[0][:3], each[1][3:5], each[2][5:]])
    torch.testing.assert_close(model.train()(state, condition), apart)
    model(state[:2], condition[:2]).sum().backward()
    moved = [any(bool(p.grad.any()) for p in one.parameters() if p.grad is not None) for one in model.networks]
    assert moved == [True, True, False]
