"""SFNO: parity with torch-harmonics and neuraloperator under copied weights, and the symmetries it owes the sphere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from common.app.errors import ConfigError
from tests.weather.models.peers import from_neuraloperator, from_torch_harmonics
from weather.models.sfno import SFNO, SFNOConfig

GOLDEN = Path(__file__).parents[1] / "golden" / "neuraloperator.npz"
CONFIG = SFNOConfig(2, 3, 16, 32, grid="gaussian", channels=6, layers=3, latitude_embedding=False)


def model_of(config, seed=0):
    torch.manual_seed(seed)
    return SFNO(config)


def relative(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "scale, peer_grid, grid", [(1, "legendre-gauss", "gaussian"), (2, "equiangular", "equiangular_with_poles")]
)
def test_equals_torch_harmonics(scale, peer_grid, grid):
    """Outputs and gradients. The network does not tell north from south, so the peer's order of latitudes is free."""
    from torch_harmonics.examples.models import SphericalFourierNeuralOperator

    torch.manual_seed(0)
    sizes = {"img_size": (17, 32), "in_chans": 2, "out_chans": 3, "embed_dim": 6, "num_layers": 3}
    theirs = SphericalFourierNeuralOperator(
        **sizes, grid=peer_grid, scale_factor=scale, normalization_layer="instance_norm"
    )
    ours = SFNO(replace(CONFIG, height=17, scale=scale, grid=grid))
    ours.load_state_dict(from_torch_harmonics(theirs))
    state = torch.randn(2, 2, 17, 32, requires_grad=True)
    found, expected = ours(state), theirs(state)
    assert relative(found, expected) < 1e-5
    weight = torch.randn_like(found)
    spectral = ours.blocks[1].convolution.weight, theirs.blocks[1].global_conv.weight
    (by_state, by_weight), (by_state_2, by_weight_2) = (
        torch.autograd.grad((output * weight).sum(), [state, parameter])
        for output, parameter in zip((found, expected), spectral, strict=True)
    )
    assert relative(by_state, by_state_2) < 1e-5
    assert relative(by_weight, torch.view_as_real(by_weight_2.permute(2, 1, 0).contiguous())) < 1e-5


def test_equals_neuraloperator():
    """Version 2.0.0, with the weights, input and output that `make_neuraloperator.py` wrote."""
    golden = {key: torch.from_numpy(value) for key, value in np.load(GOLDEN).items()}
    config = SFNOConfig(
        2, 3, 10, 16, grid="equiangular_with_poles", inner_grid=None, channels=4, layers=2, degrees=6, orders=6,
        block="gated", mlp_ratio=0.5, encoder_ratio=2.0, instance_norm=False, latitude_embedding=False,
    )  # fmt: skip
    ours = SFNO(config)
    state = {key.removeprefix("sfno/"): value for key, value in golden.items() if key.startswith("sfno/")}
    ours.load_state_dict(from_neuraloperator(state, 2))
    with torch.no_grad():
        assert relative(ours(golden["input"]), golden["sfno/output"]) < 1e-5


@pytest.mark.parametrize("block", ["residual", "gated"])
def test_turning_the_globe_turns_the_output(block):
    model = model_of(replace(CONFIG, block=block, scale=2, latitude_embedding=True))
    state = torch.randn(2, 2, 16, 32)
    with torch.no_grad():
        model.embedding.normal_()
        assert relative(model(state.roll(6, -1)), model(state).roll(6, -1)) < 1e-5


def test_is_the_same_operator_at_another_resolution():
    """A field that both grids resolve gives the same output where nothing but degrees in common takes part."""
    from weather.models.sphere.spherical_convolution import SphericalConvolution
    from weather.models.sphere.spherical_transform import SphericalTransform

    torch.manual_seed(0)
    grids = {height: SphericalTransform(height, 2 * height, "gaussian", 10, dtype=torch.float64) for height in (12, 20)}
    coefficients = torch.view_as_complex(torch.randn(4, 10, 10, 2, dtype=torch.float64)).tril()
    spectra = []
    for transform in grids.values():
        torch.manual_seed(1)
        convolution = SphericalConvolution(transform, transform, 4, 3).double()
        field = transform.synthesise(coefficients).permute(1, 2, 0)[:, :, None]
        spectra.append(transform.analyse(convolution(field)[0][:, :, 0].permute(2, 0, 1)))
    assert torch.allclose(*spectra, atol=1e-12)


def test_members_are_samples_and_noise_moves_them():
    model = model_of(replace(CONFIG, condition=5))
    state, noise = torch.randn(1, 2, 16, 32).repeat(3, 1, 1, 1), torch.randn(3, 5)
    with torch.no_grad():
        silent = model(state, condition=noise)
        assert relative(silent[1:], silent[:1].expand_as(silent[1:])) < 1e-5  # conditioning starts as the identity
        for block in model.blocks:
            block.norm.modulation.linear.weight.normal_()
        members = model(state, condition=noise)
        assert relative(members[0], members[1]) > 1e-2
        assert relative(model(state[:1], condition=noise[1:2]), members[1:2]) < 1e-5
    with pytest.raises(ConfigError, match="length 0, expected 5"):
        model(state)


def test_transforms_stay_in_single_precision_under_autocast():
    model = model_of(CONFIG)
    state = torch.randn(1, 2, 16, 32)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        seen = []
        model.blocks[0].convolution.register_forward_hook(lambda *_: seen.append(_[2][0].dtype))
        assert relative(model(state).float(), model_of(CONFIG)(state).float()) < 1e-5
        assert seen == [torch.float32]
