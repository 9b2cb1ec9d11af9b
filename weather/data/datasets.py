"""The data sets of this domain: what they are, where they come from, and on what terms."""

from __future__ import annotations

from common.data.datasets import Dataset, File, Source

ERA5_TERMS = "Copernicus licence for ERA5 (free use with attribution)"
ERA5_CITATION = "Hersbach et al., Q. J. R. Meteorol. Soc. 146, 1999 (2020), doi:10.1002/qj.3803"
WEATHERBENCH2 = "https://storage.googleapis.com/weatherbench2/datasets/era5"
WEATHERBENCH2_CITATION = f"{ERA5_CITATION}; Rasp et al., JAMES 16 (2024), doi:10.1029/2023MS004019"
WEATHERBENCH1 = "https://dataserv.ub.tum.de/s/m1524895/download"
WEATHERBENCH1_YEARS = range(1979, 2019)
WEATHERBENCH1_FIELDS = {"geopotential_500": "geopotential_500hPa", "temperature_850": "temperature_850hPa"}
"""What a field's archive is called, and how its yearly files begin."""


def _packed(name: str, size: int, sha256: str) -> File:
    return File(f"weather/{name}", size, sha256)


def _weatherbench2(grid: str, degrees: str, store: str) -> Dataset:
    return Dataset(
        name=f"era5-{grid}",
        title=f"ERA5 of WeatherBench 2, {grid}",
        description=(
            f"ERA5 reanalysis 1959-2022 every 6 hours on a {degrees} degree grid, 13 pressure levels and the surface: "
            "a public Zarr store, read in place, chunk by chunk, over https."
        ),
        licence=ERA5_TERMS,
        citation=WEATHERBENCH2_CITATION,
        homepage="https://weatherbench2.readthedocs.io/en/latest/data-guide.html",
        files=(),
        store=f"{WEATHERBENCH2}/{store}",
    )


ERA5_64X32 = _weatherbench2("64x32", "5.625", "1959-2023_01_10-6h-64x32_equiangular_conservative.zarr")
ERA5_240X121 = _weatherbench2("240x121", "1.5", "1959-2023_01_10-6h-240x121_equiangular_with_poles_conservative.zarr")
ERA5_1440X721 = _weatherbench2("1440x721", "0.25", "1959-2023_01_10-wb13-6h-1440x721.zarr")

WEATHERBENCH1_Z500_T850 = Dataset(
    name="weatherbench1-5p625deg",
    title="WeatherBench 1, z500 and t850 at 5.625 degrees",
    description=(
        "ERA5 1979-2018, hourly on the 64x32 grid: geopotential at 500 hPa and temperature at 850 hPa, one file a year "
        "(5 GB in two archives)."
    ),
    licence=f"{ERA5_TERMS}; compilation: CC-BY-4.0",
    citation=f"{ERA5_CITATION}; Rasp et al., JAMES 12 (2020), doi:10.1029/2020MS002203",
    homepage="https://github.com/pangeo-data/WeatherBench",
    files=tuple(
        # 8784 times at most, 2048 points, float32
        File(f"weather/weatherbench1/{beginning}_{year}_5.625deg.nc", 80_000_000)
        for beginning in WEATHERBENCH1_FIELDS.values()
        for year in WEATHERBENCH1_YEARS
    ),
    sources=(
        Source(
            files=tuple(
                # The publisher states no hash.
                File(
                    f"weather/weatherbench1/originals/{field}_5.625deg.zip",
                    4_000_000_000,
                    url=f"{WEATHERBENCH1}?path=%2F5.625deg%2F{field}&files={field}_5.625deg.zip",
                )
                for field in WEATHERBENCH1_FIELDS
            ),
            converter="weather.data.weatherbench1:convert",
        ),
    ),
)

NCEP_NAMERICA = Dataset(
    name="ncep-namerica-t995",
    title="NCEP/NCAR reanalysis 1, North America, air temperature",
    description=(
        "Air temperature (K) at sigma 0.995, 25 x 53 points of 2.5 degrees, 75-15 N, 200-330 E, every 6 hours: "
        "train 2013-01-01 to 2014-03-31, val to 2014-05-31, test to 2014-09-15."
    ),
    licence="public domain (US Government work; NOAA Physical Sciences Laboratory)",
    citation=(
        "Kalnay et al., Bull. Am. Meteorol. Soc. 77, 437 (1996), doi:10.1175/1520-0477(1996)077<0437:TNYRP>2.0.CO;2"
    ),
    homepage="https://psl.noaa.gov/data/gridded/data.ncep.reanalysis.html",
    files=(
        _packed(
            "ncep_r1_t995_namerica_6h_train.nc",
            2_935_134,
            "1af440d8ad918e2f35865272428c218c9743898815247ec9b63081dd3fa9afcc",
        ),
        _packed(
            "ncep_r1_t995_namerica_6h_val.nc",
            410_514,
            "0e91d8df2b09089b6a40c7a0c523a3e1dc2364e05c74179a47584fac458b03f9",
        ),
        _packed(
            "ncep_r1_t995_namerica_6h_test.nc",
            677_756,
            "7d665d661b6071d1009fbf75b1002344e208500f036da2c766c2e62c26e1c64b",
        ),
    ),
)

