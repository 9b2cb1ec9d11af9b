"""A folder of predictions that grows, and can be killed at any time.

<name>.pdb, <name>.cif   structures, pLDDT in the B-factor column
<name>.npz               sequence, secondary, plddt, contacts, pae, distogram with distogram_edges_a
progress.jsonl           what the run was asked for, then a line for every prediction whose files are whole, and for
                         every sequence that was refused; each shard of a run writes a file of its own
summary.csv              the same as a table, in the order of the input; rejected.csv beside it

A file appears under its name when it is whole; a line is written after its files.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from filelock import FileLock, Timeout

from common.app.errors import ConfigError, DataFormatError
from common.data.shard import WHOLE, Shard
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
    """`write` or `refuse`, then `finish`; goes on where an earlier run with the same settings was stopped.

    shard  which of the processes this is that write there together

    Raises ConfigError where another process writes as that shard, or predictions made with other settings lie there.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], format: Format = "both", shard: Shard = WHOLE
    ) -> None:
        self.folder = folder
        self.journal = folder / (JOURNAL if shard == WHOLE else f"progress.{shard.name}.jsonl")
        self.kinds = ("pdb", "mmcif") if format == "both" else (format,)
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / f".{self.journal.name}.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ConfigError(f"output={folder}: another process is writing there; choose another folder") from None
        self.settings = json.loads(json.dumps(dict(settings)))
        self.records: dict[str, Record] = {}
        self.refused: dict[str, str] = {}
        self._begin()

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

    def refuse(self, name: str, reason: str) -> None:
        """Note why there is no prediction under that name."""
        self._append({"refused": name, "reason": reason})
        self.refused[name] = reason

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
        """summary.csv of the given records, and rejected.csv; what was left half-written is removed."""
        for leftover in self.folder.glob(TEMPORARY):
            leftover.unlink()
        kinds = (*self.kinds, "npz")
        rows = (
            [one.id, len(one.sequence), one.mean_plddt, "" if one.ptm is None else one.ptm,
             *(one.files[kind] for kind in kinds), "; ".join(one.changes)]
            for one in records
        )  # fmt: skip
        self._write_table("summary.csv", ["id", "length", "mean_plddt", "ptm", *kinds, "changes"], rows)
        self._write_table("rejected.csv", ["input", "reason"], rejected)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Inside this context no other shard is, and what all of them have written is known."""
        with FileLock(self.folder / f".{JOURNAL}.all.lock"):
            self._read_journals()
            yield

    def _begin(self) -> None:
        lines = self.journal.read_bytes().split(b"\n") if self.journal.is_file() else [b""]
        if lines[-1]:  # the last line was not finished
            os.truncate(self.journal, self.journal.stat().st_size - len(lines[-1]))
        self._read_journals()
        if len(lines) == 1:
            self._append(self.settings)

    def _read_journals(self) -> None:
        for path in sorted(self.folder.glob("progress*.jsonl")):
            lines = path.read_bytes().split(b"\n")[:-1]  # of the last one its writer may have written a part
            try:
                before, *entries = (json.loads(line) for line in lines or [json.dumps(self.settings)])
                self.refused |= {entry["refused"]: entry["reason"] for entry in entries if "refused" in entry}
                found = (Record(**entry) for entry in entries if "refused" not in entry)
                self.records |= {record.name: record for record in found}
            except (ValueError, TypeError, KeyError) as error:
                raise ConfigError(f"{path} is damaged ({error}); remove it, and all is predicted again") from error
            self._require_settings(before)

    def _require_settings(self, before: Mapping[str, Any]) -> None:
        if before != self.settings:
            other = [key for key in self.settings if before.get(key) != self.settings[key]]
            held = ", ".join(f"{key}={before.get(key)}" for key in other) or "other settings"
            raise ConfigError(
                f"output={self.folder} holds predictions of {held}; run that again to go on with them, or choose "
                "another folder"
            )

    def _append(self, line: Mapping[str, Any]) -> None:
        with self.journal.open("a") as stream:
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
