"""``--from-stats``: a table of models on a disk or in a dataset of the Hub, read by columns and a few rows at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # it has no stubs
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # likewise
import pytest

from hub_lineage.crawl import Entry, Selection, crawl, plan, read_stats
from hub_lineage.crawl.stats import DATASET, TABLE, located
from hub_lineage.errors import Gated, LineageError, NotFound, UsageError
from hub_lineage.hub import Hub
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub
from hub_lineage.types import Reference
from tests.cli import conftest as commands
from tests.cli.conftest import Run
from tests.family import TREE
from tests.test_crawl import add, content

family, run = commands.family, commands.run
served = commands.hub  # under another name: here the Hub's client is what is called hub

MODELS: Sequence[Mapping[str, Any]] = (
    {"id": "ann/plain"},
    {"id": "ann/task", "pipeline_tag": "text-classification"},
    {"id": "bob/task", "pipeline_tag": "text-classification", "library_name": "transformers", "tags": ["bert"]},
    {"id": "bob/Library", "library_name": "transformers", "lastModified": datetime(2026, 2, 1, 12)},  # noqa: DTZ001 - as some write it
    {"id": "bob/kind", "tags": ["bert", "transformers"], "lastModified": datetime(2026, 1, 1, 12)},  # noqa: DTZ001 - likewise
)
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("sha", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("pipeline_tag", pa.string()),
        ("library_name", pa.string()),
        ("lastModified", pa.timestamp("us")),
    ]
)


def table(path: Path, rows: Sequence[Mapping[str, Any]] = MODELS, schema: pa.Schema | None = SCHEMA) -> Path:
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), path)
    return path


def ids(place: object, hub: Hub | None = None, conditions: Selection | None = None) -> list[str]:
    return [entry.id for entry in read_stats(str(place), conditions, hub=hub)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return table(tmp_path / "models.parquet")


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, ["ann/plain", "ann/task", "bob/task", "bob/Library", "bob/kind"]),
        ({"author": "bob"}, ["bob/task", "bob/Library", "bob/kind"]),
        ({"author": "bo"}, []),
        ({"search": "LIB"}, ["bob/Library"]),
        ({"task": "text-classification"}, ["ann/task", "bob/task"]),
        ({"library": "transformers"}, ["bob/task", "bob/Library", "bob/kind"]),
        ({"architecture": "bert"}, ["bob/task", "bob/kind"]),
        ({"task": "text-classification", "library": "transformers"}, ["bob/task"]),
        ({"since": "2026-01-31"}, ["bob/Library"]),
        ({"since": "2026-01-01T12:00:00"}, ["bob/Library", "bob/kind"]),
    ],
)
def test_conditions_narrow_a_table(path: Path, conditions: dict[str, str], expected: list[str]) -> None:
    assert ids(path, conditions=Selection(**conditions)) == expected  # type: ignore[arg-type]  # texts all


def test_times_are_read_however_they_are_written(tmp_path: Path) -> None:
    moment = datetime(2026, 2, 1, 12, tzinfo=timezone.utc)
    for k, when in enumerate((moment, moment.isoformat(), "2026-02-01T12:00:00.000Z", "2026-02-01 12:00:00")):
        written = table(tmp_path / f"{k}.parquet", [{"id": "a/b", "lastModified": when}], None)
        assert ids(written, conditions=Selection(since="2026-02-01T12:00:00")) == ["a/b"]
        assert ids(written, conditions=Selection(since="2026-02-01T12:00:01")) == []


def test_odd_rows_are_passed_over(tmp_path: Path) -> None:
    rows = [{"id": name, "sha": "s"} for name in ("../odd", "a/b", None, "", "a b", "a/b/c", "x" * 500, "gpt2")]
    entries = list(read_stats(table(tmp_path / "m.parquet", rows, None)))
    assert entries == [Entry("a/b", "s"), Entry("gpt2", "s")]


def test_what_is_no_such_table_is_said(tmp_path: Path) -> None:
    words = tmp_path / "words.parquet"
    words.write_text("no Parquet")
    with pytest.raises(UsageError, match="can't be read as Parquet"):
        ids(words)
    with pytest.raises(UsageError, match="no column id"):
        ids(table(tmp_path / "other.parquet", [{"name": "a/b"}], None))
    bare = table(tmp_path / "bare.parquet", [{"id": "a/b"}], None)
    assert ids(bare) == ["a/b"]
    for condition in ("task", "library", "architecture", "since"):
        with pytest.raises(UsageError, match=f"--{condition} can't be told"):
            ids(bare, conditions=replace(Selection(), **{condition: "2026-01-01"}))  # type: ignore[arg-type]  # a text
    with pytest.raises(UsageError, match="no date"):
        ids(bare, conditions=Selection(since="yesterday"))


def test_a_file_cut_short_is_said(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 20)
    with pytest.raises(UsageError, match="can't be read as Parquet"):
        ids(path)


def test_without_pyarrow_it_is_said_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UsageError, match="pyarrow") as caught:
        read_stats(path)
    assert "pip install 'hub-lineage[stats]'" in caught.value.hint


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("org/stats", (Reference("datasets/org/stats"), "")),
        (DATASET, (Reference(f"datasets/{DATASET}"), "")),
        ("hf://datasets/org/stats", (Reference("datasets/org/stats"), "")),
        ("hf://datasets/org/stats/a/b.parquet", (Reference("datasets/org/stats"), "a/b.parquet")),
        ("hf://datasets/org/stats@v1/b.parquet", (Reference("datasets/org/stats", "v1"), "b.parquet")),
        ("hf://datasets/org/stats@~parquet/models", (Reference("datasets/org/stats", "refs/convert/parquet"), "models")),
        ("hf://datasets/org/stats@refs/pr/3/b", (Reference("datasets/org/stats", "refs/pr/3"), "b")),
        ("https://huggingface.co/datasets/org/stats", (Reference("datasets/org/stats"), "")),
        ("https://huggingface.co/datasets/org/stats/tree/main", (Reference("datasets/org/stats", "main"), "")),
        ("https://hf.co/datasets/org/stats/blob/main/m%20x.parquet", (Reference("datasets/org/stats", "main"), "m x.parquet")),
        (
            "http://127.0.0.1:9/datasets/org/stats/resolve/refs%2Fconvert%2Fparquet/m/0.parquet",
            (Reference("datasets/org/stats", "refs/convert/parquet"), "m/0.parquet"),
        ),
    ],
)
def test_where_a_table_is(place: str, expected: tuple[Reference, str]) -> None:
    assert located(place, "http://127.0.0.1:9") == expected


@pytest.mark.parametrize(
    "place",
    [
        "",
        " ",
        "nowhere.parquet",
        "./nowhere/models.parquet",
        "name",
        "hf://models/org/name",
        "hf://datasets/org",
        "https://example.org/datasets/org/stats/resolve/main/m.parquet",
        "https://huggingface.co/org/name",
        "http://[",
        "a b/c",
        "datasets/../../api/x",
    ],
)
def test_what_names_no_table_is_said(place: str) -> None:
    with pytest.raises((UsageError, NotFound)) as caught:
        located(place, "http://127.0.0.1:9")
    assert caught.value.hint


def test_a_table_in_a_dataset_of_the_hub(loopback_hub: LoopbackHub, hub: Hub, path: Path) -> None:
    loopback_hub.add_repo("org/stats", kind="dataset", files={TABLE: path, "more/part.parquet": path, "README.md": "words"})
    expected = [str(row["id"]) for row in MODELS]
    page = f"{loopback_hub.url}/datasets/org/stats"
    for place in ("org/stats", "hf://datasets/org/stats", page, f"{page}/resolve/main/{TABLE}", "hf://datasets/org/stats/more"):
        assert ids(place, hub) == expected, place
    assert ids("org/stats", hub, Selection(author="ann")) == ["ann/plain", "ann/task"]
    asked = {record.path for record in loopback_hub.requests if "/api/" in record.path}
    assert asked == {"/api/datasets/org/stats", "/api/datasets/org/stats/revision/main"}


def test_the_shards_of_a_folder_are_one_table(loopback_hub: LoopbackHub, hub: Hub, tmp_path: Path) -> None:
    shards = [table(tmp_path / f"{k}.parquet", [{"id": f"org/m{k}"}], None) for k in range(3)]
    loopback_hub.add_repo("org/stats", kind="dataset", files={f"models/train/{path.name}": path for path in shards})
    assert ids("hf://datasets/org/stats/models", hub) == ["org/m0", "org/m1", "org/m2"]


def test_a_dataset_that_moved_is_followed_and_one_without_a_table_said(loopback_hub: LoopbackHub, hub: Hub, path: Path) -> None:
    loopback_hub.add_repo("org/stats", kind="dataset", files={TABLE: path})
    loopback_hub.rename("org/stats", "org/newer", kind="dataset")
    assert len(ids("org/stats", hub)) == len(MODELS)
    loopback_hub.add_repo("org/other", kind="dataset", files={"data.parquet": path})
    with pytest.raises(NotFound, match=TABLE) as caught:
        ids("org/other", hub)
    assert "data.parquet" in caught.value.hint
    with pytest.raises(NotFound, match="org/none"):
        ids("org/none", hub)
    with pytest.raises(NotFound, match="revision"):
        ids("hf://datasets/org/other@gone/data.parquet", hub)
    loopback_hub.add_repo("org/gated", kind="dataset", files={TABLE: path}, gated="manual")
    with pytest.raises(Gated):
        ids("org/gated", hub)


def test_a_hub_that_fails_in_the_middle_is_said_in_its_own_words(loopback_hub: LoopbackHub, path: Path) -> None:
    loopback_hub.add_repo("org/stats", kind="dataset", files={TABLE: path})
    loopback_hub.fault("status", origin="cdn", status=503, times=100)
    with Hub(loopback_hub.url, False, retries=0) as hub, pytest.raises(LineageError, match="503"):
        ids("org/stats", hub)


def big(path: Path, rows: int) -> Path:
    """A table with as heavy columns as the real one has, in two groups of rows."""
    words = [os.urandom(400).hex() for _ in range(100)]
    made = [
        {"id": f"org{k % 97}/model-{k:06}", "sha": os.urandom(20).hex(), "cardData": words[k % 100] + str(k)} for k in range(rows)
    ]
    pq.write_table(pa.Table.from_pylist(made), path, row_group_size=rows // 2, compression="none", use_dictionary=False)
    return path


def test_no_more_is_read_than_the_columns_asked_for(loopback_hub: LoopbackHub, hub: Hub, tmp_path: Path) -> None:
    path = big(tmp_path / TABLE, 20_000)
    loopback_hub.add_repo("org/stats", kind="dataset", files={TABLE: path})
    loopback_hub.forget()
    entries = read_stats("org/stats", hub=hub)
    next(entries)
    assert hub.cost().bytes_read < 1_600_000  # of 17 million bytes a few hundred rows take two pieces and the footer
    assert sum(1 for _ in entries) == 19_999
    assert hub.cost().bytes_read < 0.15 * path.stat().st_size
    assert len(loopback_hub.requests) == hub.cost().requests < 20


def test_the_memory_of_a_table_does_not_grow_with_it(tmp_path: Path) -> None:
    """Arrow's own memory at its highest, for a table and for one eight times as long."""
    peaks = []
    for rows in (4_000, 32_000):
        path, pool = big(tmp_path / f"{rows}.parquet", rows), pa.default_memory_pool()
        before, most, count = pool.bytes_allocated(), 0, 0
        for _ in read_stats(path):
            count += 1
            most = max(most, pool.bytes_allocated() - before)
        assert count == rows
        peaks.append(most)
    assert peaks[1] < 2 * peaks[0] < 8_000_000


