"""An Evoformer block and the structure module against OpenFold's without compiled kernels, with the same weights.

    git clone https://github.com/aqlaboratory/openfold
    pip install dm-tree ml-collections einops modelcif pandas scipy biopython
    python -m tests.benchmarks.evoformer_speed openfold=openfold [lengths=128,256] [sequences=128] [threads=2]
        [rounds=3] [chunk=16]

Widths are those of model_3, weights random. Two lines a length: seconds, peak memory, difference. Both codes take turns
in one process, so that other work on the machine hits both alike, and ratios are medians of those within a round;
memory is counted tensor by tensor. chunk is of our code. OpenFold runs in place, unchunked and with its default of 4.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from common.training.precision import keep_freed_memory
from protein.models.alphafold import AlphaFold
from protein.weights.openfold import load_openfold
from tests.benchmarks.turns import settings, take_turns
from tests.protein.allocations import peak_allocated

CHUNKED = 4
Program = Callable[[], Tensor]


def models(checkout: str) -> tuple[Any, AlphaFold]:
    """OpenFold's network with one block of each stack, and ours of its checkpoint."""
    kernel = ModuleType("attn_core_inplace_cuda")
    kernel.forward_ = lambda logits, rows, columns: logits.copy_(torch.softmax(logits, -1))  # type: ignore[attr-defined]
    sys.modules["attn_core_inplace_cuda"] = kernel
    sys.path.insert(0, str(Path(checkout).resolve()))
    from openfold.config import model_config  # pyright: ignore[reportMissingImports]
    from openfold.model.model import AlphaFold as Official  # pyright: ignore[reportMissingImports]

    config = model_config("model_3_ptm")
    config.globals.use_flash = False
    config.model.evoformer_stack.no_blocks = config.model.extra_msa.extra_msa_stack.no_blocks = 1
    theirs = Official(config).eval()
    for parameter in theirs.parameters():  # many start at zero
        torch.nn.init.normal_(parameter, 0.0, 0.5 / parameter.shape[-1] ** 0.5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pt"
        torch.save(theirs.state_dict(), path)
        return theirs, load_openfold(path).eval()


def blocks(theirs: Any, ours: AlphaFold, length: int, sequences: int, chunk: int) -> list[Program]:
    """Pairs [N, N, C] after one block; all codes change what they are given, and the copies count."""
    msa, pair = torch.randn(sequences, length, 256), torch.randn(length, length, 128)
    masks = {"msa_mask": torch.ones(sequences, length), "pair_mask": torch.ones(length, length)}
    block = theirs.evoformer.blocks[0]

    def official(size: int | None) -> Program:
        options = {**masks, "chunk_size": size, "inplace_safe": True, "_mask_trans": False}
        return lambda: block(msa.clone(), pair.clone(), **options)[1]

    return [
        official(None),
        official(CHUNKED),
        lambda: ours.evoformer(msa.clone()[None], pair.clone()[None], chunk=chunk)[1][0],
    ]


def structures(theirs: Any, ours: AlphaFold, length: int, sequences: int, chunk: int) -> list[Program]:
    """Atoms [N, 14, 3]."""
    state = {"single": torch.randn(length, 384), "pair": torch.randn(length, length, 128)}
    types, mask = torch.randint(0, 20, (length,)), torch.ones(length)

    def official() -> Tensor:
        return theirs.structure_module(dict(state), types, mask, inplace_safe=True)["positions"][-1]

    def run() -> Tensor:
        return ours.structure(state["single"][None], state["pair"][None], types[None]).atom14[0]

    return [official, official, run]


@torch.no_grad()
def main() -> None:
    chosen = settings(openfold="openfold", lengths="128,256", sequences="128", threads="2", rounds="3", chunk="16")
    torch.set_num_threads(int(chosen["threads"]))
    keep_freed_memory()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    theirs, ours = models(chosen["openfold"])
    for length in map(int, chosen["lengths"].split(",")):
        for name, make in (("block", blocks), ("structure", structures)):
            programs = make(theirs, ours, length, int(chosen["sequences"]), int(chosen["chunk"]))
            plain, _, found = (program() for program in programs)
            memory = [peak_allocated(program) / 2**20 for program in programs]
            turns = take_turns(programs, int(chosen["rounds"]))
            by_processor = turns.ratio_by_processor
            faster = int(turns.seconds[1] < turns.seconds[0])
            print(
                f"{length:4} residues, {name:9}: {turns.seconds[faster]:6.2f} s, ours {turns.seconds[2]:6.2f} s: "
                f"{turns.ratio[2] / turns.ratio[faster]:.2f} x "
                f"({by_processor[2] / by_processor[faster]:.2f} x by processor time);"
                f"  {memory[0]:.0f} MB, {memory[1]:.0f} in chunks, ours {memory[2]:.0f}: "
                f"{memory[2] / min(memory[:2]):.2f} x;  difference {float((plain - found).abs().max()):.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
