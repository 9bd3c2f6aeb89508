"""A source that keeps the first bytes of each file that were read once: what lies in them is never asked for again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hub_lineage.types import ByteRange, Cost, Reference, RepoFile, Source

LONGEST = 256 * 1024
"""Bytes kept of a file at the most."""


class Remembered:
    """Another source, with the beginnings of files kept; a small model costs one request that way instead of two."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._heads: dict[str, bytes] = {}

    @property
    def reference(self) -> Reference:
        """What was opened."""
        return self._source.reference

    @property
    def revision(self) -> str | None:
        """The commit that all reads come from."""
        return self._source.revision

    @property
    def files(self) -> tuple[RepoFile, ...]:
        """Every file at that commit."""
        return self._source.files

    @property
    def card(self) -> dict[str, Any]:
        """What the Hub's API says of the model."""
        return self._source.card

    def cost(self) -> Cost:
        """What was asked of the source behind."""
        return self._source.cost()

    def read(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        """The bytes of each range, from memory where they are known."""
        wanted = [span for span in ranges if span.stop > len(self._heads.get(span.path, b""))]
        fresh = iter(self._source.read(wanted) if wanted else [])
        found = []
        for span in ranges:
            head = self._heads.get(span.path, b"")
            found.append(head[span.start : span.stop] if span.stop <= len(head) else next(fresh))
        for span, data in zip(ranges, found, strict=True):
            if span.start == 0 and len(self._heads.get(span.path, b"")) < len(data) <= LONGEST:
                self._heads[span.path] = data
        return found
