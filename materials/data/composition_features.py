"""Statistics of element properties over a composition, after Magpie: Ward et al., doi:10.1038/npjcompumats.2016.28.

Shapes: N compositions, P element properties, Z elements.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from materials.data.compositions import Compositions
from materials.data.element_properties import HEAVIEST, PROPERTIES, element_properties

STATISTICS = ("mean", "deviation", "minimum", "maximum", "range", "mode")
NORMS = (2, 3, 5, 7)
"""Of the vector of fractions: how many elements there are, and how evenly."""


@cache
def feature_names() -> tuple[str, ...]:
    """What the columns of `composition_features` are."""
    statistics = tuple(f"{statistic} {name}" for name in PROPERTIES for statistic in STATISTICS)
    return (*statistics, "elements", *(f"{p}-norm of fractions" for p in NORMS), "charge imbalance")


def composition_features(compositions: Compositions) -> np.ndarray:
    """[N, F] float64 in the order of `feature_names`.

    Of each property: mean and mean absolute deviation weighted by the fractions, minimum, maximum, range, and the mean
    of the most abundant elements (one, or several of equal share). A value unknown of an element is replaced by the
    median over all elements. `charge imbalance` is the least total charge an atom that the common oxidation states can
    come to between their limits: 0 where they can balance.
    """
    starts, owner, fraction = compositions.offsets[:-1], compositions.owner, compositions.fractions
    if not len(compositions):
        return np.zeros((0, len(feature_names())))
    value = filled_properties()[np.where(compositions.numbers > HEAVIEST, 0, compositions.numbers)]

    def mean(rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.add.reduceat(rows * weight[:, None], starts) / np.add.reduceat(weight, starts)[:, None]

    average = mean(value, fraction)
    most = np.isclose(fraction, np.maximum.reduceat(fraction, starts)[owner], rtol=1e-9)
    low, high = np.minimum.reduceat(value, starts), np.maximum.reduceat(value, starts)
    spread = mean(np.abs(value - average[owner]), fraction)
    statistics = np.stack([average, spread, low, high, high - low, mean(value, most.astype(float))], axis=2)
    norms = [np.add.reduceat(fraction**p, starts) ** (1 / p) for p in NORMS]
    least, greatest = (average[:, PROPERTIES.index(f"{end}_oxidation")] for end in ("lowest", "highest"))
    imbalance = np.maximum(least, 0.0) + np.minimum(greatest, 0.0)
    others = np.stack([compositions.n_elements, *norms, imbalance], axis=1)
    return np.hstack([statistics.reshape(len(compositions), -1), others])


def element_fractions(compositions: Compositions) -> np.ndarray:
    """[N, Z + 1] share of each element, for Z = 0 .. 118."""
    shares = np.zeros((len(compositions), 119))
    shares[compositions.owner, compositions.numbers] = compositions.fractions
    return shares


@cache
def filled_properties() -> np.ndarray:
    """[104, P] `element_properties` with the median over the elements where unknown. Not to be written to."""
    table = element_properties().copy()
    table[0] = np.nanmedian(table, axis=0)
    table = np.where(np.isnan(table), table[0], table)
    table.flags.writeable = False
    return table
