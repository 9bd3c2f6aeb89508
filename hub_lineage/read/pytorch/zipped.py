"""The zip archive in which torch writes since 1.6: its directory from the file's end, its pickle, where its storages lie.

Every record is stored as it is and lies apart from the others; an archive that packs or overlaps them is refused, so that
no size can grow when it is read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hub_lineage.read.pytorch.described import Malformed, Storage
from hub_lineage.read.pytorch.pickled import interpret
from hub_lineage.read.pytorch.window import LONGEST_PICKLE, Window

SIGNATURE = b"PK\x03\x04"
LONGEST_DIRECTORY = 25_000_000
MOST_RECORDS = 200_000
PICKLE = "data.pkl"

_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY, _DESCRIPTOR = b"PK\x01\x02", b"PK\x07\x08"
_LONGEST_END = 22 + 0xFFFF  # the end of the directory with the longest comment
_FULL32 = 0xFFFFFFFF
_LOCAL = 30  # bytes of a record's own header before its name
_ALIGNED = 64  # torch begins the data of a record at a multiple of it, behind an extra field of four bytes or more
_MOST_PADDING = _ALIGNED + 32


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the directory describes it: where its own header begins, how long its data is, what comes next."""

    name: str
    header: int
    size: int
    described: bool  # whether a repetition of its sizes follows the data
    packed: bool
    name_length: int
    next: int = 0


