"""What is known of the free elements and their solids, hydrogen to lawrencium.

Electronegativity after Pauling; first ionization energy: NIST Atomic Spectra Database, doi:10.18434/T4W30F; atomic
radius: Slater, J. Chem. Phys. 41, 3199 (1964), doi:10.1063/1.1725697; Mendeleev number: the order of the elements of
Villars et al., J. Alloys Compd. 367, 167 (2004), doi:10.1016/j.jallcom.2003.08.060; the other columns as in common
handbooks. Masses and covalent radii come from ASE.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np

TABLE = """
H  2.20 13.60 0.75 0.25   14 11.4 103 -1  1 1s1
He    - 24.59 0.00    -    1 21.0   1  0  0 1s2
Li 0.98  5.39 0.62 1.45  454 13.0  12  1  1 2s1
Be 1.57  9.32 0.00 1.05 1560  4.8  77  2  2 2s2
B  2.04  8.30 0.28 0.85 2349  4.4  86  3  3 2s2.2p1
C  2.55 11.26 1.26 0.70 3800  5.3  95 -4  4 2s2.2p2
N  3.04 14.53 0.00 0.65   63 13.5 100 -3  5 2s2.2p3
O  3.44 13.62 1.46 0.60   55 17.4 101 -2 -2 2s2.2p4
F  3.98 17.42 3.40 0.50   54 11.2 102 -1 -1 2s2.2p5
Ne    - 21.56 0.00    -   25 13.2   2  0  0 2s2.2p6
Na 0.93  5.14 0.55 1.80  371 23.8  11  1  1 3s1
Mg 1.31  7.65 0.00 1.50  923 14.0  73  2  2 3s2
Al 1.61  5.99 0.43 1.25  933 10.0  80  3  3 3s2.3p1
Si 1.90  8.15 1.39 1.10 1687 12.1  85 -4  4 3s2.3p2
P  2.19 10.49 0.75 1.00  317 17.0  90 -3  5 3s2.3p3
S  2.58 10.36 2.08 1.00  388 15.5  94 -2  6 3s2.3p4
Cl 3.16 12.97 3.61 1.00  172 17.4  99 -1  7 3s2.3p5
Ar    - 15.76 0.00    -   84 22.6   3  0  0 3s2.3p6
K  0.82  4.34 0.50 2.20  337 45.9  10  1  1 4s1
Ca 1.00  6.11 0.02 1.80 1115 26.2  16  2  2 4s2
Sc 1.36  6.56 0.18 1.60 1814 15.0  19  3  3 3d1.4s2
Ti 1.54  6.83 0.08 1.40 1941 10.6  51  4  4 3d2.4s2
V  1.63  6.75 0.53 1.35 2183  8.3  54  5  5 3d3.4s2
Cr 1.66  6.77 0.68 1.40 2180  7.2  57  3  6 3d5.4s1
Mn 1.55  7.43 0.00 1.40 1519  7.3  60  2  7 3d5.4s2
Fe 1.83  7.90 0.15 1.40 1811  7.1  61  2  3 3d6.4s2
Co 1.88  7.88 0.66 1.35 1768  6.7  64  2  3 3d7.4s2
Ni 1.91  7.64 1.16 1.35 1728  6.6  67  2  2 3d8.4s2
Cu 1.90  7.73 1.24 1.35 1358  7.1  72  1  2 3d10.4s1
Zn 1.65  9.39 0.00 1.35  693  9.2  76  2  2 3d10.4s2
Ga 1.81  6.00 0.30 1.30  303 11.8  81  3  3 3d10.4s2.4p1
Ge 2.01  7.90 1.23 1.25 1211 13.6  84 -4  4 3d10.4s2.4p2
As 2.18  9.79 0.80 1.15 1090 12.9  89 -3  5 3d10.4s2.4p3
Se 2.55  9.75 2.02 1.15  494 16.4  93 -2  6 3d10.4s2.4p4
Br 2.96 11.81 3.36 1.15  266 19.8  98 -1  5 3d10.4s2.4p5
Kr 3.00 14.00 0.00    -  116 28.0   4  0  0 3d10.4s2.4p6
Rb 0.82  4.18 0.49 2.35  312 55.8   9  1  1 5s1
Sr 0.95  5.69 0.05 2.00 1050 33.9  15  2  2 5s2
Y  1.22  6.22 0.31 1.80 1799 19.9  25  3  3 4d1.5s2
Zr 1.33  6.63 0.43 1.55 2128 14.0  49  4  4 4d2.5s2
Nb 1.60  6.76 0.92 1.45 2750 10.8  53  5  5 4d4.5s1
Mo 2.16  7.09 0.75 1.45 2896  9.4  56  4  6 4d5.5s1
Tc 1.90  7.12 0.55 1.35 2430  8.6  59  4  7 4d5.5s2
Ru 2.20  7.36 1.05 1.30 2607  8.2  62  3  4 4d7.5s1
Rh 2.28  7.46 1.14 1.35 2237  8.3  65  3  3 4d8.5s1
Pd 2.20  8.34 0.56 1.40 1828  8.6  69  2  4 4d10
Ag 1.93  7.58 1.30 1.60 1235 10.3  71  1  1 4d10.5s1
Cd 1.69  8.99 0.00 1.55  594 13.0  75  2  2 4d10.5s2
In 1.78  5.79 0.38 1.55  430 15.8  79  3  3 4d10.5s2.5p1
Sn 1.96  7.34 1.11 1.45  505 16.3  83 -4  4 4d10.5s2.5p2
Sb 2.05  8.61 1.05 1.45  904 18.2  88 -3  5 4d10.5s2.5p3
Te 2.10  9.01 1.97 1.40  723 20.5  92 -2  6 4d10.5s2.5p4
I  2.66 10.45 3.06 1.40  387 25.7  97 -1  7 4d10.5s2.5p5
Xe 2.60 12.13 0.00    -  161 35.9   5  0  0 4d10.5s2.5p6
Cs 0.79  3.89 0.47 2.60  302 70.9   8  1  1 6s1
Ba 0.89  5.21 0.14 2.15 1000 38.2  14  2  2 6s2
La 1.10  5.58 0.56 1.95 1193 22.4  33  3  3 5d1.6s2
Ce 1.12  5.54 0.60 1.85 1068 20.7  32  3  4 4f1.5d1.6s2
Pr 1.13  5.47 0.11 1.85 1208 20.8  31  3  3 4f3.6s2
Nd 1.14  5.53 0.10 1.85 1297 20.6  30  3  3 4f4.6s2
Pm 1.13  5.58 0.13 1.85 1373 20.2  29  3  3 4f5.6s2
Sm 1.17  5.64 0.16 1.85 1345 20.0  28  3  3 4f6.6s2
Eu 1.20  5.67 0.12 1.85 1099 29.0  18  2  3 4f7.6s2
Gd 1.20  6.15 0.21 1.80 1585 19.9  27  3  3 4f7.5d1.6s2
Tb 1.10  5.86 0.13 1.75 1629 19.3  26  3  3 4f9.6s2
Dy 1.22  5.94 0.02 1.75 1680 19.0  24  3  3 4f10.6s2
Ho 1.23  6.02 0.34 1.75 1734 18.7  23  3  3 4f11.6s2
Er 1.24  6.11 0.31 1.75 1802 18.5  22  3  3 4f12.6s2
Tm 1.25  6.18 1.03 1.75 1818 19.1  21  3  3 4f13.6s2
Yb 1.10  6.25 0.00 1.75 1097 24.8  17  3  3 4f14.6s2
Lu 1.27  5.43 0.24 1.75 1925 17.8  20  3  3 4f14.5d1.6s2
Hf 1.30  6.83 0.18 1.55 2506 13.4  50  4  4 4f14.5d2.6s2
Ta 1.50  7.55 0.33 1.45 3290 10.8  52  5  5 4f14.5d3.6s2
W  2.36  7.86 0.82 1.35 3695  9.5  55  4  6 4f14.5d4.6s2
Re 1.90  7.83 0.06 1.35 3459  8.9  58  4  7 4f14.5d5.6s2
Os 2.20  8.44 1.08 1.30 3306  8.4  63  4  4 4f14.5d6.6s2
Ir 2.20  8.97 1.56 1.35 2739  8.5  66  3  4 4f14.5d7.6s2
Pt 2.28  8.96 2.13 1.35 2041  9.1  68  2  4 4f14.5d9.6s1
Au 2.54  9.23 2.31 1.35 1337 10.2  70  1  3 4f14.5d10.6s1
Hg 2.00 10.44 0.00 1.50  234 14.1  74  1  2 4f14.5d10.6s2
Tl 1.62  6.11 0.32 1.90  577 17.2  78  1  3 4f14.5d10.6s2.6p1
Pb 2.33  7.42 0.36 1.80  601 18.3  82  2  4 4f14.5d10.6s2.6p2
Bi 2.02  7.29 0.94 1.60  544 21.3  87  3  3 4f14.5d10.6s2.6p3
Po 2.00  8.42 1.41 1.90  527 23.0  91 -2  4 4f14.5d10.6s2.6p4
At 2.20  9.32 2.42    -  575    -  96 -1  1 4f14.5d10.6s2.6p5
Rn 2.20 10.75 0.00    -  202 50.5   6  0  0 4f14.5d10.6s2.6p6
Fr 0.70  4.07 0.49    -  300    -   7  1  1 7s1
Ra 0.90  5.28 0.10 2.15  973 41.1  13  2  2 7s2
Ac 1.10  5.38 0.35 1.95 1323 22.6  48  3  3 6d1.7s2
Th 1.30  6.31 0.61 1.80 2115 19.8  47  4  4 6d2.7s2
Pa 1.50  5.89 0.55 1.80 1841 15.2  46  5  5 5f2.6d1.7s2
U  1.38  6.19 0.31 1.75 1405 12.5  45  6  6 5f3.6d1.7s2
Np 1.36  6.27 0.48 1.75  910 11.6  44  5  5 5f4.6d1.7s2
Pu 1.28  6.03 0.00 1.75  912 12.3  43  4  4 5f6.7s2
Am 1.30  5.97 0.10 1.75 1449 17.6  42  3  3 5f7.7s2
Cm 1.30  5.99 0.28    - 1613 18.1  41  3  3 5f7.6d1.7s2
Bk 1.30  6.20 0.00    - 1259 16.8  40  3  3 5f9.7s2
Cf 1.30  6.28 0.00    - 1173 16.5  39  3  3 5f10.7s2
Es 1.30  6.37 0.00    - 1133 28.5  38  3  3 5f11.7s2
Fm 1.30  6.50 0.35    - 1800    -  37  3  3 5f12.7s2
Md 1.30  6.58 0.98    - 1100    -  36  3  3 5f13.7s2
No 1.30  6.63 0.00    - 1100    -  35  3  3 5f14.7s2
Lr 1.30  4.96 0.00    - 1900    -  34  3  3 5f14.7s2.7p1
"""
"""Symbol, electronegativity, first ionization energy (eV), electron affinity (eV, 0 where no anion is bound), atomic
radius (Å), melting point (K), molar volume (cm3/mol), Mendeleev number, lowest and highest common oxidation state,
electrons beyond the noble gas before; "-" where unknown."""

COLUMNS = (
    "electronegativity", "ionization_energy", "electron_affinity", "atomic_radius", "melting_point", "molar_volume",
    "mendeleev_number", "lowest_oxidation", "highest_oxidation",
)  # fmt: skip
SHELLS = {"s": 2, "p": 6, "d": 10, "f": 14}
NOBLE_GASES = (2, 10, 18, 36, 54, 86, 118)

PROPERTIES = (
    "number", "mass", "period", "group", "covalent_radius", *COLUMNS,
    *(f"{shell}_electrons" for shell in SHELLS), *(f"{shell}_holes" for shell in SHELLS),
)  # fmt: skip
"""What `element_properties` gives; a hole is a place left in a shell that holds electrons."""

HEAVIEST = 103
"""The last element with a row in the table."""


@cache
def element_properties() -> np.ndarray:
    """[104, P] float64, row Z has `PROPERTIES` of element Z, NaN where unknown (all of row 0). Not to be written to."""
    from ase.data import atomic_masses, atomic_numbers, covalent_radii

    table = np.full((HEAVIEST + 1, len(PROPERTIES)), np.nan)
    for line in TABLE.strip().splitlines():
        symbol, *values, configuration = line.split()
        z = atomic_numbers[symbol]
        shells = dict.fromkeys(SHELLS, 0)
        for shell, electrons in re.findall(r"\d([spdf])(\d+)", configuration):
            shells[shell] += int(electrons)
        holes = [SHELLS[shell] - count if count else 0 for shell, count in shells.items()]
        known = [np.nan if value == "-" else float(value) for value in values]
        table[z] = [z, atomic_masses[z], *place(z), covalent_radii[z], *known, *shells.values(), *holes]
    table.flags.writeable = False
    return table


def place(z: int) -> tuple[int, int]:
    """Period and group of element Z; the f block is group 3."""
    period = next(row for row, last in enumerate(NOBLE_GASES, start=1) if z <= last)
    from_left = z - (0, *NOBLE_GASES)[period - 1]
    if from_left <= 2 and z != 2:
        return period, from_left
    return period, max(3, 18 - (NOBLE_GASES[period - 1] - z))


def electronegativity(z: int) -> float:
    """After Pauling; infinite where unknown, so that noble gases come last."""
    value = element_properties()[z, PROPERTIES.index("electronegativity")] if z <= HEAVIEST else np.nan
    return float("inf") if np.isnan(value) else float(value)
