"""Message passing on a fixed directed graph with features on nodes and edges, Battaglia et al. 2016, arXiv:1612.00222.

Points come first, [N, B, C], so that gathering a node or adding up its edges moves contiguous rows; B may be 1 where
all samples are equal. Edges are sorted by receiver, where `index_add` is the fastest sum.

Shapes: N nodes, E edges, B samples, C channels, D length of the conditioning vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weather.models.grid_mesh import Edges
from weather.models.neural_operator import Modulation

BLOCK_VALUES = 2**18, 2**27
"""B C times the edges of a block, on a CPU and on a GPU: what fits a core's cache, and half a gigabyte."""


class MLP(nn.Module):
    """Swish layers over the concatenation of several inputs, and a layer norm unless `norm` is False.

    The first layer is applied to each input apart and the results are added: what is known of a node is multiplied once
    and not once for each of its edges.

    condition   length of a vector that modulates scale and shift of the layer norm, 0 for none
    """

    def __init__(
        self, inputs: Sequence[int], width: int, hidden_layers: int, outputs: int, norm: bool = True, condition: int = 0
    ) -> None:
        super().__init__()
        self.inputs = list(inputs)
        widths = [sum(inputs), *[width] * hidden_layers, outputs]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.norm = nn.LayerNorm(outputs) if norm else None
        self.modulation = Modulation(condition, outputs) if condition else None

    def project(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """What each input contributes to the first layer, the bias with the first."""
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        weights = first.weight.split(self.inputs, dim=1)
        return [F.linear(x, w, None if n else first.bias) for n, (x, w) in enumerate(zip(inputs, weights, strict=True))]

    def finish(self, hidden: Tensor, condition: Tensor | None = None) -> Tensor:
        """The layers after the first, from the sum of what it gives."""
        for layer in list(self.layers)[1:]:
            hidden = layer(F.silu(hidden))
        if self.norm is not None:
            hidden = self.norm(hidden)
        if self.modulation is not None and condition is not None:
            scale, shift = self.modulation(condition)
            hidden = hidden * scale + shift
        return hidden

    def forward(self, *inputs: Tensor, condition: Tensor | None = None) -> Tensor:
        first, *others = self.project(inputs)
        return self.finish(sum(others, first), condition)


class EdgeSet(nn.Module):
    """Edges as buffers, which follow from the configuration and are not saved."""

    senders: Tensor
    receivers: Tensor
    features: Tensor

    def __init__(self, edges: Edges) -> None:
        super().__init__()
        for name in ("senders", "receivers"):
            self.register_buffer(name, torch.from_numpy(getattr(edges, name).astype(np.int64)), persistent=False)
        self.register_buffer("features", torch.from_numpy(edges.features)[:, None], persistent=False)


class MessagePassing(nn.Module):
    """m = edge MLP(edge, sender, receiver); receiver + node MLP(receiver, sum of m); edge + m."""

    def __init__(self, channels: int, hidden_layers: int, condition: int = 0) -> None:
        super().__init__()
        self.edge_mlp = MLP([channels] * 3, channels, hidden_layers, channels, condition=condition)
        self.node_mlp = MLP([channels] * 2, channels, hidden_layers, channels, condition=condition)

    def forward(
        self, graph: EdgeSet, edges: Tensor, sent: Tensor, received: Tensor, condition: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """edges [E, 1 | B, C], nodes `sent` [N, B, C] and `received` [N, 1 | B, C] -> received, m [E, B, C]"""
        projected = self.edge_mlp.project([edges, sent, received])
        messages = self._messages(graph, projected, condition, slice(None))
        total = _zeros(received, messages).index_add(0, graph.receivers, messages.float())
        return self._updated(received, total.to(messages.dtype), condition), messages

    def receive(
        self, graph: EdgeSet, edges: Tensor, sent: Tensor, received: Tensor, condition: Tensor | None = None
    ) -> Tensor:
        """`received` alone. Without gradients, edges are worked off in blocks and never in memory all at once."""
        if torch.is_grad_enabled():
            return self(graph, edges, sent, received, condition)[0]
        projected = self.edge_mlp.project([edges, sent, received])
        total = _zeros(received, sent)
        length = max(1, BLOCK_VALUES[sent.device.type == "cuda"] // sent[0].numel())
        for start in range(0, len(edges), length):
            block = slice(start, start + length)
            total.index_add_(0, graph.receivers[block], self._messages(graph, projected, condition, block).float())
        return self._updated(received, total.to(sent.dtype), condition)

    def _messages(self, graph: EdgeSet, projected: list[Tensor], condition: Tensor | None, block: slice) -> Tensor:
        own, sender, receiver = projected
        hidden = sender.index_select(0, graph.senders[block])
        hidden += receiver.index_select(0, graph.receivers[block])
        hidden += own[block]
        return self.edge_mlp.finish(hidden, condition)

    def _updated(self, received: Tensor, total: Tensor, condition: Tensor | None) -> Tensor:
        return received + self.node_mlp(received, total, condition=condition)


def _zeros(received: Tensor, values: Tensor) -> Tensor:
    """Where messages are added up: in float32 also under autocast, as hundreds of points may send to one vertex."""
    return values.new_zeros(len(received), *values.shape[1:], dtype=torch.float32)
