"""Where a run's numbers go: metrics.jsonl always, TensorBoard and Weights & Biases when asked for."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.app.errors import ConfigError
from common.training.run_directory import RunDirectory


class Records:
    """Writes each record on rank 0; other ranks hold a silent one (`run=None`)."""

    def __init__(self, run: RunDirectory | None, loggers: tuple[str, ...] = ()) -> None:
        self._stream = run.metrics.open("a", buffering=1) if run else None
        self._loggers = [_LOGGERS[name](run.path) for name in loggers] if run else []

    def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        if self._stream is None:
            return
        self._stream.write(json.dumps({"step": step, "split": split, **values}) + "\n")
        for logger in self._loggers:
            logger.write(step, split, values)

    def close(self) -> None:
        if self._stream:
            self._stream.close()
        for logger in self._loggers:
            logger.close()


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        self._writer = _import("torch.utils.tensorboard", "tensorboard").SummaryWriter(str(folder / "tensorboard"))

    def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{split}/{name}", value, step)

    def close(self) -> None:
        self._writer.close()


class _WandB:
    def __init__(self, folder: Path) -> None:
        self._run = _import("wandb", "wandb").init(project="trifold", dir=str(folder), name=folder.name)

    def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        self._run.log({f"{split}/{name}": value for name, value in values.items()}, step=step)

    def close(self) -> None:
        self._run.finish()


_LOGGERS = {"tensorboard": _TensorBoard, "wandb": _WandB}


def _import(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"trainer.loggers names {extra}, which is not installed; run: pip install 'trifold[{extra}]'"
        ) from error
