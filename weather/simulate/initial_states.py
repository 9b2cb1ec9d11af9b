"""Initial states of shallow water with known properties, as spectral states of a solver, [M, L, 3, B, 2].

Cases 2, 5 and 6 of Williamson et al. 1992, doi:10.1016/S0021-9991(05)80016-6; the unstable jet of Galewsky et al. 2004,
doi:10.3402/tellusa.v56i5.14436; random flows of Bonev et al. 2023, arXiv:2306.03838.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from weather.simulate.shallow_water import ShallowWater

RANDOM_DEGREES = 120
"""Random flows are white up to this degree; a solver takes what its truncation holds, so all resolve the same flow."""


def solid_rotation(solver: ShallowWater) -> Tensor:
    """Case 2: a geostrophic flow around the axis of rotation, steady for ever; once around in 12 days."""
    speed = 2 * math.pi * solver.config.radius_m / (12 * 86400)
    return solver.from_wind(_geostrophic_depth(solver, speed, 2.94e4)[None], *_rotation_wind(solver, speed))


def isolated_mountain(solver: ShallowWater) -> tuple[Tensor, Tensor]:
    """Case 5: a zonal flow meets a conical mountain; also the geopotential of the ground [H, W], for `advance`."""
    radius = math.pi / 9
    distance = torch.sqrt((solver.longitudes - 1.5 * math.pi).square() + (solver.latitudes - math.pi / 6).square())
    ground = solver.config.gravity_m_s2 * 2000 * (1 - distance.clamp(max=radius) / radius)
    # The grid's own ground, without what the truncation cannot hold, else the flow would start out of balance there.
    truncated = solver.spectral(torch.stack([ground, ground * 0, ground * 0])[None])
    ground = solver.state(truncated)[0, 0]
    depth = _geostrophic_depth(solver, 20.0, solver.config.gravity_m_s2 * 5960) - ground
    return solver.from_wind(depth[None], *_rotation_wind(solver, 20.0)), ground


def rossby_haurwitz_wave(solver: ShallowWater) -> Tensor:
    """Case 6: wave number 4, which travels eastwards without changing shape for days."""
    config, wave, rate = solver.config, 4, 7.848e-6
    radius, rotation = config.radius_m, config.rotation_per_s
    sine, cosine, angle = solver.latitudes.sin(), solver.latitudes.cos(), wave * solver.longitudes
    zonal = radius * rate * cosine
    u = zonal + zonal * cosine ** (wave - 2) * (wave * sine**2 - cosine**2) * angle.cos()
    v = -radius * rate * wave * cosine ** (wave - 1) * sine * angle.sin()
    quarter = rate**2 / 4 * cosine ** (2 * wave)
    mean = rate / 2 * (2 * rotation + rate) * cosine**2 + quarter * ((wave + 1) * cosine**2 + 2 * wave**2 - wave - 2)
    mean = mean - rate**2 / 2 * wave**2 * cosine ** (2 * wave - 2)
    first = 2 * (rotation + rate) * rate / ((wave + 1) * (wave + 2)) * cosine**wave
    first = first * (wave**2 + 2 * wave + 2 - (wave + 1) ** 2 * cosine**2)
    second = quarter * ((wave + 1) * cosine**2 - (wave + 2))
    depth = config.gravity_m_s2 * 8000 + radius**2 * (mean + first * angle.cos() + second * (2 * angle).cos())
    return solver.from_wind(*(field.expand_as(depth)[None] for field in (depth, u, v)))


def galewsky_jet(solver: ShallowWater, bump_m: float = 120.0) -> Tensor:
    """A balanced westerly jet of 80 m/s at 45 degrees north, and a bump that makes it roll up within six days."""
    config, latitude = solver.config, solver.latitudes
    south, north = math.pi / 7, math.pi / 2 - math.pi / 7
    inside = (latitude > south) & (latitude < north)
    product = torch.where(inside, (latitude - south) * (latitude - north), -1.0)
    u = torch.where(inside, 80.0 * torch.exp(1 / product + 4 / (north - south) ** 2), 0.0)
    u = u.expand(config.height, config.width)[None]
    jet = solver.from_wind(torch.zeros_like(u), u, torch.zeros_like(u))
    east = solver.longitudes - math.pi
    bump = bump_m * latitude.cos() * torch.exp(-((3 * east) ** 2) - 15 * (math.pi / 4 - latitude) ** 2)
    depth = config.gravity_m_s2 * (config.mean_depth_m + bump)
    depth = solver.spectral(torch.stack([depth, depth * 0, depth * 0])[None])[:, :, 0]
    return torch.cat([(depth + solver.balanced_geopotential(jet))[:, :, None], jet[:, :, 1:]], dim=2)


def random_flows(
    solver: ShallowWater, seed: int, indices: Sequence[int], mach: float = 0.2, amplitude_m: float = 120.0
) -> Tensor:
    """One flow for each index, white in all degrees up to `RANDOM_DEGREES`.

    mach          size of vorticity and divergence, in gravity wave speeds by the radius
    amplitude_m   size of the depth's departures from the mean

    A flow follows from (seed, index) alone, on every device and at every resolution.
    """
    config, size = solver.config, RANDOM_DEGREES
    shape = (size, size, 3, 2)  # [L, M, field, part]
    draws = [np.random.default_rng([seed, index]).standard_normal(shape) for index in indices]
    degrees = min(solver.degrees, size)
    noise = np.stack([draw[:degrees, :degrees] for draw in draws], axis=3).transpose(1, 0, 2, 3, 4)
    noise = noise * np.tri(degrees).T[:, :, None, None, None]  # no order above the degree
    noise[0, ..., 1] = 0
    speed = math.sqrt(config.gravity_m_s2 * config.mean_depth_m)
    sizes = np.array([config.gravity_m_s2 * amplitude_m, *[mach * speed / config.radius_m] * 2])
    noise = noise * sizes[:, None, None] * math.sqrt(2 * math.pi / (size * (size + 1)))
    noise[0, 0, 0, :, 0] += math.sqrt(4 * math.pi) * config.gravity_m_s2 * config.mean_depth_m
    spectral = solver.coriolis.new_zeros(solver.degrees, solver.degrees, 3, len(draws), 2)
    spectral[:degrees, :degrees] = torch.from_numpy(noise).to(spectral)
    return spectral


def _rotation_wind(solver: ShallowWater, speed: float) -> tuple[Tensor, Tensor]:
    """Solid rotation about the axis of the planet: u and v [1, H, W] in m/s."""
    latitude, longitude, angle = solver.latitudes, solver.longitudes, solver.config.axis_angle
    u = speed * (latitude.cos() * math.cos(angle) + longitude.cos() * latitude.sin() * math.sin(angle))
    v = -speed * longitude.sin() * math.sin(angle)
    return u.expand_as(solver.coriolis)[None], v.expand_as(solver.coriolis)[None]


def _geostrophic_depth(solver: ShallowWater, speed: float, equator: float) -> Tensor:
    """[H, W] m2/s2: the geopotential that balances it, `equator` where the axis is not felt."""
    config = solver.config
    sine = solver.coriolis / (2 * config.rotation_per_s)
    return equator - (config.radius_m * config.rotation_per_s * speed + speed**2 / 2) * sine.square()
