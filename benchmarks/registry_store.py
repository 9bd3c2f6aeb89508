"""The store against its rivals: search in one large architecture, warm and cold, durable upserts, bytes on disk.

``python -m benchmarks.registry_store --models 1000000`` writes ``benchmarks/results/registry_store.json``. Rivals that
are not installed (``usearch``, ``pyarrow``, ``pylance``) are left out; they are no dependencies of the project. Vectors
are random: what a search costs doesn't depend on them, and every rival must name the same models.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hub_lineage.fingerprint import short_vector
from hub_lineage.registry import Registry, vectors
from hub_lineage.registry.folder import SHORT
from hub_lineage.types import Fingerprint, Model, Sample

RESULTS = Path(__file__).parent / "results" / "registry_store.json"
BATCH = 1000
TOP = 20
LARGE = "large"  # the architecture that is searched holds a tenth of all models, every tenth that is put

Halves = NDArray[np.float16]


@dataclass(frozen=True)
class Batch:
    """Rows of all stores alike: IDs, architecture keys and vectors of shape (n, 1024)."""

    ids: list[str]
    keys: list[str]
    rows: Halves
    models: list[Model]


def batch(number: int) -> Batch:
    values = np.random.default_rng(number).standard_normal((BATCH, vectors.WIDTH), np.float32).astype("<f2")
    ids = [f"owner-{number}/model-{i}" for i in range(BATCH)]
    keys = [LARGE if i % 10 == 0 else f"key-{i % 500}-{number % 4}" for i in range(BATCH)]
    samples = [Sample((32, 32), "F16", row.tobytes()) for row in values]
    prints = [Fingerprint("hl1", key, vectors.WIDTH, (sample,)) for key, sample in zip(keys, samples, strict=True)]
    models = [Model(name, "0" * 40, each, "apache-2.0", 1) for name, each in zip(ids, prints, strict=True)]
    return Batch(ids, keys, np.stack([short_vector(each) for each in prints]), models)


def best(ids: list[str], scores: NDArray[np.float32]) -> list[str]:
    return [ids[i] for i in np.argsort(-scores, kind="stable")[:TOP]]


class Store(Protocol):
    def load(self, batches: Iterable[Batch]) -> None: ...
    def search(self, query: Batch) -> list[str]: ...
    def upsert(self, rows: Batch) -> None: ...


class Ours:
    """SQLite rows beside one file of float16 vectors and one of long fingerprints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, batches: Iterable[Batch]) -> None:
        with Registry.open(self.folder, write=True) as registry:
            for rows in batches:
                registry.put(rows.models)

    def search(self, query: Batch) -> list[str]:
        with Registry.open(self.folder) as registry:
            return [hit.id for hit in registry.search(query.models[0].fingerprint, TOP)]

    def upsert(self, rows: Batch) -> None:
        with Registry.open(self.folder, write=True) as registry:
            registry.put(rows.models)


