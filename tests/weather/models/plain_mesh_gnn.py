"""GraphCast as one would write it with torch-geometric: concatenated inputs of every edge, messages all in memory."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from weather.models.mesh_gnn import MeshGNN
from weather.models.message_passing import MLP, EdgeSet
from weather.models.message_passing import MessagePassing as Ours


def plain(mlp: MLP, *inputs: Tensor) -> Tensor:
    """The perceptron over its concatenated inputs, layer by layer."""
    x = torch.cat(inputs, dim=-1)
    for number, layer in enumerate(mlp.layers):
        x = layer(F.silu(x) if number else x)
    return x if mlp.norm is None else mlp.norm(x)


class PlainStep(MessagePassing):
    """One step of `ours` with its weights, on points [B, N, C] and edges [B, E, C]."""

    def __init__(self, ours: Ours) -> None:
        super().__init__(aggr="sum", node_dim=-2)
        self.ours = ours

    def forward(self, graph: EdgeSet, edges: Tensor, sent: Tensor, received: Tensor) -> tuple[Tensor, Tensor]:
        index = torch.stack([graph.senders, graph.receivers])
        messages = self.edge_updater(index, x=(sent, received), edges=edges)
        total = self.propagate(index, x=(sent, received), messages=messages, size=(sent.shape[1], received.shape[1]))
        return received + plain(self.ours.node_mlp, received, total), messages

    def edge_update(self, x_i: Tensor, x_j: Tensor, edges: Tensor) -> Tensor:
        return plain(self.ours.edge_mlp, edges, x_j, x_i)

    def message(self, messages: Tensor) -> Tensor:
        return messages


class PlainMeshGNN(nn.Module):
    """The network of `ours`, whose weights it shares; without condition."""

    def __init__(self, ours: MeshGNN) -> None:
        super().__init__()
        self.ours = ours
        self.encode, self.decode = PlainStep(ours.encode), PlainStep(ours.decode)
        self.process = nn.ModuleList(PlainStep(step) for step in ours.process)

    def forward(self, state: Tensor) -> Tensor:
        ours, samples = self.ours, len(state)

        def fixed(features: Tensor) -> Tensor:
            return features[:, 0].expand(samples, -1, -1)

        graphs = {name: getattr(ours, name) for name in ("grid_to_mesh", "within_mesh", "mesh_to_grid")}
        edges = {name: plain(ours.embed_edges[name], fixed(graph.features)) for name, graph in graphs.items()}
        grid = plain(ours.embed_grid, state.flatten(2).mT, fixed(ours.grid_features))
        mesh = plain(ours.embed_mesh, fixed(ours.mesh_features))
        mesh, _ = self.encode(graphs["grid_to_mesh"], edges["grid_to_mesh"], grid, mesh)
        grid = grid + plain(ours.encode_grid, grid)
        for step in self.process:
            mesh, messages = step(graphs["within_mesh"], edges["within_mesh"], mesh, mesh)
            edges["within_mesh"] = edges["within_mesh"] + messages
        grid, _ = self.decode(graphs["mesh_to_grid"], edges["mesh_to_grid"], mesh, grid)
        return plain(ours.read_out, grid).mT.unflatten(2, state.shape[2:])
