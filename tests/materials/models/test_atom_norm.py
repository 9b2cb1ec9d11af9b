"""Normalisation by atoms: torch's batch norm of the rows repeated as often as their multiplicity."""

import torch

from materials.models.atom_norm import AtomBatchNorm

C = 5


def pair():
    torch.manual_seed(0)
    ours, theirs = AtomBatchNorm(C).double(), torch.nn.BatchNorm1d(C).double()
    state = {
        "weight": torch.randn(C),
        "bias": torch.randn(C),
        "running_mean": torch.randn(C),
        "running_var": torch.rand(C) + 1,
    }
    ours.load_state_dict(state)
    theirs.load_state_dict(theirs.state_dict() | state)
    return ours, theirs


def test_equals_batch_norm_of_repeated_rows():
    ours, theirs = pair()
    rows = torch.randn(8, C, dtype=torch.float64, requires_grad=True)
    counts = torch.randint(1, 4, (8,))
    for training in (True, False):
        ours.train(training)
        theirs.train(training)
        repeated = rows.repeat_interleave(counts, dim=0)
        found, expected = ours(rows, counts.double()), theirs(repeated)
        assert torch.allclose(found.repeat_interleave(counts, dim=0), expected)
        assert torch.allclose(ours.running_mean, theirs.running_mean)
        assert torch.allclose(ours.running_var, theirs.running_var)
        inputs = [rows, ours.weight, ours.bias], [rows, theirs.weight, theirs.bias]
        weights = counts.double()[:, None]
        gradients = (
            torch.autograd.grad((found.pow(3) * weights).sum(), inputs[0]),
            torch.autograd.grad(expected.pow(3).sum(), inputs[1]),
        )
        assert all(torch.allclose(a, b) for a, b in zip(*gradients, strict=True))


def test_affine_is_the_norm_with_fixed_statistics():
    ours, _ = pair()
    rows = torch.randn(8, C, dtype=torch.float64)
    scale, shift = ours.affine()
    assert torch.allclose(ours.eval()(rows, torch.ones(8)), rows * scale + shift)
