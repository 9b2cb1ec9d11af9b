"""ESMFold's folding part against that of transformers, with the same weights: seconds, peak memory, difference.

    pip install transformers
    python -m tests.benchmarks.esmfold_speed [lengths=128,256,384] [blocks=4] [threads=2] [rounds=3] [chunk=16]

Blocks have the widths of esmfold_v1 and random weights; the language model before them is tiny. Two lines a length: the
trunk's blocks alone, and a whole prediction in one cycle (blocks, structure module, heads). Both codes take turns in
one process, so that other work on the machine hits both alike, and ratios are medians of those within a round; memory
is counted tensor by tensor. chunk is of our code. transformers runs unchunked, and with its default of 128.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common.training.precision import keep_freed_memory
from protein.models.blocks import through
from protein.models.esmfold import ESMFold
from protein.weights.esmfold import load_esmfold
from tests.benchmarks.turns import settings, take_turns
from tests.protein.allocations import peak_allocated

CHUNKED = 128
Program = Callable[[], Tensor]


def models(blocks: int) -> tuple[Any, ESMFold]:
    """The official code's, and ours of the folder that it writes."""
    from transformers import EsmConfig, EsmForProteinFolding  # pyright: ignore[reportMissingImports]

    config = EsmConfig(
        vocab_size=33, mask_token_id=32, pad_token_id=1, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=128, position_embedding_type="rotary", token_dropout=True, layer_norm_eps=1e-5,
        is_folding_model=True, esmfold_config={"fp16_esm": False, "trunk": {"num_blocks": blocks}},
    )  # fmt: skip
    torch.manual_seed(0)
    theirs = EsmForProteinFolding(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        return theirs, load_esmfold(Path(folder)).eval()


def predictions(theirs: Any, ours: ESMFold, length: int, chunk: int) -> list[Program]:
    """Atoms [B, N, 14, 3]."""
    types = torch.randint(0, 20, (1, length))

    def official(size: int | None) -> Program:
        def run() -> Tensor:
            theirs.trunk.set_chunk_size(size)
            return theirs(types, num_recycles=0).positions[-1]

        return run

    return [official(None), official(CHUNKED), lambda: ours(types, cycles=1, chunk=chunk).structure.atom14]


def trunks(theirs: Any, ours: ESMFold, length: int, chunk: int) -> list[Program]:
    """Pairs [B, N, N, C]."""
    single, pair = torch.randn(1, length, 1024), torch.randn(1, length, length, 128)
    mask = torch.ones(1, length, dtype=torch.long)

    def official(size: int | None) -> Program:
        def run() -> Tensor:
            state = (single, pair)
            for block in theirs.trunk.blocks:
                state = block(*state, mask=mask, chunk_size=size)
            return state[1]

        return run

    def run() -> Tensor:
        # The blocks change the pairs they are given; the copy that keeps runs alike counts.
        return through(ours.blocks, (single, pair.clone()), None, chunk, recompute=False)[1]

    return [official(None), official(CHUNKED), run]


@torch.no_grad()
def main() -> None:
    chosen = settings(lengths="128,256,384", blocks="4", threads="2", rounds="3", chunk="16")
    torch.set_num_threads(int(chosen["threads"]))
    keep_freed_memory()
    warnings.simplefilter("ignore")
    theirs, ours = models(int(chosen["blocks"]))
    for length in map(int, chosen["lengths"].split(",")):
        for name, make in (("blocks", trunks), ("prediction", predictions)):
            programs = make(theirs, ours, length, int(chosen["chunk"]))
            plain, _, found = (program() for program in programs)
            memory = [peak_allocated(program) / 2**20 for program in programs]
            turns = take_turns(programs, int(chosen["rounds"]))
            by_processor = turns.ratio_by_processor
            faster = int(turns.seconds[1] < turns.seconds[0])
            print(
                f"{length:4} residues, {name:10}: {turns.seconds[faster]:6.2f} s, ours {turns.seconds[2]:6.2f} s: "
                f"{turns.ratio[2] / turns.ratio[faster]:.2f} x "
                f"({by_processor[2] / by_processor[faster]:.2f} x by processor time);"
                f"  {memory[0]:.0f} MB, {memory[1]:.0f} in chunks, ours {memory[2]:.0f}: "
                f"{memory[2] / min(memory[:2]):.2f} x;  difference {float((plain - found).abs().max()):.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
