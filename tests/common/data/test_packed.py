"""Laws of packed ragged tensors: a batch by index is the concatenation of its samples."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.data.packed import PackedTensors


def packed(counts: list[int]) -> PackedTensors:
    total = sum(counts)
    rows = {"x": torch.randn(total, 3), "z": torch.arange(total, dtype=torch.int32), "pair": torch.randn(total, 2, 2)}
    return PackedTensors(rows, torch.tensor(counts, dtype=torch.int32))


@given(counts=st.lists(st.integers(0, 6), min_size=1, max_size=12), data=st.data())
def test_gather_is_the_loop_over_samples(counts: list[int], data: st.DataObject) -> None:
    store = packed(counts)
    ids = data.draw(st.lists(st.integers(0, len(counts) - 1), max_size=10))  # with repetition, in any order
    batch = store.gather(torch.tensor(ids, dtype=torch.int64))
    offsets = [sum(counts[:i]) for i in range(len(counts))]
    assert len(batch) == len(ids)
    assert batch.counts.tolist() == [counts[i] for i in ids]
    assert batch.start.tolist() == [sum(counts[i] for i in ids[:k]) for k in range(len(ids))]
    assert batch.owner.tolist() == [k for k, i in enumerate(ids) for _ in range(counts[i])]
    for name, value in store.rows.items():
        parts = [value[offsets[i] : offsets[i] + counts[i]] for i in ids]
        assert torch.equal(batch.rows[name], torch.cat(parts) if parts else value[:0]), name
        assert batch.rows[name].dtype == value.dtype


def test_to_changes_the_dtype_of_floating_point_rows_only() -> None:
    batch = packed([2, 3]).gather(torch.tensor([1, 0])).to("cpu", torch.float64)
    assert batch.rows["x"].dtype == batch.rows["pair"].dtype == torch.float64
    assert batch.rows["z"].dtype == torch.int32
    assert batch.owner.dtype == batch.start.dtype == torch.int64


def test_counts_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="rows\\['x'\\] has 5 rows, counts add up to 4"):
        PackedTensors({"x": torch.zeros(5, 2)}, torch.tensor([1, 3]))
