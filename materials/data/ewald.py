"""Electrostatic energy of point charges in a periodic cell, and the Born-Landé energy of an ionic crystal.

Ewald, Ann. Phys. 369, 253 (1921), doi:10.1002/andp.19213690304: with a screening parameter alpha,

    E = 1/2 sum' q_i q_j erfc(alpha r) / r  +  (2 pi / V) sum_{k != 0} exp(-k^2 / 4 alpha^2) / k^2 |S(k)|^2
        - alpha / sqrt(pi) sum q_i^2,           S(k) = sum_i q_i exp(i k r_i)

times e^2 / (4 pi eps0). The sum is that of a crystal in a conducting medium; it does not depend on alpha.
Shapes: m ions in the cell, lattice rows a, b, c.
"""

from __future__ import annotations

import numpy as np
from scipy.special import erfc

from common.app.errors import DataFormatError

COULOMB_EV_A = 14.3996454784
"""e^2 / (4 pi eps0) in eV Å (CODATA 2018)."""


def electrostatic_energy(
    lattice: np.ndarray,
    fractional: np.ndarray,
    charges: np.ndarray,
    relative_tolerance: float = 1e-9,
    screening: float | None = None,
) -> float:
    """Energy of a neutral cell in eV; lattice [3, 3] in Å, fractional [m, 3], charges [m] in units of e.

    `screening` (alpha, 1/Å) only shifts work between the two sums; by default both cost about the same.
    Raises DataFormatError if the charges do not add up to zero.
    """
    charges = np.asarray(charges, float)
    if abs(charges.sum()) > 1e-9 * max(1.0, np.abs(charges).sum()):
        raise DataFormatError(f"the ions carry a charge of {charges.sum():g} e a cell; expected a neutral cell")
    volume = abs(np.linalg.det(lattice))
    alpha = screening or np.sqrt(np.pi) * (len(charges) / volume**2) ** (1 / 6)
    # Both sums fall off as exp(-reach^2); a little more covers the number of terms beyond it.
    reach = np.sqrt(-np.log(relative_tolerance)) + 0.5
    near = _real_space(lattice, fractional, charges, alpha, reach / alpha)
    far = _reciprocal_space(lattice, fractional, charges, alpha, 2 * alpha * reach)
    own = alpha / np.sqrt(np.pi) * np.sum(charges**2)
    return float(COULOMB_EV_A * (near + far - own))


def repulsion_strength(coulomb_ev: float, ratio: np.ndarray, exponent: np.ndarray) -> float:
    """b in eV such that a crystal with energy E = E_coulomb + b sum_p ratio_p^-n_p does not want to grow or shrink.

    `ratio` [pairs]: distance over sum of radii of the ions in contact; `exponent` [pairs]: n. With one exponent for
    all, the energy is then E_coulomb (1 - 1/n): Born & Landé, Verh. Dtsch. Phys. Ges. 20, 210 (1918).
    """
    return float(-coulomb_ev / np.sum(exponent * ratio**-exponent))


def born_exponent(electrons: int) -> int:
    """Born exponent of an ion from the closed shell that it fills or, with d electrons, goes beyond.

    He 5, Ne 7, Ar and Cu+ 9, Kr and Ag+ 10, Xe and Au+ 12; a pair has the mean of its two ions. Pauling, The Nature of
    the Chemical Bond (3rd ed. 1960), chapter 13.
    """
    return next(n for shell, n in ((2, 5), (10, 7), (28, 9), (46, 10), (118, 12)) if electrons <= shell)


def _grid(limits: np.ndarray) -> np.ndarray:
    """All integer triples within +-limits, [G, 3]."""
    axes = [np.arange(-limit, limit + 1) for limit in limits.astype(int)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def _real_space(lattice: np.ndarray, fractional: np.ndarray, charges: np.ndarray, alpha: float, cutoff: float) -> float:
    heights = 1.0 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    difference = fractional[None, :] - fractional[:, None]
    difference -= np.rint(difference)
    images = _grid(np.floor(cutoff / heights + 0.5))
    distance = np.linalg.norm((difference[:, :, None] + images) @ lattice, axis=-1)
    near = (distance > 1e-9) & (distance <= cutoff)
    product = np.broadcast_to((charges[:, None] * charges)[:, :, None], distance.shape)[near]
    return 0.5 * float(np.sum(product * erfc(alpha * distance[near]) / distance[near]))


def _reciprocal_space(
    lattice: np.ndarray, fractional: np.ndarray, charges: np.ndarray, alpha: float, cutoff: float
) -> float:
    limits = np.floor(cutoff * np.linalg.norm(lattice, axis=1) / (2 * np.pi))
    waves = _grid(limits)
    waves = waves[len(waves) // 2 + 1 :]  # k and -k contribute alike, and k = 0 nothing
    square = np.sum((2 * np.pi * waves @ np.linalg.inv(lattice).T) ** 2, axis=1)
    waves, square = waves[square <= cutoff**2], square[square <= cutoff**2]
    phase = 2 * np.pi * waves @ fractional.T
    structure_factor = (np.cos(phase) @ charges) ** 2 + (np.sin(phase) @ charges) ** 2
    volume = abs(np.linalg.det(lattice))
    return float(4 * np.pi / volume * np.sum(np.exp(-square / (4 * alpha**2)) / square * structure_factor))
