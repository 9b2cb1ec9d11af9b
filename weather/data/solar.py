"""Where the sun stands, and what it sends to the top of the atmosphere.

Position: the Astronomical Almanac's low-precision formulas, as in Michalsky, Solar Energy 40, 227 (1988),
doi:10.1016/0038-092X(88)90045-X: within 0.01 degrees for 1950-2050.
Solar constant: Kopp and Lean, Geophys. Res. Lett. 38, L01706 (2011), doi:10.1029/2010GL045777.

T times, H latitudes, W longitudes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

SOLAR_CONSTANT = 1361.0
"""W m-2 at one astronomical unit."""

J2000 = np.datetime64("2000-01-01T12:00:00", "ns")


class Sun(NamedTuple):
    """Seen from the centre of the Earth, [T] each, float64.

    declination   radians
    hour_angle    radians west of the meridian of Greenwich
    distance_au   astronomical units
    """

    declination: np.ndarray
    hour_angle: np.ndarray
    distance_au: np.ndarray


def sun(times: np.ndarray) -> Sun:
    """The sun at datetime64 times [T] (UTC)."""
    days = (times.astype("datetime64[ns]") - J2000) / np.timedelta64(1, "D")
    mean_longitude = np.deg2rad(280.460 + 0.9856474 * days)
    anomaly = np.deg2rad(357.528 + 0.9856003 * days)
    longitude = mean_longitude + np.deg2rad(1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    obliquity = np.deg2rad(23.439 - 4e-7 * days)
    right_ascension = np.arctan2(np.cos(obliquity) * np.sin(longitude), np.cos(longitude))
    sidereal = np.deg2rad(15 * (18.697374558 + 24.06570982441908 * days))  # of Greenwich
    return Sun(
        declination=np.arcsin(np.sin(obliquity) * np.sin(longitude)),
        hour_angle=np.remainder(sidereal - right_ascension + np.pi, 2 * np.pi) - np.pi,
        distance_au=1.00014 - 0.01671 * np.cos(anomaly) - 0.00014 * np.cos(2 * anomaly),
    )


def solar_flux(times: np.ndarray, latitudes: np.ndarray, longitudes: np.ndarray, device: str | torch.device) -> Tensor:
    """Incident solar flux at the top of the atmosphere at an instant, W m-2, [T, H, W] float32."""
    level, swing, hour, flux = _geometry(sun(times), latitudes, longitudes, device)
    return (flux * (level + swing * torch.cos(hour)).clamp(min=0)).float()


def incident_solar_radiation(
    times: np.ndarray,
    latitudes: np.ndarray,
    longitudes: np.ndarray,
    hours: float = 1.0,
    device: str | torch.device = "cpu",
) -> Tensor:
    """Solar energy that reached the top of the atmosphere in the `hours` (at most 24) before each time, J m-2.

    With one hour, ERA5's toa_incident_solar_radiation: accumulated over the hour that ends at the valid time. The
    integral over the hour angle is exact; the sun's declination and distance are those of the middle.

    Returns [T, H, W] float32.
    """
    half = np.timedelta64(round(hours * 1.8e12), "ns")
    level, swing, hour, flux = _geometry(sun(times.astype("datetime64[ns]") - half), latitudes, longitudes, device)
    # The sun is up while |h| < sunset, where level + swing cos h = 0; all day or never where that has no solution.
    sunset = torch.acos((-level / swing.clamp(min=1e-12)).clamp(-1, 1))
    width = np.pi * hours / 24  # half of the interval, as an hour angle
    end, start = (_daylight(hour + sign * width, sunset, level, swing) for sign in (1, -1))
    return (flux * (end - start) * (86400 / (2 * np.pi))).float()


def _geometry(
    position: Sun, latitudes: np.ndarray, longitudes: np.ndarray, device: str | torch.device
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """cos(zenith) = level [T, H, 1] + swing [T, H, 1] cos(hour [T, 1, W]); flux [T, 1, 1] at the sun's distance."""

    def on_device(values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float64, device=device)

    latitude, longitude = on_device(np.deg2rad(latitudes))[:, None], on_device(np.deg2rad(longitudes))
    declination, hour_angle, distance = (on_device(value)[:, None, None] for value in position)
    level = torch.sin(latitude) * torch.sin(declination)
    swing = torch.cos(latitude) * torch.cos(declination)
    return level, swing, hour_angle + longitude, SOLAR_CONSTANT / distance**2


def _daylight(hour: Tensor, sunset: Tensor, level: Tensor, swing: Tensor) -> Tensor:
    """Integral of max(0, level + swing cos h) from noon of day zero to `hour`, whichever day that is in."""
    days = torch.round(hour / (2 * np.pi))
    lit = torch.minimum(torch.maximum(hour - 2 * np.pi * days, -sunset), sunset)
    return days * 2 * (level * sunset + swing * torch.sin(sunset)) + level * lit + swing * torch.sin(lit)
