"""Plain quantisers and slow decoders of packed layouts, written after their descriptions: round to nearest, value by value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Stored = dict[str, NDArray[Any]]
Matrix = NDArray[np.float32]
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)  # the output that lies in each four bits of a word


def packed_along_rows(codes: NDArray[np.int64], bits: int) -> NDArray[np.int32]:
    """Whole numbers [n, k] as words [n * bits / 32, k], low bits first, a number that doesn't fit going on in the next word."""
    words = np.zeros((codes.shape[0] * bits // 32, codes.shape[1]), np.uint64)
    for row, numbers in enumerate(codes.astype(np.uint64)):
        for bit in range(bits):
            place = row * bits + bit
            words[place // 32] |= (numbers >> np.uint64(bit) & np.uint64(1)) << np.uint64(place % 32)
    return words.astype(np.uint32).view(np.int32)


def gptq(weight: Matrix, bits: int, groups: NDArray[np.int64], *, above: int = 1, scale: type = np.float16) -> Stored:
    """A matrix [out, in] as GPTQ stores it; ``groups`` [in] names the group of each input."""
    codes, zeros, scales = affine(weight, bits, groups)
    return {
        "qweight": packed_along_rows(codes.T, bits),
        "qzeros": packed_along_rows((zeros - above) % (1 << bits), bits).T.copy(),
        "scales": scales.T.astype(scale, order="C"),
        "g_idx": groups.astype(np.int32),
    }


def gptq_decoded(stored: Mapping[str, NDArray[Any]], bits: int, above: int = 1) -> Matrix:
    """The matrix [out, in], each value by itself."""
    words, zeros, scales, groups = (stored[part] for part in ("qweight", "qzeros", "scales", "g_idx"))
    out, into = scales.shape[1], len(groups)
    found = np.zeros((out, into), np.float32)
    for o in range(out):
        for i in range(into):
            group = groups[i]
            code, zero = number(words[:, o], i, bits), number(zeros[group], o, bits)
            found[o, i] = np.float32(scales[group, o]) * np.float32(code - (zero + above) % (1 << bits))
    return found


def number(words: NDArray[Any], place: int, bits: int) -> int:
    """One whole number out of a row of words."""
    joined = sum(int(word) % (1 << 32) << 32 * i for i, word in enumerate(words))
    return joined >> place * bits & ((1 << bits) - 1)


def awq(weight: Matrix, group: int) -> Stored:
    """A matrix [out, in] as AWQ stores it, of 4 bits."""
    codes, zeros, scales = affine(weight, 4, np.arange(weight.shape[1]) // group)
    return {"qweight": _interleaved(codes.T), "qzeros": _interleaved(zeros.T), "scales": scales.T.astype(np.float16, order="C")}


def awq_decoded(stored: Mapping[str, NDArray[Any]], group: int) -> Matrix:
    """The matrix [out, in], each value by itself."""
    words, zeros, scales = (stored[part] for part in ("qweight", "qzeros", "scales"))
    found = np.zeros((scales.shape[1], len(words)), np.float32)
    for o in range(found.shape[0]):
        shift = 4 * AWQ_ORDER.index(o % 8)
        for i in range(found.shape[1]):
            code, zero = (int(table[row, o // 8]) >> shift & 15 for table, row in ((words, i), (zeros, i // group)))
            found[o, i] = np.float32(code - zero) * np.float32(scales[i // group, o])
    return found


def pack_quantized(weight: Matrix, bits: int, group: int) -> tuple[Stored, Matrix]:
    """A matrix [out, in] as compressed-tensors packs it, and what that stands for."""
    out, into = weight.shape
    blocks = weight.reshape(out, -1, group)
    scales = (np.abs(blocks).max(axis=2) / (2 ** (bits - 1) - 1)).astype(np.float16)
    whole = np.clip(np.rint(blocks / scales.astype(np.float32)[:, :, None]), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    words = packed_along_rows((whole.reshape(out, into).T + 2 ** (bits - 1)).astype(np.int64), bits).T.copy()
    stood = (whole * scales.astype(np.float32)[:, :, None]).reshape(out, into).astype(np.float32)
    return {"weight_packed": words, "weight_scale": scales, "weight_shape": np.array([out, into])}, stood


def affine(
    weight: Matrix, bits: int, groups: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Codes [out, in], zeros [out, groups] and scales [out, groups] between the least and largest value of each group."""
    out, count, most = len(weight), int(groups.max()) + 1, (1 << bits) - 1
    codes = np.zeros(weight.shape, np.int64)
    zeros, scales = np.zeros((out, count), np.int64), np.ones((out, count))
    for group in range(count):
        here = groups == group
        part = weight[:, here].astype(np.float64)
        low, high = np.minimum(part.min(axis=1), 0), np.maximum(part.max(axis=1), 0)
        scales[:, group] = np.maximum((high - low) / most, 1e-4).astype(np.float16)
        zeros[:, group] = np.clip(np.rint(-low / scales[:, group]), 0, most)
        steps = np.rint(part / scales[:, group, None]) + zeros[:, group, None]
        codes[:, here] = np.clip(steps, 0, most)
    return codes, zeros, scales


def _interleaved(codes: NDArray[np.int64]) -> NDArray[np.int32]:
    groups = codes.reshape(len(codes), -1, 8)
    words = sum((groups[:, :, output] << 4 * place for place, output in enumerate(AWQ_ORDER)), np.zeros((1, 1), np.int64))
    return (words % (1 << 32)).astype(np.uint32).view(np.int32)
