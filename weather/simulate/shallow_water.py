"""Shallow-water equations on a rotating sphere, spectral in space, explicit in time with implicit diffusion.

    d zeta / dt = -div A;  d delta / dt = curl A - laplacian(phi + phi_s + (u^2 + v^2) / 2);  d phi / dt = -div(u phi)

with A = (zeta + f) (u, v), zeta vorticity, delta divergence, phi geopotential of the depth of the fluid, phi_s that of
the ground. Third-order Adams-Bashforth; after each step vorticity and divergence are damped in proportion to the eighth
power of the degree. The scheme is that of `torch_harmonics.examples.ShallowWaterSolver`, with which it agrees to
rounding. What it gains over that: all samples and fields of a step share two Fourier transforms and four matrix
products, and coefficients stay in the order the products write them.

Shapes: B samples, H latitudes (south to north), W longitudes, L degrees, M orders. A spectral state is
[M, L, 3, B, 2]: geopotential (m2/s2), vorticity, divergence (1/s); real and imaginary parts last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from common.app.errors import ConfigError, NumericalError
from weather.models.sphere.legendre import SphereGrid, legendre, legendre_gradient, quadrature

FIELDS = ("geopotential", "vorticity", "divergence")


@dataclass(frozen=True)
class ShallowWaterConfig:
    """
    degrees              of the truncation; 0: a third of the latitudes, at which quadratic terms do not alias
    time_step_s          two and a half minutes suit 64 latitudes and an earth of 10 km depth
    diffusion_time_s     in which the highest degree is damped by 1/e; 0: no diffusion
    mean_depth_m         of random flows and the Galewsky jet
    axis_angle           radians between the axis of rotation and the poles of the grid (Williamson's alpha)
    """

    height: int = 64
    width: int = 128
    grid: SphereGrid = "gaussian"
    degrees: int = 0
    time_step_s: float = 150.0
    diffusion_time_s: float = 7200.0
    radius_m: float = 6.37122e6
    rotation_per_s: float = 7.292e-5
    gravity_m_s2: float = 9.80616
    mean_depth_m: float = 10e3
    axis_angle: float = 0.0


class ShallowWater(nn.Module):
    """The solver; move it to a device as any module. `dtype` of the computation; tables are made in float64.

    Raises ConfigError for a truncation that the grid cannot carry.
    """

    scalar: Tensor
    scalar_weighted: Tensor
    gradient: Tensor
    gradient_weighted: Tensor
    latitudes: Tensor
    longitudes: Tensor
    coriolis: Tensor
    laplacian: Tensor
    inverse_laplacian: Tensor
    damping: Tensor

    def __init__(self, config: ShallowWaterConfig | None = None, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.config = config = config or ShallowWaterConfig()
        self.degrees = degrees = config.degrees or math.ceil(config.height / 3)
        if not 2 <= degrees <= min(config.height, config.width // 2):
            raise ConfigError(
                f"degrees={degrees} on {config.height} latitudes and {config.width} longitudes: expected 2 to "
                f"{min(config.height, config.width // 2)}"
            )
        x, weights = quadrature(config.grid, config.height)
        weights = weights * (2 * np.pi / config.width)
        values = legendre(x, degrees, degrees)
        gradient = np.concatenate(legendre_gradient(x, degrees, degrees), axis=1) / config.radius_m
        latitude, longitude = np.arcsin(x)[:, None], np.arange(config.width) * (2 * np.pi / config.width)
        pole = np.sin(latitude) * np.cos(config.axis_angle)  # sine of latitude about the axis of rotation
        pole = pole - np.cos(longitude) * np.cos(latitude) * np.sin(config.axis_angle)
        degree = np.arange(degrees, dtype=float)
        laplacian = -degree * (degree + 1) / config.radius_m**2
        damping = np.zeros(degrees)
        if config.diffusion_time_s:
            damping = config.time_step_s / config.diffusion_time_s * (laplacian / laplacian[-1]) ** 4
        tables = {
            "scalar": values.transpose(0, 2, 1),
            "scalar_weighted": values * weights,
            "gradient": gradient.transpose(0, 2, 1),
            "gradient_weighted": gradient * weights,
            "latitudes": latitude,
            "longitudes": longitude,
            "coriolis": 2 * config.rotation_per_s * np.broadcast_to(pole, (config.height, config.width)),
            "laplacian": laplacian[:, None, None],
            "inverse_laplacian": np.divide(1, laplacian, out=np.zeros(degrees), where=degree > 0)[:, None, None],
            # Damps vorticity and divergence, leaves the geopotential.
            "damping": np.exp(-np.outer(damping, [0, 1, 1]))[..., None, None],
        }
        for name, table in tables.items():
            self.register_buffer(name, torch.tensor(np.ascontiguousarray(table), dtype=dtype), persistent=False)

    def advance(self, spectral: Tensor, steps: int, surface: Tensor | None = None) -> Tensor:
        """`steps` time steps from a spectral state; `surface` [H, W] geopotential of the ground in m2/s2.

        The first step is Euler's; the second takes the newest tendency also for the oldest.
        Raises NumericalError when values overflow.
        """
        step, middle, oldest = self.config.time_step_s / 12, None, None
        for _ in range(steps):
            newest = self.tendency(spectral, surface)
            middle = newest if middle is None else middle
            oldest = newest if oldest is None else oldest
            change = 23 * newest - 16 * middle + 5 * oldest
            spectral = torch.add(spectral, change, alpha=step) * self.damping
            oldest, middle = (middle if middle is not newest else None), newest
        if not torch.isfinite(spectral).all():
            raise NumericalError(
                f"the shallow-water flow is not finite after {steps} steps of {self.config.time_step_s:g} s: "
                "take a shorter time step, or a smoother initial state"
            )
        return spectral

    def tendency(self, spectral: Tensor, surface: Tensor | None = None) -> Tensor:
        """Time derivative of a spectral state, by second."""
        geopotential, vorticity, u, v = self._grid(self._spectra(spectral))
        absolute = vorticity + self.coriolis
        energy = geopotential + (u.square() + v.square()) / 2
        if surface is not None:
            energy = energy + surface
        spectrum = self._fourier(torch.stack([u * absolute, v * absolute, u * geopotential, v * geopotential, energy]))
        vectors, energy = spectrum[:, :, :4], spectrum[:, :, 4:]
        curl, divergence = self._curl_and_divergence(vectors)
        energy = _product(self.scalar_weighted, energy)[:, :, 0]
        delta = curl[:, :, 0] - self.laplacian * energy
        return torch.stack([-divergence[:, :, 1], -divergence[:, :, 0], delta], dim=2)

    def state(self, spectral: Tensor) -> Tensor:
        """[M, L, 3, B, 2] -> fields on the grid [B, 3, H, W]: geopotential, vorticity, divergence."""
        return self._grid(_product(self.scalar, spectral)).transpose(0, 1).contiguous()

    def spectral(self, state: Tensor) -> Tensor:
        """[B, 3, H, W] -> [M, L, 3, B, 2], cutting what the truncation does not hold."""
        return _product(self.scalar_weighted, self._fourier(state.transpose(0, 1).to(self.coriolis.dtype)))

    def wind(self, spectral: Tensor) -> Tensor:
        """[M, L, 3, B, 2] -> eastward and northward wind [B, 2, H, W] in m/s."""
        return self._grid(self._wind_spectrum(spectral)).transpose(0, 1)

    def from_wind(self, geopotential: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Fields [B, H, W] in m2/s2 and m/s -> spectral state."""
        spectrum = self._fourier(torch.stack([u, v, geopotential]).to(self.coriolis.dtype))
        curl, divergence = self._curl_and_divergence(spectrum[:, :, :2])
        geopotential = _product(self.scalar_weighted, spectrum[:, :, 2:])
        return torch.cat([geopotential, curl, divergence], dim=2)

    def balanced_geopotential(self, spectral: Tensor) -> Tensor:
        """[M, L, B, 2], mean zero: the geopotential at which a wind without divergence stays as it is.

        Solves laplacian(phi) = curl A - laplacian(kinetic energy) for the wind of the spectral state.
        """
        _, vorticity, u, v = self._grid(self._spectra(spectral))
        absolute = vorticity + self.coriolis
        kinetic = (u.square() + v.square()) / 2
        spectrum = self._fourier(torch.stack([u * absolute, v * absolute, kinetic]))
        curl, _ = self._curl_and_divergence(spectrum[:, :, :2])
        kinetic = _product(self.scalar_weighted, spectrum[:, :, 2:])[:, :, 0]
        return self.inverse_laplacian * (curl[:, :, 0] - self.laplacian * kinetic)

    def _spectra(self, spectral: Tensor) -> Tensor:
        """Fourier coefficients [M, H, 4, B, 2] of geopotential, vorticity and wind."""
        return torch.cat([_product(self.scalar, spectral[:, :, :2]), self._wind_spectrum(spectral)], dim=2)

    def _wind_spectrum(self, spectral: Tensor) -> Tensor:
        """u = -d psi/d lat + i m chi / cos, v = d chi/d lat + i m psi / cos: stream function and velocity potential."""
        potentials = self.inverse_laplacian[..., None] * spectral[:, :, 1:]
        stream, velocity = potentials.unbind(2)
        by_latitude = torch.stack([-stream, velocity], dim=2)
        return _product(self.gradient, torch.cat([by_latitude, _times_i(potentials.flip(2))], dim=1))

    def _curl_and_divergence(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Fourier coefficients [M, H, 2 n, B, 2] of n vector fields (u, v) -> two of [M, L, n, B, 2].

        By parts, so that no product is differentiated:
        curl = <u, d lat> + i <v, m / cos>, div = i <u, m / cos> - <v, d lat>.
        """
        by_latitude, by_longitude = _product(self.gradient_weighted, vectors).chunk(2, dim=1)
        by_longitude = _times_i(by_longitude)
        curl = by_latitude[:, :, 0::2] + by_longitude[:, :, 1::2]
        return curl, by_longitude[:, :, 0::2] - by_latitude[:, :, 1::2]

    def _fourier(self, fields: Tensor) -> Tensor:
        """[n, B, H, W] -> [M, H, n, B, 2]"""
        spectrum = torch.view_as_real(torch.fft.rfft(fields)[..., : self.degrees])
        return spectrum.permute(3, 2, 0, 1, 4).contiguous()

    def _grid(self, spectrum: Tensor) -> Tensor:
        """[M, H, n, B, 2] -> [n, B, H, W]"""
        orders, height, fields, samples, _ = spectrum.shape
        padded = spectrum.new_zeros(fields, samples, height, self.config.width // 2 + 1, 2)
        padded[..., :orders, :] = spectrum.permute(2, 3, 1, 0, 4)
        padded[..., 0, 1] = 0  # some Fourier transforms read it
        return torch.fft.irfft(torch.view_as_complex(padded), n=self.config.width, norm="forward")


def _product(table: Tensor, columns: Tensor) -> Tensor:
    """[M, r, k] by [M, k, n, B, 2] -> [M, r, n, B, 2]"""
    return torch.bmm(table, columns.flatten(2)).view(*table.shape[:2], *columns.shape[2:])


def _times_i(x: Tensor) -> Tensor:
    return torch.stack([-x[..., 1], x[..., 0]], dim=-1)
