"""One file of a source, with those of its bytes that were read already."""

from __future__ import annotations

from collections.abc import Sequence

from hub_lineage.errors import BadWeights
from hub_lineage.read.weights import REFETCH
from hub_lineage.types import ByteRange, RepoFile, Source

FIRST_READ = 64 * 1024
"""Bytes read at first from each end of a file: enough for the pickle and the directory of nearly every one."""
LONGEST_PICKLE = 25_000_000
_GROWTH = 4


class Window:
    """A file and the parts of it that are known; anything else is read when it is asked for."""

    def __init__(self, source: Source, file: RepoFile) -> None:
        self.file = file
        self._source = source
        self._known: list[tuple[int, bytes]] = []

    @property
    def first(self) -> tuple[ByteRange, ...]:
        """The ranges that are read at first: both ends, or a short file whole."""
        path, size = self.file.path, self.file.size
        if size <= 2 * FIRST_READ:
            return (ByteRange(path, 0, size),)
        return (ByteRange(path, 0, FIRST_READ), ByteRange(path, size - FIRST_READ, size))

    def know(self, start: int, data: bytes) -> None:
        """Keep bytes that were read."""
        self._known.append((start, data))

    def head(self, least: int = 0) -> bytes:
        """The file's first bytes, as many as are known, at least so many where the file has them."""
        known = max((data for start, data in self._known if start == 0), key=len, default=b"")
        wanted = min(least, self.file.size)
        if len(known) < wanted:
            known += self.read(len(known), wanted)
            self.know(0, known)
        return known

    def more(self) -> bool:
        """Read on from the head, several times as much; False where nothing is left that would be read."""
        known = len(self.head())
        wanted = min(self.file.size, known * _GROWTH, LONGEST_PICKLE)
        return len(self.head(wanted)) > known

    def read(self, start: int, stop: int) -> bytes:
        """The bytes ``start <= i < stop``.

        Raises:
            BadWeights: the file has no such bytes.
        """
        return self.read_all([(start, stop)])[0]

    def read_all(self, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of several places, those that aren't known asked for together.

        Raises:
            BadWeights: the file has no such bytes.
        """
        if not all(0 <= start <= stop <= self.file.size for start, stop in spans):
            raise self.broken("is truncated, or states places that lie outside it")
        found = [self.known(*span) for span in spans]
        wanted = [ByteRange(self.file.path, *span) for span, data in zip(spans, found, strict=True) if data is None]
        fresh = iter(self._source.read(wanted) if wanted else [])
        return [next(fresh) if data is None else data for data in found]

    def known(self, start: int, stop: int) -> bytes | None:
        """Those bytes where they were read already."""
        for begins, data in self._known:
            if begins <= start and stop <= begins + len(data):
                return data[start - begins : stop - begins]
        return None

    def broken(self, what: str) -> BadWeights:
        """The error that says so of this file."""
        return BadWeights(f"{self.file.path} {what}.", REFETCH)
