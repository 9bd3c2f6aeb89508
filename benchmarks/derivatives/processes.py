"""Work spread over processes, one result an item in the items' order; each process keeps to one thread."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

PROCESSES = min(2, os.cpu_count() or 1)


def spread(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """The function of every item; function, items and results must be what a process can be sent."""
    if PROCESSES < 2:
        return [function(item) for item in items]
    return list(_pool().map(function, items))


@cache
def _pool() -> ProcessPoolExecutor:
    """The processes, kept until the end: each spends seconds on importing torch."""
    # Read where a process first loads numpy; two that each use all cores are slower than one.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    # Spawned, since a process that runs torch can't be forked.
    return ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"), _alone)


def _alone() -> None:
    import torch  # noqa: PLC0415 - seconds of import, only in the processes

    torch.set_num_threads(1)