GFS_WIND = Dataset(
    name="gfs-wind10m",
    title="GFS analyses and forecasts, global wind at 10 m",
    description=(
        "Wind components (m/s) at 10 m, 181 x 360 points of 1 degree, September and October 2018, 3- or 6-hourly "
        "with gaps; `step` tells analyses (0 h) from 3-hour forecasts."
    ),
    licence="public domain (US Government work; NCEP)",
    citation="NCEP Global Forecast System, doi:10.5065/D65D8PWK",
    homepage="https://github.com/newsdev/simple-wind",
    files=(
        _packed(
            "gfs_wind10m_global_1deg_train.nc",
            10_792_558,
            "c40490425662cecf24d9e43587c7f968b8d41b814a2d550e5955da0a4c3b9740",
        ),
        _packed(
            "gfs_wind10m_global_1deg_test.nc",
            2_535_436,
            "10a512604e2f8bebfd2bb3af548fa0ec7f3721c5dc5a05d51cab971b23725f50",
        ),
    ),
)

ERA5_UK = Dataset(
    name="era5-uk-t2m",
    title="ERA5, United Kingdom, temperature at 2 m",
    description=(
        "Temperature (K) at 2 m, 33 x 49 points of 0.25 degrees, 58-50 N, 10 W-2 E, hourly: train 2019-03-01 to "
        "20, val to 23, test to 27."
    ),
    licence=ERA5_TERMS,
    citation=ERA5_CITATION,
    homepage="https://github.com/pydata/xarray-data",
    files=(
        _packed(
            "era5_t2m_uk_hourly_train.nc", 909_457, "8a3368a493c2981ca6a6608da02c4bb6a20028d9084d270abffeb46ce0b102cd"
        ),
        _packed(
            "era5_t2m_uk_hourly_val.nc", 154_235, "760b2a6f44927835cb0745e7229a0cb06a53ede7aa9486fc1728d26685a096a0"
        ),
        _packed(
            "era5_t2m_uk_hourly_test.nc", 201_107, "8e1fe07c2fa52dd62fff14a7858fef81404705818c56b443583ee02d953c386c"
        ),
    ),
)

SPEEDY = Dataset(
    name="speedy-5p625",
    title="SPEEDY simulation, global (not observations)",
    description=(
        "SIMULATED atmosphere: SPEEDY physics, T31, 8 levels, on 64 x 32 points, every 6 hours for 18 model "
        "months: z500, t850, q700, u850, v850, temperature and wind at sigma 0.95, surface pressure; orography and"
        " land share. Its polar winter stratosphere is far too cold; scores on it say nothing about weather "
        "forecasts."
    ),
    licence="Apache-2.0 (output of jcm 3.0.0)",
    citation="Molteni, Clim. Dyn. 20, 175 (2003), doi:10.1007/s00382-002-0268-2 (SPEEDY); jcm 3.0.0",
    homepage="https://doi.org/10.1007/s00382-002-0268-2",
    files=(
        _packed(
            "sim_speedy_t31_5p625deg_6h_train_a.nc",
            23_121_638,
            "3b4a0e6fa56fa86b6ccc85418598e739ee51e44b8a143a94a4bfc9819a252bf4",
        ),
        _packed(
            "sim_speedy_t31_5p625deg_6h_train_b.nc",
            17_778_361,
            "00cbcf2803e2c175d601b8d7a97218b233e77e2ed1f0ae8e5d9da7f20f5e64e0",
        ),
        _packed(
            "sim_speedy_t31_5p625deg_6h_val.nc",
            2_658_004,
            "be716b5a3cdd54ddf49380ef23fe364c09301f587e7ffdd59dab42f79b21550c",
        ),
        _packed(
            "sim_speedy_t31_5p625deg_6h_test.nc",
            5_181_108,
            "70b883390d787b61b6f5ca3b9798359dcfd94a215aca1bdc2e82a30789140ae5",
        ),
        _packed(
            "sim_speedy_t31_5p625deg_constants.nc",
            21_436,
            "b4ef82a0923daba533c0ecd3ebbd7fbeb1423ef1f613e712fb3722f54303968d",
        ),
    ),
)

