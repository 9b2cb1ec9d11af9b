"""Attention between the elements of a composition, each weighted by its share of the atoms.

    x_i = W p_i + e_i + V c(f_i)                              properties, learned vector and share of element i
    x_i <- x_i + U sum_j a_ij v_j,    a_ij ~ f_j^g exp(q_i k_j)
    x_i <- x_i + W2 silu(W1 x_i)
    composition = concat over heads of sum_i b_i v_i,    b_i ~ f_i^g exp(w x_i)

Shares weight the softmax as in Roost, Goodall & Lee, doi:10.1038/s41467-020-19964-7; attention over encoded shares as
in CrabNet, Wang et al., doi:10.1038/s41524-021-00545-1. The result depends neither on the order of elements nor on the
scale of a formula. Shapes as in `composition_batch.py`; M members of an ensemble that learn side by side, H heads of
D = C / H features, T properties.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from materials.data.composition_features import filled_properties
from materials.data.compositions import Compositions
from materials.models.composition_batch import CompositionBatch, PackedCompositions
from materials.models.molecular_head import MemberLinear, MolecularHead

ELEMENTS = 119
SHARE_CENTRES = 24
"""Of the bumps that a share is encoded in: half of them over the share, half over its logarithm."""
SMALLEST_LOG = -4.0
"""Smaller powers of ten of a share look alike to the encoding."""


@dataclass(frozen=True)
class ElementAttentionConfig:
    width: int = 128
    layers: int = 3
    heads: int = 4
    readout_width: int = 128
    dropout: float = 0.0
    nonnegative: bool = False
    members: int = 1
    properties: int = 1
    descriptors: int = 0


class ElementAttention(nn.Module):
    """Compositions -> [B, M, T] in the properties' units, or logits of classes."""

    config_class = ElementAttentionConfig
    element_properties: Tensor

    def __init__(self, config: ElementAttentionConfig) -> None:
        super().__init__()
        self.config = config
        m, c = config.members, config.width
        self.register_buffer("element_properties", _standardised_properties(), persistent=False)
        self.from_properties = MemberLinear(m, self.element_properties.shape[1], c)
        self.from_share = MemberLinear(m, SHARE_CENTRES, c, bias=False)
        self.element = nn.Parameter(torch.randn(ELEMENTS, m, c) * 0.1)
        self.layers = nn.ModuleList(_AttentionLayer(m, c, config.heads, config.dropout) for _ in range(config.layers))
        self.readout = _Readout(m, c, config.heads)
        self.head = MolecularHead(m, c, config.readout_width, config.properties, config.descriptors, config.dropout)

    def pack(self, compositions: Compositions, descriptors: Tensor | None = None) -> PackedCompositions:
        """Compositions in the form whose batches this model takes."""
        return PackedCompositions.of(compositions, descriptors)

    def forward(self, batch: CompositionBatch) -> Tensor:
        """[B, M, T]"""
        output = self.head(self.fingerprint(batch), batch.descriptors)
        # Only when predicting: where it cuts off, it would have no gradient.
        return output.clamp(min=0.0) if self.config.nonnegative and not self.training else output

    def fingerprint(self, batch: CompositionBatch) -> Tensor:
        """The learned vector of each composition [B, M, C]."""
        table = self.from_properties(self.element_properties) + self.element
        x = F.embedding(batch.numbers, table.flatten(1)).unflatten(1, table.shape[1:])
        x = x + self.from_share(encoded_share(batch.fractions))
        log_share = batch.padded(batch.fractions.log()).masked_fill(~batch.present, -torch.inf)
        for layer in self.layers:
            x = layer(x, log_share, batch)
        return self.readout(x, log_share, batch)


class _AttentionLayer(nn.Module):
    def __init__(self, members: int, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = MemberLinear(members, width, 3 * width)
        self.share_exponent = nn.Parameter(torch.ones(members * heads))
        self.mixed = MemberLinear(members, width, width)
        self.wide = MemberLinear(members, width, 2 * width)
        self.narrow = MemberLinear(members, 2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, log_share: Tensor, batch: CompositionBatch) -> Tensor:
        """[R, M, C] and log f [B, K] -> [R, M, C]"""
        members, width = x.shape[1:]
        rows = batch.padded(self.query_key_value(F.layer_norm(x, (width,))))
        # [B, M H, K, D] each
        query, key, value = rows.unflatten(3, (3, self.heads, -1)).permute(3, 0, 2, 4, 1, 5).flatten(2, 3)
        bias = _weighted(log_share[:, None, None], self.share_exponent[:, None, None])
        mixed = F.scaled_dot_product_attention(query, key, value, bias.expand(-1, -1, query.shape[2], -1))
        mixed = mixed.unflatten(1, (members, self.heads)).permute(0, 3, 1, 2, 4).flatten(3)
        x = x + self.dropout(self.mixed(batch.flat(mixed)))
        return x + self.dropout(self.narrow(F.silu(self.wide(F.layer_norm(x, (width,))))))


class _Readout(nn.Module):
    """Weighted means over the elements, one a head."""

    def __init__(self, members: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.gate = MemberLinear(members, width, heads)
        self.value = MemberLinear(members, width, width)
        self.share_exponent = nn.Parameter(torch.ones(members * heads))

    def forward(self, x: Tensor, log_share: Tensor, batch: CompositionBatch) -> Tensor:
        """[R, M, C] -> [B, M, C]"""
        x = F.layer_norm(x, x.shape[-1:])
        gate = batch.padded(self.gate(x).flatten(1))
        weight = (gate + _weighted(log_share[:, :, None], self.share_exponent)).softmax(dim=1)
        value = batch.padded(self.value(x)).flatten(2).unflatten(2, (weight.shape[2], -1))
        return (weight[..., None] * value).sum(dim=1).unflatten(1, (x.shape[1], self.heads)).flatten(2)


def encoded_share(fraction: Tensor) -> Tensor:
    """[R] -> [R, SHARE_CENTRES]: Gaussians over the share and over its decimal logarithm."""
    half = SHARE_CENTRES // 2
    scaled = torch.stack([fraction, 1 - fraction.log10().clamp(min=SMALLEST_LOG) / SMALLEST_LOG], dim=1)
    centres = torch.linspace(0, 1, half, device=fraction.device)
    return torch.exp(-0.5 * ((scaled[:, :, None] - centres) * (half - 1)).square()).flatten(1)


def _weighted(log_share: Tensor, exponent: Tensor) -> Tensor:
    """g log f with g >= 0; -inf stays -inf, also where g is 0."""
    absent = log_share.isneginf()
    return (log_share.masked_fill(absent, 0.0) * F.relu(exponent)).masked_fill(absent, -torch.inf)


def _standardised_properties() -> Tensor:
    """[119, P] float32, mean 0 and deviation 1 over the elements; those heavier than the table are an average one."""
    table = filled_properties()
    rows = table[list(range(1, len(table)))]
    standard = (table - rows.mean(axis=0)) / rows.std(axis=0)
    padded = torch.zeros(ELEMENTS, standard.shape[1])
    padded[: len(standard)] = torch.from_numpy(standard)
    return padded
