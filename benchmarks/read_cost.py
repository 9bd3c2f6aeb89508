"""What reading costs: a served model of seven billion parameters, and a trace among a thousand models."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.results_file import Figure
from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.gathering import read_model
from hub_lineage.hub import Hub, open_source, parse_reference
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub
from hub_lineage.testing.models import sparse_model, write_model
from hub_lineage.trace import trace
from hub_lineage.types import Model

RUNS = 5
ROUND_TRIP = 0.05
THOUSAND = 1000
SHAPES = {"conv1.weight": (32, 16, 3, 3), "conv2.weight": (64, 32, 3, 3), "mix.weight": (128, 96), "out.weight": (96, 128)}


def figures() -> list[Figure]:
    """Bytes, requests and seconds of both."""
    return [*seven_billion(), among_a_thousand()]


def seven_billion() -> list[Figure]:
    """A sparse model of 291 tensors in 4 shards on a loopback Hub with a round trip of 50 ms; medians of five runs."""
    seconds, requests, read, total = [], 0, 0, 0
    with tempfile.TemporaryDirectory() as folder, LoopbackHub(delay=ROUND_TRIP) as served:
        sparse_model(Path(folder) / "model")
        served.add_repo("org/seven-billion", folder=Path(folder) / "model")
        for _ in range(RUNS):
            with Hub(served.url) as hub:
                began = time.perf_counter()
                source = hub.open(parse_reference("org/seven-billion"))
                read_fingerprint(source)
                seconds.append(time.perf_counter() - began)
                cost = source.cost()
                requests, read, total = cost.requests, cost.bytes_read, cost.bytes_total
    whole = {"whole files": float(total)}
    return [
        Figure("read.bytes_7b", read, "bytes", "<= 1e6", whole),
        Figure("read.requests_7b", requests, "requests", "<= 80"),
        Figure("read.seconds_7b", statistics.median(seconds), "s", "<= 5", note=f"50 ms round trip, median of {RUNS}"),
    ]


def among_a_thousand() -> Figure:
    """A child traced in a registry of a thousand models of its architecture, forty of them its kin; median of five runs."""
    seconds = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Registry.open(folder / "registry", write=True) as registry:
            registry.put(_crowd(folder, THOUSAND))
            for _ in range(RUNS):
                began = time.perf_counter()
                trace(str(folder / "child"), registry=registry)
                seconds.append(time.perf_counter() - began)
    return Figure(
        "trace.seconds_1000", statistics.median(seconds), "s", "<= 1", note=f"40 kin, median of {RUNS}, fingerprint read included"
    )


def _crowd(folder: Path, count: int) -> Iterator[Model]:
    generator = np.random.default_rng(0)
    root = _weights(generator)
    for k in range(count):
        kin = k < 40
        weights = {name: value + 0.3 * _weights(generator)[name] for name, value in root.items()} if kin else _weights(generator)
        place = folder / ("child" if k == 0 else f"m{k}")
        write_model(place, weights)
        yield read_model(open_source(parse_reference(str(place))))


def _weights(generator: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
