"""However a file spells it, the same fields come out; what cannot be put right is refused by name."""

import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from common.app.errors import DataFormatError, TrifoldError
from tests.weather.data.conftest import example
from weather.data.canonical import canonical
from weather.data.quantities import QUANTITIES, STANDARD_GRAVITY, quantity_of, unit_spelling

NAMES = {
    "latitude": ["latitude", "lat", "LAT", "y"],
    "longitude": ["longitude", "lon", "x"],
    "level": ["level", "isobaricInhPa", "pressure_level", "plev"],
    "time": ["time", "valid_time", "date"],
    "temperature": ["temperature", "t"],
    "2m_temperature": ["2m_temperature", "t2m", "2t"],
    "10m_u_component_of_wind": ["10m_u_component_of_wind", "u10", "10u"],
}
TEMPERATURES = {"K": (1, 0), "kelvin": (1, 0), "degC": (1, -273.15), "Celsius": (1, -273.15)}
SPEEDS = {"m s-1": 1.0, "m/s": 1.0, "m s**-1": 1.0, "knots": 3600 / 1852, "km/h": 3.6}


@st.composite
def spellings(draw: st.DrawFn) -> dict:
    return {
        "names": {name: draw(st.sampled_from(known)) for name, known in NAMES.items()},
        "shift": draw(st.integers(0, 7)),
        "negative": draw(st.booleans()),
        "flip": draw(st.booleans()),
        "levels": draw(st.sampled_from(["hPa", "millibars", "Pa", ""])),
        "level_order": draw(st.permutations([0, 1])),
        "time_order": draw(st.permutations(range(12))),
        "temperature": draw(st.sampled_from(sorted(TEMPERATURES))),
        "wind": draw(st.sampled_from(sorted(SPEEDS))),
        "dims": draw(st.permutations(["time", "latitude", "longitude"])),
    }


def respelt(dataset: xr.Dataset, how: dict) -> xr.Dataset:
    """The same fields as another centre would have written them."""
    dataset = dataset.isel(level=list(how["level_order"]), time=list(how["time_order"]))
    dataset = dataset.roll(longitude=how["shift"], roll_coords=True)
    if how["negative"]:
        dataset = dataset.assign_coords(longitude=(dataset.longitude + 180) % 360 - 180)
    if how["flip"]:
        dataset = dataset.isel(latitude=slice(None, None, -1))
    if how["levels"] == "Pa":
        dataset = dataset.assign_coords(level=dataset.level * 100)
    dataset = dataset.assign_coords(level=dataset.level.assign_attrs(units=how["levels"]))
    factor, offset = TEMPERATURES[how["temperature"]]
    for name in ("temperature", "2m_temperature"):
        dataset[name] = (dataset[name] * factor + offset).assign_attrs(units=how["temperature"])
    wind = dataset["10m_u_component_of_wind"] * SPEEDS[how["wind"]]
    dataset["10m_u_component_of_wind"] = wind.assign_attrs(units=how["wind"])
    return dataset.transpose("level", *how["dims"]).rename(how["names"])


@given(how=spellings())
@settings(max_examples=10, deadline=None)
def test_every_spelling_becomes_the_same(how: dict) -> None:
    original = example()
    found = canonical(respelt(original, how), "a.nc")
    assert set(found) == set(original) and found["temperature"].dims == original["temperature"].dims
    for name in original.coords:
        np.testing.assert_array_equal(found[name], original[name])
    for name, field in original.items():
        np.testing.assert_allclose(found[name].values, field.values, atol=2e-4)
        assert found[name].dtype == np.float32 and found[name].attrs["units"] == field.attrs["units"]


