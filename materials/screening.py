"""Many structures through one predictor: `trifold materials predict`."""

from __future__ import annotations

import csv
from pathlib import Path

from rich.console import Console
from rich.progress import track

from common.app.errors import ConfigError
from materials.config import PredictConfig
from materials.predictor import CHUNK, PropertyPredictor

NOTHING_PREDICTED = 3


def predict(config: PredictConfig) -> int:
    """Write one row an input to predictions.csv and each refused input with its reason to rejected.csv.

    Returns the exit status: 0 when something was predicted, else 3.
    """
    files = input_files(Path(config.input))
    predictor = PropertyPredictor.from_pretrained(config.model, config.device)
    table, rejected = _output_files(Path(config.output))
    table.parent.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    predicted, refused = 0, 0
    frames = predictor.predict_stream(((file, file) for file in files), config.budget)
    with table.open("w", newline="") as rows, rejected.open("w", newline="") as reasons:
        writer = csv.writer(reasons)
        writer.writerow(["input", "reason"])
        pieces = track(
            frames, "predicting", total=-(-len(files) // CHUNK), console=console, disable=not console.is_terminal
        )
        for number, frame in enumerate(pieces):
            frame.to_csv(rows, index=False, header=number == 0)
            bad = frame[frame["error"] != ""]
            writer.writerows(zip(bad["id"], bad["error"], strict=True))
            predicted, refused = predicted + len(frame) - len(bad), refused + len(bad)
    print(f"{predicted} predicted -> {table}")
    if refused:
        print(f"{refused} rejected, with reasons -> {rejected}")
    return 0 if predicted else NOTHING_PREDICTED


def input_files(path: Path) -> list[str]:
    """The file itself, or all files under a folder, in order of name; hidden ones are left out."""
    if path.is_file():
        return [str(path)]
    if not path.is_dir():
        raise ConfigError(f"input={path}: no such file or folder")
    files = sorted(str(file) for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    if not files:
        raise ConfigError(f"input={path}: the folder holds no files")
    return files


def _output_files(output: Path) -> tuple[Path, Path]:
    table = output if output.suffix == ".csv" else output / "predictions.csv"
    return table, table.with_name("rejected.csv")
