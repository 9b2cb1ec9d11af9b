"""From a configuration's data section to frames."""

from __future__ import annotations

import numpy as np
from ase.data import atomic_numbers

from common.app.errors import ConfigError
from materials.data.frames import Frames
from materials.data.mlip import load, reference_energies, split_frames
from materials.data.read_frames import read_frames
from materials.potential_config import FrameData, OwnFrames


def load_frames(config: FrameData, split: str, offline: bool = False) -> Frames:
    """The train or val frames of a data set, or of the user's own files."""
    frames = _own(config, split) if isinstance(config, OwnFrames) else load(config.name, split, offline)
    limit = {"train": config.train_limit, "val": config.val_limit}[split]
    return frames.subset(np.arange(len(frames))[:limit])


def isolated_energies(config: FrameData) -> dict[int, float]:
    """Energies of isolated atoms in eV by atomic number; empty where they are unknown."""
    if not isinstance(config, OwnFrames):
        return reference_energies(config.name)
    if unknown := sorted(config.isolated_ev.keys() - atomic_numbers.keys()):
        raise ConfigError(f"data.isolated_ev names {', '.join(unknown)}; expected symbols of elements")
    return {atomic_numbers[symbol]: energy for symbol, energy in config.isolated_ev.items()}


def _own(config: OwnFrames, split: str) -> Frames:
    if split == "val" and config.val_path:
        return read_frames(config.val_path)
    frames = read_frames(config.path)
    return frames if config.val_path else frames.subset(split_frames(frames, config.split_seed)[split])
