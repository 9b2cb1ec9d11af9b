"""An Evoformer block and the structure module against OpenFold's without compiled kernels, with the same weights.

    git clone https://github.com/aqlaboratory/openfold
    pip install dm-tree ml-collections einops modelcif pandas scipy biopython
    python -m tests.benchmarks.evoformer_speed openfold=openfold [lengths=128,256] [sequences=128] [threads=2]
        [rounds=3] [chunk=16] [device=cpu] [precision=fp32] [backward=false]

Widths are those of model_3, weights random. Two lines a length: seconds, peak memory, difference. Both codes take turns
in one process, so that other work on the machine hits both alike, and ratios are medians of those within a round;
memory is counted tensor by tensor, on a GPU by its allocator. chunk is of our code. OpenFold runs in place, unchunked
and with its default of 4; with gradients neither code runs in chunks, nor OpenFold in place.
On a GPU: device=cuda precision=bf16 lengths=256,512,1024,2048, without and with backward=true.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from common.training.precision import keep_freed_memory
from protein.models.alphafold import AlphaFold
from protein.weights.openfold import load_openfold
from tests.benchmarks.passes import OURS, Pass, Program, compare
from tests.benchmarks.turns import settings

CHUNKED = 4


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


def blocks(
    theirs: Any, ours: AlphaFold, length: int, sequences: int, chunk: int | None, way: Pass
) -> dict[str, Program]:
    """Pairs [N, N, C] after one block; all codes change what they are given, and the copies count."""
    msa = torch.randn(sequences, length, 256, device=way.device)
    pair = torch.randn(length, length, 128, device=way.device)
    masks = {"msa_mask": torch.ones_like(msa[..., 0]), "pair_mask": torch.ones_like(pair[..., 0])}
    block = theirs.evoformer.blocks[0]

    def official(size: int | None) -> Program:
        options = {**masks, "chunk_size": size, "inplace_safe": not way.backward, "_mask_trans": False}
        return lambda: block(msa.clone(), pair.clone(), **options)[1]

    chunked = {} if way.backward else {f"in chunks of {CHUNKED}": official(CHUNKED)}
    return {
        "OpenFold": official(None),
        **chunked,
        OURS: lambda: ours.evoformer(msa.clone()[None], pair.clone()[None], chunk=chunk)[1][0],
    }


def structures(
    theirs: Any, ours: AlphaFold, length: int, sequences: int, chunk: int | None, way: Pass
) -> dict[str, Program]:
    """Atoms [N, 14, 3]."""
    state = {
        "single": torch.randn(length, 384, device=way.device),
        "pair": torch.randn(length, length, 128, device=way.device),
    }
    types, mask = torch.randint(0, 20, (length,), device=way.device), torch.ones(length, device=way.device)

    def official() -> Tensor:
        return theirs.structure_module(dict(state), types, mask, inplace_safe=not way.backward)["positions"][-1]

    def run() -> Tensor:
        return ours.structure(state["single"][None], state["pair"][None], types[None]).atom14[0]

    return {"OpenFold": official, OURS: run}


def main() -> None:
    chosen = settings(
        openfold="openfold", lengths="128,256", sequences="128", threads="2", rounds="3", chunk="16", device="cpu",
        precision="fp32", backward="false",
    )  # fmt: skip
    way = Pass(torch.device(chosen["device"]), chosen["precision"], chosen["backward"] == "true")
    torch.set_num_threads(int(chosen["threads"]))
    keep_freed_memory()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    theirs, ours = (model.to(way.device) for model in models(chosen["openfold"]))
    chunk = None if way.backward else int(chosen["chunk"])
    for length in map(int, chosen["lengths"].split(",")):
        for name, make in (("block", blocks), ("structure", structures)):
            programs = make(theirs, ours, length, int(chosen["sequences"]), chunk, way)
            compare(f"{length:4} residues, {name:9}", programs, way, int(chosen["rounds"]))


if __name__ == "__main__":
    main()
