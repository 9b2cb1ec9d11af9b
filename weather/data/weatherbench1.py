"""WeatherBench 1 as it is published: one archive a field, one NetCDF file a year in it; doi:10.1029/2020MS002203."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from common.app.errors import DataFormatError
from common.data.archive import Limits, members
from weather.data.datasets import WEATHERBENCH1_FIELDS, WEATHERBENCH1_YEARS

LIMITS = Limits(bytes=8_000_000_000)
"""40 years of hourly float32 fields on 2048 points, unpacked: 2.9 GB."""


def convert(originals: Mapping[str, Path], folder: Path) -> None:
    """Unpack the yearly files `<field>_<year>_5.625deg.nc` of all archives into `folder`.

    Raises DataFormatError naming an archive that lacks a year.
    """
    for field, beginning in WEATHERBENCH1_FIELDS.items():
        archive = originals[f"{field}_5.625deg.zip"]
        wanted = {f"{beginning}_{year}_5.625deg.nc" for year in WEATHERBENCH1_YEARS}
        for name, stream in members(archive, LIMITS):
            if (file := Path(name).name) in wanted:
                with (folder / file).open("wb") as output:
                    shutil.copyfileobj(stream, output)
                wanted.discard(file)
        if wanted:
            raise DataFormatError(f"{archive} has no file {min(wanted)}; expected one for each year 1979-2018")
