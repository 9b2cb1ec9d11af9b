"""Blocks and structure module are one graph for torch.compile: nothing in them depends on values."""

import pytest
import torch

from protein.models.structure_module import Structure


def compiled(module):
    torch.compiler.reset()
    return torch.compile(module, backend="eager", fullgraph=True)


def outputs(result):
    """In one row."""
    return result.atom14.flatten() if isinstance(result, Structure) else torch.cat([x.flatten() for x in result])


@pytest.mark.parametrize("recording", [True, False])
def test_a_block_of_each_trunk_and_the_structure_module_compile_whole(recording, alphafold, esmfold):
    torch.manual_seed(0)
    msa, pair, single, types = torch.randn(1, 4, 9, 16), torch.randn(1, 9, 9, 8), torch.randn(1, 9, 12), [[3] * 9]
    mask, rows = torch.arange(9)[None] < 8, torch.arange(4)[None] < 3
    with torch.set_grad_enabled(recording):
        for module, *inputs in (
            (alphafold.evoformer.blocks[0], msa, pair, mask, rows, 4),
            (alphafold.extra.blocks[0], msa[..., :6], pair, mask, rows),
            (esmfold.blocks[0], msa[:, 0], pair, mask, 4),
            (alphafold.structure, single, pair, torch.tensor(types), mask),
        ):
            expected, found = (
                outputs(run(*(x.clone() if torch.is_tensor(x) else x for x in inputs)))
                for run in (module, compiled(module))
            )
            assert (expected - found).abs().max() < 1e-4
