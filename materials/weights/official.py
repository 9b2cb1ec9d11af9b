"""Reading official checkpoints without running anything that is in them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from common.app.errors import CheckpointError


def read_state(path: Path) -> dict[str, Any]:
    """The content of a torch.save file that holds a dictionary of tensors, numbers, text and containers.

    Raises CheckpointError for a file that is missing, damaged, or holds anything else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except Exception as error:  # the unpickler raises whatever a damaged or hostile file makes it raise
        raise CheckpointError(f"{path} cannot be read without running code from it: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds {type(content).__name__}, expected a dictionary of weights")
    return content
