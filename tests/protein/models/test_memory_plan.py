"""The plan is an upper bound of what a prediction allocates, and not far above it."""

import pytest
import torch

from protein.models.alphafold import AlignmentFeatures, AlphaFold, AlphaFoldConfig
from protein.models.esm2 import ESM2Config
from protein.models.esmfold import ESMFold, ESMFoldConfig
from protein.models.evoformer import EvoformerConfig
from protein.models.fold import Fold, FoldConfig
from protein.models.memory_plan import TrunkShape, peak_bytes, plan
from protein.models.structure_module import StructureModuleConfig
from tests.protein.allocations import peak_allocated

STRUCTURE = StructureModuleConfig(64, 32, 4, 8, 2, 3, iterations=1)


@pytest.mark.parametrize("chunk", [1, 32])
def test_of_esmfold(chunk):
    config = ESMFoldConfig(ESM2Config(1, 32, 2), 64, 32, 1, 2, 2, 8, 4, structure=STRUCTURE)
    model, types = ESMFold(config).eval(), torch.zeros(1, 64, dtype=torch.long)
    peak = peak_allocated(lambda: model(types, cycles=2, chunk=chunk))
    assert peak < peak_bytes(TrunkShape.of(config), 64, chunk) < 2 * peak


@pytest.mark.parametrize("chunk", [1, 32])
def test_of_fold(chunk):
    config = FoldConfig(64, 32, 1, 3, 4, triangle_heads=2, lddt_width=4, structure=STRUCTURE)
    model, types = Fold(config).eval(), torch.zeros(2, 64, dtype=torch.long)
    peak = peak_allocated(lambda: model(types, cycles=2, chunk=chunk))
    assert peak < peak_bytes(TrunkShape.of(config), 64, chunk, 2) < 2 * peak


@pytest.mark.parametrize(("chunk", "sequences", "extra"), [(2, 8, 8), (16, 8, 8), (8, 96, 160)])
def test_of_alphafold(chunk, sequences, extra):
    stack = EvoformerConfig(1, 32, 32, 2, 16, 2, 16, 16, 32)
    config = AlphaFoldConfig(stack, EvoformerConfig(1, 16, 32, 2, 8, 2, 16, 16, 32, 4, True), STRUCTURE, lddt_width=8)
    model = AlphaFold(config).eval()
    seen = AlignmentFeatures(
        torch.zeros(1, 48, dtype=torch.long), torch.arange(48)[None], torch.zeros(1, sequences, 48, 49),
        torch.zeros(1, extra, 48, 25),
    )  # fmt: skip
    peak = peak_allocated(lambda: model([seen] * 2, chunk=chunk))
    assert peak < peak_bytes(TrunkShape.of(config), 48, chunk, 1, sequences, extra) < 2.5 * peak


def test_a_tighter_limit_gives_smaller_chunks_and_then_none_fits():
    shape = TrunkShape.of(ESMFoldConfig())
    roomy = plan(shape, 512)
    limit_gb = peak_bytes(shape, 512, 16) / 1e9
    tight, none = plan(shape, 512, limit_gb), plan(shape, 512, 0.1)
    assert (roomy.chunk, tight.chunk, none.chunk) == (32, 16, 1)
    assert (roomy.fits, tight.fits, none.fits) == (True, True, False)
    assert "of 0.10 GB" in str(none)
