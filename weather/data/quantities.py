"""Physical quantities: the names files give them, their units, and the values that are possible on Earth.

Names and units are those of WeatherBench 2, doi:10.1029/2023MS004019, which follow ECMWF's parameter database and CF.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

STANDARD_GRAVITY = 9.80665
"""m s-2; geopotential height times this is geopotential (ISO 80000-3)."""


@dataclass(frozen=True)
class Quantity:
    """What a number means.

    unit      the canonical one
    units     factor and offset that turn another unit into it: canonical = factor * value + offset
    possible  least and greatest value found in the atmosphere, generously; (-inf, inf) where any is possible
    """

    unit: str
    units: dict[str, tuple[float, float]]
    possible: tuple[float, float] = (float("-inf"), float("inf"))

    def accepts(self) -> str:
        """The units that are understood, for messages."""
        return ", ".join(self.units)


SAME = (1.0, 0.0)
_KELVIN = {"K": SAME, "degC": (1.0, 273.15), "degF": (5 / 9, 273.15 - 32 * 5 / 9)}
_PASCAL = {"Pa": SAME, "hPa": (100.0, 0.0), "kPa": (1000.0, 0.0)}
_SPEED = {"m s-1": SAME, "km h-1": (1 / 3.6, 0.0), "kt": (1852 / 3600, 0.0)}
_GEOPOTENTIAL = {
    "m2 s-2": SAME, "m": (STANDARD_GRAVITY, 0.0), "dam": (10 * STANDARD_GRAVITY, 0.0),
}  # fmt: skip
_SHARE = {"1": SAME, "%": (0.01, 0.0)}
_MASS_SHARE = {"kg kg-1": SAME, "1": SAME, "g kg-1": (0.001, 0.0)}
_DEPTH = {"m": SAME, "mm": (0.001, 0.0), "cm": (0.01, 0.0), "kg m-2": (0.001, 0.0)}

TEMPERATURE = Quantity("K", _KELVIN, (100.0, 360.0))
SURFACE_PRESSURE = Quantity("Pa", _PASCAL, (30_000.0, 115_000.0))
PRESSURE_AT_SEA_LEVEL = Quantity("Pa", _PASCAL, (80_000.0, 115_000.0))
WIND = Quantity("m s-1", _SPEED, (-200.0, 200.0))
GEOPOTENTIAL = Quantity("m2 s-2", _GEOPOTENTIAL, (-20_000.0, 800_000.0))
MIXING = Quantity("kg kg-1", _MASS_SHARE, (-0.01, 0.1))
FRACTION = Quantity("1", _SHARE, (-0.05, 1.05))
HUMIDITY = Quantity("%", {"%": SAME, "1": (100.0, 0.0)}, (-20.0, 200.0))
PRESSURE_VELOCITY = Quantity("Pa s-1", {"Pa s-1": SAME, "hPa s-1": (100.0, 0.0)}, (-100.0, 100.0))
RAIN = Quantity("m", _DEPTH, (-0.01, 5.0))
RADIATION = Quantity("J m-2", {"J m-2": SAME})
ROTATION = Quantity("s-1", {"s-1": SAME}, (-0.1, 0.1))
WATER_COLUMN = Quantity("kg m-2", {"kg m-2": SAME, "mm": SAME}, (-1.0, 200.0))

QUANTITIES: dict[str, Quantity] = {
    "temperature": TEMPERATURE,
    "2m_temperature": TEMPERATURE,
    "2m_dewpoint_temperature": TEMPERATURE,
    "sea_surface_temperature": TEMPERATURE,
    "skin_temperature": TEMPERATURE,
    "geopotential": GEOPOTENTIAL,
    "geopotential_at_surface": GEOPOTENTIAL,
    "u_component_of_wind": WIND,
    "v_component_of_wind": WIND,
    "wind_speed": WIND,
    "10m_u_component_of_wind": WIND,
    "10m_v_component_of_wind": WIND,
    "10m_wind_speed": WIND,
    "vertical_velocity": PRESSURE_VELOCITY,
    "vorticity": ROTATION,
    "divergence": ROTATION,
    "specific_humidity": MIXING,
    "specific_cloud_ice_water_content": MIXING,
    "specific_cloud_liquid_water_content": MIXING,
    "relative_humidity": HUMIDITY,
    "surface_pressure": SURFACE_PRESSURE,
    "mean_sea_level_pressure": PRESSURE_AT_SEA_LEVEL,
    "sea_ice_cover": FRACTION,
    "land_sea_mask": FRACTION,
    "total_cloud_cover": FRACTION,
    "total_precipitation": RAIN,
    "total_precipitation_6hr": RAIN,
    "total_precipitation_24hr": RAIN,
    "total_column_water_vapour": WATER_COLUMN,
    "toa_incident_solar_radiation": RADIATION,
}
"""By the name a variable has in WeatherBench 2; a name of this table implies the unit where a file states none."""

SHORT_NAMES: dict[str, str] = {
    "t": "temperature", "z": "geopotential", "gh": "geopotential", "u": "u_component_of_wind",
    "v": "v_component_of_wind", "q": "specific_humidity", "r": "relative_humidity", "w": "vertical_velocity",
    "ciwc": "specific_cloud_ice_water_content", "clwc": "specific_cloud_liquid_water_content", "ws": "wind_speed",
    "t2m": "2m_temperature", "2t": "2m_temperature", "d2m": "2m_dewpoint_temperature",
    "2d": "2m_dewpoint_temperature", "sst": "sea_surface_temperature", "skt": "skin_temperature",
    "u10": "10m_u_component_of_wind", "10u": "10m_u_component_of_wind", "v10": "10m_v_component_of_wind",
    "10v": "10m_v_component_of_wind", "si10": "10m_wind_speed", "msl": "mean_sea_level_pressure",
    "sp": "surface_pressure", "ps": "surface_pressure", "siconc": "sea_ice_cover", "ci": "sea_ice_cover",
    "lsm": "land_sea_mask", "orography": "geopotential_at_surface", "orog": "geopotential_at_surface",
    "tcc": "total_cloud_cover", "tp": "total_precipitation", "tcwv": "total_column_water_vapour",
    "tisr": "toa_incident_solar_radiation",
}  # fmt: skip
"""Names of GRIB, of WeatherBench 1 and of the Climate Data Store, and what WeatherBench 2 calls them."""

CF_NAMES: dict[str, str] = {
    "air_temperature": "temperature", "sea_surface_temperature": "sea_surface_temperature",
    "surface_temperature": "skin_temperature", "dew_point_temperature": "2m_dewpoint_temperature",
    "geopotential": "geopotential", "geopotential_height": "geopotential",
    "eastward_wind": "u_component_of_wind", "northward_wind": "v_component_of_wind", "wind_speed": "wind_speed",
    "specific_humidity": "specific_humidity", "relative_humidity": "relative_humidity",
    "lagrangian_tendency_of_air_pressure": "vertical_velocity", "surface_air_pressure": "surface_pressure",
    "air_pressure_at_mean_sea_level": "mean_sea_level_pressure",
    "air_pressure_at_sea_level": "mean_sea_level_pressure", "land_binary_mask": "land_sea_mask",
    "sea_ice_area_fraction": "sea_ice_cover",
}  # fmt: skip
"""CF standard names tell what is measured, not at which height: they give the quantity, not the variable's name."""

