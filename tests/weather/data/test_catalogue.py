"""Sets by name and users' own folders: complete entries, and splits that cannot leak."""

from pathlib import Path

import numpy as np
import pytest

from common.app.errors import ConfigError, DataFormatError
from tests.weather.data.conftest import example
from weather.data.catalogue import CATALOGUE, LearningSet, named, open_constants, open_splits
from weather.data.datasets import DATASETS
from weather.data.stations import load as load_stations
from weather.data.weatherbench1 import convert
from weather.data.windows import Windows


def test_entries_say_where_from_on_what_terms_and_whom_to_cite() -> None:
    for name, dataset in DATASETS.items():
        assert name == dataset.name and dataset.licence and dataset.citation
        assert dataset.homepage.startswith("https://")
        assert bool(dataset.store) != bool(dataset.files)
        assert all(file.name.startswith("weather/") and (file.sha256 or dataset.sources) for file in dataset.files)
    assert all(one.name == name and name in DATASETS for name, one in CATALOGUE.items())


@pytest.mark.parametrize(
    ("name", "counts", "grid"),
    [
        ("ncep-namerica-t995", (1820, 244, 428), "53x25 regional"),
        ("era5-uk-t2m", (480, 72, 96), "49x33 regional"),
        ("speedy-5p625", (1951, 124, 244), "64x32 equiangular"),
    ],
)
def test_real_sets_open_with_their_published_splits(data_in_place: Path, name: str, counts: tuple, grid: str) -> None:
    chosen = named(name)
    splits = open_splits(chosen, ["train", "val", "test"], offline=True)
    assert tuple(len(split.fields) for split in splits.values()) == counts
    assert all(split.fields.grid.name == grid for split in splits.values())
    assert np.diff(splits["train"].fields.times).max() == np.timedelta64(round(chosen.step_h), "h")
    constants = open_constants(chosen, offline=True)
    assert (constants is not None) == (name == "speedy-5p625")


def test_the_published_persistence_error_comes_out(data_in_place: Path) -> None:
    """NCEP test split, 24 h: 1.93 K in the reference table of the data, whose weights are cos(latitude)."""
    fields = open_splits(named("ncep-namerica-t995"), ["test"], offline=True)["test"].fields
    windows = Windows.of(fields, history=1, targets=4, step_h=6)
    state = windows.batch(np.arange(len(windows))).state.double()
    weights = np.cos(np.deg2rad(fields.grid.latitudes))[:, None]
    error = ((state[:, 4] - state[:, 0]) ** 2).numpy() * (weights / weights.mean())
    assert np.sqrt(error.mean()) == pytest.approx(1.93, abs=0.006)


def test_a_folder_of_ones_own_by_periods_and_by_files(tmp_path: Path) -> None:
    dataset = example(40)
    dataset.isel(time=slice(0, 20)).to_netcdf(tmp_path / "a.nc")
    dataset.isel(time=slice(20, 40)).to_netcdf(tmp_path / "b.nc")
    periods = LearningSet(
        str(tmp_path), {"train": "2020-01-01/2020-01-07", "val": "2020-01-08/2020-01-10"}, levels=(850,)
    )
    opened = open_splits(periods, ["train", "val"])
    assert [len(split.fields) for split in opened.values()] == [28, 12]
    assert opened["val"].fields.channels[0].label == "temperature_850"
    files = LearningSet(str(tmp_path), {"train": "a*.nc", "val": ["b.nc"]}, variables=("t2m",))
    opened = open_splits(files, ["train", "val"])
    assert [len(split.fields) for split in opened.values()] == [20, 20]
    assert opened["train"].content != opened["val"].content


@pytest.mark.parametrize(
    ("splits", "text"),
    [
        ({"train": "2020-01-01/2020-01-08", "val": "2020-01-08/2020-01-10"}, "splits 'train' .* and 'val' .* overlap"),
        ({"train": "2020-01-05/2020-01-10", "test": "2019/2020"}, "overlap"),
        ({"train": "2020-01-05/2020-01-02"}, "ends before it starts"),
        ({"train": "a.nc", "val": ["b.nc", "a.nc"]}, "splits 'train' and 'val' share 20 times"),
        ({"train": "2031/2032"}, "has no times from 2031 to 2032"),
        ({"val": "a.nc"}, "no split 'train'"),
    ],
)
def test_splits_that_share_times_are_refused(tmp_path: Path, splits: dict, text: str) -> None:
    dataset = example(40)
    dataset.isel(time=slice(0, 20)).to_netcdf(tmp_path / "a.nc")
    dataset.isel(time=slice(20, 40)).to_netcdf(tmp_path / "b.nc")
    with pytest.raises(ConfigError, match=text):
        open_splits(
            LearningSet(str(tmp_path), splits), [name for name in ("train", "val") if name in splits or name == "train"]
        )


def test_an_unknown_level_and_an_unknown_set_are_named(tmp_path: Path) -> None:
    example().to_netcdf(tmp_path / "a.nc")
    with pytest.raises(DataFormatError, match="has no level 700 hPa; it has 500, 850"):
        open_splits(LearningSet(str(tmp_path), {"train": "a.nc"}, levels=(700,)), ["train"])
    with pytest.raises(ConfigError, match="unknown data set 'speedy'"):
        named("speedy")


def test_an_archive_of_weatherbench1_without_a_year_is_refused(tmp_path: Path) -> None:
    import zipfile

    for field in ("geopotential_500", "temperature_850"):
        with zipfile.ZipFile(tmp_path / f"{field}_5.625deg.zip", "w") as archive:
            for year in range(1979, 2019 if field == "geopotential_500" else 2018):
                archive.writestr(f"{field}hPa_{year}_5.625deg.nc", f"{field} {year}")
    originals = {path.name: path for path in tmp_path.glob("*.zip")}
    (tmp_path / "out").mkdir()
    with pytest.raises(DataFormatError, match=r"temperature_850_5.625deg.zip has no file temperature_850hPa_2018"):
        convert(originals, tmp_path / "out")
    assert (tmp_path / "out" / "geopotential_500hPa_2018_5.625deg.nc").read_text() == "geopotential_500 2018"


def test_stations_have_units_and_possible_values(data_in_place: Path) -> None:
    stations = load_stations("val", offline=True)
    assert stations.sizes["station"] == 18 and stations["time"].values[0] == np.datetime64("2008-01-01")
    assert stations["temp_mean"].attrs["units"] == "K"
    assert 230 < float(stations["temp_mean"].min()) < float(stations["temp_mean"].max()) < 320
    assert 9.5e4 < float(stations["pressure"].median()) < 1.05e5
    assert float(stations["temp_mean"].sel(station="BASEL", time="2008-01-01")) == pytest.approx(273.15 - 0.5)