ECAD_STATIONS = Dataset(
    name="ecad-stations18",
    title="ECA&D, 18 European stations, daily",
    description=(
        "Daily temperature, pressure, humidity, wind, radiation, precipitation and sunshine at 18 stations: train "
        "2000-2007, val to June 2008, test to June 2009. The author of the table filled gaps with means."
    ),
    licence="free use with acknowledgement (ECA&D)",
    citation="Klein Tank et al., Int. J. Climatol. 22, 1441 (2002), doi:10.1002/joc.773",
    homepage="https://github.com/florian-huber/weather_prediction_dataset",
    files=(
        _packed(
            "ecad_stations18_daily_train.csv.gz",
            689_216,
            "a0b36d55a9f722a8bcf222fd93a3ddfc8e71fc17b61ae5d1ddd31c8c4c7cf908",
        ),
        _packed(
            "ecad_stations18_daily_val.csv.gz",
            44_873,
            "25323849c339c28ce20e6eb73bd2a817182d04c166b3b3a86a25f3fa2d0c95c3",
        ),
        _packed(
            "ecad_stations18_daily_test.csv.gz",
            87_689,
            "b428ea173692e9b40d8220a7e67c3ef9f840fa38ee2e29a0329091a751307f1d",
        ),
    ),
)

ERA5_MEMBERS = Dataset(
    name="era5-members-3deg",
    title="ERA5, ensemble of ten members",
    description=(
        "Geopotential and temperature at 500 and 850 hPa, 61 x 120 points of 3 degrees, ten members, four times "
        "from 2017-01-01: what ensemble scores are checked with."
    ),
    licence=ERA5_TERMS,
    citation=ERA5_CITATION,
    homepage="https://github.com/ecmwf/cfgrib",
    files=(
        _packed(
            "era5_eda_members_global_3deg.nc",
            1_955_210,
            "82f7f82c685a0e8be10fc332a230bb0839f4f7adf8acfbeed61f47d19a2a6fcd",
        ),
        _packed(
            "metric_reference_eda_members.csv", 900, "aeaa4d002d8bfd144e472469b815fb19e03cf757080cce1d10954e72ab64cba0"
        ),
    ),
)

ERA5_SNAPSHOT = Dataset(
    name="era5-snapshot-tl31",
    title="ERA5, one state on 37 levels",
    description=(
        "Geopotential, temperature, wind, humidity and cloud water on 37 levels, sea surface temperature and sea "
        "ice, 1959-01-02, on the 64 x 32 Gaussian grid; with its spectrum as a reference."
    ),
    licence=ERA5_TERMS,
    citation=ERA5_CITATION,
    homepage="https://github.com/neuralgcm/neuralgcm",
    files=(
        _packed(
            "era5_snapshot_tl31_37lev.nc", 1_341_404, "403b4b9502ef3465befd0f1889aa81a5911c0b4dff339d10829481a874b1f1d8"
        ),
        _packed(
            "metric_reference_spectrum_era5_snapshot.csv",
            1_569,
            "dde3c37255e18ca3df27c29c4f6bc44f66ff8e7f1e353c636f0941626dcf7a41",
        ),
    ),
)

ECMWF_ENS = Dataset(
    name="ecmwf-ens-z500",
    title="ECMWF ensemble, one forecast of z500",
    description=(
        "Geopotential at 500 hPa, control and 50 members, 46 x 71 points of 1 degree over Europe and the Atlantic,"
        " start 2012-09-20, lead 96 h."
    ),
    licence="not stated by ECMWF; sample file of metview-python (Apache-2.0)",
    citation="ECMWF, metview-python",
    homepage="https://github.com/ecmwf/metview-python",
    files=(
        _packed(
            "ecmwf_ens_z500_sample.nc", 175_507, "35c0bdf748e9892e17c4b053863f72d6cf3c82ec3a43ff1cb5a685bb89cd2e15"
        ),
    ),
)

BASELINES = Dataset(
    name="weather-baselines",
    title="Reference scores and statistics",
    description=(
        "Persistence, climatology and regression on the test periods of the sets above; published WeatherBench 1 "
        "scores; means and spreads of 109 ERA5 fields at 1.40625 degrees and of their tendencies."
    ),
    licence="numbers; ERA5 statistics: MIT (Stormer)",
    citation="Rasp et al., JAMES 12 (2020), doi:10.1029/2020MS002203; Nguyen et al., arXiv 2312.03876",
    homepage="https://github.com/tung-nd/stormer",
    files=(
        _packed(
            "baselines_public_test.csv", 12_154, "380b9dfef30d74d27328bb743eca5013f0e2dae4d2e450d2cabd470838fc8f93"
        ),
        _packed("weatherbench1_scores.csv", 1_248, "7472bc178da76dd48de30290ee07bdeb90bb7795f596fb378109aeb71b9714f5"),
        _packed(
            "era5_normalisation_stats_1p40625deg.csv",
            13_482,
            "3df431bb5a3a9061a7c4b2f2dfc9a014f7a69ca7d7381bd29c192b99d44550fe",
        ),
    ),
)

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        ERA5_64X32,
        ERA5_240X121,
        ERA5_1440X721,
        WEATHERBENCH1_Z500_T850,
        NCEP_NAMERICA,
        GFS_WIND,
        ERA5_UK,
        SPEEDY,
        ECAD_STATIONS,
        ERA5_MEMBERS,
        ERA5_SNAPSHOT,
        ECMWF_ENS,
        BASELINES,
    )
}
