"""Effective ionic radii by charge and coordination number.

Shannon, Acta Cryst. A32, 751 (1976), doi:10.1107/S0567739476001551, table 1; high-spin values for Mn, Fe and Co.
Anions have the radius of coordination 6, the only one tabulated for most of them.
"""

from __future__ import annotations

from dataclasses import dataclass

TABLE = """
Li 1  IV 0.59  VI 0.76  VIII 0.92
Na 1  IV 0.99  VI 1.02  VIII 1.18  XII 1.39
K  1  IV 1.37  VI 1.38  VIII 1.51  XII 1.64
Rb 1  VI 1.52  VIII 1.61  XII 1.72
Cs 1  VI 1.67  VIII 1.74  XII 1.88
Cu 1  IV 0.60  VI 0.77
Ag 1  IV 1.00  VI 1.15  VIII 1.28
Tl 1  VI 1.50  VIII 1.59  XII 1.70
Be 2  IV 0.27  VI 0.45
Mg 2  IV 0.57  VI 0.72  VIII 0.89
Ca 2  VI 1.00  VIII 1.12  XII 1.34
Sr 2  VI 1.18  VIII 1.26  XII 1.44
Ba 2  VI 1.35  VIII 1.42  XII 1.61
Mn 2  IV 0.66  VI 0.83  VIII 0.96
Fe 2  IV 0.63  VI 0.78  VIII 0.92
Co 2  IV 0.58  VI 0.745 VIII 0.90
Ni 2  IV 0.55  VI 0.69
Cu 2  IV 0.57  VI 0.73
Zn 2  IV 0.60  VI 0.74  VIII 0.90
Cd 2  IV 0.78  VI 0.95  VIII 1.10  XII 1.31
Hg 2  IV 0.96  VI 1.02  VIII 1.14
Pb 2  VI 1.19  VIII 1.29  XII 1.49
Eu 2  VI 1.17  VIII 1.25
Al 3  VI 0.535
Ga 3  VI 0.62
In 3  VI 0.80
Sc 3  VI 0.745
Ti 3  VI 0.67
V  3  VI 0.64
Cr 3  VI 0.615
Mn 3  VI 0.645
Fe 3  VI 0.645
Y  3  VI 0.90
La 3  XII 1.36
Ce 3  XII 1.34
Nd 3  XII 1.27
Sm 3  XII 1.24
Si 4  VI 0.40
Ge 4  VI 0.53
Sn 4  VI 0.69  VIII 0.81
Pb 4  VI 0.775 VIII 0.94
Ti 4  VI 0.605 VIII 0.74
Zr 4  VI 0.72  VIII 0.84
Hf 4  VI 0.71  VIII 0.83
V  4  VI 0.58  VIII 0.72
Nb 4  VI 0.68  VIII 0.79
Mo 4  VI 0.65
W  4  VI 0.66
Mn 4  VI 0.53
Ru 4  VI 0.62
Ir 4  VI 0.625
Ce 4  VI 0.87  VIII 0.97
Th 4  VI 0.94  VIII 1.05
U  4  VI 0.89  VIII 1.00
Nb 5  VI 0.64
Ta 5  VI 0.64
F  -1 VI 1.33
Cl -1 VI 1.81
Br -1 VI 1.96
I  -1 VI 2.20
O  -2 VI 1.40
S  -2 VI 1.84
Se -2 VI 1.98
Te -2 VI 2.21
"""

COORDINATION = {"IV": 4, "VI": 6, "VIII": 8, "XII": 12}


@dataclass(frozen=True)
class Ion:
    """An ion with its radii in Å by coordination number."""

    symbol: str
    charge: int
    radii_a: dict[int, float]

    def radius_a(self, coordination: int) -> float:
        """Radius in Å; KeyError for a cation in a coordination that is not tabulated."""
        return self.radii_a[6 if self.charge < 0 else coordination]


def ions() -> list[Ion]:
    """All ions of the table."""
    rows = [line.split() for line in TABLE.strip().splitlines()]
    return [
        Ion(row[0], int(row[1]), {COORDINATION[n]: float(r) for n, r in zip(row[2::2], row[3::2], strict=True)})
        for row in rows
    ]
