"""Vision transformer: parity with torch's own layers, the seams it must not have, and its conditioning."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from common.app.errors import ConfigError
from weather.models.vit import Attention, ViT, ViTConfig, position_embedding

CONFIG = ViTConfig(2, 3, 16, 32, patch=4, channels=24, layers=2, heads=3, point_channels=6)


def model_of(config, opened=True):
    """Untrained gates are closed; opened ones make a test see the blocks."""
    torch.manual_seed(0)
    model = ViT(config)
    if opened:
        for name, parameter in model.named_parameters():
            if name.endswith("gate"):
                torch.nn.init.normal_(parameter)
    return model


def relative(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


def test_attention_equals_torch():
    torch.manual_seed(0)
    ours, theirs = Attention(24, 3), torch.nn.MultiheadAttention(24, 3, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.project.weight, "in_proj_bias": ours.project.bias,
            "out_proj.weight": ours.mix.weight, "out_proj.bias": ours.mix.bias,
        }
    )  # fmt: skip
    x = torch.randn(2, 10, 24)
    with torch.no_grad():
        assert relative(ours(x), theirs(x, x, x)[0]) < 1e-5


@pytest.mark.parametrize("shape, boundary", [((16, 32), "globe"), ((25, 53), "region"), ((17, 34), "globe_with_poles")])
@pytest.mark.parametrize("condition", [0, 5])
def test_any_grid_and_every_parameter_learns(shape, boundary, condition):
    model = model_of(replace(CONFIG, height=shape[0], width=shape[1], boundary=boundary, condition=condition))
    vector = torch.randn(2, condition) if condition else None
    output = model(torch.randn(2, 2, *shape), condition=vector)
    assert output.shape == (2, 3, *shape)
    output.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    # Of the layers that the closed modulations keep out of sight, the modulations themselves learn first.
    unmoved = {name for name, p in model.named_parameters() if not p.grad.any()}
    assert all(name.startswith("condition.") for name in unmoved)


def test_turning_the_globe_by_whole_patches_turns_the_output_where_position_is_not_told():
    model, state = model_of(CONFIG), torch.randn(2, 2, 16, 32)
    with torch.no_grad():
        assert relative(model(state.roll(8, -1)), model(state).roll(8, -1)) > 1e-3
        model.position.copy_(model.position[:, :1].expand_as(model.position))  # latitude alone
        assert relative(model(state.roll(8, -1)), model(state).roll(8, -1)) < 1e-4


def test_the_seam_is_as_smooth_as_any_border_of_patches():
    """Without blocks the network is two convolutions, and a point at the date line sees both sides."""
    state = torch.zeros(1, 2, 16, 32, requires_grad=True)
    model_of(CONFIG, opened=False)(state)[0, 0, 8, 0].backward()
    seen = state.grad.abs().sum((0, 1, 2)) > 0
    assert seen[:5].all() and seen[-5:].all()


def test_a_patch_more_does_not_move_the_rest():
    """What a grid is continued with lies beyond its edges: rows and columns stay where they were."""
    torch.manual_seed(0)
    whole = ViT(replace(CONFIG, boundary="region", layers=1))
    cut = ViT(replace(CONFIG, boundary="region", layers=1, height=15, width=30))
    cut.load_state_dict(whole.state_dict())
    state = torch.randn(1, 2, 16, 32)
    with torch.no_grad():
        found, expected = cut(state[:, :, :15, :30]), whole(state)
    assert relative(found[:, :, :11, :27], expected[:, :, :11, :27]) < 1e-5


def test_blocks_start_as_the_identity_and_the_vector_moves_members_apart():
    model = model_of(replace(CONFIG, condition=6), opened=False)
    state = torch.randn(1, 2, 16, 32).expand(3, -1, -1, -1)
    vector = torch.eye(3, 6)
    with torch.no_grad():
        tokens = torch.randn(3, 7, 24)
        assert torch.equal(model.blocks[0](tokens, torch.randn(3, 24)), tokens)
        start = model(state, condition=vector)
        assert relative(start[1:], start[:1].expand_as(start[1:])) < 1e-5
        for block in model.blocks:
            for norm in block.norms:
                norm.modulation.weight.normal_()
        moved = model(state, condition=vector)
        assert relative(moved[0], moved[1]) > 1e-2 and relative(moved[1], moved[2]) > 1e-2
        assert relative(model(state[:1], condition=vector[1:2]), moved[1:2]) < 1e-5
    with pytest.raises(ConfigError, match="length 0, expected 6"):
        model(state)


def test_positions_differ_and_close_the_circle():
    found = position_embedding(8, 16, 24, periodic=True)
    distances = torch.cdist(found.flatten(0, 1), found.flatten(0, 1)) + 100 * torch.eye(128)
    assert distances.min() > 0.1
    steps = (found[3] - found[3].roll(1, 0)).norm(dim=1)
    assert torch.allclose(steps, steps[:1].expand(16), rtol=1e-4)


def test_says_what_does_not_fit():
    with pytest.raises(ConfigError, match="channels=26"):
        ViT(replace(CONFIG, channels=26))
    with pytest.raises(ConfigError, match="two patches"):
        ViT(replace(CONFIG, patch=9))