@given(how=spellings(), data=st.data())
@settings(max_examples=15, deadline=None)
def test_mutations_are_read_or_refused_with_a_typed_error(how: dict, data: st.DataObject) -> None:
    dataset = respelt(example(), how)
    names = how["names"]
    for _ in range(data.draw(st.integers(1, 3))):
        victim = data.draw(st.sampled_from(sorted(set(names.values()) & set(map(str, dataset.variables)))))
        act = data.draw(st.sampled_from(["drop", "units", "nan", "constant", "text", "rename"]))
        dataset = mutated(dataset, victim, act)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = canonical(dataset, "a.nc")
        except TrifoldError as error:
            assert "a.nc" in str(error)
        else:
            assert (np.diff(found["latitude"]) > 0).all() and (np.diff(found["longitude"]) > 0).all()


def mutated(dataset: xr.Dataset, name: str, act: str) -> xr.Dataset:
    variable = dataset[name]
    if act == "drop":
        return dataset.drop_vars(name)
    if act == "units":
        return dataset.assign({name: variable.assign_attrs(units="furlong")})
    if act == "rename":
        return dataset.rename({name: f"x_{name}"})
    if name in dataset.dims:
        values = variable.values.copy()
        values[-1] = {
            "nan": np.array("NaT", values.dtype) if values.dtype.kind == "M" else 0,
            "constant": values[0],
        }.get(act, values[-1])
        return dataset.assign_coords({name: values.astype(str) if act == "text" else values})
    return dataset.assign({name: variable.astype(str) if act == "text" else variable.where(False)})


def test_geopotential_height_becomes_geopotential() -> None:
    dataset = example().rename(temperature="gh")
    dataset["gh"].attrs["units"] = "gpm"
    found = canonical(dataset, "a.grib")["geopotential"]
    np.testing.assert_allclose(found.values, dataset["gh"].values * STANDARD_GRAVITY, rtol=1e-6)
    assert found.attrs["units"] == "m2 s-2"


def test_packed_integers_are_unpacked_to_float32(tmp_path) -> None:
    from weather.data.open import open_fields

    original = example()
    packing = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 273.15, "_FillValue": -32768}
    original.to_netcdf(tmp_path / "a.nc", encoding={"2m_temperature": packing})
    found = open_fields(tmp_path / "a.nc")["2m_temperature"]
    assert found.dtype == np.float32 and not isinstance(found.data, np.ndarray)
    np.testing.assert_allclose(found.values, original["2m_temperature"].values, atol=0.0051)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["2m_temperature"].attrs.update(units="furlong"), ["2m_temperature", "furlong", "degC", "units={"]),
        (lambda d: d["level"].attrs.update(units="m"), ["level", "'m'", "hPa"]),
    ],
)
def test_an_unknown_unit_names_file_variable_and_remedy(change, words: list[str]) -> None:
    dataset = example()
    change(dataset)
    with pytest.raises(DataFormatError) as error:
        canonical(dataset, "folder/a.nc")
    assert all(word in str(error.value) for word in ["folder/a.nc", *words])


def test_a_stated_unit_takes_the_place_of_the_files() -> None:
    dataset = example().rename({"2m_temperature": "t2m"})
    dataset["t2m"] = (dataset["t2m"] - 273.15).assign_attrs(units="furlong")
    for name in ("t2m", "2m_temperature"):
        found = canonical(dataset, "a.nc", units={name: "degC"})
        np.testing.assert_allclose(found["2m_temperature"].values, example()["2m_temperature"].values, atol=1e-3)
    silent = example().drop_attrs()
    with pytest.warns(RuntimeWarning, match="'2m_temperature' states no unit; taken as K"):
        canonical(silent, "a.nc", ["2m_temperature"])
    with pytest.raises(DataFormatError, match="'t2m' has no unit; expected one of K, degC"):
        canonical(silent.rename({"2m_temperature": "t2m"}), "a.nc")


def test_a_missing_variable_meets_its_neighbour() -> None:
    with pytest.raises(DataFormatError, match=r"a\.nc has no variable '2m_temprature'. Did you mean '2m_temperature'"):
        canonical(example(), "a.nc", ["2m_temprature"])
    assert list(canonical(example(), "a.nc", ["t2m", "t"])) == ["2m_temperature", "temperature"]


