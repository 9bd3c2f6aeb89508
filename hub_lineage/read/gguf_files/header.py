"""The head of a GGUF file, read in pieces: what it says of the model, and where its tensors lie.

A vocabulary stands before the tensors and may take many megabytes. Its lists of numbers are passed over without being
read, its words are read and dropped. Everything comes from a stranger: each length and count is checked against the
file's size before it is believed. The layout is described in the documentation of ggml ("GGUF").
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hub_lineage.errors import BadWeights
from hub_lineage.read.weights import REFETCH
from hub_lineage.types import ByteRange, RepoFile, Source

FIRST_READ = 64 * 1024
"""Bytes read at first, enough for a model without a vocabulary."""
PIECE = 256 * 1024
"""Bytes read at a time after that, where nothing says how many are needed."""
LARGEST_PIECE = 4 * 1024 * 1024
LONGEST_HEADER = 25_000_000
"""Bytes read of a head at the most."""
MOST_KEYS = 65_536
MOST_TENSORS = 200_000
MOST_DIMENSIONS = 4
MOST_LISTED = 1_024
"""Whole numbers in a list that is kept: enough for one of each block."""
_LONGEST_NAME = 65_535
_LONGEST_TEXT = 65_536
_LARGEST_SIZE = 2**53
_TEXT, _LIST = 8, 9
_SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_WHOLE: Final = frozenset("BbHhIiQq")

Value = str | int | float | bool | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Info:
    """One tensor as the head describes it: shape in torch's order, number of its type, bytes from the data's start."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True, slots=True)
class Header:
    """A head: short values by key, the tensors, and where in the file their data starts."""

    metadata: Mapping[str, Value]
    infos: tuple[Info, ...]
    data: int
    alignment: int


def broken(file: RepoFile, what: str) -> BadWeights:
    """The error of a file that ``what`` is said of."""
    return BadWeights(f"{file.path} {what}.", REFETCH)


