"""The first keys of a GGUF file: enough for what it says of its origin, which stands before the vocabulary."""

from __future__ import annotations

import struct
from typing import Final

_WIDTHS: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of each scalar type
_TEXT, _LIST = 8, 9
_MOST_KEYS = 2_000
_LONGEST_TEXT = 4_000


def texts(head: bytes) -> dict[str, str]:
    """The keys of ``head``, a file's first bytes, whose values are text; it stops quietly where ``head`` ends or lies."""
    found: dict[str, str] = {}
    try:
        magic, version, _, count = struct.unpack_from("<4sIQQ", head)
        if magic != b"GGUF" or version not in {2, 3}:
            return {}
        at = 24
        for _ in range(min(count, _MOST_KEYS)):
            key, at = _text(head, at)
            (kind,) = struct.unpack_from("<I", head, at)
            value, at = _value(head, at + 4, kind)
            if value is not None:
                found[key] = value
    except (struct.error, ValueError, KeyError):
        pass
    return found


def _value(head: bytes, at: int, kind: int) -> tuple[str | None, int]:
    if kind == _TEXT:
        return _text(head, at)
    if kind != _LIST:
        return None, at + _WIDTHS[kind]
    inner, count = struct.unpack_from("<IQ", head, at)
    at += 12
    if inner != _TEXT:
        return None, at + _WIDTHS[inner] * count
    for _ in range(count):  # ends with the head at the latest
        _, at = _text(head, at)
    return None, at


def _text(head: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", head, at)
    stop = at + 8 + length
    if stop > len(head):
        raise ValueError("the head ends here")
    return head[at + 8 : min(stop, at + 8 + _LONGEST_TEXT)].decode("utf-8", "replace"), stop