_SPELLINGS = {
    "kelvin": "K", "deg_k": "K", "degk": "K", "c": "degC", "°c": "degC", "celsius": "degC", "deg_c": "degC",
    "degree_celsius": "degC", "degrees_celsius": "degC", "degc": "degC", "degf": "degF", "fahrenheit": "degF",
    "pascal": "Pa", "pascals": "Pa", "pa": "Pa", "mbar": "hPa", "mb": "hPa", "millibar": "hPa", "millibars": "hPa",
    "hpa": "hPa", "hectopascal": "hPa", "kpa": "kPa", "gpm": "m", "metre": "m", "metres": "m", "meter": "m",
    "meters": "m", "gpdm": "dam", "km hr-1": "km h-1", "kmh-1": "km h-1", "knot": "kt", "knots": "kt", "kts": "kt",
    "kn": "kt", "(0 - 1)": "1", "0-1": "1", "fraction": "1", "dimensionless": "1", "~": "1", "percent": "%",
    "m of water equivalent": "m", "w m-2 s": "J m-2",
}  # fmt: skip


def unit_spelling(text: str) -> str:
    """One spelling of a unit: "m**2 s**-2", "m^2/s^2" and "m2 s-2" are one."""
    unit = re.sub(r"\s+", " ", text.strip().replace("**", "").replace("^", "").replace("·", " ").replace("*", " "))
    numerator, *denominators = unit.split("/")
    for part in denominators:
        numerator += " " + re.sub(r"^\s*([A-Za-z]+)(\d*)\s*$", lambda found: f"{found[1]}-{found[2] or 1}", part)
    unit = re.sub(r"\s+", " ", numerator).strip()
    return _SPELLINGS.get(unit.lower(), unit)


def canonical_name(name: str) -> str:
    """The WeatherBench 2 name of a variable; names that stand for nothing known stay as they are."""
    return SHORT_NAMES.get(name, name)


def quantity_of(name: str, standard_name: str = "") -> Quantity | None:
    """What a variable measures, by its name, by a short name and level ("z500"), or by its CF standard name."""
    if name in QUANTITIES:
        return QUANTITIES[name]
    levelled = re.fullmatch(r"([a-z]+?|[a-z_]+?_)(\d+)(hpa)?", name, re.IGNORECASE)
    base = canonical_name(levelled[1].rstrip("_").lower()) if levelled else ""
    return QUANTITIES.get(base) or QUANTITIES.get(CF_NAMES.get(standard_name, ""))
