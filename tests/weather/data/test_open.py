"""NetCDF, Zarr of both versions and GRIB, from folders and over http, come out alike; damage is named."""

import builtins
import importlib.resources
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import xarray as xr

from common.app.errors import ConfigError, DataFormatError, DownloadError, TrifoldError
from tests.weather.data.conftest import example
from weather.data.fields import Fields
from weather.data.open import open_fields


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TRIFOLD_MIRROR", raising=False)
    monkeypatch.setenv("TRIFOLD_CACHE", str(tmp_path / "cache"))


def same(found: xr.Dataset, expected: xr.Dataset) -> None:
    assert set(found) == set(expected)
    for name in [*expected, *expected.coords]:
        np.testing.assert_array_equal(found[name].values, expected[name].values)


def lazy(dataset: xr.Dataset) -> bool:
    return not any(isinstance(field.variable._data, np.ndarray) for field in dataset.values())


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_zarr_over_http_is_what_was_written(served: tuple[Path, str], version: int, monkeypatch) -> None:
    folder, address = served
    dataset = example()
    dataset.to_zarr(folder / "a.zarr", zarr_format=version, consolidated=True)
    found = open_fields(f"{address}/a.zarr")
    assert lazy(found)
    same(found, dataset)
    same(open_fields(folder / "a.zarr"), dataset)
    # a mirror stands in for any host, also of buckets
    monkeypatch.setenv("TRIFOLD_MIRROR", str(folder))
    same(open_fields("https://unreachable.invalid/a.zarr", offline=True), dataset)
    monkeypatch.setenv("TRIFOLD_MIRROR", address)
    (folder / "bucket").mkdir()
    shutil.move(folder / "a.zarr", folder / "bucket" / "a.zarr")
    same(open_fields("gs://bucket/a.zarr"), dataset)


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_only_the_chunks_that_are_used_are_asked_for(served: tuple[Path, str]) -> None:
    folder, address = served
    example().to_zarr(folder / "a.zarr", zarr_format=2, encoding={"2m_temperature": {"chunks": (3, 6, 8)}})
    for chunk in (folder / "a.zarr" / "2m_temperature").glob("[1-9]*"):
        chunk.write_bytes(b"damaged")
    fields = Fields.of(open_fields(f"{address}/a.zarr", ["2m_temperature"]), "a.zarr")
    assert fields.read(slice(0, 3)).shape == (3, 1, 6, 8)
    with pytest.raises(DataFormatError, match=r"a\.zarr: cannot be read"):
        fields.read(slice(0, 4))


@pytest.mark.parametrize("kind", ["NETCDF4", "NETCDF3_CLASSIC"])
def test_netcdf_from_disk_and_over_http(served: tuple[Path, str], kind) -> None:
    folder, address = served
    dataset = example().assign_coords(level=np.array([500, 850], np.int32))
    dataset.to_netcdf(folder / "a.nc", format=kind, engine="netcdf4")
    for location in (folder / "a.nc", f"{address}/a.nc"):
        found = open_fields(location)
        assert lazy(found)
        same(found, dataset)


def test_several_files_are_one(tmp_path: Path) -> None:
    dataset = example()
    dataset.isel(time=slice(6, 12)).to_netcdf(tmp_path / "a_late.nc")
    dataset.isel(time=slice(0, 6)).isel(latitude=slice(None, None, -1)).to_netcdf(tmp_path / "b_early.nc")
    same(open_fields(tmp_path), dataset)
    same(open_fields([tmp_path / "a_late.nc", tmp_path / "b_early.nc"]), dataset)
    with pytest.warns(RuntimeWarning, match="times are in more than one file"):
        dataset.isel(time=slice(4, 7)).to_netcdf(tmp_path / "c.nc")
        same(open_fields(str(tmp_path / "*.nc")), dataset)


def test_one_file_a_variable_is_put_side_by_side(tmp_path: Path) -> None:
    dataset = example()
    for name in dataset:
        dataset[[name]].to_netcdf(tmp_path / f"{name}.nc")
    same(open_fields(tmp_path), dataset)
    chosen = open_fields(tmp_path, ["10m_u_component_of_wind", "t2m"])
    assert list(chosen) == ["10m_u_component_of_wind", "2m_temperature"]
    with pytest.raises(DataFormatError, match="no variable 'geopotential'"):
        open_fields(tmp_path, ["geopotential", "t2m"])
    dataset[["2m_temperature"]].isel(time=slice(0, 8)).to_netcdf(tmp_path / "short.nc")
    with pytest.warns(RuntimeWarning, match="share 8 of 12 times"):
        assert open_fields([tmp_path / "short.nc", tmp_path / "temperature.nc"]).sizes["time"] == 8