class Zipped:
    """An archive: the value of its pickle, and the places of storages in it."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._records = _directory(window)
        self._root = _root(window, self._records)
        pickle = self._records[self._root + PICKLE]
        if pickle.size > LONGEST_PICKLE:
            raise window.broken(f"has a pickle of {pickle.size:,} bytes; at most {LONGEST_PICKLE:,} are read")
        first = [pickle, *filter(None, [self._records.get(self._root + "byteorder")])]
        contents = {record.name: window.read(*place) for record, place in self._placed(first)}
        if contents.get(self._root + "byteorder", b"little").strip() != b"little":
            raise window.broken("was written by a machine with the other order of bytes")
        try:
            self.root, _, _ = interpret(contents[pickle.name])
        except Malformed as error:
            raise window.broken(f"can't be read: {error}") from error

    def locate(self, storages: Iterable[Storage]) -> dict[str, tuple[int, int]]:
        """Where the bytes of each storage lie in the file, by its key.

        Raises:
            BadWeights: the archive has no such record, or one of another size.
        """
        records = {}
        for storage in storages:
            record = self._records.get(f"{self._root}data/{storage.key}")
            if record is None:
                raise self._window.broken(f"lacks the storage {storage.key[:40]!r}")
            if not storage.size <= record.size < storage.size + storage.itemsize:
                raise self._window.broken(f"states two sizes of the storage {storage.key[:40]!r}")
            records[storage.key] = record
        places = [place for _, place in self._placed(list(records.values()))]
        return dict(zip(records, places, strict=True))

    def _placed(self, records: list[Record]) -> list[tuple[Record, tuple[int, int]]]:
        """Each record with the place of its data: by its own header, or worked out where that would have to be read."""
        own = [(record.header, record.header + _LOCAL) for record in records]
        starts = [_worked_out(record) if self._window.known(*own[i]) is None else None for i, record in enumerate(records)]
        unknown = [i for i, start in enumerate(starts) if start is None]
        headers = self._window.read_all([own[i] for i in unknown])
        for i, header in zip(unknown, headers, strict=True):
            starts[i] = self._by_header(records[i], header)
        found = []
        for record, start in zip(records, starts, strict=True):
            if record.packed:
                raise self._window.broken(f"packs its record {record.name[:80]!r}, which torch never does")
            begin = start or 0
            if begin + record.size > record.next:
                raise self._window.broken(f"has a record {record.name[:80]!r} that overlaps the next")
            found.append((record, (begin, begin + record.size)))
        return found

    def _by_header(self, record: Record, header: bytes) -> int:
        if not header.startswith(SIGNATURE):
            raise self._window.broken(f"has no record where its directory says {record.name[:80]!r} begins")
        name, extra = struct.unpack_from("<HH", header, 26)
        return record.header + _LOCAL + int(name) + int(extra)


def _worked_out(record: Record) -> int | None:
    """Where the data of a record begins if torch wrote it: so far before the next that it ends there, and aligned.

    None where the two don't agree: then the record's own header tells.
    """
    least = record.header + _LOCAL + record.name_length
    for described in (16, 24) if record.described else (0,):
        start = record.next - described - record.size
        if start % _ALIGNED == 0 and least + 4 <= start <= least + _MOST_PADDING:
            return start
    return None


def _root(window: Window, records: dict[str, Record]) -> str:
    """The folder in the archive that holds everything."""
    roots = [name.removesuffix(PICKLE) for name in records if name.endswith("/" + PICKLE) and name.count("/") == 1]
    if len(roots) != 1:
        raise window.broken("is a zip archive, but not one of torch")
    return roots[0]


def _directory(window: Window) -> dict[str, Record]:
    """The records of an archive by name, in the order in which they lie, none over another."""
    start, stop, count = _end(window)
    if count > MOST_RECORDS or stop - start > LONGEST_DIRECTORY:
        raise window.broken(f"claims {count:,} records; at most {MOST_RECORDS:,} are read")
    try:
        listed = sorted(_entries(window.read(start, stop), count), key=lambda record: record.header)
    except (struct.error, ValueError) as error:
        raise window.broken("has a directory that is broken") from error
    ends = [record.header for record in listed[1:]] + [start]
    found: dict[str, Record] = {}
    for record, end in zip(listed, ends, strict=True):
        if record.header + _LOCAL + record.name_length + (0 if record.packed else record.size) > end:
            raise window.broken(f"has a record {record.name[:80]!r} that overlaps another or the directory")
        if record.name in found:
            raise window.broken(f"has the record {record.name[:80]!r} twice")
        found[record.name] = Record(
            record.name, record.header, record.size, record.described, record.packed, record.name_length, end
        )
    return found


def _end(window: Window) -> tuple[int, int, int]:
    """Where the directory begins and stops, and how many records it has."""
    size = window.file.size
    begin = max(0, size - min(_LONGEST_END, size))
    tail = window.read(max(begin, size - 65_536), size)
    place = tail.rfind(_END)
    while place >= 0 and place + 22 + int.from_bytes(tail[place + 20 : place + 22], "little") != len(tail):
        place = tail.rfind(_END, 0, place)
    if place < 0 or place + 22 > len(tail):
        raise window.broken("has no directory at its end: it is truncated")
    count, length, start = struct.unpack_from("<HII", tail, place + 10)
    at = size - len(tail) + place
    if place >= 20 and tail.startswith(_LOCATOR64, place - 20):
        (end,) = struct.unpack_from("<Q", tail, place - 12)
        last = window.read(end, end + 56)
        if not last.startswith(_END64):
            raise window.broken("has no directory where it says")
        count, length, start = struct.unpack_from("<QQQ", last, 32)
        at = end
    if start + length > at:
        raise window.broken("has a directory that ends beyond it")
    return start, start + length, count


def _entries(directory: bytes, count: int) -> Iterator[Record]:
    """The records that a directory lists.

    Raises:
        ValueError: it lists fewer, or one without sense.
        struct.error: it ends too early.
    """
    place = 0
    for _ in range(count):
        if not directory.startswith(_ENTRY, place):
            raise ValueError("no entry")
        flags, method, packed, size, name, extra, comment = struct.unpack_from("<HH8xIIHHH", directory, place + 8)
        (header,) = struct.unpack_from("<I", directory, place + 42)
        begin = place + 46 + name
        place = begin + extra + comment
        if place > len(directory):
            raise ValueError("no end")
        size, packed, header = _large(directory[begin : begin + extra], size, packed, header)
        word = directory[begin - name : begin].decode("utf-8")
        yield Record(word, header, size, bool(flags & 8), bool(method or flags & 1 or packed != size), name)
    if place != len(directory):
        raise ValueError("entries left over")


def _large(extra: bytes, *values: int) -> Iterator[int]:
    """Sizes and place of a record, from the extra field of large archives where they don't fit 32 bits."""
    place, field = 0, b""
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, place)
        if kind == 1:
            field = extra[place + 4 : place + 4 + length]
        place += 4 + length
    large = 0
    for value in values:
        if value == _FULL32:
            (value,) = struct.unpack_from("<Q", field, large)  # noqa: PLW2901
            large += 8
        yield value
