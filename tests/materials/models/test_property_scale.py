"""From a network's output to physical units."""

import torch

from materials.models.crystal_graph import CrystalGraphBatch, PropertyScale


def water_and_oxygen() -> CrystalGraphBatch:
    """H2O with its hydrogens as one node, and O2 as one node."""
    return CrystalGraphBatch(
        torch.tensor([1, 8, 8]),
        torch.tensor([2.0, 1.0, 2.0]),
        torch.tensor([0, 0, 1]),
        2,
        torch.zeros(3, 1, dtype=torch.int64),
        torch.ones(3, 1),
    )


def scale(offset: torch.Tensor | float, factor: torch.Tensor | float) -> PropertyScale:
    properties = offset.shape[1] if isinstance(offset, torch.Tensor) else 1
    made = PropertyScale(properties)
    made.set(offset, factor)
    return made


def test_scale_times_output_plus_the_mean_of_the_elements():
    offset = torch.zeros(119, 2)
    offset[1], offset[8] = torch.tensor([[3.0, 0.0], [6.0, 1.0]])
    output = torch.tensor([[[0.1, 0.3]], [[0.2, 0.4]]])  # [B, 1 member, T]
    found = scale(offset, torch.tensor([10.0, 1.0]))(output, water_and_oxygen())
    expected = [[[0.1 * 10 + 4.0, 0.3 + 1 / 3]], [[0.2 * 10 + 6.0, 0.4 + 1.0]]]
    assert torch.allclose(found, torch.tensor(expected))


def test_one_constant_for_all_elements():
    assert scale(-1.5, 2.0)(torch.zeros(2, 1, 1), water_and_oxygen()).flatten().tolist() == [-1.5, -1.5]


def test_precision_is_never_below_float32_and_never_lowered():
    for dtype, expected in ((torch.bfloat16, torch.float32), (torch.float64, torch.float64)):
        assert PropertyScale()(torch.zeros(2, 1, 1, dtype=dtype), water_and_oxygen()).dtype == expected


def test_atom_shares_add_up_to_one():
    share = water_and_oxygen().atom_share()
    assert torch.allclose(share, torch.tensor([2 / 3, 1 / 3, 1.0]))
