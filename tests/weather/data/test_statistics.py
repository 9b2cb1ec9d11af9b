"""One streaming pass gives what numpy gives in memory; impossible values and gaps are noticed."""

import numpy as np
import pytest

from common.app.errors import ConfigError, DataFormatError
from tests.weather.data.conftest import example
from weather.data import statistics as module
from weather.data.fields import Fields, stack
from weather.data.statistics import fingerprint, pairs, statistics


def fields_of(dataset) -> Fields:
    return Fields.of(dataset, "a.nc")


@pytest.mark.parametrize("piece", [1, 3, 1000])
@pytest.mark.parametrize("step_h", [6, 24])
def test_parity_with_numpy_whatever_the_pieces(piece: int, step_h: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = example(40).isel(time=[*range(17), *range(20, 40)])  # a gap
    fields = fields_of(dataset)
    monkeypatch.setattr(module, "PIECE_BYTES", piece * fields.frame_bytes)
    found = statistics(fields, step_h)
    values = stack(dataset, fields.channels).astype(np.float64)
    first, second = pairs(fields.times, step_h)
    assert len(first) == {6: 35, 24: 30}[step_h]
    tendency = values[second] - values[first]
    np.testing.assert_allclose(found.mean, values.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(found.std, values.std((0, 2, 3)), rtol=1e-10)
    np.testing.assert_allclose(found.tendency_mean, tendency.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.tendency_std, tendency.std((0, 2, 3)), rtol=1e-6)
    np.testing.assert_array_equal(found.maximum, values.max((0, 2, 3)))


def test_a_small_spread_on_a_large_mean_is_kept() -> None:
    dataset = example(20)[["2m_temperature"]]
    noise = np.random.default_rng(0).normal(0, 0.05, dataset["2m_temperature"].shape)
    dataset["2m_temperature"] = ("time", "latitude", "longitude"), (300 + noise).astype(np.float32)
    found = statistics(fields_of(dataset), 6)
    assert found.std[0] == pytest.approx(0.05, rel=0.05)


def test_the_cache_belongs_to_content_period_and_step(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIFOLD_CACHE", str(tmp_path / "cache"))
    calls = []
    compute = module._compute
    monkeypatch.setattr(module, "_compute", lambda fields, step_h: calls.append(1) or compute(fields, step_h))
    fields = fields_of(example(20))
    first = statistics(fields, 6, key="a")
    again = statistics(fields, 6, key="a")
    assert len(calls) == 1
    np.testing.assert_array_equal(first.std, again.std)
    statistics(fields, 12, key="a")
    statistics(fields, 6, key="b")
    statistics(fields.period("2020-01-01", "2020-01-03"), 6, key="a")
    assert len(calls) == 4


def test_a_fingerprint_changes_with_content(tmp_path) -> None:
    (tmp_path / "a.nc").write_bytes(b"one")
    before = fingerprint([tmp_path / "a.nc"])
    (tmp_path / "a.nc").write_bytes(b"two")
    assert fingerprint([tmp_path / "a.nc"]) != before
    store = tmp_path / "a.zarr"
    store.mkdir()
    (store / "0").write_bytes(b"one")
    before = fingerprint([store])
    (store / "1").write_bytes(b"one")
    assert fingerprint([store]) != before


def test_values_that_no_atmosphere_has_point_at_the_unit() -> None:
    dataset = example()
    dataset["2m_temperature"] -= 273.15
    with pytest.raises(DataFormatError, match=r"2m_temperature runs from .* K; possible are 100 to 360.*unit"):
        statistics(fields_of(dataset), 6)


def test_a_constant_field_and_an_impossible_step_are_refused() -> None:
    dataset = example()
    dataset["10m_u_component_of_wind"] = dataset["10m_u_component_of_wind"] * 0 + 3
    with pytest.raises(DataFormatError, match="10m_u_component_of_wind is 3 everywhere"):
        statistics(fields_of(dataset), 6)
    with pytest.raises(ConfigError, match="no two times 5 h apart"):
        statistics(fields_of(example()), 5)


def test_a_missing_value_names_variable_time_and_place() -> None:
    dataset = example()
    dataset["temperature"][3, 1, 2, 4] = np.nan
    with pytest.raises(
        DataFormatError, match=r"a\.nc: temperature_850 at 2020-01-01T18:00 is nan at latitude -15, .* 180"
    ):
        statistics(fields_of(dataset), 6)
