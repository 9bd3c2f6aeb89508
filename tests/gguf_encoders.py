"""Plain encoders of ggml's K-quants and IQ4, which the library only decodes: round to nearest, scales by the largest value.

Each takes blocks of shape [n, values] and gives their bytes, shape [n, size], in the layouts that llama.cpp documents.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[Any]  # of uint8 throughout, which numpy's stubs lose

LEVELS = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], dtype=np.float32)
"""The sixteen uneven levels of IQ4."""


def _over(numbers: NDArray[Any], by: NDArray[Any]) -> Floats:
    found: Floats = np.divide(numbers, by, out=np.zeros(np.broadcast_shapes(numbers.shape, by.shape), np.float32), where=by != 0)
    return found


def _half(scale: Floats) -> tuple[Floats, Bytes]:
    """A scale as float16 holds it, shape [n, 1], and its bytes, shape [n, 2]."""
    stored = scale.astype(np.float16)
    return stored.astype(np.float32), stored.view(np.uint8)


def _affine(blocks: Floats, parts: int, top: int, most: int) -> tuple[Bytes, Bytes, Bytes, list[Bytes]]:
    """Values as ``d * scale * q - dmin * least``: q, scales and least ones by part, and the bytes of d and dmin."""
    split = blocks.reshape(len(blocks), parts, -1)
    least = np.maximum(0, -split.min(axis=2))
    d, d_bytes = _half(np.maximum(0, (split.max(axis=2) + least) / top).max(axis=1, keepdims=True) / most)
    dmin, dmin_bytes = _half(least.max(axis=1, keepdims=True) / most)
    m = np.rint(_over(least, dmin)).clip(0, most)
    scale = np.rint(_over((split.max(axis=2) + dmin * m) / top, d)).clip(0, most)
    q = np.rint(_over(split + (dmin * m)[:, :, None], (d * scale)[:, :, None])).clip(0, top)
    return q.astype(np.uint8), scale.astype(np.uint8), m.astype(np.uint8), [d_bytes, dmin_bytes]


def _signed(blocks: Floats, parts: int, low: int, high: int) -> tuple[Floats, NDArray[np.int8], Bytes]:
    """Values divided by ``d * scale``, whose largest in size comes to ``low``; the scales by part; the bytes of d."""
    split = blocks.reshape(len(blocks), parts, -1)
    largest = np.take_along_axis(split, np.abs(split).argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
    wanted = largest / low
    d, d_bytes = _half(np.abs(wanted).max(axis=1, keepdims=True) / high)
    scale = np.rint(_over(wanted, d)).clip(-high - 1, high)
    return _over(split, (d * scale)[:, :, None]), scale.astype(np.int8), d_bytes


def _nibbles(codes: Bytes, run: int) -> Bytes:
    """Two runs of values in the halves of as many bytes."""
    pairs = codes.reshape(len(codes), -1, 2, run)
    found: Bytes = (pairs[:, :, 0] | pairs[:, :, 1] << 4).reshape(len(codes), -1)
    return found


def _quarters(codes: Bytes) -> Bytes:
    """Four runs of 32 values, two bits each, in 32 bytes."""
    runs = codes.reshape(len(codes), -1, 4, 32)
    found: Bytes = (runs[:, :, 0] | runs[:, :, 1] << 2 | runs[:, :, 2] << 4 | runs[:, :, 3] << 6).reshape(len(codes), -1)
    return found


def _single(bits: Bytes) -> Bytes:
    """Eight runs of 32 values, a bit each, in 32 bytes."""
    return np.packbits(bits.reshape(len(bits), 8, 32), axis=1, bitorder="little").reshape(len(bits), 32)


def _sixes(scales: Bytes, mins: Bytes) -> Bytes:
    """Eight scales and eight least ones of six bits each in 12 bytes."""
    first = scales[:, :4] | scales[:, 4:] >> 4 << 6
    second = mins[:, :4] | mins[:, 4:] >> 4 << 6
    return np.concatenate([first, second, scales[:, 4:] & 15 | (mins[:, 4:] & 15) << 4], axis=1)


def q2_k(blocks: Floats) -> Bytes:
    q, scale, least, halves = _affine(blocks, 16, 3, 15)
    return np.concatenate([scale | least << 4, _quarters(q), *halves], axis=1)


def q3_k(blocks: Floats) -> Bytes:
    scaled, scale, d = _signed(blocks, 16, -4, 31)
    q = (np.rint(scaled).clip(-4, 3) + 4).astype(np.uint8)
    six = (scale + 32).astype(np.uint8)
    high = (six >> 4).reshape(-1, 4, 4)
    packed = high[:, 0] | high[:, 1] << 2 | high[:, 2] << 4 | high[:, 3] << 6
    return np.concatenate([_single(q >> 2), _quarters(q & 3), six[:, :8] & 15 | (six[:, 8:] & 15) << 4, packed, d], axis=1)


def q4_k(blocks: Floats) -> Bytes:
    q, scale, least, halves = _affine(blocks, 8, 15, 63)
    return np.concatenate([*halves, _sixes(scale, least), _nibbles(q, 32)], axis=1)


def q5_k(blocks: Floats) -> Bytes:
    q, scale, least, halves = _affine(blocks, 8, 31, 63)
    return np.concatenate([*halves, _sixes(scale, least), _single(q >> 4), _nibbles(q & 15, 32)], axis=1)


def q6_k(blocks: Floats) -> Bytes:
    scaled, scale, d = _signed(blocks, 16, -32, 127)
    q = (np.rint(scaled).clip(-32, 31) + 32).astype(np.uint8)
    return np.concatenate([_nibbles(q & 15, 64), _quarters(q >> 4), scale.view(np.uint8), d], axis=1)


def iq4_nl(blocks: Floats) -> Bytes:
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1)
    d, d_bytes = _half(largest / LEVELS[0])
    return np.concatenate([d_bytes, _nibbles(_nearest(_over(blocks, d)), 16)], axis=1)


def iq4_xs(blocks: Floats) -> Bytes:
    scaled, scale, d = _signed(blocks, 8, -127, 31)
    six = (scale + 32).astype(np.uint8)
    high = ((six >> 4).astype(np.uint16) << np.arange(0, 16, 2, dtype=np.uint16)).sum(axis=1, keepdims=True, dtype=np.uint16)
    low = six[:, ::2] & 15 | (six[:, 1::2] & 15) << 4
    return np.concatenate([d, high.view(np.uint8), low, _nibbles(_nearest(scaled), 16)], axis=1)


def _nearest(scaled: Floats) -> Bytes:
    found: Bytes = np.abs(scaled[..., None] - LEVELS).argmin(axis=-1).astype(np.uint8)
    return found


ENCODERS: dict[str, tuple[int, Callable[[Floats], Bytes]]] = {
    "Q2_K": (256, q2_k),
    "Q3_K": (256, q3_k),
    "Q4_K": (256, q4_k),
    "Q5_K": (256, q5_k),
    "Q6_K": (256, q6_k),
    "IQ4_NL": (32, iq4_nl),
    "IQ4_XS": (256, iq4_xs),
}
"""By type: the values of a block, and its encoder."""


def encode(weights: Floats, word: str) -> Bytes:
    """A matrix as a GGUF file stores it, row by row: shape [..., bytes of a row]."""
    values, encoder = ENCODERS[word]
    blocks: Bytes = encoder(np.ascontiguousarray(weights, dtype=np.float32).reshape(-1, values))
    rows: Bytes = blocks.reshape(*weights.shape[:-1], -1)
    return rows
