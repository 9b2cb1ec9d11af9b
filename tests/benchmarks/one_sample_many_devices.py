"""One sample over several devices, on paper: `python -m tests.benchmarks.one_sample_many_devices`.

    python -m tests.benchmarks.one_sample_many_devices [residues=512,1024,2048,4096] [devices=1,2,4,8]

First the plan is acted out on virtual devices in one process: each holds its part, and what passes between them is
counted. The results must be those of the whole, and the bytes those of the formulas. Then the formulas are printed for
sizes that matter. The plan, with its reasons, is docs/scaling.md.

N residues, C channels of a pair, H heads; L latitudes, W longitudes, F features, M orders; D devices.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

BF16, FP32, COMPLEX64 = 2, 4, 8
PAIR, HEADS, BLOCKS = 128, 4, 48
"""Of AlphaFold 2's trunk."""

LIVE_PAIRS = 6
"""Tensors of the size of the pair that a block holds at once without gradients: z, its norm, a, b, gate, result."""


@dataclass
class Wire:
    """What one device has sent."""

    sent: int = 0

    def all_to_all(self, parts: list[Tensor], axis: int, towards: int) -> list[Tensor]:
        """Tensors that are cut along `axis` become cut along `towards`."""
        cut = [part.chunk(len(parts), towards) for part in parts]
        self.sent += sum(piece.nbytes for piece in cut[0][1:])
        return [torch.cat([pieces[device] for pieces in cut], axis) for device in range(len(parts))]

    def gathered(self, parts: list[Tensor], axis: int) -> Tensor:
        """All of it on every device, round a ring: each sends on what it got, its own part first."""
        self.sent += parts[0].nbytes * (len(parts) - 1)
        return torch.cat(parts, axis)

    def halo(self, parts: list[Tensor], rows: int) -> list[Tensor]:
        """Rows of the neighbours on both sides [.., L, W]; zeros at the poles."""
        self.sent += 2 * parts[0][..., :rows, :].nbytes if len(parts) > 1 else 0
        edge = torch.zeros_like(parts[0][..., :rows, :])
        above = [edge, *(part[..., -rows:, :] for part in parts[:-1])]
        below = [*(part[..., :rows, :] for part in parts[1:]), edge]
        return [torch.cat(three, -2) for three in zip(above, parts, below, strict=True)]


def triangle(parts: list[Tensor], wire: Wire, incoming: bool) -> list[Tensor]:
    """x_ij = sum_k a_ik b_jk (incoming: a_ki b_kj) of rows of pairs [N / D, N, 2 C], which hold a and b.

    Incoming edges are the outgoing ones of the transpose, which an all-to-all makes. Blocks of b go round the ring; a
    device would multiply its rows with the block it has just got and never hold more than two. Here they lie together.
    """
    if incoming:
        parts = [part.transpose(0, 1) for part in wire.all_to_all(parts, 0, 1)]
    a, b = zip(*(part.chunk(2, -1) for part in parts), strict=True)
    whole = wire.gathered(list(b), 0)
    return [torch.einsum("ikc,jkc->ijc", own, whole) for own in a]


def attention(parts: list[Tensor], wire: Wire, ending: bool) -> list[Tensor]:
    """Each row attends within itself, with a bias [N, N, H] of all pairs; columns are the rows of the transpose."""
    if ending:
        parts = [part.transpose(0, 1) for part in wire.all_to_all(parts, 0, 1)]
    bias = wire.gathered([part[..., :HEADS] for part in parts], 0).permute(2, 0, 1)
    heads = [part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts]
    found = [functional.scaled_dot_product_attention(x, x, x, bias[None]).transpose(1, 2).flatten(2) for x in heads]
    if ending:
        found = wire.all_to_all([part.transpose(0, 1) for part in found], 1, 0)
    return found


def spectral(parts: list[Tensor], wire: Wire, legendre: Tensor) -> list[Tensor]:
    """Analysis and synthesis of fields [F, L / D, W] on the sphere: FFT along circles of latitude, which are whole;
    an all-to-all; Legendre functions [M, K, L] along meridians, which are then whole; and back."""
    orders = legendre.shape[0]
    circles = [torch.fft.rfft(part, dim=-1)[..., :orders] for part in parts]
    meridians = wire.all_to_all(circles, 1, 2)
    own = legendre.chunk(len(parts), 0)
    waves = [torch.einsum("mkl,flm->fkm", p.to(x.dtype), x) for p, x in zip(own, meridians, strict=True)]
    back = [torch.einsum("mkl,fkm->flm", p.to(x.dtype), x) for p, x in zip(own, waves, strict=True)]
    return [torch.fft.irfft(part, n=parts[0].shape[-1], dim=-1) for part in wire.all_to_all(back, 2, 1)]


