"""What structure prediction is trained on: batched torch functions, coordinates in Å, one value a chain [...]."""

from protein.losses.confidence import aligned_error_loss, plddt_loss, resolved_loss
from protein.losses.distogram import distogram_loss
from protein.losses.fape import backbone_fape, ca_fape, fape, side_chain_fape
from protein.losses.masked_msa import masked_msa_loss
from protein.losses.secondary import most_probable, secondary_loss
from protein.losses.smooth_lddt import smooth_lddt_loss
from protein.losses.torsion import torsion_loss
from protein.losses.violation import violation_loss

__all__ = [
    "aligned_error_loss",
    "backbone_fape",
    "ca_fape",
    "distogram_loss",
    "fape",
    "masked_msa_loss",
    "most_probable",
    "plddt_loss",
    "resolved_loss",
    "secondary_loss",
    "side_chain_fape",
    "smooth_lddt_loss",
    "torsion_loss",
    "violation_loss",
]
