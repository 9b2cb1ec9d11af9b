"""Laws that whole predictors obey: padding, batching, chunks and recomputation change nothing; gradients reach all."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from protein.models.alphafold import AlignmentFeatures


def close(one, other, tolerance=2e-5):
    return (one - other).abs().max() < tolerance


def test_a_chain_is_predicted_the_same_alone_and_padded_in_a_batch(esmfold):
    torch.manual_seed(0)
    types = torch.randint(0, 21, (3, 14))
    lengths = torch.tensor([14, 9, 11])
    mask = torch.arange(14) < lengths[:, None]
    with torch.no_grad():
        together = esmfold(types, mask, cycles=2)
        for chain, length in enumerate(lengths.tolist()):
            alone = esmfold(types[chain : chain + 1, :length], cycles=2)
            assert close(together.structure.atom14[chain, :length], alone.structure.atom14[0])
            assert close(together.pae()[chain, :length, :length], alone.pae()[0])
            assert close(together.plddt()[chain, :length], alone.plddt()[0], 1e-4)
            assert close(together.ptm()[chain], alone.ptm()[0])


def padded(features: AlignmentFeatures) -> AlignmentFeatures:
    """Three residues and two sequences more, of other values."""

    def pad(x, *sizes):
        return functional.pad(x, sizes, value=1)

    present = torch.ones_like(features.types, dtype=torch.bool)
    return AlignmentFeatures(
        pad(features.types, 0, 3), pad(features.residue_index, 0, 3), pad(features.msa, 0, 0, 0, 3, 0, 2),
        pad(features.extra, 0, 0, 0, 3, 0, 2), functional.pad(present, (0, 3)),
        *(functional.pad(torch.ones(1, x.shape[1], dtype=torch.bool), (0, 2)) for x in (features.msa, features.extra)),
    )  # fmt: skip


def test_padded_residues_and_sequences_change_nothing(alphafold, alignment):
    with torch.no_grad():
        plain, more = alphafold([alignment] * 2), alphafold([padded(alignment)] * 2)
    assert close(plain.structure.atom14, more.structure.atom14[:, :9])
    assert close(plain.distogram, more.distogram[:, :9, :9])
    assert close(plain.language, more.language[:, :4, :9])
    assert close(plain.ptm(), more.ptm())


@pytest.mark.parametrize("chunk", [1, 4])
def test_chunks_and_recomputation_change_neither_prediction_nor_gradient(chunk, alphafold, alignment):
    def run(**options):
        alphafold.zero_grad()
        found = alphafold([alignment] * 2, **options)
        (found.structure.atom14.square().mean() + found.distogram.square().mean() + found.pae().mean()).backward()
        return found, [p.grad for p in alphafold.parameters() if p.grad is not None]

    plain, gradients = run()
    chunked, same = run(chunk=chunk, recompute=True)
    assert close(plain.structure.atom14, chunked.structure.atom14)
    assert len(gradients) == len(same)
    for one, other in zip(gradients, same, strict=True):
        assert close(one, other, 1e-4 * max(1.0, float(one.abs().max())))
    with torch.no_grad():
        assert close(alphafold([alignment] * 2, chunk=chunk).structure.atom14, plain.structure.atom14)


def test_gradients_reach_every_weight(alphafold, alignment):
    found = alphafold([alignment] * 2)
    outputs = [found.structure.atom14, found.structure.torsions, found.lddt, found.distogram, found.aligned_error,
               found.resolved, found.language]  # fmt: skip
    sum((output * torch.randn_like(output)).mean() for output in outputs).backward()
    without = [name for name, p in alphafold.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert without == []


def test_the_language_model_stays_as_it_is_while_the_rest_learns(esmfold):
    found = esmfold(torch.randint(0, 20, (1, 7)), cycles=1)
    (found.structure.atom14.square().mean() + found.distogram.square().mean()).backward()
    assert all(p.grad is None for p in esmfold.language.parameters())
    assert esmfold.state_weight.grad.abs().max() > 0


def test_recycling_changes_the_prediction_and_numbering_matters(esmfold):
    types = torch.randint(0, 20, (1, 7))
    with torch.no_grad():
        once, twice = (esmfold(types, cycles=cycles).structure.atom14 for cycles in (1, 2))
        gap = torch.tensor([[0, 1, 2, 30, 31, 32, 33]])
        broken = esmfold(types, residue_index=gap, cycles=1).structure.atom14
    assert not close(once, twice, 0.1)
    assert not close(once, broken, 0.1)


def test_order_of_the_sequences_of_an_alignment_does_not_matter_but_for_the_first(alphafold, alignment):
    with torch.no_grad():
        plain = alphafold([alignment]).structure.atom14
        turned = replace(alignment, msa=alignment.msa[:, [0, 3, 1, 2]], extra=alignment.extra.flip(1))
        other = replace(alignment, msa=alignment.msa[:, [1, 0, 2, 3]])
        assert close(alphafold([turned]).structure.atom14, plain)
        assert not close(alphafold([other]).structure.atom14, plain, 0.01)


def test_16_bit_arithmetic_stays_near(alphafold, alignment):
    with torch.no_grad():
        plain = alphafold([alignment])
        with torch.autocast("cpu", torch.bfloat16):
            found = alphafold([alignment])
    assert found.structure.atom14.dtype == torch.float32
    assert (plain.distogram - found.distogram).abs().max() < 0.1 * plain.distogram.abs().max()


def test_a_model_without_a_head_for_aligned_errors_says_so(alphafold, alignment):
    alphafold.aligned_error = None
    with torch.no_grad():
        found = alphafold([alignment])
    with pytest.raises(ValueError, match="neither PAE nor pTM"):
        found.ptm()
