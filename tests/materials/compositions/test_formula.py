"""Formulas: exact shares, whatever the order, scale and brackets; typed errors that say where."""

from fractions import Fraction

import pytest
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from ase.formula import Formula
from hypothesis import given, settings
from hypothesis import strategies as st

from common.app.errors import DataFormatError
from materials.data.compositions import Compositions
from materials.data.formula import SMALLEST_SHARE, read_composition

symbols = st.sampled_from(chemical_symbols[1:])
amounts = st.integers(1, 999)
contents = st.dictionaries(symbols, amounts, min_size=1, max_size=12)


def expected(content: dict[str, int | Fraction]) -> dict[int, float]:
    total = sum(map(Fraction, content.values()))
    return {atomic_numbers[symbol]: float(Fraction(content[symbol]) / total) for symbol in content}


def nested() -> st.SearchStrategy[str]:
    """Formulas with brackets in brackets."""
    leaf = st.builds(lambda symbol, n: f"{symbol}{n if n > 1 else ''}", symbols, st.integers(1, 20))

    def bracket(parts: list[str], n: int) -> str:
        return f"({''.join(parts)}){n}"

    return st.recursive(
        leaf,
        lambda inner: st.builds(bracket, st.lists(inner, min_size=1, max_size=3), st.integers(1, 9)),
        max_leaves=12,
    )


@given(contents, st.permutations(range(12)), st.integers(1, 500))
def test_shares_are_exact_in_any_order_and_scale(content: dict[str, int], order: list[int], scale: int) -> None:
    shuffled = [list(content.items())[place] for place in order if place < len(content)]
    shares = read_composition("".join(f"{symbol}{n}" for symbol, n in shuffled))
    assert shares == expected(content) and list(shares) == sorted(shares)
    assert read_composition(" ".join(f"{symbol}{n * scale}" for symbol, n in content.items())) == shares
    decimal = "".join(f"{symbol}{n // 1000}.{n % 1000:03d}" for symbol, n in content.items())
    assert read_composition(decimal) == shares
    assert read_composition({symbol: n * scale for symbol, n in content.items()}) == shares


@given(st.lists(nested(), min_size=1, max_size=4))
def test_brackets_count_as_ase_counts_them(parts: list[str]) -> None:
    formula = "".join(parts)
    shares = read_composition(formula)
    assert shares == expected(Formula(formula).count())
    assert read_composition(formula.replace("(", "[").replace(")", "]")) == shares
    assert read_composition(f"{{{formula}}}7") == shares


@given(contents)
def test_a_written_formula_is_read_again(content: dict[str, int]) -> None:
    compositions = Compositions.of([content], ["one"])
    again = read_composition(compositions.formula(0))
    assert again.keys() == expected(content).keys()
    assert again == pytest.approx(expected(content), rel=2e-5, abs=2e-6)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("Fe2O3", {"Fe": 2, "O": 3}),
        ("Fe₂O₃", {"Fe": 2, "O": 3}),
        ("Li(Ni0.5Mn0.5)O2", {"Li": 2, "Ni": 1, "Mn": 1, "O": 4}),
        ("Ag(W3Br7)2", {"Ag": 1, "W": 6, "Br": 14}),
        ("[Co(NH3)6]Cl3", {"Co": 1, "N": 6, "H": 18, "Cl": 3}),
        ("CuSO4·5H2O", {"Cu": 1, "S": 1, "O": 9, "H": 10}),
        ("0.5H2O * NaCl", {"H": 2, "O": 1, "Na": 2, "Cl": 2}),
        (" K6 S6\n", {"K": 1, "S": 1}),
        ("Fe.5C5e-1", {"Fe": 1, "C": 1}),
        ("CO", {"C": 1, "O": 1}),
        ("Co", {"Co": 1}),
        ("Fe1Cu0", {"Fe": 1}),
        ("CH3CH2OH", {"C": 2, "H": 6, "O": 1}),
    ],
)
def test_known_formulas(text: str, content: dict[str, int]) -> None:
    assert read_composition(text) == expected(content)


def test_atoms_and_objects_like_pymatgens() -> None:
    class Element:
        symbol = "Fe"

    class Structure:
        composition = {Element(): 2.0, "O": 3}  # noqa: RUF012

    assert read_composition(Structure()) == read_composition(Atoms("Fe4O6")) == read_composition("Fe2O3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no element"),
        ("Fe(O2", "'\\(' at character 3 is never closed"),
        ("Fe(O]2", "'\\]' at character 5, expected '\\)'"),
        ("FeO)", "'\\)' at character 4, expected no closing"),
        ("Fe()2", "ends at character 4 is empty"),
        ("FeXq2", "'Xq' is no element at character 3"),
        ("Fe3+", "'\\+' at character 4"),
        ("fe2o3", "'f' at character 1"),
        ("Fe2 3", "nothing that 3 at character 5"),
        ("Fe1..2", "at character 3"),
        ("Fe·", "no element at character 4"),
        ("·Fe", "no element before character 1"),
        ("Fe0", "holds no atoms"),
        ("X2", "'X' is no element"),
        (f"FeC{SMALLEST_SHARE / 2:.20f}", "share is 5e-10"),
        ("(" * 1500 + "Fe" + ")" * 1500, "3,002 characters"),
    ],
)
def test_bad_formulas_say_what_and_where(text: str, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        read_composition(text)


@pytest.mark.parametrize(
    "source", [3, None, b"Fe", ["Fe"], {}, {"Fe": -1}, {"Fe": float("nan")}, {"Fe": "x"}, {"Q": 1}, {1: 1}, Atoms("X")]
)
def test_other_bad_sources(source: object) -> None:
    with pytest.raises(DataFormatError):
        read_composition(source)


@settings(max_examples=300)
@given(st.text(max_size=30) | st.text("FeOC()[]{}0123456789.·* eE+-", max_size=40))
def test_any_text_gives_shares_or_a_typed_error(text: str) -> None:
    try:
        shares = read_composition(text)
    except DataFormatError:
        return
    assert abs(sum(shares.values()) - 1) < 1e-12 and min(shares.values()) >= SMALLEST_SHARE


def test_the_longest_powers_stay_harmless() -> None:
    with pytest.raises(DataFormatError, match="share"):
        read_composition("(" * 300 + "Fe" + ")1e99" * 300 + "O")
