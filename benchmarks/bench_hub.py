"""All that is shown against a loopback Hub: crawls, candidates from nothing, cards; ``--quick`` for a check that stores nothing.

The Hub is served by this process; each crawl runs in a process of its own, whose CPU time alone is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from benchmarks import bench_candidates, bench_cards
from benchmarks.read_cost import SHAPES
from benchmarks.results_file import Figure, write
from hub_lineage.errors import RegistryError
from hub_lineage.gathering import read_model
from hub_lineage.hub import Hub, open_source, parse_reference
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub
from hub_lineage.testing.answers import Blob
from hub_lineage.testing.blobs import blob_of
from hub_lineage.testing.models import llama_shapes, sparse_model

COMMAND = "python -m benchmarks.bench_hub"
ROUND_TRIP = 0.05
BUDGET = 200  # requests for candidates
WINDOW, HUB_WINDOW = 10.0, 300.0
TIERS = {"free token": (1000, 5000), "PRO": (2500, 12000)}  # calls of the API and of the resolver in five minutes
SPARSE_EVERY = 20
DISTINCT = 50
LARGE = llama_shapes(layers=4, hidden=512, inner=1376, vocabulary=8000)
FIRST_DAY, EVERY = datetime(2024, 1, 1, tzinfo=timezone.utc), timedelta(hours=4)  # when models are made: one after another
_RESOLVED = re.compile(r"^/([^/]+/[^/]+)/resolve/")

CRAWLER = """
import json, sys, time
from hub_lineage.crawl import crawl
from hub_lineage.hub import Hub
from hub_lineage.registry import Registry
began = time.process_time()
with Registry.open(sys.argv[1], write=True) as registry, Hub(token=False, steady=True, patience=1000) as hub:
    done = crawl(registry, hub=hub)
    cpu = time.process_time() - began
print(json.dumps({"cpu": cpu, "added": done.added, "failed": len(done.failed), "requests": done.cost.requests}))
"""
DOWNLOADER = """
import json, sys, time
from huggingface_hub import snapshot_download
names = json.loads(sys.stdin.read())
began = time.process_time()
for name in names:
    snapshot_download(name, local_dir=f"{sys.argv[1]}/{name}", token=False)
print(json.dumps({"cpu": time.process_time() - began}))
"""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    models: int = 2000
    changed: int = 100
    kills: int = 20
    windows: int = 5
    downloads: int = 100
    children: int = 60


QUICK = Size(models=400, changed=20, kills=3, windows=2, downloads=20, children=6)


def fill(hub: LoopbackHub, count: int, folder: Path) -> list[str]:
    """Repositories of small trained nets' shapes; each twentieth is a sharded language model of holes."""
    generator = np.random.default_rng(0)
    weights = [
        save({name: generator.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}) for _ in range(DISTINCT)
    ]
    small = [blob_of("model.safetensors", content) for content in weights]
    sparse_model(folder, LARGE, shards=2)
    large: dict[str, Blob] = {file.name: blob_of(file.name, file) for file in sorted(folder.iterdir())}
    names = [f"org{k % 40}/model-{k:04}" for k in range(count)]
    for k, name in enumerate(names):
        files = large if k % SPARSE_EVERY == 0 else {"model.safetensors": small[k % DISTINCT]}
        hub.add_repo(name, files=files, card={"license": "mit"}, downloads=count - k, created_at=FIRST_DAY + k * EVERY)
    return names


@contextmanager
def served(size: Size, delay: float = 0.0) -> Iterator[tuple[LoopbackHub, list[str], Path]]:
    """A Hub full of models, their names, and a folder to work in."""
    with tempfile.TemporaryDirectory() as name, LoopbackHub(delay=delay) as hub:
        yield hub, fill(hub, size.models, Path(name) / "sparse"), Path(name)
        if hub.crashes:
            raise RuntimeError(hub.crashes[0])


