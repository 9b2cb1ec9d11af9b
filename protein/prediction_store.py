"""A folder of predictions that grows, and can be killed at any time.

<name>.pdb, <name>.cif   structures, pLDDT in the B-factor column
<name>.npz               sequence, secondary, plddt, contacts, pae, distogram with distogram_edges_a
progress.jsonl           what the run was asked for, then a line for every prediction whose files are whole
summary.csv              the same as a table, in the order of the input; rejected.csv beside it

A file appears under its name when it is whole; a line is written after its files.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from filelock import FileLock, Timeout

from common.app.errors import ConfigError, DataFormatError
from protein.data.read import read_chain
from protein.losses.distogram import edges
from protein.prediction import Prediction

JOURNAL = "progress.jsonl"
SUFFIXES = {"pdb": ".pdb", "mmcif": ".cif"}
TEMPORARY = ".*.tmp"

Format = Literal["pdb", "mmcif", "both"]


@dataclass(frozen=True)
class Record:
    """A finished prediction. `name` is that of its files, `files` their names by kind."""

    id: str
    name: str
    sequence: str
    mean_plddt: float
    ptm: float | None
    changes: list[str]
    files: dict[str, str]


class PredictionStore:
    """`write` predictions, then `finish`; goes on where an earlier run with the same settings was stopped.

    Raises ConfigError where another process writes there, or predictions made with other settings lie there.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], format: Format = "both") -> None:
        self.folder = folder
        self.kinds = ("pdb", "mmcif") if format == "both" else (format,)
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / f".{JOURNAL}.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ConfigError(f"output={folder}: another process is writing there; choose another folder") from None
        for leftover in folder.glob(TEMPORARY):
            leftover.unlink()
        self.records = {record.name: record for record in self._continued(dict(settings))}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def finished(self, name: str, sequence: str) -> Record | None:
        """The record of that sequence under that name, if its files are there."""
        record = self.records.get(name)
        if record is None or record.sequence != sequence:
            return None
        return record if all((self.folder / file).is_file() for file in record.files.values()) else None

    def write(self, name: str, prediction: Prediction) -> Record:
        """Write the files of a prediction, then note that they are whole."""
        files = {kind: f"{name}{SUFFIXES[kind]}" for kind in self.kinds} | {"npz": f"{name}.npz"}
        for kind in self.kinds:
            write = prediction.to_pdb if kind == "pdb" else prediction.to_mmcif
            write(self.folder / files[kind])
        self._write_arrays(self.folder / files["npz"], prediction)
        record = Record(
            prediction.id, name, prediction.sequence, round(prediction.mean_plddt, 2),
            None if prediction.ptm is None else round(prediction.ptm, 4), list(prediction.changes), files,
        )  # fmt: skip
        self._append(asdict(record))
        self.records[name] = record
        return record

    def read(self, record: Record) -> Prediction:
        """A prediction as its files hold it; raises DataFormatError where they are damaged."""
        try:
            with np.load(self.folder / record.files["npz"], allow_pickle=False) as content:
                arrays = {name: content[name] for name in content.files}
            secondary, plddt, contacts = (arrays[name] for name in ("secondary", "plddt", "contacts"))
        except (OSError, ValueError, KeyError) as error:
            raise DataFormatError(f"{self.folder / record.files['npz']} is damaged ({error}); remove it") from error
        structure = next(record.files[kind] for kind in SUFFIXES if kind in record.files)
        pae = arrays.get("pae")
        return Prediction(
            record.id, record.sequence, read_chain(self.folder / structure).atom37, plddt,
            contacts.astype(np.float32), str(secondary), None if pae is None else pae.astype(np.float32), record.ptm,
            arrays.get("distogram"), tuple(record.changes),
        )  # fmt: skip

    def finish(self, records: Iterable[Record], rejected: Sequence[tuple[str, str]]) -> None:
        """summary.csv of the given records, and rejected.csv."""
        kinds = (*self.kinds, "npz")
        rows = (
            [one.id, len(one.sequence), one.mean_plddt, "" if one.ptm is None else one.ptm,
             *(one.files[kind] for kind in kinds), "; ".join(one.changes)]
            for one in records
        )  # fmt: skip
        self._write_table("summary.csv", ["id", "length", "mean_plddt", "ptm", *kinds, "changes"], rows)
        self._write_table("rejected.csv", ["input", "reason"], rejected)

    def _continued(self, settings: dict[str, Any]) -> Iterator[Record]:
        path = self.folder / JOURNAL
        lines = path.read_bytes().split(b"\n") if path.is_file() else [b""]
        if lines[-1]:  # the last line was not finished
            os.truncate(path, path.stat().st_size - len(lines[-1]))
        if len(lines) == 1:
            self._append(settings)
            return
        try:
            before, *records = (json.loads(line) for line in lines[:-1])
            found = [Record(**record) for record in records]
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{path} is damaged ({error}); remove it, and all is predicted again") from error
        if before != settings:
            other = ", ".join(f"{key}={before.get(key)}" for key in settings if before.get(key) != settings[key])
            raise ConfigError(
                f"output={self.folder} holds predictions of {other or 'other settings'}; run that again to go on with "
                "them, or choose another folder"
            )
        yield from found

    def _append(self, line: Mapping[str, Any]) -> None:
        with (self.folder / JOURNAL).open("a") as stream:
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def _write_arrays(self, path: Path, prediction: Prediction) -> None:
        arrays: dict[str, Any] = {
            "sequence": prediction.sequence, "secondary": prediction.secondary, "plddt": prediction.plddt,
            "contacts": prediction.contacts.astype(np.float16),
        }  # fmt: skip
        if prediction.pae is not None:
            arrays["pae"] = prediction.pae.astype(np.float16)
        if prediction.distogram is not None:
            arrays["distogram"] = prediction.distogram
            arrays["distogram_edges_a"] = edges(prediction.distogram.shape[-1]).numpy()
        temporary = path.with_name(f".{path.name}.tmp")
        with temporary.open("wb") as stream:
            np.savez_compressed(stream, **arrays)
        temporary.replace(path)

    def _write_table(self, name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        temporary = self.folder / f".{name}.tmp"
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
        temporary.replace(self.folder / name)
