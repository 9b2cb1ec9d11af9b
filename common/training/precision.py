"""Device, number format and determinism of a run."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import AbstractContextManager, nullcontext

import torch

from common.app.config import TrainerConfig
from common.app.errors import ConfigError

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def select_device(name: str, local_rank: int | None = None) -> torch.device:
    """`auto` takes the GPU of this rank (by default what torchrun says) when there is one, else the CPU."""
    local_rank = int(os.environ.get("LOCAL_RANK", "0")) if local_rank is None else local_rank
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ConfigError(f"device={name} was asked for, but torch finds no CUDA device; use device=cpu or device=auto")
    device = torch.device("cuda", local_rank) if name in ("auto", "cuda") else torch.device(name)
    if device.index is not None and device.index >= torch.cuda.device_count():
        raise ConfigError(f"device={device} was asked for, but there are {torch.cuda.device_count()} CUDA devices")
    torch.cuda.set_device(device)
    return device


def set_up_numerics(config: TrainerConfig) -> None:
    """Threads, TF32, deterministic algorithms and the CPU allocator, for the whole process."""
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.set_float32_matmul_precision("high" if config.tf32 else "highest")
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks instead of returning them to the system after every operation.

    Large tensors are otherwise mapped and unmapped by each operation, and on a CPU the page faults cost more
    than the arithmetic. Does nothing on other platforms.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # musl
        return
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
    mallopt(mmap_threshold, 1 << 25)  # glibc's largest: it refuses more
    mallopt(trim_threshold, -1)  # never


def mixed_seed(*words: int) -> int:
    """A 63-bit seed for (seed, step, rank ...): the finaliser of splitmix64, doi:10.1145/2660193.2660195."""
    mixed = 0
    for word in words:
        mixed = (mixed ^ word) + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        mixed ^= mixed >> 31
    return mixed >> 1


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed the CPU and `device`.

    torch.manual_seed would also visit every kind of device there might be, and takes longer than a small step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context in which forward passes run."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, AUTOCAST[precision])
