"""A table of all models, such as is published daily, as a listing that costs no API call.

It is read where it lies, on a disk or in a dataset of the Hub: a few columns, a few thousand rows at a time.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from hub_lineage.crawl.selection import TO_SECONDS, Entry, Selection, moment
from hub_lineage.errors import NotFound, UsageError
from hub_lineage.hub import Hub, open_source
from hub_lineage.hub.opening import DATASETS
from hub_lineage.hub.reference import is_id
from hub_lineage.hub.seekable import SeekableFile
from hub_lineage.types import Reference, Source

DATASET: Final = "cfahlgren1/hub-stats"
TABLE: Final = "models.parquet"
"""The file that is taken where a dataset is named and none of its files."""
_SUFFIX = ".parquet"
_ROWS = 2048  # held at a time
_AT_ONCE = 1 << 20  # bytes of a column read in one request
_TELLING = {  # the columns that can answer a condition; one of them is enough
    "task": ("tags", "pipeline_tag"),
    "library": ("tags", "library_name"),
    "architecture": ("tags",),
    "since": ("lastModified",),
}
_ADDRESS = re.compile(r"/datasets/(?P<name>[^/]+/[^/]+)(?:/(?:resolve|blob|raw|tree)/(?P<revision>[^/]+)(?:/(?P<path>.+))?)?/?")
_URI = re.compile(
    r"hf://datasets/(?P<name>[^/@]+/[^/@]+)(?:@(?P<revision>refs/(?:pr|convert|heads|tags)/[^/]+|[^/]+))?(?:/(?P<path>.+))?"
)
_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
_CONVERTED = "refs/convert/parquet"  # where the Hub keeps a dataset as Parquet; ``~parquet`` for short
_FORMS = f"Give a path, the ID of a dataset such as {DATASET}, or the address of a file in one."


def read_stats(place: str | PathLike[str], conditions: Selection | None = None, *, hub: Hub | None = None) -> Iterator[Entry]:
    """The models of a Parquet table with a column ``id``, and their commits where it has ``sha``.

    Args:
        place: A path, a dataset's ID, ``hf://datasets/org/name/file``, or the address of a file or folder in a dataset.
        conditions: Only models that meet these; its ``limit`` and ``entries`` are none of this function's business.
        hub: The Hub that has the dataset; none is needed for a path.

    Raises:
        UsageError: pyarrow isn't installed, the file is no such table, or lacks the column that a condition asks about.
        NotFound: there is no such file or dataset.
    """
    try:
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError:
        raise UsageError("Reading Parquet needs pyarrow.", "Run: pip install 'hub-lineage[stats]'.") from None
    wanted = conditions or Selection()
    if wanted.since:
        moment(wanted.since)
    reference, path = located(str(place), hub.endpoint if hub else "")
    return _models(parquet, reference, path, wanted, hub)


def located(place: str, endpoint: str = "") -> tuple[Reference, str]:
    """What to open, and which file or folder in it; empty where that is left to choose."""
    words = place.strip()
    if words and Path(words).expanduser().exists():
        return Reference(words, local=True), ""
    found = _URI.fullmatch(words) or _address(words, endpoint)
    if found:
        name, revision, path = (unquote(found[part] or "") for part in ("name", "revision", "path"))
    else:
        name, revision, path = words, "", ""
    if not is_id(name) or "/" not in name or (not found and name.endswith(_SUFFIX)):
        raise NotFound(f"There is no table {place}.", _FORMS)
    return Reference(DATASETS + name, {"~parquet": _CONVERTED}.get(revision, revision) or None), path


def _address(words: str, endpoint: str) -> re.Match[str] | None:
    try:
        parts, own = urlsplit(words), urlsplit(endpoint).netloc
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"}:
        return None
    match = _ADDRESS.fullmatch(parts.path)
    if match is None or parts.netloc.lower() not in _HOSTS | {own}:
        raise UsageError(f"{words} is no address in a dataset on the Hub.", f"{_FORMS} Of another place, fetch the file first.")
    return match


def _models(parquet: Any, reference: Reference, path: str, wanted: Selection, hub: Hub | None) -> Iterator[Entry]:
    source = open_source(reference, hub)
    for name in _tables(source, path):
        what = name if reference.local else f"{name} of {source.reference.id.removeprefix(DATASETS)}"
        try:
            # The buffer makes whole reads of the file's short ones.
            file = parquet.ParquetFile(io.BufferedReader(SeekableFile(source, name), 1 << 16), buffer_size=_AT_ONCE)
            columns = _columns(file.schema_arrow.names, wanted, what)
            for batch in file.iter_batches(_ROWS, columns=columns, use_threads=False):
                yield from _entries(batch.to_pylist(), wanted)
        except (OSError, ValueError) as error:  # pyarrow's own errors derive from these
            said = (str(error) or type(error).__name__).splitlines()[0][:200]
            raise UsageError(f"{what} can't be read as Parquet: {said}.", "Fetch it again, or name another.") from error


def _tables(source: Source, path: str) -> list[str]:
    """The Parquet files that are meant: the one named, those of the folder named, or the customary one."""
    names = [file.path for file in source.files if file.path.endswith(_SUFFIX)]
    if source.reference.local:
        # A file that was named is taken whatever its name.
        return names or [file.path for file in source.files[:1]]
    inside = [name for name in names if name == path or name.startswith(f"{path.rstrip('/')}/")] if path else []
    chosen = inside or [name for name in names if name == TABLE and not path]
    if not chosen:
        dataset = source.reference.id.removeprefix(DATASETS)
        there = ", ".join(names[:5]) or "none"
        raise NotFound(f"{dataset} has no Parquet file {path or TABLE}.", f"Name one of those it has: {there}.")
    return chosen


def _columns(names: list[str], wanted: Selection, what: str) -> list[str]:
    """The columns that are read."""
    if "id" not in names:
        raise UsageError(f"{what} has no column id.", f"Give a table of models, such as {TABLE} of {DATASET}.")
    columns = {"id", "sha"}
    for condition, telling in _TELLING.items():
        if getattr(wanted, condition):
            there = {name for name in telling if name in names}
            if not there:
                lacking = f"{what} has no column {' or '.join(telling)}, so --{condition} can't be told."
                raise UsageError(lacking, "Leave that condition out.")
            columns |= there
    return [name for name in names if name in columns]


def _entries(rows: list[dict[str, Any]], wanted: Selection) -> Iterator[Entry]:
    first = moment(wanted.since) if wanted.since else ""
    for row in rows:
        name, sha = row.get("id"), row.get("sha")
        if isinstance(name, str) and is_id(name) and _meets(name, row, wanted) and _changed(row) >= first:
            yield Entry(name, sha if isinstance(sha, str) and sha else None)


def _meets(name: str, row: dict[str, Any], wanted: Selection) -> bool:
    """Whether a model is the author's, has the words in its ID, and the tags, as the Hub's own filters have it."""
    if wanted.author is not None and name.partition("/")[0] != wanted.author:
        return False
    if wanted.search is not None and wanted.search.lower() not in name.lower():
        return False
    tags = row.get("tags")
    told = {row.get("pipeline_tag"), row.get("library_name"), *(tags if isinstance(tags, list) else ())}
    return told.issuperset(wanted.tags)


def _changed(row: dict[str, Any]) -> str:
    """When a model last changed, in UTC, to the second; empty where the table doesn't say."""
    when = row.get("lastModified")
    if isinstance(when, datetime):
        when = (when.astimezone(timezone.utc) if when.tzinfo else when).isoformat()
    return when[:TO_SECONDS].replace(" ", "T") if isinstance(when, str) else ""
