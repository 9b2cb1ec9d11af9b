"""What training on more processes costs: `python -m tests.benchmarks.weak_scaling [domain=materials] [steps=12]`.

    python -m tests.benchmarks.weak_scaling [domain=materials,weather,protein] [ranks=1,2,4] [steps=12]

Each rank has the same work whatever their number (weak scaling), on the CPU through gloo. Where there are fewer cores
than ranks, the clock on the wall says nothing: ranks take turns. What is compared is the processor time of a rank's
step, all threads together, with that of one process: what is more is communication. Input is the part of it spent on
making batches. Bytes are those of gradients that a ring all-reduce sends from each rank, 2 (n - 1) / n of the model.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from tests.processes import processes

WARM_UP = 3
STUDIES = {
    "materials": (32, ["experiment=ionic_lattice"]),
    "weather": (4, [
        "model=unet", "model.channels=16", "model.levels=2", "data.height=32", "data.train_flows=4", "data.val_flows=1",
        "data.states=9", "data.time_step_s=600",
    ]),
    "protein": (4, [
        "data.chains=64", "model.single=64", "model.pair=32", "model.heads=4", "model.blocks=4",
        "model.stem_blocks=2", "model.stem_width=64", "model.sequence_blocks=2", "model.iterations=2",
        "curriculum.crop=64", "curriculum.structure_from=0",
    ]),
}  # fmt: skip
"""By domain the samples of a rank's step, and the study."""


def measure(domain: str, ranks: int, steps: int) -> list[dict[str, float]]:
    """Of each rank: cpu_ms, input_ms and wall_ms of a step (medians), and bytes of the gradients."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        started = []
        for rank in range(ranks):
            environment = {"RANK": str(rank), "WORLD_SIZE": str(ranks), "LOCAL_RANK": str(rank),
                           "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}  # fmt: skip
            started.append(processes.Process(target=_train, args=(domain, ranks, steps, folder, environment)))
            started[-1].start()
        for process in started:
            process.join()
        return [json.loads((Path(folder) / f"{rank}.json").read_text()) for rank in range(ranks)]


def _train(domain: str, ranks: int, steps: int, folder: str, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    from common.app.composition import load_config
    from common.training.trainer import Trainer

    def fit(self: Trainer) -> Any:
        self.model.train()
        found, batches = [], self._steps(range(steps + WARM_UP))
        for step in range(steps + WARM_UP):
            before, wall = time.process_time(), time.perf_counter()
            pieces = next(iter(batches))
            loaded = time.process_time()
            self._step(step, pieces)
            found.append((time.process_time() - before, loaded - before, time.perf_counter() - wall))
        cpu, loading, wall = (1000 * median(values) for values in zip(*found[WARM_UP:], strict=True))
        size = sum(p.numel() * p.element_size() for p in self.parameters)
        values = {"cpu_ms": cpu, "input_ms": loading, "wall_ms": wall, "bytes": size * 2 * (ranks - 1) / ranks}
        (Path(folder) / f"{self.world.rank}.json").write_text(json.dumps(values))
        return self.progress

    Trainer.fit = fit
    study: Any = import_module(f"{domain}.study")
    study._conclude = lambda *_: None
    samples, given = STUDIES[domain]
    fixed = ["trainer.device=cpu", "trainer.threads=1", "trainer.accumulate=1", "trainer.budget=null",
             f"trainer.batch_size={samples * ranks}", f"run_dir={folder}/run"]  # fmt: skip
    study.train(load_config(domain, "train", [*given, *fixed]))


def main(arguments: list[str]) -> None:
    given = dict(argument.split("=") for argument in arguments)
    counts = [int(count) for count in given.get("ranks", "1,2,4").split(",")]
    steps = int(given.get("steps", 12))
    print(f"{os.cpu_count()} cores, other load {os.getloadavg()[0]:.1f}; medians of {steps} steps, of the mean rank")
    print(f"{'domain':<10} ranks  CPU ms/step  over one  input share  MB sent/step  wall ms/step")
    for domain in given.get("domain", ",".join(STUDIES)).split(","):
        alone = 0.0
        for count in counts:
            of_ranks = measure(domain, count, steps)
            mean = {name: sum(one[name] for one in of_ranks) / count for name in of_ranks[0]}
            alone = alone or mean["cpu_ms"]
            print(
                f"{domain:<10} {count:>5}  {mean['cpu_ms']:>11.1f}  {mean['cpu_ms'] / alone - 1:>8.1%}  "
                f"{mean['input_ms'] / mean['cpu_ms']:>11.1%}  {mean['bytes'] / 1e6:>12.2f}  {mean['wall_ms']:>12.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