def test_repeated_and_missing_times_are_reported() -> None:
    dataset = example()
    with pytest.warns(RuntimeWarning, match=r"1 times are there twice, the first is 2020-01-01T12"):
        found = canonical(dataset.isel(time=[0, 1, 2, 2, 3]), "a.nc")
    np.testing.assert_array_equal(found["time"], dataset["time"][:4])
    with pytest.warns(
        RuntimeWarning, match=r"2 times are missing at a step of 6 h, .* 2020-01-01T06:00 and 2020-01-02T00"
    ):
        canonical(dataset.isel(time=[0, 1, 4, 5, 6]), "a.nc")


def test_calendars_whose_dates_exist_are_decoded_and_others_refused() -> None:
    times = xr.date_range("2020-02-27", periods=4, freq="D", calendar="noleap", use_cftime=True)
    dataset = example(4).assign_coords(time=times)
    with pytest.warns(RuntimeWarning, match="1 times are missing"):
        found = canonical(dataset, "a.nc")
    assert str(found["time"].values[2])[:10] == "2020-03-01"
    times = xr.date_range("2020-02-28", periods=4, freq="D", calendar="360_day", use_cftime=True)
    with pytest.raises(DataFormatError, match=r"calendar '360_day'.*convert_calendar"):
        canonical(dataset.assign_coords(time=times), "a.nc")
    with pytest.raises(DataFormatError, match="expected dates"):
        canonical(dataset.assign_coords(time=np.arange(4.0)), "a.nc")


def test_a_region_across_greenwich_has_no_jump_and_a_repeated_meridian_goes() -> None:
    region = example().isel(longitude=[0, 1, 7]).assign_coords(longitude=[0.0, 2.0, 358.0])
    assert list(canonical(region, "a.nc")["longitude"].values) == [-2, 0, 2]
    americas = example().isel(longitude=[0, 1, 2]).assign_coords(longitude=[-130.0, -120.0, -110.0])
    assert list(canonical(americas, "a.nc")["longitude"].values) == [230, 240, 250]
    closed = xr.concat([example(), example().isel(longitude=[0]).assign_coords(longitude=[360.0])], "longitude")
    assert canonical(closed, "a.nc").sizes["longitude"] == 8


def test_a_curvilinear_grid_and_foreign_dimensions_are_refused() -> None:
    flat = example().drop_vars("latitude").rename(latitude="row")
    with pytest.raises(DataFormatError, match=r"a\.nc has no latitude.*curvilinear"):
        canonical(flat, "a.nc")
    deep = example().expand_dims(depth=[0.0, 1.0])
    with pytest.raises(DataFormatError, match="Choose one depth first"):
        canonical(deep, "a.nc")
    assert "depth" not in canonical(example().expand_dims(depth=[0.0]), "a.nc").coords


def test_spellings_of_units_and_quantities_of_names() -> None:
    assert {unit_spelling(u) for u in ("m**2 s**-2", "m^2/s^2", "m2 s-2", "m2/s2")} == {"m2 s-2"}
    assert {unit_spelling(u) for u in ("kg/kg", "kg kg**-1", "kg kg-1")} == {"kg kg-1"}
    assert unit_spelling("degrees_Celsius") == unit_spelling("°C") == "degC"
    assert quantity_of("z500") is QUANTITIES["geopotential"] and quantity_of("t_850hPa") is QUANTITIES["temperature"]
    assert quantity_of("t_low", "air_temperature") is QUANTITIES["temperature"]
    assert quantity_of("whatever") is None
    assert all(quantity.units[quantity.unit] == (1, 0) for quantity in QUANTITIES.values())


@pytest.mark.parametrize("axis", ["time", "latitude", "longitude"])
def test_an_axis_without_values_is_refused(axis: str) -> None:
    with pytest.raises(DataFormatError, match=f"{axis} axis"):
        canonical(example().isel({axis: slice(0, 0)}), "fields.nc")
