"""The computed data set `mp2018-elastic`: moduli of small crystals of MP-2018 as a published potential has them.

Elastic constants are second derivatives of what a potential has learned. Its weights do not show them, so a network
that starts from these, or from others, learns DFT's moduli, of which there are few, better beside the potential's own.
The numbers are simulated, by a model of DFT, and no substitute for it.
"""

from __future__ import annotations

import numpy as np

from common.data.cache import cached_arrays
from common.training.distributed import world_from_environment
from common.training.progress import ProgressReport
from materials.data import mp2018
from materials.data.catalogue import SIMULATED_MODULI
from materials.data.crystals import Crystals
from materials.elasticity import elastic_constants, moduli
from materials.potential import Potential
from materials.substances.crystal import content_hash
from materials.weights.published import PUBLISHED

POTENTIAL = "tensornet-matpes-pbe-2025.1"
LARGEST, LARGEST_WITH_MODULI = 10, 24
"""Atoms of a crystal, without and with DFT's moduli; the time grows as their square."""
HIGHEST_ABOVE_HULL_EV = 0.3
"""eV/atom; what lies higher may fall apart. It does not matter where moduli are known."""
SOFTEST_GPA = 3.0
"""Eigenvalues of the elastic constants are raised to it, so that a logarithm is of something positive."""
AT_ONCE = 250
"""Crystals that are kept together, so that little is lost when the computation stops."""
VERSION = "1"
"""Raise it when other moduli come out: cached ones are then computed again."""


def load(split: str, offline: bool = False) -> Crystals:
    """The small crystals, and all of which moduli are known, of a split "train", "val" or "test": mp2018's targets, and
    decimal logarithms of simulated moduli in GPa, with atoms that give way and clamped ones.

    Computed when first asked for ("train" takes an hour of a core) and kept in the cache piece by piece; processes of
    torchrun share the work.
    """
    crystals = mp2018.load(split, offline)
    targets = crystals.targets
    known = np.isfinite(targets["log10_k_vrh"]) | np.isfinite(targets["log10_g_vrh"])
    small = (crystals.n_atoms <= LARGEST) & (targets["e_above_hull"] <= HIGHEST_ABOVE_HULL_EV)
    crystals = crystals.subset(known | small)
    places = np.flatnonzero((crystals.n_atoms <= LARGEST_WITH_MODULI) & ~_holds_foreign_elements(crystals))
    pieces = [places[start : start + AT_ONCE] for start in range(0, len(places), AT_ONCE)]
    world = world_from_environment()
    own = pieces[world.rank :: world.size]
    progress = ProgressReport(len(own), 0, "moduli", not world.is_main)
    for piece in own:
        _simulated(crystals.subset(piece), offline)
        progress.advance()
    progress.close()
    crystals.targets.update({name: np.full(len(crystals), np.nan) for name in SIMULATED_MODULI})
    for piece in pieces:  # of other processes, too
        for name, values in _simulated(crystals.subset(piece), offline).items():
            crystals.targets[name][piece] = values
    return crystals


def _holds_foreign_elements(crystals: Crystals) -> np.ndarray:
    """[N] bool: some that the potential does not know."""
    foreign = ~np.isin(crystals.numbers, PUBLISHED[POTENTIAL].card["elements"])
    return np.bincount(crystals.structure_of_atom, foreign, len(crystals)) > 0


def _simulated(piece: Crystals, offline: bool) -> dict[str, np.ndarray]:
    key = {"crystals": content_hash(piece), "potential": POTENTIAL}
    return cached_arrays("elastic-moduli", key, VERSION, lambda: _compute(piece, offline))


def _compute(piece: Crystals, offline: bool) -> dict[str, np.ndarray]:
    potential = Potential.from_pretrained(POTENTIAL, "cpu", offline=offline)
    crystals = [piece.atoms(index) for index in range(len(piece))]
    rows = []
    for constants in elastic_constants(potential, crystals):
        relaxed, clamped = (moduli(one, SOFTEST_GPA) for one in constants)
        # in the order of SIMULATED_MODULI
        rows.append([relaxed.k_vrh, relaxed.g_vrh, relaxed.g_reuss, clamped.k_vrh, clamped.g_vrh])
    return dict(zip(SIMULATED_MODULI, np.log10(rows).T, strict=True))
