"""Chemical formulas and other descriptions of a composition -> shares of elements.

    composition := part (("·" | "•" | "*") part)*          hydrates: CuSO4·5H2O
    part        := [amount] term+
    term        := (element | bracket of terms) [amount]   brackets: () [] {}
    amount      := decimal number, also 2.5e-3             subscript digits count as digits, blanks separate

Amounts are exact (integers or fractions) until the end, so that Fe2O3, Fe4O6 and Fe0.4O0.6 give the same numbers to
the last bit.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ase import Atoms
from ase.data import atomic_numbers

from common.app.errors import DataFormatError

Shares = dict[int, float]
"""Atomic number -> share of the atoms, by rising atomic number; positive, adding up to 1."""

Exact = int | Fraction
Amounts = Counter[int]
"""Atomic number -> exact amount."""

MAX_CHARACTERS = 2000
SMALLEST_SHARE = 1e-9
"""Less is no composition that anybody has measured, and a number that float32 arithmetic loses."""

PARTNER = {"(": ")", "[": "]", "{": "}"}
TOKEN = re.compile(
    r"(?P<element>[A-Z][a-z]?)|(?P<amount>(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,2})?(?![\d.]))"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<dot>[·•⋅*])|(?P<blank>\s+)"
)


def read_composition(source: Any) -> Shares:
    """From a formula, an ase.Atoms, a {symbol: amount} mapping, or a pymatgen Composition or Structure.

    Raises DataFormatError that says what is wrong and where.
    """
    if isinstance(source, str):
        return _shares(_parse(source), source)
    if isinstance(source, Atoms):
        return _shares(Counter(int(z) for z in source.numbers), source.get_chemical_formula())
    source = getattr(source, "composition", source)
    if isinstance(source, Mapping):
        return _from_mapping(source)
    raise DataFormatError(
        f"cannot read a composition from {type(source).__name__}; expected a formula such as Fe2O3, ase.Atoms, "
        "{symbol: amount}, or a pymatgen Composition or Structure"
    )


def _from_mapping(source: Mapping[Any, Any]) -> Shares:
    amounts: Amounts = Counter()
    for key, amount in source.items():
        symbol = str(getattr(key, "symbol", key))
        try:
            amounts[_number(symbol)] += Fraction(float(amount))  # pyright: ignore
        except (TypeError, ValueError, OverflowError) as error:
            raise DataFormatError(f"the amount of {symbol} is {amount!r}; expected a finite number") from error
    return _shares(amounts, str(dict(source)))


def _parse(formula: str) -> Amounts:
    """Amounts of the elements of a formula."""
    if len(formula) > MAX_CHARACTERS:
        raise DataFormatError(f"the formula has {len(formula):,} characters; expected at most {MAX_CHARACTERS:,}")
    # Subscript digits become plain ones.
    text = unicodedata.normalize("NFKC", formula).strip()
    try:
        return sum((part for part in _parts(text)), Counter())
    except DataFormatError as error:
        shown = text if len(text) <= 80 else f"{text[:80]}..."
        raise DataFormatError(f"formula '{shown}': {error}") from error


def _parts(text: str) -> list[Amounts]:
    """The amounts of each part of a formula, its leading amount included."""
    parts, place = [], 0
    while True:
        reader = _Part(text, place)
        parts.append(reader.amounts)
        if reader.end == len(text):
            return parts
        place = reader.end + 1


class _Part:
    """What lies between two dots of `text`, from `place` on.

    amounts  of its elements
    end      where the dot after it is, or the text ends
    """

    def __init__(self, text: str, place: int) -> None:
        self.text, self.end = text, place
        self.factor: Exact | None = None
        self.open: list[tuple[str, int]] = []
        self.levels: list[Amounts] = [Counter()]
        self.last: Amounts | None = None
        """The element or bracket that an amount would multiply."""
        while self.end < len(text):
            match = TOKEN.match(text, self.end)
            if match is None:
                raise DataFormatError(f"{text[self.end]!r} at character {self.end + 1} is not part of a formula")
            if match.lastgroup == "dot":
                break
            getattr(self, f"_{match.lastgroup}")(match[0])
            self.end = match.end()
        if self.open:
            raise DataFormatError(f"'{self.open[-1][0]}' at character {self.open[-1][1]} is never closed")
        self._settle()
        self.amounts = self.levels[0] if self.factor is None else _scaled(self.levels[0], self.factor)
        if not self.amounts:
            raise DataFormatError(f"no element {'before' if self.end < len(text) else 'at'} character {self.end + 1}")

    def _element(self, symbol: str) -> None:
        try:
            number = _number(symbol)
        except DataFormatError as error:
            raise DataFormatError(f"{error} at character {self.end + 1}") from error
        self._settle()
        self.last = Counter({number: 1})

    def _amount(self, digits: str) -> None:
        amount = int(digits) if digits.isdecimal() else Fraction(digits)
        if self.last is not None:
            self.levels[-1].update(_scaled(self.last, amount))
            self.last = None
        elif self.factor is None and len(self.levels) == 1 and not self.levels[0]:
            self.factor = amount
        else:
            raise DataFormatError(f"nothing that {digits} at character {self.end + 1} could multiply")

    def _open(self, bracket: str) -> None:
        self._settle()
        self.open.append((bracket, self.end + 1))
        self.levels.append(Counter())

    def _close(self, bracket: str) -> None:
        self._settle()
        if not self.open or PARTNER[self.open[-1][0]] != bracket:
            expected = f"'{PARTNER[self.open[-1][0]]}'" if self.open else "no closing bracket"
            raise DataFormatError(f"'{bracket}' at character {self.end + 1}, expected {expected}")
        self.open.pop()
        self.last = self.levels.pop()
        if not self.last:
            raise DataFormatError(f"the bracket that ends at character {self.end + 1} is empty")

    def _blank(self, blank: str) -> None:
        """Pymatgen writes `Fe2 O3`."""

    def _settle(self) -> None:
        """An element or bracket without an amount counts once."""
        if self.last is not None:
            self.levels[-1].update(self.last)
            self.last = None


def _scaled(amounts: Amounts, factor: Exact) -> Amounts:
    return Counter({number: amount * factor for number, amount in amounts.items()})  # pyright: ignore


def _number(symbol: str) -> int:
    """Atomic number; "X", ASE's dummy, is none."""
    number = atomic_numbers.get(symbol, 0)
    if number < 1:
        raise DataFormatError(f"'{symbol}' is no element")
    return number


def _shares(amounts: Mapping[int, Any], source: str) -> Shares:
    shown = source if len(source) <= 80 else f"{source[:80]}..."
    if any(amount < 0 for amount in amounts.values()):
        raise DataFormatError(f"'{shown}' has a negative amount")
    total = sum(amounts.values())
    if not total:
        raise DataFormatError(f"'{shown}' holds no atoms")
    shares = {int(number): float(amounts[number] / total) for number in sorted(amounts) if amounts[number]}
    if 0 in shares:
        raise DataFormatError(f"'{shown}' has an atom that is no element (X)")
    if min(shares.values()) < SMALLEST_SHARE:
        least = f"{min(shares.values()):.1g}"
        raise DataFormatError(f"'{shown}' has an element whose share is {least}; expected at least {SMALLEST_SHARE:g}")
    return shares
