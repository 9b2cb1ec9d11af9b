"""From a network's output to physical units."""

import torch

from materials.models.crystal_graph import CrystalGraphBatch, PropertyScale


def water_and_oxygen() -> CrystalGraphBatch:
    """H2O with its hydrogens as one node, and O2 as one node."""
    return CrystalGraphBatch(
        torch.tensor([1, 8, 8]),
        torch.zeros(3, 1, dtype=torch.int64),
        torch.ones(3, 1),
        torch.tensor([2.0, 1.0, 2.0]),
        torch.tensor([0, 0, 1]),
        2,
    )


def test_scale_times_output_plus_the_mean_of_the_elements():
    offset = torch.zeros(119)
    offset[1], offset[8] = 3.0, 6.0
    found = PropertyScale(offset, 10.0)(torch.tensor([0.1, 0.2]), water_and_oxygen())
    assert torch.allclose(found, torch.tensor([0.1 * 10 + 4.0, 0.2 * 10 + 6.0]))


def test_one_constant_for_all_elements():
    assert PropertyScale(-1.5, 2.0)(torch.zeros(2), water_and_oxygen()).tolist() == [-1.5, -1.5]


def test_precision_is_never_below_float32_and_never_lowered():
    for dtype, expected in ((torch.bfloat16, torch.float32), (torch.float64, torch.float64)):
        assert PropertyScale(0.0)(torch.zeros(2, dtype=dtype), water_and_oxygen()).dtype == expected


def test_atom_shares_add_up_to_one():
    share = water_and_oxygen().atom_share()
    assert torch.allclose(share, torch.tensor([2 / 3, 1 / 3, 1.0]))
