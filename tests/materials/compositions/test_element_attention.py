"""Attention over elements: invariances, and the formulas of its docstring element by element."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from materials.data.composition_features import composition_features
from materials.data.compositions import Compositions
from materials.models.element_attention import ElementAttention, ElementAttentionConfig, encoded_share

CPU = torch.device("cpu")
FORMULAS = ["Fe2O3", "NaCl", "Ag(W3Br7)2", "C", "Li(Ni0.6Mn0.2Co0.2)O2", "CuSO4·5H2O", "Og2Fe"]
PROPERTIES = 2


def make(members: int = 2, **settings: object) -> ElementAttention:
    torch.manual_seed(0)
    model = ElementAttention(
        ElementAttentionConfig(width=16, layers=2, heads=2, readout_width=8, members=members, properties=2, **settings)
    )
    with torch.no_grad():  # so that no formula below rests on a value it starts with
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def predict(model: ElementAttention, formulas: list[str]) -> Tensor:
    compositions = Compositions.of(formulas, formulas)
    return model(model.pack(compositions).gather(torch.arange(len(formulas)), CPU))


def test_order_scale_and_company_do_not_matter() -> None:
    model = make().eval()
    with torch.inference_mode():
        together = predict(model, FORMULAS)
        alone = torch.cat([predict(model, [formula]) for formula in FORMULAS])
        other = predict(model, ["O6Fe4", "Cl0.5Na0.5", "W12Br28Ag2", "C60", "MnCoNi3Li5O10", "H20S2O18Cu2", "FeOg2"])
    assert together.shape == (len(FORMULAS), 2, PROPERTIES) and together.isfinite().all()
    assert torch.equal(together, other)
    torch.testing.assert_close(together, alone)
    assert together.flatten(1).std(dim=0).min() > 1e-3


def test_forward_is_its_docstring() -> None:
    model = make().eval()
    with torch.inference_mode():
        outputs = predict(model, FORMULAS)
        for row, formula in enumerate(FORMULAS):
            for member in range(2):
                torch.testing.assert_close(outputs[row, member], plain(model, formula, member))


def plain(model: ElementAttention, formula: str, member: int) -> Tensor:
    """One member's prediction for one formula."""
    one = Compositions.of([formula], ["one"])
    numbers = torch.from_numpy(one.numbers.astype("int64"))
    share = torch.from_numpy(one.fractions).float()
    heads = model.config.heads

    def linear(layer, x: Tensor) -> Tensor:
        bias = 0.0 if layer.bias is None else layer.bias.view(model.config.members, -1)[member]
        return x @ layer.weight[member] + bias

    def exponents(parameter: Tensor) -> Tensor:
        return parameter.view(model.config.members, heads)[member].relu()

    x = linear(model.from_properties, model.element_properties[numbers]) + model.element[numbers, member]
    x = x + linear(model.from_share, encoded_share(share))
    for layer in model.layers:
        rows = linear(layer.query_key_value, F.layer_norm(x, x.shape[1:]))
        query, key, value = (part.chunk(heads, dim=1) for part in rows.chunk(3, dim=1))
        mixed = []
        for head, exponent in enumerate(exponents(layer.share_exponent)):
            score = query[head] @ key[head].T / key[head].shape[1] ** 0.5
            weight = share**exponent * score.exp()
            mixed.append(weight / weight.sum(dim=1, keepdim=True) @ value[head])
        x = x + linear(layer.mixed, torch.cat(mixed, dim=1))
        x = x + linear(layer.narrow, F.silu(linear(layer.wide, F.layer_norm(x, x.shape[1:]))))
    x = F.layer_norm(x, x.shape[1:])
    weight = share[:, None] ** exponents(model.readout.share_exponent) * linear(model.readout.gate, x).exp()
    value = linear(model.readout.value, x).chunk(heads, dim=1)
    total = [weight[:, head] / weight[:, head].sum() @ value[head] for head in range(heads)]
    hidden = linear(model.head.hidden, torch.cat(total)).relu()
    return linear(model.head.output, hidden) * model.head.scale.scale + model.head.scale.mean


def test_members_learn_independently() -> None:
    model = make(members=3, nonnegative=True)
    predict(model, FORMULAS)[:, 1].sum().backward()
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        assert gradient is not None and gradient.isfinite().all()
        by_member = gradient.transpose(0, 1) if name == "element" else gradient.reshape(3, -1)
        assert not by_member[[0, 2]].any() and by_member[1].any(), name


def test_a_trace_element_hardly_matters() -> None:
    model = make().eval()
    with torch.inference_mode():
        pure, traced, alloyed = predict(model, ["Fe", "Fe0.99999W0.00001", "Fe0.9W0.1"])
    assert (traced - pure).abs().max() < 0.05 * (alloyed - pure).abs().max()


def test_nonnegative_predictions_are_cut_off_and_still_learn() -> None:
    free, cut = make(), make(nonnegative=True)
    with torch.inference_mode():
        expected = predict(free.eval(), FORMULAS)
        assert (expected < 0).any()
        assert torch.equal(predict(cut.eval(), FORMULAS), expected.clamp(min=0))
    assert torch.equal(predict(cut.train(), FORMULAS), predict(free.train(), FORMULAS))


def test_statistics_reach_the_output() -> None:
    compositions = Compositions.of(FORMULAS, FORMULAS)
    features = torch.from_numpy(composition_features(compositions)).float()
    model = make(descriptors=features.shape[1]).eval()
    model.head.fit(torch.randn(len(features), PROPERTIES), features)
    ids = torch.tensor([5, 0])
    with torch.inference_mode():
        one = model(model.pack(compositions, features).gather(ids, CPU))
        other = model(model.pack(compositions, features.flip(0)).gather(ids, CPU))
    assert one.shape == (2, 2, PROPERTIES) and not torch.allclose(one, other)


def test_two_backward_passes_are_bit_identical() -> None:
    gradients = []
    for _ in range(2):
        model = make()
        predict(model, FORMULAS * 10).square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert torch.equal(*gradients)


@pytest.mark.parametrize("ids", [[], [3]])
def test_small_batches(ids: list[int]) -> None:
    model = make().eval()
    packed = model.pack(Compositions.of(FORMULAS, FORMULAS))
    assert packed.sizes.tolist() == [2, 2, 3, 1, 5, 4, 2]
    assert model(packed.gather(torch.tensor(ids, dtype=torch.int64), CPU)).shape == (len(ids), 2, PROPERTIES)
