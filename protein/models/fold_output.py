"""What every structure predictor here returns.  Shapes: B batch, N residues, K bins."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from protein.losses.confidence import expected_aligned_error, plddt, predicted_tm
from protein.models.structure_module import Structure


@dataclass(frozen=True)
class FoldOutput:
    """Structure, representations and logits of the heads; None where a model lacks a head.

    structure       see `Structure`
    single          [B, N, S], as it entered the structure module
    pair            [B, N, N, C]
    mask            [B, N] bool, residues that are no padding
    lddt            [B, N, K] of the C-alpha, or [B, N, 37, K] of every atom
    distogram       [B, N, N, K] symmetric
    aligned_error   [B, N, N, K]
    resolved        [B, N, 37], whether an experiment would show the atom
    language        residue types, masked ones too: [B, S, N, 23] of an alignment, [B, N, 23] of one sequence
    secondary       [B, N, 8] secondary structure
    """

    structure: Structure
    single: Tensor
    pair: Tensor
    mask: Tensor
    lddt: Tensor
    distogram: Tensor
    aligned_error: Tensor | None = None
    resolved: Tensor | None = None
    language: Tensor | None = None
    secondary: Tensor | None = None

    def plddt(self) -> Tensor:
        """Expected lDDT in 0-100: [B, N] of the C-alpha, or [B, N, 37] of every atom."""
        return plddt(self.lddt)

    def pae(self) -> Tensor:
        """Expected error of residue j seen from residue i [B, N, N] in Å, where the model has that head."""
        return expected_aligned_error(self._error_logits())

    def ptm(self) -> Tensor:
        """Expected TM-score [B] in 0-1, where the model has that head."""
        return predicted_tm(self._error_logits(), self.mask)

    def _error_logits(self) -> Tensor:
        if self.aligned_error is None:
            raise ValueError("this model has no head for aligned errors: it predicts neither PAE nor pTM")
        return self.aligned_error
