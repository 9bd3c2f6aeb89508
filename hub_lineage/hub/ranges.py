"""Byte ranges put together and taken apart again; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hub_lineage.errors import NotFound, Unreadable
from hub_lineage.read.spans import GAP
from hub_lineage.types import ByteRange, RepoFile, Source

LONGEST = 64_000_000  # bytes in one request; no header and no sample comes near
MOST = 512_000_000  # bytes in one call of read, all held in memory


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of a file that is fetched in one go, with the positions of the ranges that it serves."""

    path: str
    start: int
    stop: int
    serves: tuple[int, ...]


def coalesce(ranges: Sequence[ByteRange], *, gap: int = GAP, longest: int = LONGEST) -> list[Span]:
    """Put ranges of one file together where no more than ``gap`` bytes lie between; empty ranges need nothing."""
    order = sorted((position for position, one in enumerate(ranges) if len(one)), key=lambda position: _key(ranges[position]))
    spans: list[Span] = []
    for position in order:
        one = ranges[position]
        last = spans[-1] if spans else None
        if last and last.path == one.path and one.start - last.stop <= gap and max(one.stop, last.stop) - last.start <= longest:
            spans[-1] = Span(last.path, last.start, max(one.stop, last.stop), (*last.serves, position))
        else:
            spans.append(Span(one.path, one.start, one.stop, (position,)))
    return spans


def split(ranges: Sequence[ByteRange], spans: Sequence[Span], bodies: Sequence[bytes]) -> list[bytes]:
    """The bytes of each range, in the order of the ranges, from the bytes of the spans that serve them."""
    pieces = [b""] * len(ranges)
    for span, body in zip(spans, bodies, strict=True):
        for position in span.serves:
            one = ranges[position]
            pieces[position] = body[one.start - span.start : one.stop - span.start]
    return pieces


def check(ranges: Sequence[ByteRange], files: Sequence[RepoFile], name: str) -> None:
    """Refuse ranges of files that aren't there, beyond a file's end, or too long to hold."""
    sizes = {file.path: file.size for file in files}
    for one in ranges:
        if one.path not in sizes:
            raise NotFound(f"{name} has no file {one.path}.", "See its list of files.")
        if not 0 <= one.start <= one.stop <= sizes[one.path]:
            raise Unreadable(
                f"{name}: {one.path} has {sizes[one.path]} bytes, but bytes {one.start} to {one.stop} were to be read.",
                "The file may be truncated, or its header wrong.",
            )
        if len(one) > LONGEST:
            raise Unreadable(f"{name}: {len(one)} bytes of {one.path} are more than is read at once ({LONGEST}).")
    if sum(map(len, ranges)) > MOST:
        raise Unreadable(f"{name}: the ranges asked for are more than is read at once ({MOST} bytes).")


def read_whole(source: Source, path: str, limit: int) -> bytes:
    """A small file's bytes; one that is missing raises NotFound, one above ``limit`` bytes Unreadable."""
    for file in source.files:
        if file.path == path:
            if file.size > limit:
                raise Unreadable(f"{source.reference}: {path} has {file.size} bytes, more than the {limit} that are read.")
            return source.read([ByteRange(path, 0, file.size)])[0]
    raise NotFound(f"{source.reference} has no file {path}.", "See its list of files.")


def _key(one: ByteRange) -> tuple[str, int, int]:
    return one.path, one.start, one.stop
