"""Crystallographic Information Files: text to structures, symmetry applied.

Syntax: CIF 1.1, Hall, Allen & Brown, Acta Cryst. A47, 655 (1991), doi:10.1107/S010876739101067X.
Shapes: S listed sites, O symmetry operations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from common.app.errors import DataFormatError
from materials.data.crystals import FARTHEST_CELL, wrapped

if TYPE_CHECKING:
    from ase import Atoms

Block = dict[str, list[str]]
"""Tag to values: one for a single item, one a row for a loop. Tags are in lower case with '_' for '.', as some
dictionaries write '_atom_site.fract_x'; unknown values ('?', '.') are the empty text."""

MAX_OPERATIONS = 192
"""The largest space groups, face-centred cubic ones, have as many in their conventional cell."""

MAX_IMAGES = 50_000
"""Largest S * O: a bound on time, far above any crystal that the package reads."""

SAME_SITE_A = 0.1
"""Images of a site closer than this are one atom on a special position, given with few digits."""

TOKEN = re.compile(
    r"""^;(?P<text>.*?)(?:\n;|\Z)            # a text field: between lines that begin with a semicolon
      | '(?P<single>[^\n]*?)'(?=\s|\Z)       # a quote ends only before white space: 'a dog's life'
      | "(?P<double>[^\n]*?)"(?=\s|\Z)
      | (?P<unclosed>['"][^\n]*)
      | \#[^\n]*
      | (?P<bare>\S+)""",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
OPERATIONS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
GROUP_NAMES = ("_space_group_name_h-m_alt", "_symmetry_space_group_name_h-m")
GROUP_NUMBERS = ("_space_group_it_number", "_symmetry_int_tables_number")
CELL = tuple(
    f"_cell_{name}" for name in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
)
COORDINATES = tuple(f"_atom_site_fract_{axis}" for axis in "xyz")


def read_cif(text: str) -> list[Atoms]:
    """The structure of each data block that lists atom sites, as the whole cell with all symmetry images.

    Deuterium and tritium become hydrogen. Without listed operations the space group is taken by name, then by
    number, in its first setting unless the name ends in a setting (`:1`, `:2`, `:H`, `:R`).
    Raises DataFormatError for broken syntax, partial occupancy, unknown elements, or a missing cell or coordinate.
    """
    return [_atoms(block) for block in parse_blocks(text) if COORDINATES[0] in block]


def parse_blocks(text: str) -> list[Block]:
    """All data blocks of a file as tables of text."""
    tokens = list(_tokens(text))
    blocks: list[Block] = []
    place = 0
    while place < len(tokens):
        word, bare = tokens[place]
        keyword = word.lower() if bare else ""
        place += 1
        if keyword.startswith("data_"):
            blocks.append({})
        elif not blocks:
            raise DataFormatError(f"found '{word[:40]}' before the first 'data_' line; expected a CIF file")
        elif keyword == "loop_":
            place = _parse_loop(tokens, place, blocks[-1])
        elif keyword.startswith("_"):
            if place == len(tokens) or _is_key(tokens[place]):
                raise DataFormatError(f"{word} has no value")
            blocks[-1].setdefault(keyword.replace(".", "_"), [tokens[place][0]])
            place += 1
        else:
            raise DataFormatError(f"found '{word[:40]}' where a tag, 'loop_' or 'data_' was expected")
    return blocks


def parse_operation(text: str) -> tuple[np.ndarray, np.ndarray]:
    """'-x+1/2, y, x-z' as rotation [3, 3] and translation [3]."""
    rows = re.sub(r"\s", "", text.lower()).split(",")
    rotation, translation = np.zeros((3, 3)), np.zeros(3)
    for row, expression in enumerate(rows[:3]):
        terms = re.findall(r"[+-]?[^+-]+", expression)
        for term in terms:
            match = re.fullmatch(r"([+-]?)(\d+/[1-9]\d*|\d*\.?\d+)?\*?([xyz])?", term)
            if match is None:
                break
            sign, number, axis = match.groups()
            value = float(Fraction(f"{sign}{number or 1}"))
            if axis:
                rotation[row, "xyz".index(axis)] += value
            else:
                translation[row] += value
        else:
            if terms and "".join(terms) == expression:
                continue
        raise DataFormatError(f"'{text[:60]}' is not a symmetry operation; expected something like 'x, -y, z+1/2'")
    if len(rows) != 3 or abs(abs(np.linalg.det(rotation)) - 1) > 1e-6:
        raise DataFormatError(f"'{text[:60]}' is not a symmetry operation: it does not keep volumes")
    return rotation, translation


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    """(value, whether it was bare); comments are left out, bare '?' and '.' are empty."""
    for match in TOKEN.finditer(text.replace("\r\n", "\n").replace("\r", "\n")):
        kind = match.lastgroup
        if kind == "unclosed":
            raise DataFormatError(f"the quotation {match.group()[:40]} is not closed on its line")
        if kind == "bare":
            word = match.group()
            yield ("", False) if word in "?." else (word, True)
        elif kind is not None:
            yield match.group(kind).strip(), False


def _is_key(token: tuple[str, bool]) -> bool:
    word, bare = token
    return bare and word.lower().startswith(("_", "loop_", "data_", "save_", "stop_", "global_"))


def _parse_loop(tokens: list[tuple[str, bool]], place: int, block: Block) -> int:
    tags = []
    while place < len(tokens) and tokens[place][1] and tokens[place][0].startswith("_"):
        tags.append(tokens[place][0].lower().replace(".", "_"))
        place += 1
    start = place
    while place < len(tokens) and not _is_key(tokens[place]):
        place += 1
    values = [word for word, _ in tokens[start:place]]
    if not tags or len(values) % len(tags):
        raise DataFormatError(f"a loop of {len(tags)} columns ({', '.join(tags[:2])}, ...) has {len(values)} values")
    for column, tag in enumerate(tags):
        block.setdefault(tag, values[column :: len(tags)])
    return place


def _atoms(block: Block) -> Atoms:
    from ase import Atoms
    from ase.cell import Cell

    rotations, translations = _operations(block)
    if len(block[COORDINATES[0]]) * len(rotations) > MAX_IMAGES:
        raise DataFormatError(
            f"{len(block[COORDINATES[0]])} sites x {len(rotations)} operations; expected at most {MAX_IMAGES} images"
        )
    parameters = np.array([_numbers(block, tag)[0] for tag in CELL])
    if not (np.all(parameters > 0) and np.all(parameters[3:] < 180)):
        raise DataFormatError(
            f"cell {parameters.tolist()}: expected lengths above 0 Å and angles between 0 and 180 degrees"
        )
    cell = Cell.fromcellpar(parameters)
    sites = np.array([_numbers(block, tag) for tag in COORDINATES]).T
    if not np.all(np.abs(sites) < FARTHEST_CELL):
        raise DataFormatError("has a coordinate that is not finite or absurdly large; expected fractions of the cell")
    elements = _elements(block)
    occupancy = _numbers(block, "_atom_site_occupancy", unknown=1.0) if "_atom_site_occupancy" in block else []
    for site, share in enumerate(occupancy, start=1):
        if not abs(share - 1.0) <= 1e-3:
            raise DataFormatError(
                f"site {site} has occupancy {share:g}: a partly occupied site is not one structure; "
                "make an ordered model of it first"
            )
    numbers, positions = _images(elements, sites, cell.array, rotations, translations)
    return Atoms(numbers, scaled_positions=positions, cell=cell, pbc=True)


def _numbers(block: Block, tag: str, unknown: float | None = None) -> list[float]:
    """Values of a tag without their standard uncertainties: '5.640(2)' is 5.64."""
    if not block.get(tag):
        raise DataFormatError(f"{tag} is missing")
    if tag in COORDINATES and len(block[tag]) != len(block[COORDINATES[0]]):
        raise DataFormatError(f"{tag} has {len(block[tag])} values, {COORDINATES[0]} has {len(block[COORDINATES[0]])}")
    numbers = []
    for word in block[tag]:
        try:
            numbers.append(float(word.split("(")[0]) if word or unknown is None else unknown)
        except ValueError:
            raise DataFormatError(f"{tag} is '{word[:40] or '?'}'; expected a number") from None
    return numbers


def _elements(block: Block) -> list[str]:
    """Symbol of each site, from the type symbol ('Fe3+', any case) or else the label ('Fe12', 'OW1')."""
    from ase.data import atomic_numbers

    for tag, pattern in (("_atom_site_type_symbol", r"[A-Za-z]{1,2}"), ("_atom_site_label", r"[A-Z][a-z]?")):
        if tag in block and len(block[tag]) == len(block[COORDINATES[0]]):
            found = [re.match(pattern, word) for word in block[tag]]
            symbols = [match.group().capitalize() if match else "" for match in found]
            symbols = ["H" if symbol in ("D", "T") else symbol for symbol in symbols]
            unknown = [word for word, symbol in zip(block[tag], symbols, strict=True) if not atomic_numbers.get(symbol)]
            if unknown:
                raise DataFormatError(f"{tag} '{unknown[0][:20] or '?'}' names no element")
            return symbols
    raise DataFormatError("the sites have neither _atom_site_type_symbol nor _atom_site_label")


def _operations(block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Rotations [O, 3, 3] and translations [O, 3]."""
    listed = next((block[tag] for tag in OPERATIONS if block.get(tag)), None)
    if listed and len(listed) > MAX_OPERATIONS:
        raise DataFormatError(f"lists {len(listed)} symmetry operations; no space group has more than {MAX_OPERATIONS}")
    if listed:
        parsed = [parse_operation(text) for text in listed]
        return np.array([rotation for rotation, _ in parsed]), np.array([translation for _, translation in parsed])
    name, _, setting = next((block[tag][0] for tag in GROUP_NAMES if block.get(tag)), "").partition(":")
    number = next((block[tag][0] for tag in GROUP_NUMBERS if block.get(tag)), "")
    if not name and not number:
        return np.eye(3)[None], np.zeros((1, 3))
    from ase.spacegroup import Spacegroup  # imports much of scipy: not where a file lists its operations

    try:
        group = Spacegroup(name.strip() or int(number), 2 if setting.strip().upper() in ("2", "R") else 1)
    except Exception as error:
        raise DataFormatError(
            f"space group '{name or number}' is unknown ({error}); list its operations under {OPERATIONS[0]}"
        ) from error
    rotations, translations = zip(*group.get_symop(), strict=True)
    return np.array(rotations, float), np.array(translations, float)


def _images(
    elements: list[str], sites: np.ndarray, cell: np.ndarray, rotations: np.ndarray, translations: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Atomic numbers and fractional coordinates of all atoms of the cell."""
    from ase.data import atomic_numbers

    numbers = np.array([atomic_numbers[symbol] for symbol in elements])
    if len(rotations) == 1:
        return numbers, wrapped(sites @ rotations[0].T + translations[0])

    def apart(points: np.ndarray, others: np.ndarray) -> np.ndarray:
        step = points[:, None] - others
        return np.linalg.norm((step - np.rint(step)) @ cell, axis=-1) > SAME_SITE_A

    found_numbers, found = np.zeros(0, int), np.zeros((0, 3))
    for number, site in zip(numbers, sites, strict=True):
        orbit = wrapped(rotations @ site + translations)
        # A file may list symmetry images of a site as sites of their own.
        if not apart(orbit[:1], found[found_numbers == number]).all():
            continue
        repeats = ~apart(orbit, orbit)
        new = orbit[~np.tril(repeats, -1).any(axis=1)]
        found = np.concatenate([found, new])
        found_numbers = np.concatenate([found_numbers, np.full(len(new), number)])
    return found_numbers, found
