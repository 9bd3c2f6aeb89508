"""A model that was read before is read in one go: what was asked of it then, after its headers, is asked for along with them.

Where a new commit has weight files of the same names and sizes, the values nearly always lie where they lay. They do not
where the headers say otherwise; then what the headers lead to is read, as at the first time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from hub_lineage.read.behind import Behind
from hub_lineage.types import ByteRange, RepoFile, Source

_MOST = 1000  # ranges kept


class Foresight(Behind):
    """A source, and where its values lay the last time.

    Args:
        source: What is read.
        layout: What :meth:`layout` gave the last time; empty where there was none.
    """

    def __init__(self, source: Source, layout: str = "") -> None:
        super().__init__(source)
        self._expected = _ranges(layout, source.files) if layout else ()
        self._asked: dict[ByteRange, None] = {}
        self._held: dict[ByteRange, bytes] = {}

    def read(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        """The bytes of each range; at the first call those that are expected to follow come along."""
        self._asked.update(dict.fromkeys(ranges))
        expected, self._expected = self._expected, ()
        wanted = [one for one in dict.fromkeys((*ranges, *expected)) if one not in self._held]
        found = dict(zip(wanted, self._source.read(wanted) if wanted else [], strict=True))
        bodies = [self._held[one] if one in self._held else found[one] for one in ranges]
        self._held.update((one, found[one]) for one in expected if one in found)
        return bodies

    def layout(self) -> str:
        """What was asked for, with the sizes of the files it lies in, for the next time; empty where nothing was read."""
        sizes = {file.path: file.size for file in self.files}
        paths = sorted({one.path for one in self._asked} & sizes.keys())
        if not paths or len(self._asked) > _MOST:
            return ""
        places = [[paths.index(one.path), one.start, one.stop] for one in self._asked if one.path in sizes]
        return json.dumps([[[path, sizes[path]] for path in paths], places], separators=(",", ":"))


def _ranges(layout: str, files: Sequence[RepoFile]) -> tuple[ByteRange, ...]:
    """The ranges of a layout; none where a file of it is missing or has another size."""
    held, places = json.loads(layout)
    if not {(path, size) for path, size in held} <= {(file.path, file.size) for file in files}:
        return ()
    return tuple(ByteRange(held[number][0], start, stop) for number, start, stop in places)