def start(script: str, url: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "HF_ENDPOINT": url, "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str], said: str = "") -> dict[str, Any]:
    out, _ = process.communicate(said)
    if process.returncode:
        raise RuntimeError(f"the process ended with status {process.returncode}")
    answer: dict[str, Any] = json.loads(out.splitlines()[-1])
    return answer


def share_of_limit(size: Size, tier: str) -> tuple[float, int]:
    """The API calls let through in so many windows against those permitted, and how many were refused."""
    api, resolvers = (round(calls * WINDOW / HUB_WINDOW) for calls in TIERS[tier])
    with served(size, ROUND_TRIP) as (hub, _, folder):
        hub.limit("api", api, WINDOW)
        hub.limit("resolvers", resolvers, WINDOW)
        crawler = start(CRAWLER, hub.url, str(folder / "registry"))
        while not hub.requests:
            time.sleep(0.005)
        time.sleep(size.windows * WINDOW)
        asked = [record for record in hub.requests if record.origin == "hub"]
        crawler.kill()
        crawler.communicate()
    used = {
        "api": sum(record.status != 429 and record.path.startswith("/api/") for record in asked) / api,
        "resolvers": sum(record.status != 429 and not record.path.startswith("/api/") for record in asked) / resolvers,
    }
    return max(used.values()) / size.windows, sum(record.status == 429 for record in asked)


def limit_share(size: Size) -> Figure:
    shares = {tier: share_of_limit(size, tier) for tier in TIERS}
    refused = ", ".join(f"{count} refused ({tier})" for tier, (_, count) in shares.items())
    note = f"{size.models} repositories, {size.windows} windows of {WINDOW:.0f} s, 50 ms round trip; API calls bind; {refused}"
    return Figure("crawl.limit_share", shares["free token"][0], "share", ">= .95", {"PRO": shares["PRO"][0]}, note)


def without_limits(size: Size) -> list[Figure]:
    """One crawl of everything, a loop of downloads beside it, and further crawls after some models changed."""
    with served(size) as (hub, names, folder):
        first = finished(start(CRAWLER, hub.url, str(folder / "registry")))
        if first["added"] != size.models:
            raise RuntimeError(f"the crawl added {first['added']} of {size.models}")
        resolved = Counter(match[1] for record in hub.requests if (match := _RESOLVED.match(record.path)))
        read, whole = bytes_a_model(hub, names[: size.downloads])
        downloads = finished(start(DOWNLOADER, hub.url, str(folder)), json.dumps(names[: size.downloads]))
        again = {share: changed_and_crawled(hub, names, folder, size, share) for share in (0.0, 0.5, 1.0)}
    calls = statistics.median(resolved[name] for name in names)
    loop = "loop over snapshot_download"
    rate, loop_rate = size.models / first["cpu"], size.downloads / downloads["cpu"]
    return [
        Figure("crawl.resolver_calls", calls, "calls a model", "<= 2", note="median"),
        Figure("crawl.bytes", read, "bytes a model", "<= 3e5", {loop: whole}, "median, what the API says included"),
        Figure(
            "crawl.incremental_share",
            again[1.0] / first["requests"],
            "share",
            "<= .05",
            {
                "half of them in their weights": again[0.5] / first["requests"],
                "none, but in texts": again[0.0] / first["requests"],
            },
            f"{size.changed} of {size.models} changed, all of them in their weights: "
            f"{again[1.0]} requests, {first['requests']} the first time",
        ),
        Figure("crawl.models_per_cpu_second", rate, "models/s", ">= 15", {loop: loop_rate}, "the client's CPU time"),
    ]


def changed_and_crawled(hub: LoopbackHub, names: list[str], folder: Path, size: Size, share: float) -> int:
    """The requests of a crawl after some models changed, drawn so that large ones are among them as often as among all.

    So large a share of the small and of the large ones changed in their weights, the others in a text.
    """
    generator = random.Random(f"{share}")
    large = [name for k, name in enumerate(names) if k % SPARSE_EVERY == 0]
    small = [name for k, name in enumerate(names) if k % SPARSE_EVERY]
    drawn = {"large": generator.sample(large, size.changed // SPARSE_EVERY)}
    drawn["small"] = generator.sample(small, size.changed - len(drawn["large"]))
    for group in drawn.values():
        for k, name in enumerate(group):
            change(hub, name, folder, weights=k < share * len(group))
    again = finished(start(CRAWLER, hub.url, str(folder / "registry")))
    if (again["added"], again["failed"]) != (size.changed, 0):
        raise RuntimeError(f"the crawl added {again['added']} of {size.changed} and failed at {again['failed']}")
    return int(again["requests"])


def change(hub: LoopbackHub, name: str, folder: Path, *, weights: bool) -> None:
    """A new commit, now: other weights of the same shapes, or a text."""
    repository = hub.repository(name)
    files: dict[str, Any] = {"notes.txt": f"changed {len(repository.commits)}"}
    if weights and "model.safetensors" in repository.at("main").files:
        generator = np.random.default_rng(zlib.crc32(name.encode()))
        tensors = {key: generator.normal(size=shape).astype(np.float32) for key, shape in SHAPES.items()}
        files = {"model.safetensors": save(tensors)}
    elif weights:
        made = sparse_model(folder / "changed" / name, LARGE, shards=2, seed=zlib.crc32(name.encode()))
        files = {file.name: file for file in made.iterdir()}
    repository.commit(files, date=datetime.now(timezone.utc))


def bytes_a_model(hub: LoopbackHub, names: list[str]) -> tuple[float, float]:
    """Medians of what reading takes and of all files' sizes."""
    costs = []
    with Hub(hub.url, token=False) as client:
        for name in names:
            source = open_source(parse_reference(name), client)
            read_model(source)
            costs.append(source.cost())
    return statistics.median(cost.bytes_read for cost in costs), statistics.median(cost.bytes_total for cost in costs)


def kills_lost(size: Size) -> Figure:
    """Crawls killed at random moments: models that were stored and then weren't, or were read once more."""
    generator = random.Random(1)
    lost = twice = 0
    before: dict[str, str | None] = {}
    with served(size, 2 * ROUND_TRIP) as (hub, names, folder):  # slow enough not to be done before the last kill
        for _ in range(size.kills):
            hub.forget()
            crawler = start(CRAWLER, hub.url, str(folder / "registry"))
            while not hub.requests:
                time.sleep(0.005)
            time.sleep(generator.uniform(0, 3))
            crawler.kill()
            crawler.communicate()
            now = stored(folder / "registry")
            lost += sum(now.get(name) != revision for name, revision in before.items())
            twice += len({match[1] for record in hub.requests if (match := _RESOLVED.match(record.path))} & before.keys())
            before = now
        reached, hub.delay = len(before), 0.0
        finished(start(CRAWLER, hub.url, str(folder / "registry")))
        lost += len(set(names) - stored(folder / "registry").keys())
        with Registry.open(folder / "registry") as registry:
            twice += registry.info().superseded
    note = f"{size.kills} kills, {reached} of {size.models} models stored by then; {lost} lost, {twice} read twice"
    return Figure("crawl.kills_lost", lost + twice, "models", "<= 0", note=note)


def stored(folder: Path) -> dict[str, str | None]:
    try:
        with Registry.open(folder) as registry:
            return {name: registry.revision(name) for name in registry.ids()}
    except RegistryError:  # killed before it was made
        return {}


def main() -> None:
    """Measures, prints, and stores the rows unless it was only a check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of everything at the most, nothing stored")
    parser.add_argument("--zoo", type=Path, default=Path("benchmarks/cache/zoo"))
    options = parser.parse_args()
    size = QUICK if options.quick else Size()
    figures = [
        *without_limits(size),
        kills_lost(size),
        limit_share(size),
        *bench_cards.figures(),
        *bench_candidates.figures(options.zoo, "validation", size.children, BUDGET),
    ]
    for figure in figures:
        print(f"{figure.id:30} {figure.value:12.4g}  {figure.bar:8} {dict(figure.baselines)} {figure.note}")
    if not options.quick:
        write("hub", COMMAND, figures)


if __name__ == "__main__":
    main()
