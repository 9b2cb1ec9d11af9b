"""Graph network on an icosahedral mesh, GraphCast of Lam et al. 2022, arXiv:2212.12794, doi:10.1126/science.adi2336.

The state on the grid is encoded to the mesh, processed by message passing along the edges of all its refinements at
once, which reach a thousand kilometres as well as one cell, and decoded to the grid. The published weights load into
it: `weather/weights/graphcast.py`. Any latitude-longitude grid will do, global or of a region; around a region the mesh
goes on for a margin, on which nothing is known but what the messages bring there.

Shapes: B samples, C channels, H latitudes, W longitudes, G = H W grid points, V mesh vertices, E edges, D length of the
conditioning vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from common.app.errors import ConfigError
from weather.models.grid_mesh import grid_mesh
from weather.models.message_passing import MLP, EdgeSet, MessagePassing
from weather.models.neural_operator import check_condition


@dataclass(frozen=True)
class MeshGNNConfig:
    """
    latitudes, longitudes   of the grid, degrees north [H] and east [W]
    refinements             of the mesh: 10 * 4 ^ refinements + 2 vertices; 4 has edges of about 4.5 degrees
    steps                   of message passing on the mesh, each with weights of its own
    radius, margin          see `grid_mesh`; in longest edges of the finest mesh
    mesh_to_grid_unit       see `grid_mesh`; None: the longest edge
    condition               length of a vector that modulates every layer norm behind the encoder's embeddings; 0: none
    checkpoint_steps        keep only the inputs of the steps for the backward pass, which computes each again
    """

    in_channels: int
    out_channels: int
    latitudes: tuple[float, ...]
    longitudes: tuple[float, ...]
    refinements: int = 4
    channels: int = 64
    steps: int = 6
    hidden_layers: int = 1
    radius: float = 0.6
    margin: float = 2.0
    mesh_to_grid_unit: float | None = None
    condition: int = 0
    checkpoint_steps: bool = False


class MeshGNN(nn.Module):
    """[B, C_in, H, W] -> [B, C_out, H, W]"""

    config_class = MeshGNNConfig
    grid_features: Tensor
    mesh_features: Tensor

    def __init__(self, config: MeshGNNConfig) -> None:
        super().__init__()
        if min(config.steps, config.hidden_layers, config.channels) < 1:
            raise ConfigError(
                f"a mesh network of {config.steps} steps and {config.hidden_layers} hidden layers of "
                f"{config.channels} channels: expected at least one of each"
            )
        self.config = config
        graphs = grid_mesh(
            config.latitudes, config.longitudes, config.refinements, config.radius, config.margin,
            config.mesh_to_grid_unit,
        )  # fmt: skip
        self.register_buffer("grid_features", torch.from_numpy(graphs.grid)[:, None], persistent=False)
        self.register_buffer("mesh_features", torch.from_numpy(graphs.mesh)[:, None], persistent=False)
        self.grid_to_mesh = EdgeSet(graphs.grid_to_mesh)
        self.within_mesh = EdgeSet(graphs.within_mesh)
        self.mesh_to_grid = EdgeSet(graphs.mesh_to_grid)

        channels, hidden, condition = config.channels, config.hidden_layers, config.condition
        self.embed_grid = MLP([config.in_channels, 3], channels, hidden, channels)
        self.embed_mesh = MLP([3], channels, hidden, channels)
        self.embed_edges = nn.ModuleDict({name: MLP([4], channels, hidden, channels) for name in _GRAPHS})
        self.encode = MessagePassing(channels, hidden, condition)
        self.encode_grid = MLP([channels], channels, hidden, channels, condition=condition)
        self.process = nn.ModuleList(MessagePassing(channels, hidden, condition) for _ in range(config.steps))
        self.decode = MessagePassing(channels, hidden, condition)
        self.read_out = MLP([channels], channels, hidden, config.out_channels, norm=False)

    def forward(self, state: Tensor, condition: Tensor | None = None) -> Tensor:
        """state [B, C_in, H, W], condition [B, D] where the model has one -> [B, C_out, H, W]"""
        check_condition(self.config.condition, condition)
        edges = {name: self.embed_edges[name](getattr(self, name).features) for name in _GRAPHS}
        grid = self.embed_grid(state.flatten(2).permute(2, 0, 1), self.grid_features)
        mesh = self.embed_mesh(self.mesh_features)
        mesh = self.encode.receive(self.grid_to_mesh, edges["grid_to_mesh"], grid, mesh, condition)
        grid = grid + self.encode_grid(grid, condition=condition)
        mesh = self._processed(mesh, edges["within_mesh"], condition)
        grid = self.decode.receive(self.mesh_to_grid, edges["mesh_to_grid"], mesh, grid, condition)
        return self.read_out(grid).permute(1, 2, 0).unflatten(2, state.shape[2:]).contiguous()

    def _processed(self, mesh: Tensor, edges: Tensor, condition: Tensor | None) -> Tensor:
        """All steps on the mesh, [V, B, C] -> [V, B, C]."""
        for step in self.process:
            arguments = self.within_mesh, edges, mesh, mesh, condition
            if self.config.checkpoint_steps and torch.is_grad_enabled():
                mesh, messages = checkpoint(step, *arguments, use_reentrant=False)
            else:
                mesh, messages = step(*arguments)
            edges = edges + messages
        return mesh


_GRAPHS = "grid_to_mesh", "within_mesh", "mesh_to_grid"