class Blobs:
    """SQLite alone: a vector is a blob in its row."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "blobs.sqlite"
        self.db = sqlite3.connect(self.path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute("CREATE TABLE model (id TEXT PRIMARY KEY, key TEXT, vector BLOB)")
        self.db.execute("CREATE INDEX by_key ON model (key)")

    def load(self, batches: Iterable[Batch]) -> None:
        for rows in batches:
            self.upsert(rows)

    def search(self, query: Batch) -> list[str]:
        with sqlite3.connect(self.path) as db:
            found = db.execute("SELECT id, vector FROM model WHERE key = ?", (LARGE,)).fetchall()
        db.close()
        held = np.frombuffer(b"".join(vector for _, vector in found), "<f2").reshape(-1, vectors.WIDTH)
        return best([name for name, _ in found], held.astype(np.float32) @ query.rows[0].astype(np.float32))

    def upsert(self, rows: Batch) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        values = [(name, key, row.tobytes()) for name, key, row in zip(rows.ids, rows.keys, rows.rows, strict=True)]
        self.db.executemany("INSERT OR REPLACE INTO model VALUES (?, ?, ?)", values)
        self.db.execute("COMMIT")


def table(rows: Batch) -> Any:
    arrow = importlib.import_module("pyarrow")
    flat = arrow.array(rows.rows.reshape(-1))
    column = arrow.FixedSizeListArray.from_arrays(flat, vectors.WIDTH)
    return arrow.table({"id": rows.ids, "key": rows.keys, "vector": column})


class Parquet:
    """Parquet sorted by architecture, read with a filter on it; an upsert adds a file, for a later merge to sort in."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.parts = folder, 0
        self.parquet = importlib.import_module("pyarrow.parquet")

    def load(self, batches: Iterable[Batch]) -> None:
        arrow = importlib.import_module("pyarrow")
        some: list[Any] = []
        for rows in batches:
            some.append(table(rows))
            if len(some) == 100:
                self._write(arrow.concat_tables(some).sort_by("key"))
                some = []
        if some:
            self._write(arrow.concat_tables(some).sort_by("key"))

    def search(self, query: Batch) -> list[str]:
        found = self.parquet.read_table(self.folder, filters=[("key", "==", LARGE)]).combine_chunks()
        column = found["vector"].chunk(0)
        held = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, vectors.WIDTH)
        return best(found["id"].to_pylist(), held.astype(np.float32) @ query.rows[0].astype(np.float32))

    def upsert(self, rows: Batch) -> None:
        self._write(table(rows).sort_by("key"))

    def _write(self, rows: Any) -> None:
        path = self.folder / f"{self.parts:06}.parquet"
        self.parquet.write_table(rows, path, compression="none", use_dictionary=["key"], row_group_size=10_000)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        self.parts += 1


class Lance:
    """Lance with an index on the architecture, and its exact search behind that filter."""

    def __init__(self, folder: Path) -> None:
        self.lance = importlib.import_module("lance")
        self.address = str(folder / "models.lance")

    def load(self, batches: Iterable[Batch]) -> None:
        arrow = importlib.import_module("pyarrow")
        iterator = iter(batches)
        first = table(next(iterator))
        rest = (part for rows in iterator for part in table(rows).to_batches())
        stream = arrow.RecordBatchReader.from_batches(
            first.schema, (part for source in (first.to_batches(), rest) for part in source)
        )
        self.lance.write_dataset(stream, self.address).create_scalar_index("key", "BTREE")

    def search(self, query: Batch) -> list[str]:
        nearest = {"column": "vector", "q": query.rows[0], "k": TOP, "metric": "dot", "use_index": False}
        asked = {"columns": ["id"], "filter": f"key = '{LARGE}'", "prefilter": True, "disable_scoring_autoprojection": True}
        names: list[str] = self.lance.dataset(self.address).to_table(nearest=nearest, **asked)["id"].to_pylist()
        return names

    def upsert(self, rows: Batch) -> None:
        self.lance.write_dataset(table(rows), self.address, mode="append")


def kernels(folder: Path, query: Batch) -> dict[str, Callable[[], object]]:
    """Ways to score the same file: numpy as the store does it, numpy's own conversion, and usearch where it is installed."""
    with Registry.open(folder) as registry, registry._snapshot() as connection:  # noqa: SLF001 - the parts are measured alone
        number = registry._kind(connection, query.models[0].fingerprint.architecture, query.models[0].fingerprint.scheme)  # noqa: SLF001 - likewise
        parts = vectors.runs(connection, number or 0)
    path, asked = folder / SHORT, query.rows[0].astype(np.float32)
    file = np.memmap(path, "<f2", "r").reshape(-1, vectors.WIDTH)

    def converted() -> None:
        for start, count in parts:
            for first in range(start, start + count, 512):
                file[first : min(first + 512, start + count)].astype(np.float32) @ asked

    ways: dict[str, Callable[[], object]] = {"ours": lambda: vectors.score(path, parts, asked), "numpy conversion": converted}
    try:
        usearch = importlib.import_module("usearch.index")
    except ImportError:
        return ways

    def exact(threads: int) -> None:
        for start, count in parts:
            usearch.search(
                file[start : start + count], query.rows[0], min(TOP, count), usearch.MetricKind.IP, exact=True, threads=threads
            )

    return {**ways, "usearch exact, 1 thread": lambda: exact(1), "usearch exact, 2 threads": lambda: exact(2)}


