"""From what users have to what a model takes, input by input, so that a bad one costs only its own row.

Needs no model: many processes can do it while one computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from common.app.errors import DataFormatError
from materials.substances import Substance


@dataclass(frozen=True)
class Prepared:
    """N inputs, of which some can be predicted.

    ids     [N] what a row of results calls its input
    errors  [N] why an input is refused, "" where it is not
    graphs  of the inputs that are not refused, in order; None where there are none
    """

    ids: list[str]
    errors: list[str]
    graphs: Any

    @property
    def usable(self) -> np.ndarray:
        """Rows that `graphs` holds, int64."""
        return np.array([row for row, error in enumerate(self.errors) if not error], np.int64)


def prepare(inputs: Sequence[tuple[str, Any]], substance: Substance, card: Mapping[str, Any]) -> Prepared:
    """Read (id, source) pairs and build the graphs of those that the model behind `card` can be asked about."""
    records, errors = [], []
    for _, source in inputs:
        try:
            if isinstance(source, DataFormatError):  # of a row of a file in which there was nothing to read
                raise source
            record = substance.read(source)
            refuse_unknown_elements(substance.numbers(record), card)
        except DataFormatError as error:
            errors.append(str(error))
        else:
            records.append(record)
            errors.append("")
    graphs = substance.graphs_of(records, card["input"]) if records else None
    return Prepared([name for name, _ in inputs], errors, graphs)


def refuse_unknown_elements(numbers: np.ndarray, card: Mapping[str, Any]) -> None:
    """Raise DataFormatError for elements that the training data did not hold."""
    unknown = sorted(set(numbers.tolist()) - set(card["elements"]))
    if unknown:
        symbols = ", ".join(chemical_symbols[z] if z else "*" for z in unknown)
        raise DataFormatError(f"holds {symbols}, which the training data of '{card['name']}' did not")
