"""Many processes that read inputs and build graphs, where an input that hangs or kills its process costs only itself.

Workers take whole chunks. A chunk whose worker dies or takes too long is given out again row by row, and the row that
fails alone is refused. Workers end with their parent, whatever ends it.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from common.app.errors import ConfigError, DataFormatError, TrifoldError
from materials.preparation import Prepared, prepare
from materials.substances import SUBSTANCES

Row = tuple[str, Any]
START_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
PRELOADED = ["materials.preparation_pool", "materials.data.read", "materials.substances.crystal", "vesin"]
"""Imported once, in the server that workers are forked from."""

FAILED_STARTS = 3
"""One may be bad luck; after more than these in a row the installation or the machine is to blame."""


def prepare_or_refuse(rows: Sequence[Row], card: Mapping[str, Any]) -> list[Prepared]:
    """`prepare`; where that fails in a way nobody foresaw, row by row, and the rows that fail are refused."""
    try:
        return [prepare(rows, SUBSTANCES[card["substance"]](), card)]
    except Exception as error:
        if isinstance(error, TrifoldError) and not isinstance(error, DataFormatError):
            raise  # of the model or the installation, not of an input
        if len(rows) > 1:
            return [part for row in rows for part in prepare_or_refuse([row], card)]
        return [refused(rows[0], f"cannot be prepared ({type(error).__name__}: {str(error)[:200]})")]


def refused(row: Row, reason: str) -> Prepared:
    return Prepared([row[0]], [reason], None)


class _Job:
    """A chunk: prepared as a whole [1], or row by row [rows] once that has failed."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.parts: list[list[Prepared] | None] = [None]

    def split(self) -> list[_Task]:
        self.parts = [None] * len(self.rows)
        return [_Task(self, place, [row]) for place, row in enumerate(self.rows)]

    @property
    def done(self) -> bool:
        return None not in self.parts

    @property
    def prepared(self) -> list[Prepared]:
        return [one for part in self.parts if part for one in part]


class _Task:
    def __init__(self, job: _Job, place: int, rows: Sequence[Row]) -> None:
        self.job, self.place, self.rows = job, place, rows


class _Worker:
    """`task` is what it is at; `ready` once it has said that it runs."""

    def __init__(self, card: Mapping[str, Any], time_limit_s: float) -> None:
        context: Any = multiprocessing.get_context(START_METHOD)
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, dict(card), time_limit_s), daemon=True)
        self.process.start()
        theirs.close()
        self.task: _Task | None = None
        self.ready = False

    def end(self) -> int:
        self.process.kill()
        return self.exit_code()

    def exit_code(self) -> int:
        self.process.join(10)
        self.connection.close()
        return self.process.exitcode or 0


class PreparationPool:
    """`with PreparationPool(card, workers, time_limit_s) as pool: for prepared in pool.prepare(chunks): ...`"""

    def __init__(self, card: Mapping[str, Any], workers: int, time_limit_s: float) -> None:
        self.card, self.time_limit_s = card, time_limit_s
        self.ahead = 2 * workers + 2
        self.closed, self.failed_starts = False, 0
        context = multiprocessing.get_context(START_METHOD)
        context.set_forkserver_preload(PRELOADED)
        self.workers = [self._start() for _ in range(workers)]

    def __enter__(self) -> PreparationPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True
        for worker in self.workers:
            worker.end()

    def _start(self) -> _Worker:
        return _Worker(self.card, self.time_limit_s)

    def prepare(self, chunks: Iterable[Sequence[Row]]) -> Iterator[list[Prepared]]:
        """The chunks in order; a bounded number is under way."""
        remaining, jobs, tasks = iter(chunks), deque[_Job](), deque[_Task]()
        while not self.closed:
            while len(jobs) < self.ahead and (rows := next(remaining, None)) is not None:
                jobs.append(_Job(rows))
                tasks.append(_Task(jobs[-1], 0, rows))
            if not jobs:
                return
            self._hand_out(tasks)
            self._collect(tasks)
            while jobs and jobs[0].done:
                yield jobs.popleft().prepared

    def _hand_out(self, tasks: deque[_Task]) -> None:
        for worker in self.workers:
            if tasks and worker.ready and worker.task is None:
                worker.task = tasks.popleft()
                try:
                    worker.connection.send_bytes(pickle.dumps(worker.task.rows))
                except OSError:  # it has died since; `_collect` finds out
                    continue

    def _collect(self, tasks: deque[_Task]) -> None:
        busy = {worker.connection: worker for worker in self.workers if worker.task or not worker.ready}
        for connection in wait(list(busy), timeout=1.0):
            worker = busy[connection]  # pyright: ignore[reportArgumentType]
            try:
                reply = pickle.loads(worker.connection.recv_bytes())
            except (EOFError, OSError):
                self._replace(worker, tasks)
                continue
            if isinstance(reply, TrifoldError):
                raise reply
            if worker.task:
                worker.task.job.parts[worker.task.place] = reply
            worker.task, worker.ready = None, True

    def _replace(self, dead: _Worker, tasks: deque[_Task]) -> None:
        if self.closed:
            return
        reason = _reason(dead.exit_code(), self.time_limit_s)
        self.failed_starts = 0 if dead.ready else self.failed_starts + 1
        if self.failed_starts > FAILED_STARTS:
            raise ConfigError(f"{self.failed_starts} worker processes in a row could not start; the last {reason}")
        self.workers[self.workers.index(dead)] = self._start()
        task = dead.task
        if task and len(task.rows) > 1:
            tasks.extendleft(reversed(task.job.split()))
        elif task:
            task.job.parts[task.place] = [refused(task.rows[0], f"the process that read it {reason}")]


def _reason(exit_code: int, time_limit_s: float) -> str:
    if exit_code == -signal.SIGALRM:
        return f"took longer than {time_limit_s:g} s"
    return f"was ended by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"ended with status {exit_code}"


def _work(connection: Connection, card: Mapping[str, Any], time_limit_s: float) -> None:
    """Says that it is ready, then answers one chunk after another until its parent is gone."""
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process even where it hangs in compiled code
    reply: Any = None
    while True:
        try:
            connection.send_bytes(pickle.dumps(reply))
            rows = pickle.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return
        signal.setitimer(signal.ITIMER_REAL, time_limit_s)
        try:
            reply = prepare_or_refuse(rows, card)
        except TrifoldError as error:
            reply = error
        signal.setitimer(signal.ITIMER_REAL, 0)
