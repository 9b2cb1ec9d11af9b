"""ESMFold's folding part against that of transformers, with the same weights: seconds, peak memory, difference.

    pip install transformers
    python -m tests.benchmarks.esmfold_speed [lengths=128,256,384] [blocks=4] [threads=2] [rounds=3] [chunk=16]
        [device=cpu] [precision=fp32] [backward=false]

Blocks have the widths of esmfold_v1 and random weights; the language model before them is tiny. Two lines a length: the
trunk's blocks alone, and a whole prediction in one cycle (blocks, structure module, heads). Both codes take turns in
one process, so that other work on the machine hits both alike, and ratios are medians of those within a round; memory
is counted tensor by tensor, on a GPU by its allocator. chunk is of our code. transformers runs unchunked, and with its
default of 128; with gradients neither code runs in chunks.
On a GPU: device=cuda precision=bf16 lengths=256,512,1024,2048, without and with backward=true.
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
from tests.benchmarks.passes import OURS, Pass, Program, compare
from tests.benchmarks.turns import settings

CHUNKED = 128


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


def predictions(theirs: Any, ours: ESMFold, length: int, chunk: int | None, way: Pass) -> dict[str, Program]:
    """Atoms [B, N, 14, 3]."""
    types = torch.randint(0, 20, (1, length), device=way.device)

    def official(size: int | None) -> Program:
        def run() -> Tensor:
            theirs.trunk.set_chunk_size(size)
            return theirs(types, num_recycles=0).positions[-1]

        return run

    return _all(official, lambda: ours(types, cycles=1, chunk=chunk).structure.atom14, way)


def trunks(theirs: Any, ours: ESMFold, length: int, chunk: int | None, way: Pass) -> dict[str, Program]:
    """Pairs [B, N, N, C]."""
    single = torch.randn(1, length, 1024, device=way.device)
    pair = torch.randn(1, length, length, 128, device=way.device)
    mask = torch.ones(1, length, dtype=torch.long, device=way.device)

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

    return _all(official, run, way)


def _all(official: Callable[[int | None], Program], ours: Program, way: Pass) -> dict[str, Program]:
    chunked = {} if way.backward else {f"in chunks of {CHUNKED}": official(CHUNKED)}
    return {"transformers": official(None), **chunked, OURS: ours}


def main() -> None:
    chosen = settings(
        lengths="128,256,384", blocks="4", threads="2", rounds="3", chunk="16", device="cpu", precision="fp32",
        backward="false",
    )  # fmt: skip
    way = Pass(torch.device(chosen["device"]), chosen["precision"], chosen["backward"] == "true")
    torch.set_num_threads(int(chosen["threads"]))
    keep_freed_memory()
    warnings.simplefilter("ignore")
    theirs, ours = (model.to(way.device) for model in models(int(chosen["blocks"])))
    chunk = None if way.backward else int(chosen["chunk"])
    for length in map(int, chosen["lengths"].split(",")):
        for name, make in (("blocks", trunks), ("prediction", predictions)):
            programs = make(theirs, ours, length, chunk, way)
            compare(f"{length:4} residues, {name:10}", programs, way, int(chosen["rounds"]))


if __name__ == "__main__":
    main()
