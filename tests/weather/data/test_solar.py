"""The sun stands where almanacs say, and sends what has been measured."""

import numpy as np
import pytest

from weather.data.grid import Grid
from weather.data.solar import SOLAR_CONSTANT, incident_solar_radiation, solar_flux, sun

GRID = Grid.of(np.linspace(-88.75, 88.75, 72), np.arange(0, 360, 5.0))


def at(*texts: str) -> np.ndarray:
    return np.array(texts, "datetime64[ns]")


def test_the_published_example_of_the_solar_position_algorithm() -> None:
    """Reda and Andreas, Solar Energy 76, 577 (2004), appendix: 2003-10-17, 12:30:30 local (UTC-7), Golden, Colorado."""
    latitude, longitude = np.deg2rad(39.742476), np.deg2rad(-105.1786)
    position = sun(at("2003-10-17T19:30:30"))
    assert np.rad2deg(position.declination[0]) == pytest.approx(-9.31434, abs=0.01)
    assert position.distance_au[0] == pytest.approx(0.9965422974, abs=1e-4)
    assert np.rad2deg(position.hour_angle[0] + longitude) == pytest.approx(11.105902, abs=0.01)
    flux = solar_flux(at("2003-10-17T19:30:30"), np.rad2deg([latitude]), np.rad2deg([longitude]), "cpu")
    # published zenith 50.11162 degrees, without the refraction of 0.01633 degrees
    expected = SOLAR_CONSTANT / position.distance_au[0] ** 2 * np.cos(np.deg2rad(50.11162 + 0.01633))
    assert float(flux) == pytest.approx(expected, rel=3e-4)


@pytest.mark.parametrize(
    ("time", "degrees"),
    [
        ("2020-03-20T03:50", 0.0),
        ("2020-06-20T21:44", 23.4365),
        ("2020-09-22T13:31", 0.0),
        ("2020-12-21T10:02", -23.4365),
    ],
)
def test_declination_at_the_published_equinoxes_and_solstices_of_2020(time: str, degrees: float) -> None:
    assert np.rad2deg(sun(at(time)).declination[0]) == pytest.approx(degrees, abs=0.01)


@pytest.mark.parametrize(("time", "distance"), [("2020-01-05T07:48", 0.9832436), ("2020-07-04T11:35", 1.0166943)])
def test_distance_at_the_published_perihelion_and_aphelion_of_2020(time: str, distance: float) -> None:
    assert sun(at(time)).distance_au[0] == pytest.approx(distance, abs=1e-4)


@pytest.mark.parametrize(("day", "minutes"), [("02-11", -14.2), ("05-14", 3.7), ("07-26", -6.5), ("11-03", 16.4)])
def test_the_extremes_of_the_equation_of_time(day: str, minutes: float) -> None:
    """Published: the sun is at most 14 min 15 s behind the clock in February and 16 min 25 s ahead in November."""
    noon = sun(at(f"2019-{day}T12:00")).hour_angle[0]
    assert np.rad2deg(noon) * 4 == pytest.approx(minutes, abs=0.15)


def test_the_global_mean_is_340_watts() -> None:
    """Kopp and Lean (2011): 1360.8 W/m2 over four; and at any instant a quarter of what arrives at that distance."""
    times = np.arange("2001-01-01", "2002-01-01", dtype="datetime64[30h]").astype("datetime64[ns]")
    flux = solar_flux(times, GRID.latitudes, GRID.longitudes, "cpu").double().numpy()
    means = (flux * GRID.area_weights()).mean((1, 2))
    np.testing.assert_allclose(means, SOLAR_CONSTANT / 4 / sun(times).distance_au ** 2, rtol=2e-4)
    assert means.mean() == pytest.approx(340.2, abs=0.2)


def test_daily_means_of_the_textbook() -> None:
    """(S/pi)(H sin sin + cos cos sin H), Milankovitch; at the June solstice the pole gets most: 524 W/m2 for 1361."""
    latitudes = np.array([-70.0, 0, 45, 89.9])
    found = incident_solar_radiation(at("2001-06-21T12:00"), latitudes, np.array([0.0, 120]), hours=24) / 86400
    position = sun(at("2001-06-21T00:00"))
    declination, latitude = position.declination[0], np.deg2rad(latitudes)
    sunset = np.arccos(np.clip(-np.tan(latitude) * np.tan(declination), -1, 1))
    daily = np.sin(latitude) * np.sin(declination) * sunset + np.cos(latitude) * np.cos(declination) * np.sin(sunset)
    expected = SOLAR_CONSTANT / position.distance_au[0] ** 2 / np.pi * daily
    np.testing.assert_allclose(found[0].numpy(), np.repeat(expected[:, None], 2, 1), rtol=1e-5, atol=1e-3)
    assert float(found[0, 3, 0]) == pytest.approx(524, abs=1) and float(found[0, 0, 0]) == 0


@pytest.mark.parametrize("hours", [1, 6])
def test_accumulation_is_the_integral_of_the_flux_that_ends_at_the_time(hours: int) -> None:
    """ERA5's definition of toa_incident_solar_radiation (accumulated over the hour before the valid time)."""
    end = np.datetime64("2019-10-05T18:00", "ns")
    steps = 120 * hours
    middles = end - (np.arange(steps) + 0.5) * np.timedelta64(30_000_000_000, "ns")
    flux = solar_flux(middles, GRID.latitudes, GRID.longitudes, "cpu").double().mean(0)
    found = incident_solar_radiation(np.array([end]), GRID.latitudes, GRID.longitudes, hours)[0].double()
    np.testing.assert_allclose(found, flux * 3600 * hours, atol=3e-4 * SOLAR_CONSTANT * 3600 * hours)


def test_hours_of_a_day_add_up_to_the_day() -> None:
    ends = np.datetime64("2019-03-02", "ns") - np.arange(24) * np.timedelta64(1, "h")
    hourly = incident_solar_radiation(ends, GRID.latitudes, GRID.longitudes, 1).double().sum(0)
    daily = incident_solar_radiation(ends[:1], GRID.latitudes, GRID.longitudes, 24)[0].double()
    # The sun climbs 0.4 degrees on that day, which the daily integral takes for its middle.
    np.testing.assert_allclose(hourly, daily, atol=4e-3 * float(daily.max()))