def test_a_crawl_by_a_table_lists_nothing(loopback_hub: LoopbackHub, hub: Hub, registry: Registry, tmp_path: Path) -> None:
    names = add(loopback_hub, 3)
    loopback_hub.add_repo("org/bare", files={"README.md": "words"})
    shas = {name: loopback_hub.repository(name).at("main").oid for name in (*names, "org/bare")}
    path = table(tmp_path / "m.parquet", [{"id": name, "sha": sha} for name, sha in shas.items()], None)
    found = crawl(registry, hub=hub, selection=Selection(entries=read_stats(path)))
    assert (found.seen, found.added, found.not_read) == (4, 3, 1)
    loopback_hub.forget()
    again = crawl(registry, hub=hub, selection=Selection(entries=read_stats(path)))
    assert (again.seen, again.unchanged, again.postponed) == (4, 3, 1)
    assert loopback_hub.requests == []
    loopback_hub.repository(names[0]).commit({"model.safetensors": content(9)})  # the table is older than that
    assert plan(registry, Selection(entries=read_stats(path)), hub).to_read == 0


def test_the_command_takes_a_table_and_conditions(served: LoopbackHub, run: Run, tmp_path: Path) -> None:
    path = table(tmp_path / TABLE, [{"id": name} for name in (*TREE, "no/such")], SCHEMA)
    done = run("crawl", "--from-stats", str(path), "--author", "ann", "--json")
    assert (done.status, done.json["crawl"]["added"], done.json["crawl"]["seen"]) == (0, 3, 3)
    limited = run("crawl", "--from-stats", str(path), "--limit", "2", "--dry-run", "--json", "--registry", str(tmp_path / "r"))
    assert (limited.json["plan"]["seen"], (tmp_path / "r").exists()) == (2, False)
    assert run("crawl", "--from-stats", str(path), "--seed", "3").status == 2
    assert run("crawl", "--from-stats", str(tmp_path / "none.parquet")).status == 3


def test_the_command_takes_the_usual_dataset_where_none_is_named(served: LoopbackHub, run: Run, tmp_path: Path) -> None:
    path = table(tmp_path / "m", [{"id": name} for name in TREE], SCHEMA)
    served.add_repo(DATASET, kind="dataset", files={TABLE: path.read_bytes()})
    done = run("crawl", "--from-stats", "--author", "bob", "--json")
    assert (done.status, done.json["crawl"]["added"]) == (0, 2)
    assert "/api/models" not in {record.path for record in served.requests}
    served.remove(DATASET, kind="dataset")
    gone = run("crawl", "--from-stats", "--author", "bob", "--json")
    assert (gone.status, gone.json["error"]["code"]) == (3, "not_found")