def milliseconds(work: Callable[[], object], times: int, before: Callable[[], object] = lambda: None) -> float:
    took = []
    for _ in range(times):
        before()
        started = time.perf_counter()
        work()
        took.append(1000 * (time.perf_counter() - started))
    return round(statistics.median(took), 2)


def forget(folder: Path) -> None:
    """Drops the folder's files from the page cache, as far as one may without being root."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def on_disk(folder: Path) -> int:
    return sum(512 * path.stat().st_blocks for path in folder.rglob("*") if path.is_file())


def measure(
    name: str, make: Callable[[Path], Store], models: int, folder: Path
) -> tuple[dict[str, float], list[str], dict[str, float]]:
    folder.mkdir()
    store = make(folder)
    query = batch(7)

    def batches() -> Iterator[Batch]:
        yield from map(batch, range(models // BATCH))

    started = time.perf_counter()
    store.load(batches())
    figures = {"load_s": round(time.perf_counter() - started, 1)}
    found = store.search(query)
    figures["search_warm_ms"] = milliseconds(lambda: store.search(query), 15)
    figures["search_cold_ms"] = milliseconds(lambda: store.search(query), 5, lambda: forget(folder))
    fresh = iter([batch(models + i) for i in range(5)])
    figures["upsert_1000_s"] = round(milliseconds(lambda: store.upsert(next(fresh)), 5) / 1000, 3)
    figures["bytes_per_model"] = round(on_disk(folder) / (models + 5 * BATCH))
    scoring = {}
    if name == "ours":
        figures["bytes_per_model"] = round(
            (on_disk(folder) - 512 * (folder / "long.bin").stat().st_blocks) / (models + 5 * BATCH)
        )
        figures["memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        scoring = {way: milliseconds(work, 15) for way, work in kernels(folder, query).items()}
    shutil.rmtree(folder)
    print(name, figures, scoring, flush=True)
    return figures, found, scoring


UNITS = {
    "search_warm_ms": "ms",
    "search_cold_ms": "ms",
    "upsert_1000_s": "s",
    "bytes_per_model": "bytes",
    "load_s": "s",
    "memory_mb": "MB",
}
RIVALS: dict[str, tuple[Callable[[Path], Store], str | None]] = {
    "ours": (Ours, None),
    "SQLite blobs": (Blobs, None),
    "Parquet": (Parquet, "pyarrow"),
    "Lance": (Lance, "lance"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", type=int, default=100_000, help="a tenth of them is the architecture searched")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where there is space for 5 kB a model")
    parser.add_argument("--machine", default="2 cores, 24 GiB, no GPU")
    options = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    answers: dict[str, list[str]] = {}
    scoring: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for name, (make, module) in RIVALS.items():
            if module is None or find_spec(module):
                figures[name], answers[name], ways = measure(name, make, options.models, Path(folder) / "store")
                scoring |= ways
    if any(set(names) != set(answers["ours"]) for names in answers.values()):
        raise SystemExit(f"the stores disagree: {answers}")
    shared = {
        "command": f"python -m benchmarks.registry_store --models {options.models}",
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": options.machine,
    }
    rows = [
        {
            "id": f"registry_store.{figure}",
            "value": value,
            "unit": UNITS[figure],
            "baselines": {name: others[figure] for name, others in figures.items() if name != "ours" and figure in others},
            **shared,
        }
        for figure, value in figures["ours"].items()
    ]
    rows.append({"id": "registry_store.score_ms", "value": scoring.pop("ours"), "unit": "ms", "baselines": scoring, **shared})
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
