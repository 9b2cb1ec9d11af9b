"""ESM-2, a language model of protein sequences.

Lin et al., Science 379, 1123 (2023), doi:10.1126/science.ade2574.
Shapes: B batch, T tokens (residues, and one token before and one after them), C width, H heads, D width of a head.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from protein.data.residues import LETTERS_X
from protein.models.attention import attend, key_bias

TOKENS = (
    "<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<null_1>", "<mask>",
)  # fmt: skip
CLS, PAD, EOS, MASK = (TOKENS.index(name) for name in ("<cls>", "<pad>", "<eos>", "<mask>"))

MASKED_IN_TRAINING = 0.15 * 0.8
"""Share of the tokens whose embedding was zero in training; with less of them, embeddings are scaled down."""


@dataclass(frozen=True)
class ESM2Config:
    """Six sizes were published; see `SIZES`."""

    layers: int = 6
    width: int = 320
    heads: int = 20


SIZES = {
    "esm2_t6_8M_UR50D": ESM2Config(6, 320, 20),
    "esm2_t12_35M_UR50D": ESM2Config(12, 480, 20),
    "esm2_t30_150M_UR50D": ESM2Config(30, 640, 20),
    "esm2_t33_650M_UR50D": ESM2Config(33, 1280, 20),
    "esm2_t36_3B_UR50D": ESM2Config(36, 2560, 40),
    "esm2_t48_15B_UR50D": ESM2Config(48, 5120, 40),
}


class ESM2(nn.Module):
    """Tokens [B, T] int64, padded by PAD at the end, to states [B, T, C]."""

    def __init__(self, config: ESM2Config, head: bool = True) -> None:
        """`head` False: without what predicts tokens."""
        super().__init__()
        self.config, width = config, config.width
        self.embedding = nn.Embedding(len(TOKENS), width, padding_idx=PAD)
        self.layers = nn.ModuleList(_Layer(width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.head = _Head(width) if head else None

    def forward(self, tokens: Tensor) -> Tensor:
        """The last state."""
        *_, last = self.states(tokens)
        return last

    def states(self, tokens: Tensor) -> Iterator[Tensor]:
        """layers + 1 states, one after another: the embedding, then that of each layer; the last is normed."""
        present = tokens != PAD
        bias = key_bias(present)
        turn = _rotation(tokens.shape[1], self.config.width // self.config.heads, self.embedding.weight)
        x = self._embed(tokens, present)
        for layer in self.layers:
            yield x
            x = layer(x, bias, turn)
        yield self.norm(x)

    def logits(self, state: Tensor) -> Tensor:
        """Of the tokens [B, T, 33], from the last state."""
        if self.head is None:
            raise ValueError("this ESM-2 was made without its head; it has states, but predicts no tokens")
        return self.head(state, self.embedding.weight)

    def _embed(self, tokens: Tensor, present: Tensor) -> Tensor:
        masked = tokens == MASK
        share = masked.sum(1) / present.sum(1)
        scale = ((1 - MASKED_IN_TRAINING) / (1 - share))[:, None, None]
        kept = (present & ~masked)[..., None]
        embedded = self.embedding(tokens)
        return (embedded * scale * kept).to(embedded.dtype)


def tokens_of(types: Tensor, mask: Tensor) -> Tensor:
    """Tokens [B, N + 2] of residue types [B, N] where mask [B, N] bool, which ends with padding."""
    table = torch.tensor([TOKENS.index(letter) for letter in LETTERS_X], device=types.device)
    tokens = torch.full((types.shape[0], types.shape[1] + 2), PAD, device=types.device)
    tokens[:, 0] = CLS
    tokens[:, 1:-1] = torch.where(mask, table[types], PAD)
    return tokens.scatter_(1, mask.sum(1, keepdim=True) + 1, EOS)


class _Head(nn.Module):
    """Logits of the tokens, by the same embedding [33, C] that they enter with."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(len(TOKENS)))

    def forward(self, state: Tensor, embedding: Tensor) -> Tensor:
        return functional.linear(self.norm(functional.gelu(self.dense(state))), embedding, self.bias)


class _Layer(nn.Module):
    """Attention with rotary positions, then a perceptron, [B, T, C] to [B, T, C]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_transition = nn.LayerNorm(width)
        self.transition = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, bias: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        q, k, v = self.qkv(self.norm_attention(x)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        q, k = (_turned(part, *turn) for part in (q, k))
        found = attend(q[:, None], k[:, None], v[:, None], bias)[:, 0]
        x = x + self.out(found.flatten(-2))
        return x + self.transition(self.norm_transition(x))


def _rotation(tokens: int, head_width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine [T, 1, D] of rotary positions: Su et al., arXiv:2104.09864."""
    frequency = 10_000.0 ** -(torch.arange(0, head_width, 2, device=like.device) / head_width)
    angle = torch.outer(torch.arange(tokens, device=like.device), frequency).repeat(1, 2)[:, None]
    return angle.cos().to(like.dtype), angle.sin().to(like.dtype)


def _turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """x [B, T, H, D], the pairs (d, d + D / 2) turned by their angles."""
    first, second = x.chunk(2, -1)
    return (x * cosine + torch.cat([-second, first], -1) * sine).to(x.dtype)
