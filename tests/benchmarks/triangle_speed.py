"""Triangle multiplication without gradients on a GPU: Triton kernels against plain torch, which is also compiled.

    python -m tests.benchmarks.triangle_speed [lengths=256,512,1024,2048] [width=128] [dtype=bfloat16] [rounds=5]

Milliseconds are of plain torch; ratios are medians of those within a round. Peak memory is what a call needs beyond its
input; the difference is the largest of any pair from plain torch's, in the same dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from protein.models.triangle_multiplication import TriangleMultiplication, use_kernels
from tests.benchmarks.turns import settings, take_turns

NAMES = ("plain", "compiled", "triton")


def layers(width: int) -> dict[str, nn.Module]:
    """The same layer three times."""
    torch.manual_seed(0)
    plain = TriangleMultiplication(width, width, True).cuda().eval().requires_grad_(False)
    for weight in plain.parameters():
        nn.init.normal_(weight, std=0.1)
    compiled, kernels = (TriangleMultiplication(width, width, True).cuda().eval() for _ in range(2))
    for other in (compiled, kernels):
        other.load_state_dict(plain.state_dict())
    use_kernels(kernels)
    return dict(zip(NAMES, (plain, torch.compile(compiled), kernels), strict=True))  # type: ignore[arg-type]


def call(layer: nn.Module, pair: Tensor) -> Callable[[], Tensor]:
    def run() -> Tensor:
        found = layer(pair.clone())
        torch.cuda.synchronize()
        return found

    return run


def peak_gb(program: Callable[[], Tensor]) -> float:
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    program()
    return (torch.cuda.max_memory_allocated() - before) / 1e9


@torch.no_grad()
def main() -> None:
    chosen = settings(lengths="256,512,1024,2048", width="128", dtype="bfloat16", rounds="5")
    if not torch.cuda.is_available():
        raise SystemExit("triangle_speed needs a GPU, and torch sees none")
    print(torch.cuda.get_device_name())
    compared, low = layers(int(chosen["width"])), chosen["dtype"] == "bfloat16"
    for length in map(int, chosen["lengths"].split(",")):
        pair = torch.randn(1, length, length, int(chosen["width"]), device="cuda")
        with torch.autocast("cuda", torch.bfloat16) if low else nullcontext():
            pair = pair.bfloat16() if low else pair
            programs = [call(layer, pair) for layer in compared.values()]
            turns = take_turns(programs, int(chosen["rounds"]))
            reference = programs[0]().float()
            print(f"{length}: plain {1e3 * turns.seconds[0]:.2f} ms, {peak_gb(programs[0]):.2f} GB")
            for name, program, ratio in zip(NAMES[1:], programs[1:], turns.ratio[1:], strict=True):
                apart = (program().float() - reference).abs().max()
                print(f"    {name}: {ratio:.2f} x as fast, {peak_gb(program):.2f} GB, difference {apart:.1e}")


if __name__ == "__main__":
    main()
