"""Mesh network: what its graph owes the sphere. That it is GraphCast, `weights/test_graphcast.py` checks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from common.app.errors import ConfigError
from tests.weather.models.plain_mesh_gnn import PlainMeshGNN
from weather.models import message_passing
from weather.models.mesh_gnn import MeshGNN, MeshGNNConfig

GLOBE = MeshGNNConfig(
    2, 3, tuple(np.linspace(-84, 85, 11)), tuple(np.arange(24) * 15 + 1.3), refinements=2, channels=8, steps=2
)
REGION = replace(GLOBE, latitudes=tuple(np.linspace(30, 50, 9)), longitudes=tuple(np.linspace(-20, 15, 15)))


def model_of(config):
    torch.manual_seed(0)
    return MeshGNN(config)


def state_of(config, samples=2):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(samples, 2, len(config.latitudes), len(config.longitudes), generator=generator)


def relative(found, expected):
    return float((found - expected).detach().abs().max() / expected.detach().abs().max())


@pytest.mark.parametrize("config", [GLOBE, REGION], ids=["globe", "region"])
def test_samples_are_apart_and_every_parameter_learns(config):
    model, state = model_of(config), state_of(config, 3)
    output = model(state)
    assert output.shape == (3, 3, *state.shape[2:])
    output.square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.abs().max() > 0 for p in model.parameters())
    with torch.no_grad():
        assert relative(model(state[1:2]), output[1:2]) < 1e-5


@pytest.mark.parametrize("config", [GLOBE, REGION], ids=["globe", "region"])
def test_equals_a_plain_network_of_torch_geometric(config):
    """Outputs and gradients, with the first layers split and the sums taken over sorted edges."""
    model, state = model_of(config), state_of(config)
    found, expected = model(state), PlainMeshGNN(model)(state)
    assert relative(found, expected) < 1e-5
    weight = torch.randn_like(found)
    gradients = [torch.autograd.grad((y * weight).sum(), list(model.parameters())) for y in (found, expected)]
    assert max(relative(one, other) for one, other in zip(*gradients, strict=True)) < 1e-4


def test_the_order_of_edges_does_not_matter():
    model, state = model_of(GLOBE), state_of(GLOBE)
    with torch.no_grad():
        expected = model(state)
        for graph in (model.grid_to_mesh, model.within_mesh, model.mesh_to_grid):
            order = torch.randperm(len(graph.senders))
            for name in ("senders", "receivers", "features"):
                setattr(graph, name, getattr(graph, name)[order])
        assert relative(model(state), expected) < 1e-5


def test_turning_the_globe_by_a_third_turns_the_output_where_longitude_is_not_told():
    """The mesh has that symmetry, and edges know directions only as their receiver sees them."""
    model, state = model_of(GLOBE), state_of(GLOBE)
    with torch.no_grad():
        assert relative(model(state.roll(8, -1)), model(state).roll(8, -1)) > 1e-2
        for features in (model.grid_features, model.mesh_features):
            features[..., 1:] = 0
        assert relative(model(state.roll(8, -1)), model(state).roll(8, -1)) < 1e-4
        assert relative(model(state.roll(6, -1)), model(state).roll(6, -1)) > 1e-2  # a quarter is no symmetry


def test_long_edges_carry_news_around_the_globe():
    """Six steps reach every point over all refinements, and a part of the globe over the edges of the finest alone."""
    model, reached = model_of(replace(GLOBE, refinements=3, steps=6)), []
    for finest_only in (False, True):
        if finest_only:
            graph = model.within_mesh
            short = graph.features[:, 0, 0] < 0.2
            for name in ("senders", "receivers", "features"):
                setattr(graph, name, getattr(graph, name)[short])
        state = state_of(GLOBE, 1).requires_grad_()
        model(state)[0, :, 5, 0].sum().backward()
        reached.append(float((state.grad.abs().sum(1) > 0).float().mean()))
    assert reached[0] == 1 and reached[1] < 0.7


def test_blocks_of_edges_give_the_same_sums(monkeypatch):
    """Without gradients edges are worked off piece by piece, here eleven at a time."""
    model, state = model_of(GLOBE), state_of(GLOBE)
    expected = model(state).detach()
    monkeypatch.setattr(message_passing, "BLOCK_VALUES", (11 * 2 * 8, 11 * 2 * 8))
    with torch.no_grad():
        assert relative(model(state), expected) < 1e-5


def test_checkpointed_steps_give_the_same_gradients():
    state, gradients = state_of(GLOBE), []
    for config in (GLOBE, replace(GLOBE, checkpoint_steps=True)):
        model = model_of(config)
        model(state).square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_weights_alone_restore_the_model():
    """Graphs follow from the configuration; tuples may have become lists on the way through JSON."""
    model, state = model_of(REGION), state_of(REGION)
    copy = MeshGNN(replace(REGION, latitudes=list(REGION.latitudes), longitudes=list(REGION.longitudes)))
    assert {name for name, _ in model.named_parameters()} == set(model.state_dict())
    copy.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(copy(state), model(state))


def test_conditioning_starts_as_the_identity_and_moves_members_apart():
    plain, model = model_of(GLOBE), model_of(replace(GLOBE, condition=5))
    model.load_state_dict(plain.state_dict(), strict=False)
    state, noise = state_of(GLOBE, 1).expand(3, -1, -1, -1), torch.randn(3, 5)
    with torch.no_grad():
        assert relative(model(state, condition=noise), plain(state)) < 1e-5
        for name, parameter in model.named_parameters():
            if "modulation" in name:
                parameter.normal_(0, 0.3)
        members = model(state, condition=noise)
        assert relative(members[0], members[1]) > 1e-2
        assert relative(model(state[:1], condition=noise[1:2]), members[1:2]) < 1e-5
    with pytest.raises(ConfigError, match="length 0, expected 5"):
        model(state)


def test_runs_under_autocast():
    model, state = model_of(GLOBE), state_of(GLOBE)
    with torch.no_grad():
        expected = model(state)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert relative(model(state).float(), expected) < 0.1


def test_says_what_does_not_fit():
    with pytest.raises(ConfigError, match="0 steps"):
        MeshGNN(replace(GLOBE, steps=0))