def test_files_of_another_grid_do_not_join(tmp_path: Path) -> None:
    example().to_netcdf(tmp_path / "a.nc")
    example().isel(latitude=slice(0, 4)).to_netcdf(tmp_path / "b.nc")
    with pytest.raises(DataFormatError, match=r"b\.nc: its latitudes have another number of points"):
        open_fields(tmp_path)


def test_what_is_damaged_or_not_there_is_named(tmp_path: Path, served: tuple[Path, str]) -> None:
    example().to_netcdf(tmp_path / "a.nc")
    whole = (tmp_path / "a.nc").read_bytes()
    (tmp_path / "cut.nc").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.nc").write_text("not a NetCDF file")
    (tmp_path / "empty").mkdir()
    for location, words in {
        tmp_path / "cut.nc": "cut.nc cannot be opened",
        tmp_path / "text.nc": "text.nc begins with",
        tmp_path / "absent.nc": "absent.nc: found no file",
        tmp_path / "empty": "empty: found no file",
        f"{served[1]}/absent.zarr": "absent.zarr .*",
        f"{served[1]}/absent.nc": "absent.nc .*",
    }.items():
        with pytest.raises(DataFormatError, match=words):
            open_fields(location)
    with pytest.raises(DownloadError, match="was not asked: offline"):
        open_fields(f"{served[1]}/absent.zarr", offline=True)


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bytes_give_typed_errors_or_numbers(tmp_path: Path, seed: int) -> None:
    example().to_netcdf(tmp_path / "a.nc")
    content = bytearray((tmp_path / "a.nc").read_bytes())
    random = np.random.default_rng(seed)
    for place in random.integers(0, len(content), 40):
        content[place] = random.integers(256)
    (tmp_path / "b.nc").write_bytes(content)
    try:
        fields = Fields.of(open_fields(tmp_path / "b.nc"), "b.nc")
        assert fields.read(slice(None)).dtype == np.float32
    except TrifoldError as error:
        assert "b.nc" in str(error)


def test_grib_needs_an_extra_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def without(name: str, *rest):
        if name == "cfgrib":
            raise ImportError("No module named 'cfgrib'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "a.grib2").write_bytes(b"GRIB....")
    with pytest.raises(ConfigError, match=r"pip install 'trifold\[grib\]'"):
        open_fields(tmp_path / "a.grib2")


def test_grib_is_read_on_levels_and_at_the_surface(tmp_path: Path) -> None:
    pytest.importorskip("cfgrib")
    eccodes = pytest.importorskip("eccodes")
    sample = importlib.resources.files("xarray") / "tests" / "data" / "example.grib"
    found = open_fields(str(sample), ["t"])
    assert found["temperature"].dims == ("time", "number", "level", "latitude", "longitude")
    with (tmp_path / "a.grib2").open("wb") as stream:
        for name, level, value in (("t", 500, 250.0), ("t", 850, 280.0), ("2t", 2, 290.0)):
            message = eccodes.codes_grib_new_from_samples(f"regular_ll_{'sfc' if name == '2t' else 'pl'}_grib2")
            eccodes.codes_set(message, "shortName", name)
            eccodes.codes_set(message, "level", level)
            eccodes.codes_set_values(message, np.full(eccodes.codes_get_size(message, "values"), value))
            eccodes.codes_write(message, stream)
    found = open_fields(tmp_path / "a.grib2")
    assert list(found["level"].values) == [500, 850]
    assert np.allclose(found["temperature"].mean(("time", "latitude", "longitude")), [250, 280])
    assert np.allclose(found["2m_temperature"], 290) and "level" not in found["2m_temperature"].dims


class Bucket(BaseHTTPRequestHandler):
    """As much of Google's storage service as reading a public bucket needs."""

    folder: Path

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        _, _, name = unquote(address.path).partition("/o/")
        path = self.folder / name
        if not name or not path.is_file():
            self._answer(200 if not name else 404, b"{}")
        elif "alt=media" in address.query:
            self._answer(200, path.read_bytes())
        else:
            about = {
                "name": name,
                "bucket": "fields",
                "size": str(path.stat().st_size),
                "updated": "",
                "timeCreated": "",
            }
            self._answer(200, json.dumps(about).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("version", [2, 3])
def test_a_public_bucket_is_read_without_an_account(tmp_path: Path, version: int, monkeypatch) -> None:
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # it would ask for the kind of bucket by gRPC
    pytest.importorskip("gcsfs")
    example().to_zarr(tmp_path / "a.zarr", zarr_format=version, consolidated=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Bucket,), {"folder": tmp_path}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    try:
        found = open_fields("gs://fields/a.zarr")
        assert lazy(found)
        same(found, example())
    finally:
        server.shutdown()
