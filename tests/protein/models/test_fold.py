"""Laws of the compact folder: padding, chunks, recomputation; what it takes besides the sequence; no mirror images."""

from dataclasses import replace

import pytest
import torch

from protein.losses import backbone_fape
from protein.models.fold import MASKED, Fold, FoldConfig
from protein.models.pair_convolution import PairConvolution
from tests.protein.models.conftest import STRUCTURE, randomized

CONFIG = FoldConfig(
    single=16, pair=8, stem_width=8, stem_blocks=1, sequence_blocks=1, blocks=4, heads=2, triangle_heads=2, reach=4,
    lddt_width=4, dropout=0.0, structure=replace(STRUCTURE, single=16),
)  # fmt: skip


@pytest.fixture
def fold() -> Fold:
    model = randomized(Fold(CONFIG))
    assert isinstance(model, Fold)
    return model


def close(one, other, tolerance=2e-5):
    return (one - other).abs().max() < tolerance


def test_a_chain_is_predicted_the_same_alone_and_padded_in_a_batch(fold):
    torch.manual_seed(0)
    types = torch.randint(0, 21, (3, 14))
    lengths = torch.tensor([14, 9, 11])
    mask = torch.arange(14) < lengths[:, None]
    with torch.no_grad():
        together = fold(types, mask, cycles=2)
        for chain, length in enumerate(lengths.tolist()):
            alone = fold(types[chain : chain + 1, :length], cycles=2)
            assert close(together.structure.atom14[chain, :length], alone.structure.atom14[0], 1e-4)
            assert close(together.pae()[chain, :length, :length], alone.pae()[0], 1e-3)
            assert close(together.secondary[chain, :length], alone.secondary[0])


@pytest.mark.parametrize("chunk", [1, 4])
def test_chunks_and_recomputation_change_neither_prediction_nor_gradient(fold, chunk):
    types = torch.randint(0, 20, (2, 11))

    def run(**options):
        fold.zero_grad()
        found = fold(types, cycles=2, **options)
        (found.structure.atom14.square().mean() + found.distogram.square().mean() + found.pae().mean()).backward()
        return found, [p.grad for p in fold.parameters() if p.grad is not None]

    plain, gradients = run()
    chunked, same = run(chunk=chunk, recompute=True)
    assert close(plain.structure.atom14, chunked.structure.atom14, 1e-4)
    for one, other in zip(gradients, same, strict=True):
        assert close(one, other, 1e-4 * max(1.0, float(one.abs().max())))
    with torch.no_grad():
        assert close(fold(types, cycles=2, chunk=chunk).structure.atom14, plain.structure.atom14, 1e-4)


@pytest.mark.parametrize(("dilation", "chunk"), [(1, 1), (2, 3), (4, 5), (4, 20)])
def test_a_convolution_in_chunks_sees_its_neighbours(dilation, chunk):
    torch.manual_seed(1)
    layer = randomized(PairConvolution(4, dilation))
    pair, mask = torch.randn(2, 13, 13, 4), torch.arange(13) < torch.tensor([[13], [10]])
    with torch.no_grad():
        assert close(layer(pair.clone(), mask), layer(pair.clone(), mask, chunk), 1e-5)
    assert close(layer(pair, mask), layer(pair, mask, chunk), 1e-5)


