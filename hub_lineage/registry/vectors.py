"""The file of short fingerprints: rows of 1,024 float16 values, those of one architecture or kind of block in long runs.

An extent is a run of slots that belongs to one architecture, or one kind of block, and fills from its start. A slot is
written once and never again, so a reader needs no lock: whatever its snapshot of the database names stays as it was.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from hub_lineage import fingerprint as fingerprints
from hub_lineage.types import Block, Fingerprint, Floats

WIDTH = 1024
ROW = 2 * WIDTH
TOLERANCE = 1e-5  # far above what rounding to float32 can do to a product of two unit vectors
_BLOCK = 512  # rows scored at once: 1 MB as stored, 2 MB as float32, so that a block stays in the processor's cache
_WIDENED = 2.0**112
_SIGN_AND_VALUE = np.int32(-0x70002000)  # 0x8fffe000: the sign, then the five and ten bits of a float16
_LARGEST = 4096  # slots of an extent, at most

Run = tuple[int, int]
"""The slots ``start <= slot < start + count``."""


def short(fingerprint: Fingerprint) -> NDArray[np.float16]:
    """The short fingerprint, shape (1024,); weights that aren't finite count as 0, so that they spoil no search."""
    return _finite(fingerprints.short_vector(fingerprint))


def of_block(fingerprint: Fingerprint, block: Block) -> NDArray[np.float16]:
    """The short fingerprint of a kind of block, shape (1024,), finite likewise."""
    return _finite(fingerprints.block_vector(fingerprint, block))


def _finite(vector: NDArray[np.float16]) -> NDArray[np.float16]:
    if vector.shape != (WIDTH,):
        raise ValueError(f"a short fingerprint has {WIDTH} values, not {vector.shape}")
    return np.nan_to_num(vector, nan=0.0, posinf=0.0, neginf=0.0).astype("<f2")


def claim(connection: sqlite3.Connection, architecture: int) -> int:
    """A fresh slot for one vector of ``architecture``, within the transaction at hand."""
    last = connection.execute(
        "SELECT start, used FROM extent WHERE architecture = ? AND used < capacity ORDER BY start DESC LIMIT 1", (architecture,)
    ).fetchone()
    if last is None:
        last = (_grow(connection, architecture), 0)
    start, used = last
    connection.execute("UPDATE extent SET used = used + 1 WHERE start = ?", (start,))
    return int(start + used)


def _grow(connection: sqlite3.Connection, architecture: int) -> int:
    """A new extent at the end, half as large as what the architecture has: few runs to read, at most a third unused."""
    (held,) = connection.execute("SELECT ifnull(sum(used), 0) FROM extent WHERE architecture = ?", (architecture,)).fetchone()
    (start,) = connection.execute(
        "SELECT ifnull((SELECT start + capacity FROM extent ORDER BY start DESC LIMIT 1), 0)"
    ).fetchone()
    capacity = min(max(1, held // 2), _LARGEST)
    connection.execute("INSERT INTO extent VALUES (?, ?, ?, 0)", (start, architecture, capacity))
    return int(start)


def end(connection: sqlite3.Connection) -> int:
    """The bytes that the file must have for every committed slot to be in it."""
    last = connection.execute("SELECT start + used FROM extent ORDER BY start DESC LIMIT 1").fetchone()
    return int(last[0]) * ROW if last else 0


def runs(connection: sqlite3.Connection, architecture: int) -> list[Run]:
    """The filled slots of an architecture, in order, neighbours joined."""
    joined: list[Run] = []
    query = "SELECT start, used FROM extent WHERE architecture = ? ORDER BY start"
    for start, used in connection.execute(query, (architecture,)):
        if joined and sum(joined[-1]) == start:
            joined[-1] = (joined[-1][0], joined[-1][1] + used)
        else:
            joined.append((start, used))
    return joined


def score(path: Path, parts: Sequence[Run], query: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Slots and their cosines with ``query`` (shape (1024,)), good to :data:`TOLERANCE`."""
    slots = np.concatenate([np.arange(start, start + count) for start, count in parts]) if parts else np.empty(0, np.int64)
    scores = np.empty(len(slots), np.float32)
    stored, widened = np.empty((_BLOCK, WIDTH), "<f2"), np.empty((_BLOCK, WIDTH), np.int32)
    scaled, at = query * np.float32(_WIDENED), 0
    with path.open("rb", buffering=0) as file:
        for start, count in _blocks(parts):
            _fill(file, start, stored[:count])
            np.matmul(_widen(stored[:count], widened[:count]), scaled, out=scores[at : at + count])
            at += count
    # Stored values are finite: what isn't was damaged, and as the best score it meets its checksum.
    return slots, np.nan_to_num(scores, copy=False, nan=np.inf, posinf=np.inf)


def exact(path: Path, slots: Sequence[int], query: Floats) -> tuple[list[float], list[int]]:
    """Cosines that depend on the stored values alone, and the values' checksums, for each slot.

    The fast product's last bits change with a row's place in its block; equal vectors must tie here, so each row is
    multiplied and summed alone, in float64, where the products of float16 values are exact.
    """
    cosines, checks = [], []
    row, double = np.empty(WIDTH, "<f2"), query.astype(np.float64)
    with path.open("rb", buffering=0) as file:
        for slot in slots:
            _fill(file, slot, row)
            cosines.append(float((row.astype(np.float64) * double).sum()))
            checks.append(zlib.crc32(row.tobytes()))
    return cosines, checks


def _blocks(parts: Sequence[Run]) -> Iterator[Run]:
    for start, count in parts:
        for first in range(start, start + count, _BLOCK):
            yield first, min(_BLOCK, start + count - first)


def _widen(stored: NDArray[np.float16], out: NDArray[np.int32]) -> Floats:
    """The stored values divided by 2**112, as float32 in the memory of ``out``.

    Shifted to the places that float32 has for them, the bits of a float16 mean that value exactly, subnormal ones
    included. numpy's own conversion goes value by value and takes five times as long as all the rest of a search.
    """
    np.copyto(out, stored.view("<i2"))
    np.left_shift(out, 13, out=out)
    np.bitwise_and(out, _SIGN_AND_VALUE, out=out)
    return out.view(np.float32)


def _fill(file: BinaryIO, slot: int, rows: NDArray[np.float16]) -> None:
    file.seek(slot * ROW)
    view = rows.data.cast("B")
    done = 0
    while done < len(view):
        got = file.readinto(view[done:])  # type: ignore[attr-defined]  # an unbuffered file is a RawIOBase and has it
        if not got:
            raise EOFError(f"slot {slot} lies beyond the end of {file.name}")
        done += got