def pair_bytes(n: int, devices: int, size: int, pair: int = PAIR) -> float:
    """Sent by a device in a block: two triangle multiplications, two triangle attentions."""
    whole, others = n * n * size, (devices - 1) / devices
    ring, turned = 2 * whole * (pair + HEADS), whole / devices * (2 * pair + pair + pair)
    return others * (ring + turned)


def sphere_bytes(features: int, latitudes: int, orders: int, devices: int, size: int = COMPLEX64) -> float:
    """Sent by a device in one spectral layer: there and back."""
    return 2 * features * latitudes * orders * size / devices * (devices - 1) / devices


def act_out(devices: int) -> None:
    """Sharded and whole must agree, and so must bytes and formulas."""
    torch.manual_seed(0)
    n, pair, pairs, wire = 16, 8, torch.randn(16, 16, 16), Wire()
    for layer, turned, x in (
        (triangle, False, pairs), (triangle, True, pairs), (attention, False, pairs[..., :pair]),
        (attention, True, pairs[..., :pair]),
    ):  # fmt: skip
        found = torch.cat(layer(list(x.chunk(devices)), wire, turned))
        torch.testing.assert_close(found, layer([x], Wire(), turned)[0])
    assert wire.sent == pair_bytes(n, devices, FP32, pair), (wire.sent, pair_bytes(n, devices, FP32, pair))
    fields, legendre, wire = torch.randn(3, 16, 32), torch.randn(8, 5, 16), Wire()
    found = torch.cat(spectral(list(fields.chunk(devices, 1)), wire, legendre), 1)
    torch.testing.assert_close(found, spectral([fields], Wire(), legendre)[0])
    assert wire.sent == sphere_bytes(3, 16, 8, devices)
    kernel, wire = torch.randn(3, 3, 3, 3), Wire()
    inner = [functional.conv2d(part[None], kernel)[0] for part in wire.halo(list(fields.chunk(devices, 1)), 1)]
    rows = functional.pad(fields, (0, 0, 1, 1))
    torch.testing.assert_close(torch.cat(inner, 1), functional.conv2d(rows[None], kernel)[0])
    assert wire.sent == (2 * 3 * 32 * FP32 if devices > 1 else 0)


def main(arguments: list[str]) -> None:
    given = dict(argument.split("=") for argument in arguments)
    devices = [int(count) for count in given.get("devices", "1,2,4,8").split(",")]
    for count in (1, 2, 4, 8):
        act_out(count)
    print("acted out on 1, 2, 4 and 8 devices: results of the whole, bytes of the formulas\n")
    print(f"pairs in bf16, {PAIR} channels, {BLOCKS} blocks, no gradients: GB that a device holds; GB it sends a pass")
    for n in (int(count) for count in given.get("residues", "512,1024,2048,4096").split(",")):
        held = [LIVE_PAIRS * n * n * PAIR * BF16 / count / 1e9 for count in devices]
        sent = [BLOCKS * pair_bytes(n, count, BF16) / 1e9 for count in devices]
        shown = (f"{d}: {h:6.2f}; {s:7.1f}" for d, h, s in zip(devices, held, sent, strict=True))
        print(f"{n:>5} residues  " + "   ".join(shown))
    print("\ngrids in fp32, 256 features: GB of a layer on a device; GB it sends a layer, spectral and 3 x 3")
    for latitudes in (120, 240, 720):
        held = [256 * latitudes * 2 * latitudes * FP32 / count / 1e9 for count in devices]
        waves = [sphere_bytes(256, latitudes, latitudes, count) / 1e9 for count in devices]
        halo = [2 * 256 * 2 * latitudes * FP32 / 1e9 if count > 1 else 0.0 for count in devices]
        shown = (f"{d}: {h:5.2f}; {w:5.3f}, {c:6.4f}" for d, h, w, c in zip(devices, held, waves, halo, strict=True))
        print(f"{latitudes:>5} x {2 * latitudes:<5}" + "   ".join(shown))


if __name__ == "__main__":
    main(sys.argv[1:])
