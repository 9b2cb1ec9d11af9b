"""What a structure predictor's network is outside this package: types of residues in, atoms and confidence out.

Shapes: B chains, N residues, K bins of distance.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from common.app.errors import ConfigError
from common.export import Example, Exportable, Input, Output
from protein.data.states import STATES
from protein.model_inputs import Query, language_width, padded, run, takes_alignments
from protein.models.fold import Fold
from protein.models.fold_output import FoldOutput
from protein.predictor import StructurePredictor

EXAMPLES = (
    ("MKTAYIAKQRQISFVKSHFSR", "GSHMSEQNNTEMTFQIQ", "ACDEFGHIKLMNPQ"),
    ("MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQ",),
)  # fmt: skip


class Folder(nn.Module):
    """A folder of one sequence, with a fixed number of cycles."""

    def __init__(self, model: Fold, cycles: int) -> None:
        super().__init__()
        self.model, self.cycles = model, cycles

    def forward(self, types: Tensor, mask: Tensor, place: Tensor) -> tuple[Tensor, ...]:
        return tuple(read(self.model(types, mask, place, cycles=self.cycles)).values())


def read(output: FoldOutput) -> dict[str, Tensor]:
    """What is exported of an output."""
    assert output.secondary is not None
    return {
        "atoms": output.structure.atom14, "plddt": output.plddt(), "pae": output.pae(), "ptm": output.ptm(),
        "distances": output.distogram.softmax(-1), "secondary": output.secondary.softmax(-1),
    }  # fmt: skip


def exportable(name: str | Path, device: str = "cpu") -> tuple[Exportable, dict[str, Any]]:
    """A folder, ready for `common.export.export`, and its card.

    Raises ConfigError for one that takes alignments or a language model's states.
    """
    predictor = StructurePredictor.from_pretrained(name, device)
    return exportable_folder(predictor), predictor.card


def exportable_folder(predictor: StructurePredictor) -> Exportable:
    """The network before relaxation."""
    model = predictor.model
    if not isinstance(model, Fold) or takes_alignments(model) or language_width(model):
        raise ConfigError(
            f"{predictor.card['name']} ({predictor.card['architecture']}) cannot be exported: only models of the "
            "architecture fold that take neither alignments nor a language model's states can"
        )
    inputs = {
        "types": Input(("chains", "residues"), "0-19 in the order ARNDCQEGHILKMFPSTWYV, 20 unknown and padding"),
        "mask": Input(("chains", "residues"), "false for padding, which stands at the end"),
        "place": Input(("chains", "residues"), "in the molecule: 0, 1, ... without the residues left out"),
    }
    outputs = {
        "atoms": Output("[chain, residue, atom, 3] angstrom, the 14 places of AlphaFold 2; not relaxed"),
        "plddt": Output("[chain, residue] 0-100", 100.0),
        "pae": Output("[chain, residue, residue] angstrom: error of the second seen from the first"),
        "ptm": Output("[chain] 0-1"),
        "distances": Output("[chain, residue, residue, bin] probability"),
        "secondary": Output(f"[chain, residue, state] probability of {''.join(STATES)}"),
    }
    examples = [_example(model, many, predictor.cycles) for many in EXAMPLES]
    return Exportable(Folder(model, predictor.cycles), inputs, outputs, examples)


@torch.no_grad()
def _example(model: Fold, sequences: tuple[str, ...], cycles: int) -> Example:
    queries = [Query(f"example_{number}", sequence) for number, sequence in enumerate(sequences)]
    device = next(model.parameters()).device
    types, mask, place = (value.to(device) for value in padded(queries))
    inputs = {"types": types, "mask": mask, "place": place}
    return Example(inputs, read(run(model, queries, cycles, None)))