def read_header(source: Source, file: RepoFile, head: bytes) -> Header:
    """The head of a file of which the first bytes were read; the rest of it is read in pieces, as far as needed.

    Raises:
        BadWeights: the file isn't GGUF of a known version and byte order, is truncated, or contradicts itself.
    """
    cursor = _Cursor(source, file, head)
    tensors, keys = _counts(cursor)
    metadata: dict[str, Value] = {}
    seen = set()
    for _ in range(keys):
        key = cursor.text(_LONGEST_NAME)
        if key in seen:
            raise broken(file, f"has the key {key[:80]!r} twice")
        seen.add(key)
        value = _value(cursor)
        if value is not None:
            metadata[key] = value
    infos = tuple(_info(cursor) for _ in range(tensors))
    alignment = metadata.get("general.alignment", 32)
    if type(alignment) is not int or not 0 < alignment < 2**32 or alignment & (alignment - 1):
        raise broken(file, f"has the alignment {str(alignment)[:40]}, which is no power of two")
    return Header(metadata, infos, -(-cursor.at // alignment) * alignment, alignment)


def _counts(cursor: _Cursor) -> tuple[int, int]:
    """The numbers of tensors and of keys, after magic and version."""
    if cursor.take(4) != b"GGUF":
        raise broken(cursor.file, "isn't a GGUF file: it doesn't begin with that word")
    version = cursor.number("I")
    if version and version & 0xFFFF == 0:
        raise BadWeights(
            f"{cursor.file.path} was written for big-endian machines, which isn't read.", "Look for the little-endian version."
        )
    if version not in {2, 3}:
        raise BadWeights(f"{cursor.file.path} has version {version} of GGUF; 2 and 3 are read.", "Convert the model anew.")
    tensors, keys = cursor.number("Q"), cursor.number("Q")
    if tensors > MOST_TENSORS or keys > MOST_KEYS:
        raise broken(cursor.file, f"claims {tensors:,} tensors and {keys:,} keys, more than any model has")
    return tensors, keys


def _value(cursor: _Cursor) -> Value | None:
    """The next value; None for a long one, which is passed over."""
    kind = cursor.number("I")
    if kind == _TEXT:
        length = cursor.number("Q")
        if length <= _LONGEST_TEXT:
            return cursor.take(length).decode("utf-8", "replace")
        cursor.skip(length)
        return None
    if kind == _LIST:
        return _listed(cursor)
    if kind not in _SCALARS:
        raise broken(cursor.file, f"has a value of the unknown type {kind}")
    value: Value = cursor.scalar(_SCALARS[kind])
    return value


def _listed(cursor: _Cursor) -> Value | None:
    """A short list of whole numbers; any other is passed over."""
    inner, count = cursor.number("I"), cursor.number("Q")
    if inner == _TEXT:
        cursor.skip_texts(count)
        return None
    if inner == _LIST:
        raise broken(cursor.file, "has a list of lists, which GGUF's own readers refuse")
    if inner not in _SCALARS:
        raise broken(cursor.file, f"has a list of the unknown type {inner}")
    code = _SCALARS[inner]
    size = struct.calcsize(f"<{code}") * count
    if code in _WHOLE and count <= MOST_LISTED:
        return struct.unpack(f"<{count}{code}", cursor.take(size))
    cursor.skip(size)
    return None


def _info(cursor: _Cursor) -> Info:
    name = cursor.text(_LONGEST_NAME)
    dimensions = cursor.number("I")
    if dimensions > MOST_DIMENSIONS:
        raise broken(cursor.file, f"has a tensor {name[:80]!r} of {dimensions:,} dimensions; GGUF allows {MOST_DIMENSIONS}")
    shape = tuple(reversed(struct.unpack(f"<{dimensions}Q", cursor.take(8 * dimensions))))
    elements = 1
    for size in shape:
        elements *= size
    if elements >= _LARGEST_SIZE or max(shape, default=0) >= _LARGEST_SIZE:
        raise broken(cursor.file, f"has a tensor {name[:80]!r} of a size that no file holds")
    return Info(name, shape, cursor.number("I"), cursor.number("Q"))


class _Cursor:
    """A place in a file, with the bytes around it that were read."""

    def __init__(self, source: Source, file: RepoFile, head: bytes) -> None:
        self.file = file
        self.at = 0
        self._source = source
        self._held, self._start = head, 0
        self._spent = len(head)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        self._have(count)
        begin = self.at - self._start
        self.at += count
        return self._held[begin : begin + count]

    def skip(self, count: int) -> None:
        """Pass over so many bytes, which aren't read."""
        self.at += count
        self._inside(0)

    def scalar(self, code: str) -> Any:
        """The next value of a code of :mod:`struct`."""
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def number(self, code: str) -> int:
        """The next whole number."""
        return int(self.scalar(code))

    def text(self, longest: int) -> str:
        """The next text, which must be UTF-8."""
        length = self.number("Q")
        if length > longest:
            raise broken(self.file, f"has a name of {length:,} bytes; at most {longest:,} are allowed")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError as error:
            raise broken(self.file, "has a name that isn't text") from error

    def skip_texts(self, count: int) -> None:
        """Pass over so many texts; their lengths are read, and what lies between."""
        self._inside(8 * count)
        begun, left = self.at, count
        while left:
            here = count - left
            self._have(8, (self.at - begun) * left // here * 9 // 8 if here else 0)
            held, at = self._held, self.at - self._start
            end = len(held) - 8
            while left and at <= end:
                at += 8 + int.from_bytes(held[at : at + 8], "little")
                left -= 1
            self.at = self._start + at
            self._inside(8 * left)

    def _inside(self, count: int) -> None:
        if self.at + count > self.file.size:
            raise broken(self.file, f"ends inside its own head: its {self.file.size:,} bytes are too few, or the head lies")

    def _have(self, count: int, likely: int = 0) -> None:
        """Hold the next ``count`` bytes; ``likely`` so many will be wanted after them."""
        self._inside(count)
        held = max(0, self._start + len(self._held) - self.at)
        if held >= count:
            return
        kept = self._held[len(self._held) - held :]
        more = max(count - held, min(max(PIECE, likely), LARGEST_PIECE))
        begin = self.at + held
        more = min(more, self.file.size - begin)
        self._spent += more
        if self._spent > LONGEST_HEADER:
            raise broken(self.file, f"has a head of more than the {LONGEST_HEADER:,} bytes that are read")
        self._held = kept + self._source.read([ByteRange(self.file.path, begin, begin + more)])[0]
        self._start = self.at
