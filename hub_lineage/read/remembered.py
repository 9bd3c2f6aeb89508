"""A source that keeps the first bytes of each file that were read once: what lies in them is never asked for again."""

from __future__ import annotations

from collections.abc import Sequence

from hub_lineage.read.behind import Behind
from hub_lineage.types import ByteRange, Source

LONGEST = 256 * 1024
"""Bytes kept of a file at the most."""


class Remembered(Behind):
    """Another source, with the beginnings of files kept; a small model costs one request that way instead of two."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._heads: dict[str, bytes] = {}

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
