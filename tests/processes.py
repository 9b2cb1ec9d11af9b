"""New processes for tests: forked from one server, which starts once and has imported what any of them needs."""

from __future__ import annotations

import multiprocessing

PRELOAD = [
    "torch._dynamo", "torch.distributed.checkpoint", "torch.distributed.fsdp", "common.training.trainer",
    "materials.study", "materials.screening", "weather.study", "weather.forecast_run", "protein.study",
    "protein.prediction_run",
]  # fmt: skip

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(PRELOAD)
