"""Where the values of a stored tensor lie: in its own file, or in another one of the model's folder."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hub_lineage.errors import BadWeights
from hub_lineage.read.dtypes import FORMATS
from hub_lineage.read.onnx_files.graph import Stored
from hub_lineage.read.weights import REFETCH
from hub_lineage.types import RepoFile

DTYPES = {
    1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16", 11: "F64", 12: "U32", 13: "U64",
    14: "C64", 16: "BF16", 17: "F8_E4M3", 18: "F8_E4M3FNUZ", 19: "F8_E5M2", 20: "F8_E5M2FNUZ", 23: "F4", 24: "F8_E8M0",
}  # fmt: skip
"""The words of safetensors for the numbers of ``TensorProto.DataType``."""
_FLOATS, _SMALL, _RAW, _DOUBLES = 4, 5, 9, 10
_CONTIGUOUS = {_FLOATS: {"F32", "C64"}, _DOUBLES: {"F64"}}
_LONGEST_SPELT = 16_000_000
"""Bytes of a tensor of half precision that is written number by number, so that it can only be read whole."""


@dataclass(frozen=True, slots=True)
class Place:
    """Values that lie one after another in a file or, where there is none, in memory."""

    dtype: str
    path: str
    start: int
    stop: int
    inline: bytes = b""
    spelt: bool = False  # each as a number of variable length, whose low bytes are the value


def locate(file: RepoFile, stored: Stored, files: Mapping[str, RepoFile]) -> Place | None:
    """Where a tensor of that ONNX file lies, checked; None for words and for types that no tensor here has.

    Raises:
        BadWeights: it lies beyond its file, outside the model's folder, or its size contradicts its shape.
    """
    dtype = DTYPES.get(stored.code)
    if dtype is None:
        return None
    elements = 1
    for size in stored.dims:
        elements *= size
    length = -(-elements * FORMATS[dtype].bits // 8)
    if stored.external is not None:
        return _external(file, stored, dtype, length, files)
    start, stop = stored.place
    if stored.within not in {0, _RAW, *_CONTIGUOUS}:
        return _spelt(file, stored, dtype, elements)
    if stored.within in _CONTIGUOUS and dtype not in _CONTIGUOUS[stored.within]:
        raise wrong(file, stored, "has values of another type than it says")
    if stop - start != length:
        raise wrong(file, stored, "has a size that contradicts its shape")
    return Place(dtype, file.path, start, stop)


def varints(data: bytes, dtype: str) -> bytes:
    """Numbers of seven bits a byte, the lowest first, as the values of a type that they stand for: its low bytes."""
    octets = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(octets < 0x80)
    if not len(ends):
        return b""
    starts = np.concatenate([[0], ends[:-1] + 1])
    octets = octets[: ends[-1] + 1]
    along = np.arange(len(octets)) - np.repeat(starts, ends - starts + 1)
    shifts = np.minimum(7 * along, 63).astype(np.uint64)
    parts = np.where(along < 10, (octets & 0x7F).astype(np.uint64) << shifts, np.uint64(0))
    return np.bitwise_or.reduceat(parts, starts).astype(f"<u{FORMATS[dtype].bits // 8}").tobytes()


def _spelt(file: RepoFile, stored: Stored, dtype: str, elements: int) -> Place:
    start, stop = stored.place
    if FORMATS[dtype].bits < 8 or (FORMATS[dtype].significand and (stored.within != _SMALL or FORMATS[dtype].bits > 16)):
        raise wrong(file, stored, "has values of another type than it says")
    if not elements <= stop - start <= 10 * elements:
        raise wrong(file, stored, "has a size that contradicts its shape")
    if stop - start > _LONGEST_SPELT:
        raise wrong(file, stored, "is written number by number, which isn't read at that size")
    return Place(dtype, file.path, start, stop, stored.inline, spelt=True)


def _external(file: RepoFile, stored: Stored, dtype: str, length: int, files: Mapping[str, RepoFile]) -> Place:
    words = dict(stored.external or ())
    location = words.get("location", "")
    other = files.get(_within(file, stored, location))
    if other is None:
        raise BadWeights(
            f"In {file.path} the tensor {stored.name[:80]!r} lies in {location[:80]!r}, which isn't there.",
            "Name the folder or repository that holds both files, or wait until the upload is complete.",
        )
    start = _whole(file, stored, words.get("offset", "0"))
    if "length" in words and _whole(file, stored, words["length"]) != length:
        raise wrong(file, stored, "has a length that contradicts its shape")
    if start + length > other.size:
        raise wrong(file, stored, f"ends beyond the {other.size:,} bytes of {other.path}")
    return Place(dtype, other.path, start, start + length)


def _within(file: RepoFile, stored: Stored, location: str) -> str:
    """The path of a file beside or below the model's own; anything that climbs out of its folder is refused."""
    parts = location.replace("\\", "/").split("/")
    if not location or location.startswith(("/", "\\")) or ".." in parts or "\0" in location or ":" in parts[0]:
        raise wrong(file, stored, f"points out of the model's folder, to {location[:80]!r}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(file.path), *parts))


def _whole(file: RepoFile, stored: Stored, word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 17):
        raise wrong(file, stored, "has an odd offset or length")
    return int(word)


def wrong(file: RepoFile, stored: Stored, what: str) -> BadWeights:
    """The error that says so of a tensor."""
    return BadWeights(f"In {file.path} the tensor {stored.name[:80]!r} {what}.", REFETCH)
