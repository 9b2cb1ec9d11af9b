"""Small models of random weights, in which every part matters."""

import pytest
import torch

from protein.models.alphafold import AlignmentFeatures, AlphaFold, AlphaFoldConfig
from protein.models.esm2 import ESM2Config
from protein.models.esmfold import ESMFold, ESMFoldConfig
from protein.models.evoformer import EvoformerConfig
from protein.models.structure_module import StructureModuleConfig

STRUCTURE = StructureModuleConfig(12, 8, 3, 4, 2, 3, iterations=2, torsion_width=8, dropout=0.0)
STACK = EvoformerConfig(
    blocks=2, msa=16, pair=8, msa_heads=2, msa_head_width=4, pair_heads=2, pair_head_width=4, product_width=3,
    triangle_width=6, transition_factor=2, msa_dropout=0.0, pair_dropout=0.0,
)  # fmt: skip
EXTRA = EvoformerConfig(**{**vars(STACK), "blocks": 1, "msa": 6, "global_columns": True})


@torch.no_grad()
def randomized(model: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(3)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.normal_(0, 0.8 / parameter.shape[-1] ** 0.5)
        else:
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture
def esmfold() -> ESMFold:
    config = ESMFoldConfig(
        ESM2Config(2, 16, 2), single=16, pair=8, blocks=2, single_heads=2, pair_heads=2, reach=4, lddt_width=4,
        structure=STRUCTURE,
    )  # fmt: skip
    return randomized(ESMFold(config))


@pytest.fixture
def alphafold() -> AlphaFold:
    return randomized(AlphaFold(AlphaFoldConfig(STACK, EXTRA, STRUCTURE, reach=4, lddt_width=16)))


@pytest.fixture
def alignment() -> AlignmentFeatures:
    generator = torch.Generator().manual_seed(4)
    types = torch.randint(0, 20, (1, 9), generator=generator)
    msa, extra = (torch.rand(1, s, 9, c, generator=generator) for s, c in ((4, 49), (5, 25)))
    return AlignmentFeatures(types, torch.arange(9)[None], msa, extra)