def test_gradients_reach_every_weight(fold):
    found = fold(torch.randint(0, 20, (1, 11)), cycles=2)
    outputs = [found.structure.atom14, found.structure.torsions, found.lddt, found.distogram, found.aligned_error,
               found.secondary, found.language]  # fmt: skip
    torch.stack([(output * torch.randn_like(output)).mean() for output in outputs]).sum().backward()
    without = [name for name, p in fold.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert without == []


def test_the_stem_learns_from_the_sequence_alone(fold):
    types, mask = torch.randint(0, 20, (2, 11)), torch.arange(11) < torch.tensor([[11], [8]])
    (told,) = fold(types, mask, learn="sequence")
    (told.secondary.square().mean() + told.language.square().mean()).backward()
    reached = {name for name, p in fold.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert reached == {f"stem.{name}" for name, _ in fold.stem.named_parameters()}
    (alone,) = fold(types[1:, :8], learn="sequence")
    assert close(told.secondary[1, :8], alone.secondary[0])
    without = Fold(replace(CONFIG, stem_blocks=0))
    with pytest.raises(ValueError, match="no stem"):
        without(types, mask, learn="sequence")


def test_voters_give_the_mean_of_what_all_think_of_the_secondary_structure_and_nothing_else(fold):
    types, mask = torch.randint(0, 20, (2, 11)), torch.arange(11) < torch.tensor([[11], [8]])
    torch.manual_seed(3)
    many = randomized(Fold(replace(CONFIG, voters=2))).eval()
    many.load_state_dict({**many.state_dict(), **fold.state_dict()})
    with torch.no_grad():
        _, *votes = many(types, mask, learn="sequence")
        alone, together = fold(types, mask), many(types, mask)
        learning = many.train()(types, mask)
    assert len(votes) == 2 and not close(votes[0].secondary, votes[1].secondary, 1e-2)
    mean = sum(one.softmax(-1) for one in (alone.secondary, *(vote.secondary for vote in votes))) / 3
    assert close(together.secondary.softmax(-1), mean)
    assert close(together.distogram, alone.distogram) and close(together.structure.atom14, alone.structure.atom14)
    assert close(learning.distogram, alone.distogram) and close(learning.secondary, alone.secondary)
    for one in many(types, mask, learn="sequence"):
        one.secondary.square().mean().backward()
    assert all(p.grad is not None for name, p in many.voters.named_parameters() if "residue" not in name)


def test_before_structures_are_learned_their_module_gets_no_gradient(fold):
    found = fold(torch.randint(0, 20, (1, 7)), learn="distances")
    (found.distogram.square().mean() + found.structure.atom14.square().mean()).backward()
    assert all(p.grad is None for p in fold.structure.parameters())
    assert fold.embed_type.weight.grad.abs().max() > 0


def test_a_profile_and_states_of_a_language_model_are_used_where_the_model_takes_them(fold):
    types = torch.randint(0, 20, (1, 7))
    rich = randomized(Fold(replace(CONFIG, profile=True, language=6)))
    given = {"profile": torch.rand(1, 7, 23), "language": torch.randn(1, 7, 6)}
    with torch.no_grad():
        plain = rich(types, **given).distogram
        for name in given:
            other = {**given, name: given[name] + torch.randn_like(given[name])}
            assert not close(rich(types, **other).distogram, plain, 1e-3)
    with pytest.raises(ValueError, match="takes a profile"):
        rich(types, language=given["language"])
    with pytest.raises(ValueError, match="takes no profile"):
        fold(types, profile=given["profile"])


def test_a_hidden_residue_is_told_from_an_unknown_one(fold):
    types = torch.randint(0, 20, (1, 7))
    with torch.no_grad():
        hidden, unknown = (fold(types.index_fill(1, torch.tensor([3]), kind)).distogram for kind in (MASKED, 20))
    assert not close(hidden, unknown, 1e-3)


def test_the_mirror_image_of_a_prediction_has_an_error(fold):
    with torch.no_grad():
        frames = fold(torch.randint(0, 20, (1, 11))).structure.frames
    last = type(frames)(frames.rotation[-1], frames.translation[-1])
    mirror = torch.tensor([1.0, 1.0, -1.0])
    mirrored = type(last)(mirror[:, None] * last.rotation * mirror, last.translation * mirror)
    everywhere = torch.ones(1, 11, dtype=torch.bool)
    assert float(backbone_fape(last, last, everywhere)) < 0.01
    assert float(backbone_fape(last, mirrored, everywhere)) > 0.05
