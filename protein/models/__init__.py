"""Architectures, one a file; `MODELS` names them."""

from common.app.registry import Registry

MODELS = Registry(
    "model",
    {
        "fold": "protein.models.fold:Fold",
        "esmfold": "protein.models.esmfold:ESMFold",
        "alphafold": "protein.models.alphafold:AlphaFold",
    },
)
