"""A file in protobuf's wire format, walked forwards by byte ranges: large payloads are stepped over, never read.

Of the format, see "Encoding" in the documentation of Protocol Buffers. A message is a row of fields, each a tag (number and
wire type) and a payload; a nested message is a payload with its length before it, so a walk can go on behind it at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hub_lineage.errors import BadWeights
from hub_lineage.read.weights import REFETCH
from hub_lineage.types import ByteRange, RepoFile, Source

FIRST_READ = 64 * 1024
LONGEST_READ = 4_000_000
SMALL_FILE = 32_000_000
"""Smaller files are read by larger pieces than their weights would call for: requests cost more than bytes there."""
LEAST_READ = 4096
"""Bytes read behind a large payload at the least: the head of the next tensor, and often a bias."""
MOST_READS = 10_000
MOST_BYTES = 25_000_000
"""Bytes of structure taken from one file: tags, names, nodes; payloads that are stepped over don't count."""
MOST_FIELDS = 1_500_000

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}
_LONGEST_VARINT = 10


class Field(NamedTuple):
    """One field of a message: its number, its wire type, its value where that is a varint, and where its payload lies."""

    number: int
    wire: int
    value: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


class Wire:
    """A walk through one file, forwards only; holds one piece of it at a time."""

    def __init__(self, source: Source, file: RepoFile) -> None:
        self.file = file
        self._source = source
        self._base = 0
        self._piece = b""
        self._step = FIRST_READ
        self._reads = 0
        self._fields = 0
        self._bytes = 0

    def fields(self, start: int, stop: int) -> Iterator[Field]:
        """The fields of the message that lies there, in their order.

        Raises:
            BadWeights: they are no such message, or there is too much of it.
        """
        while start < stop:
            tag, start = self._varint(start, stop)
            number, wire = tag >> 3, tag & 7
            value = 0
            begin = start
            if wire == VARINT:
                value, start = self._varint(start, stop)
            elif wire == BYTES:
                length, begin = self._varint(start, stop)
                start = begin + length
            elif wire in _FIXED:
                start += _FIXED[wire]
            else:
                raise self.broken("isn't an ONNX file, or a broken one")
            if number == 0 or start > stop:
                raise self.broken("is truncated, or states lengths that can't be")
            self._count(0)
            yield Field(number, wire, value, begin, start)

    def take(self, field: Field) -> bytes:
        """The payload of a field."""
        self._count(len(field))
        return self._at(field.start, field.stop)

    def text(self, field: Field) -> str:
        """The payload of a field that holds words."""
        self.expect(field, BYTES)
        return self.take(field).decode("utf-8", "replace")

    def numbers(self, field: Field, most: int) -> tuple[int, ...]:
        """The whole numbers of a repeated field, given one by one or packed; negative ones as 64 bits hold them."""
        if field.wire == VARINT:
            return (signed(field.value),)
        self.expect(field, BYTES)
        if len(field) > most * _LONGEST_VARINT:
            raise self.broken(f"has a list of more than {most} numbers")
        found, start = [], field.start
        while start < field.stop:
            value, start = self._varint(start, field.stop)
            found.append(signed(value))
        return tuple(found)

    def expect(self, field: Field, wire: int) -> None:
        """Refuse a field of another wire type."""
        if field.wire != wire:
            raise self.broken(f"has a field {field.number} of the wrong type")

    def broken(self, what: str) -> BadWeights:
        """The error that says so of this file."""
        return BadWeights(f"{self.file.path} {what}.", REFETCH)

    def _varint(self, start: int, stop: int) -> tuple[int, int]:
        """A number of seven bits a byte, the lowest first, and where it ends."""
        value = 0
        for place, byte in enumerate(self._at(start, min(start + _LONGEST_VARINT, stop))):
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                self._bytes += place + 1
                return value & (2**64 - 1), start + place + 1
        raise self.broken("is truncated, or states a number without end")

    def _count(self, taken: int) -> None:
        self._fields += 1
        self._bytes += taken
        if self._bytes > MOST_BYTES or self._fields > MOST_FIELDS:
            raise self.broken(f"has more structure than the {MOST_BYTES:,} bytes and {MOST_FIELDS:,} fields that are read")

    def _at(self, start: int, stop: int) -> bytes:
        if stop > self._base + len(self._piece):
            self._read(start, stop)
        return self._piece[start - self._base : stop - self._base]

    def _read(self, start: int, stop: int) -> None:
        """Read on from where the piece ends, twice as much each time; or anew behind a payload that was stepped over.

        There a 512th of what was stepped over is read, so that the heads of tensors cost little beside their weights.
        """
        known = self._base + len(self._piece)
        if start <= known:
            kept, begin = self._piece[start - self._base :], known
            size = self._step
            self._step = min(2 * self._step, LONGEST_READ)
        else:
            kept, begin = b"", start
            least = FIRST_READ if self.file.size <= SMALL_FILE else LEAST_READ
            size = self._step = max(least, min(FIRST_READ, (start - known) // 512))
        self._reads += 1
        if self._reads > MOST_READS:
            raise self.broken(f"is so scattered that more than {MOST_READS:,} reads don't reach its end")
        end = min(max(stop, begin + size), self.file.size)
        self._base = start
        self._piece = kept + self._source.read([ByteRange(self.file.path, begin, end)])[0]


def signed(value: int) -> int:
    """The number that 64 bits hold in two's complement."""
    return value - 2**64 if value >= 2**63 else value
