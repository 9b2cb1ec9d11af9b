"""`trifold protein predict`: any number of sequences, batched by length, gone on with after an interruption."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from common.app.errors import ConfigError, DataFormatError, NumericalError
from common.data.shard import Shard
from common.training.progress import ProgressReport
from protein.batching import Batch, Size
from protein.config import PredictConfig
from protein.data.read import COMPRESSED
from protein.data.sequence import read_fasta
from protein.model_inputs import Query
from protein.prediction import Prediction
from protein.prediction_report import write_reports
from protein.prediction_store import PredictionStore
from protein.predictor import StructurePredictor, refusal

NOTHING_PREDICTED = 3
"""Exit status where not one sequence could be predicted."""

FASTA = (".fasta", ".fa", ".faa", ".fas")
ALIGNMENTS = (".a3m", ".sto", ".stockholm")
LONGEST_NAME = 100

Rejected = list[tuple[str, str]]


class Job(NamedTuple):
    """A sequence, the name of its files, its alignment, and what its memory depends on."""

    name: str
    query: Query
    msa: Path | None
    size: Size


def predict(config: PredictConfig) -> int:
    """Write structures, arrays, summary.csv, rejected.csv and report.html; returns the exit status.

    Of several processes each takes its shard of the sequences; the last to end writes tables and report.
    """
    shard = Shard.of(config.shard)
    predictor = StructurePredictor.from_pretrained(config.model, config.device, config.dtype, config.offline)
    if config.msa_dir:
        predictor.require_alignments()
    if config.triton:
        predictor.use_triton()
    rejected: Rejected = []
    jobs = list(_jobs(config, predictor, rejected))
    asked = config.model_dump(include={"model", "msa_dir", "format", "distogram", "cycles", "fit", "relax", "dtype"})
    asked["training"] = predictor.card.get("training")
    with PredictionStore(Path(config.output), asked, config.format, shard) as store:
        _predict_all(predictor, _share(jobs, shard), store, config)
        with store.together():
            finished = {job.name: store.finished(job.name, job.query.sequence) for job in jobs}
            missing = [job for job in jobs if finished[job.name] is None]
            if any(job.name not in store.refused for job in missing):
                print(f"shard {shard}: done; the last to end completes {store.folder}")
                return 0
            records = [record for record in finished.values() if record]
            rejected += [(job.query.id, store.refused[job.name]) for job in missing]
            store.finish(records, rejected)
            report = write_reports(store, records, rejected, str(predictor.card["name"]), config.draw)
    print(f"{len(records)} predicted -> {store.folder / 'summary.csv'}; report: {report}")
    if rejected:
        print(f"{len(rejected)} rejected, with reasons -> {store.folder / 'rejected.csv'}")
    return 0 if records else NOTHING_PREDICTED


def _share(jobs: Sequence[Job], shard: Shard) -> list[Job]:
    """Of each length about as many for every shard, whatever memory each has: batches are its own affair."""
    by_length = sorted(range(len(jobs)), key=lambda number: jobs[number].size.residues)
    return [jobs[number] for number in sorted(by_length[place] for place in shard.of_range(len(jobs)))]


def _predict_all(
    predictor: StructurePredictor, jobs: Sequence[Job], store: PredictionStore, config: PredictConfig
) -> None:
    """Predict the jobs that the store does not hold yet.

    Batches depend on nothing but the input and are computed whole, so that a run that was interrupted gives the same
    numbers as one that was not, to the last digit.
    """
    done = [store.finished(job.name, job.query.sequence) is not None for job in jobs]
    planned, refused = predictor.plan([job.size for job in jobs], config.memory_gb)
    alone = [batch.members[0] for batch in refused]
    for number, batch in zip(alone, refused, strict=True):
        if not done[number]:
            store.refuse(jobs[number].name, refusal(batch))
    left = [batch for batch in planned if not all(done[number] for number in batch.members)]
    print(_plan_text(jobs, sum(done), left))
    report = ProgressReport(len(jobs), sum(done), str(predictor.card["name"]), silent=False)
    try:
        for batch in left:
            members = [jobs[number] for number in batch.members]
            known = {jobs[number].name for number in batch.members if done[number]}
            for job, found in _predicted(predictor, members, batch.plan.chunk, config):
                if job.name not in known:
                    _keep(store, job, found)
            report.advance(len(members) - len(known))
    finally:
        report.close()


def _keep(store: PredictionStore, job: Job, found: Prediction | str) -> None:
    """Write a prediction, or note why there is none."""
    try:
        store.refuse(job.name, found) if isinstance(found, str) else store.write(job.name, found)
    except DataFormatError as error:  # coordinates that a PDB file has no room for
        store.refuse(job.name, str(error))


def _predicted(
    predictor: StructurePredictor, jobs: Sequence[Job], chunk: int, config: PredictConfig
) -> Iterator[tuple[Job, Prediction | str]]:
    """Each job with its prediction or why there is none; one that fails does not take its batch with it."""
    try:
        queries = [job.query if job.msa is None else _aligned(predictor, job) for job in jobs]
        found = predictor.predict_batch(queries, chunk, config.cycles, config.distogram, config.fit, config.relax)
    except (DataFormatError, NumericalError, torch.OutOfMemoryError, MemoryError) as error:
        if len(jobs) == 1:
            yield jobs[0], f"not enough memory: {error}" if isinstance(error, RuntimeError) else str(error)
            return
        for job in jobs:
            yield from _predicted(predictor, [job], chunk, config)
        return
    yield from zip(jobs, found, strict=True)


def _jobs(config: PredictConfig, predictor: StructurePredictor, rejected: Rejected) -> Iterator[Job]:
    names: dict[str, int] = {}
    for name, text in _records(Path(config.input), rejected):
        stem = _file_name(name, names)
        try:
            msa = _alignment_path(Path(config.msa_dir), name, stem) if config.msa_dir else None
            # Alignments are read again when their turn comes: all of them at once might not fit into memory.
            query = predictor.query(text, name, msa)
            yield Job(stem, query._replace(alignment=None), msa, predictor.size(query))
        except DataFormatError as error:
            rejected.append((name, str(error)))


def _aligned(predictor: StructurePredictor, job: Job) -> Query:
    return predictor.query(job.query.sequence, job.query.id, job.msa)._replace(changes=job.query.changes)


def _records(path: Path, rejected: Rejected) -> Iterator[tuple[str, str]]:
    """(name, sequence) of a FASTA file, or of all of a folder."""
    if not path.exists():
        raise ConfigError(f"input={path}: no such file or folder")
    files = [path]
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if _suffix(file) in FASTA]
    if not files:
        raise ConfigError(f"input={path} holds no FASTA file; expected {', '.join(FASTA)}, plain or compressed")
    for file in files:
        try:
            records = read_fasta(file)
        except DataFormatError as error:
            rejected.append((str(file), str(error)))
            continue
        yield from ((record.name, record.sequence) for record in records)


def _alignment_path(folder: Path, *names: str) -> Path:
    for name in dict.fromkeys(names):
        for ending in (f"{suffix}{packed}" for suffix in ALIGNMENTS for packed in ("", *COMPRESSED)):
            if Path(name).name == name and (folder / f"{name}{ending}").is_file():
                return folder / f"{name}{ending}"
    raise DataFormatError(f"no alignment {names[0]}{'|'.join(ALIGNMENTS)} in {folder}; add it, or leave msa_dir out")


def _suffix(path: Path) -> str:
    return Path(path.stem).suffix.lower() if path.suffix.lower() in COMPRESSED else path.suffix.lower()


def _file_name(name: str, taken: dict[str, int]) -> str:
    """A name for files that no other sequence has, whatever the case of letters."""
    stem = re.sub(r"[^A-Za-z0-9_.\-]+", "_", name).strip("._")[:LONGEST_NAME] or "sequence"
    number = taken[stem.lower()] = taken.get(stem.lower(), 0) + 1
    return stem if number == 1 else _file_name(f"{stem}_{number}", taken)


def _plan_text(jobs: Sequence[Job], done: int, left: Sequence[Batch]) -> str:
    text = f"{len(jobs)} sequences, {done} of them done before"
    if not left:
        return text
    largest = max(left, key=lambda batch: batch.plan.peak_gb)
    lengths = [jobs[number].size.residues for batch in left for number in batch.members]
    return f"{text}; {len(left)} batches of {min(lengths)} to {max(lengths)} residues. Memory at most {largest.plan}"
