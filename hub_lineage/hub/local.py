"""Local folders and files by the same interface as repositories on the Hub."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hub_lineage.errors import LineageError, NotFound, Unreadable
from hub_lineage.hub.meter import Meter
from hub_lineage.hub.ranges import check, coalesce, read_whole, split
from hub_lineage.read import frontmatter
from hub_lineage.types import ByteRange, Cost, Reference, RepoFile

MOST_FILES = 100_000
_README = "README.md"
_README_LIMIT = 1_000_000


class LocalSource:
    """A :class:`~hub_lineage.types.Source` of a folder, or of a single file; its ID is the path as it was given.

    Files that are links are read, as in the Hub's own cache of snapshots; folders that are links aren't entered, nor are
    hidden ones, so that a walk ends and stays where it was sent.
    """

    def __init__(self, reference: Reference, *, meter: Meter | None = None) -> None:
        self._reference = reference
        self._meter = Meter(meter)
        self._root = Path(os.path.expanduser(reference.id))  # noqa: PTH111 - pathlib's raises where there is no home
        try:
            self._files = tuple(self._found())
        except (OSError, ValueError) as error:
            raise _denied(reference.id, error) from error
        self._card: dict[str, Any] | None = None

    @property
    def reference(self) -> Reference:
        """What was named, links unresolved."""
        return self._reference

    @property
    def revision(self) -> str | None:
        """None: a folder has no commits."""
        return None

    @property
    def files(self) -> tuple[RepoFile, ...]:
        """The files when the folder was opened."""
        return self._files

    @property
    def card(self) -> dict[str, Any]:
        """The metadata of the README, as ``license`` and ``card_data``."""
        if self._card is None:
            data = self._metadata()
            stated = data.get("license")
            self._card = {"license": stated if isinstance(stated, str) else None, "card_data": data}
        return self._card

    def cost(self) -> Cost:
        """Reads and bytes so far; ``bytes_total`` is the size of all files."""
        return self._meter.cost(sum(file.size for file in self._files))

    def read(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        """The bytes of each range, in order."""
        check(ranges, self._files, self._reference.id)
        spans = coalesce(ranges, gap=0)
        try:
            bodies = [self._piece(span.path, span.start, span.stop) for span in spans]
        except OSError as error:
            raise _denied(self._reference.id, error) from error
        return split(ranges, spans, bodies)

    def _piece(self, path: str, start: int, stop: int) -> bytes:
        with self._place(path).open("rb", buffering=0) as stream:
            stream.seek(start)
            pieces, left = [], stop - start
            while left and (piece := stream.read(left)):
                pieces.append(piece)
                left -= len(piece)
        self._meter.add(bytes_read=stop - start - left)
        if left:
            raise Unreadable(f"{self._reference.id}: {path} has become shorter since it was opened.", "Try again.")
        return b"".join(pieces)

    def _place(self, path: str) -> Path:
        return self._root if self._root.is_file() else self._root / path

    def _found(self) -> list[RepoFile]:
        status = self._root.stat()
        if stat.S_ISREG(status.st_mode):
            return [RepoFile(self._root.name, status.st_size)]
        if not stat.S_ISDIR(status.st_mode):
            raise Unreadable(f"{self._reference.id} is neither a folder nor a file.", "Give a folder with weights.")
        files: list[RepoFile] = []
        for folder, inner, names in os.walk(self._root):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            for name in sorted(names):
                place = Path(folder, name)
                size = _regular_size(place)
                if size is not None:
                    files.append(RepoFile(place.relative_to(self._root).as_posix(), size))
            if len(files) > MOST_FILES:
                raise Unreadable(f"{self._reference.id} has more than {MOST_FILES} files.", "Give the model's own folder.")
        return sorted(files, key=lambda file: file.path)

    def _metadata(self) -> dict[str, Any]:
        try:
            return frontmatter.metadata(read_whole(self, _README, _README_LIMIT).decode("utf-8", "replace"))
        except LineageError:  # no README, or one that can't be read: the weights still can
            return {}


def _regular_size(place: Path) -> int | None:
    try:
        status = place.stat()
    except OSError:  # a link to nowhere
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _denied(name: str, error: OSError | ValueError) -> LineageError:
    if isinstance(error, (FileNotFoundError, NotADirectoryError, ValueError)):
        return NotFound(f"There is no {name}.", "Check the path.")
    return Unreadable(f"{name} can't be read ({error.strerror or type(error).__name__}).", "Check its permissions.")
