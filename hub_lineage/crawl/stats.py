"""The daily table of all models that the Hub publishes, as a listing that costs no API call."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from os import PathLike
from typing import Any

from hub_lineage.crawl.selection import Entry
from hub_lineage.errors import UsageError
from hub_lineage.hub.reference import is_id

_WANTED = ("id", "sha")


def read_stats(path: str | PathLike[str]) -> Iterator[Entry]:
    """The models of a Parquet file with a column ``id``, and their commits where it has ``sha``.

    Raises:
        UsageError: pyarrow isn't installed, or the file is none of that kind.
    """
    try:
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError:
        raise UsageError("Reading Parquet needs pyarrow.", "Run: pip install 'hub-lineage[stats]'.") from None
    try:
        file = parquet.ParquetFile(path)
        columns = [name for name in _WANTED if name in file.schema_arrow.names]
        if "id" not in columns:
            raise UsageError(f"{path} has no column id.", "Give the models' table of cfahlgren1/hub-stats.")
        for batch in file.iter_batches(columns=columns):
            yield from _entries(batch.to_pylist())
    except (OSError, ValueError) as error:  # pyarrow's own errors derive from these
        raise UsageError(f"{path} can't be read as Parquet: {error}.", "Download it again.") from error


def _entries(rows: list[dict[str, Any]]) -> Iterator[Entry]:
    for row in rows:
        name, sha = row.get("id"), row.get("sha")
        if isinstance(name, str) and is_id(name):
            yield Entry(name, sha if isinstance(sha, str) and sha else None)
