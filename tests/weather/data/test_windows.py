"""Windows are exactly what the time axis allows: no gap, no foreign split, no more reading than needed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.app.errors import ConfigError
from tests.weather.data.conftest import example
from weather.data.fields import Fields, stack, unstack
from weather.data.windows import Windows, window_index

HOUR = np.timedelta64(1, "h")


@given(hours=st.sets(st.integers(0, 60), min_size=1), length=st.integers(1, 5), step=st.sampled_from([1, 3, 6]))
def test_windows_are_all_runs_of_equal_steps_and_nothing_else(hours: set[int], length: int, step: int) -> None:
    ordered = sorted(hours)
    times = np.datetime64("2020-01-01", "ns") + np.array(ordered) * HOUR
    index = window_index(times, length, step)
    expected = [start for start in ordered if all(start + k * step in hours for k in range(length))]
    assert [ordered[row[0]] for row in index] == expected
    assert (np.diff(times[index], axis=1) == step * HOUR).all()


@given(cut=st.integers(4, 24), history=st.integers(1, 2), targets=st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_no_window_of_one_period_sees_a_time_of_another(cut: int, history: int, targets: int) -> None:
    fields = Fields.of(example(30), "a.nc")
    times = fields.times
    before = fields.period(str(times[0]), str(times[cut - 1]))
    after = fields.period(str(times[cut]), str(times[-1]))
    seen = [set(part.times[window_index(part.times, history + targets, 6)].ravel()) for part in (before, after)]
    assert not seen[0] & seen[1]
    assert all(time < times[cut] for time in seen[0]) and all(time >= times[cut] for time in seen[1])


@pytest.mark.parametrize("memory_bytes", [None, 0])
def test_batches_hold_the_fields_of_their_times(memory_bytes: int | None) -> None:
    dataset = example(20).isel(time=[*range(9), *range(11, 20)])
    fields = Fields.of(dataset, "a.nc")
    windows = Windows.of(fields, history=2, targets=1, step_h=6, memory_bytes=memory_bytes)
    assert windows.in_memory == (memory_bytes is None) and len(windows) == 7 + 7
    ids = np.array([13, 0, 6, 0])
    state, times = windows.batch(ids)
    assert state.shape == (4, 3, 4, 6, 8) and state.dtype == torch.float32
    for row in range(4):
        expected = stack(dataset.sel(time=times[row]), fields.channels)
        np.testing.assert_array_equal(state[row], expected)
    shares = list(windows.batches([ids[:2], ids[2:]]))
    assert torch.equal(torch.cat([share.state for share in shares]), state)


def test_a_share_reads_only_its_own_times(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = Fields.of(example(40), "a.nc")
    windows = Windows.of(fields, history=1, targets=1, step_h=6, memory_bytes=0)
    asked: list[np.ndarray] = []
    real = Fields.read
    monkeypatch.setattr(Fields, "read", lambda self, index: asked.append(index) or real(self, index))
    windows.batch(np.array([3, 4, 30]))
    assert [list(index) for index in asked] == [[3, 4, 5, 30, 31]]


def test_a_split_without_a_window_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"a\.nc has no 2 \+ 20 times in a row that are 6 h apart \(it has 12 times\)"
    ):
        Windows.of(Fields.of(example(), "a.nc"), 2, 20, 6)


def test_unstacking_is_the_inverse_of_stacking() -> None:
    dataset = example()
    fields = Fields.of(dataset, "a.nc")
    assert [channel.label for channel in fields.channels][:2] == ["temperature_500", "temperature_850"]
    found = unstack(fields.read(slice(None)), fields.channels, fields.grid, {"time": fields.times})
    for name, field in dataset.items():
        assert found[name].dims == field.dims and found[name].attrs["units"] == field.attrs["units"]
        np.testing.assert_array_equal(found[name], field)
