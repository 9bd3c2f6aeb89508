"""Rounding of weights as each quantised format does it: by gguf and bitsandbytes where they can, else by plain encoders.

Every function takes a matrix [out, in] as float32 and gives the values that a reader of the format would unpack, same shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import gguf
import ml_dtypes
import numpy as np
from gguf import quants
from numpy.typing import NDArray

Weights = NDArray[np.float32]

_SUPER = 256
_FP8_LARGEST: Final = 448.0
_NEAR_ZERO: Final = 1e-30
_IQ4 = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], dtype=np.float32)
_TRIES: Final = np.linspace(0.85, 1.1, 21)


def legacy(word: str) -> Callable[[Weights], Weights]:
    """``Q8_0``, ``Q4_0``, ``Q4_1``, ``Q5_0`` and ``Q5_1``, by the encoder and decoder of gguf."""
    kind = gguf.GGMLQuantizationType[word]

    def rounded(weights: Weights) -> Weights:
        flat = quants.dequantize(quants.quantize(weights.reshape(-1, 32), kind), kind)
        return np.asarray(flat, dtype=np.float32).reshape(weights.shape)

    return rounded


def offset_blocks(bits: int, size: int, scale_bits: int) -> Callable[[Weights], Weights]:
    """``Q2_K``, ``Q4_K`` and ``Q5_K``: blocks with a least value and a scale, both rounded to few bits in 256 values."""
    most = 2**bits - 1

    def rounded(weights: Weights) -> Weights:
        blocks = weights.reshape(-1, _SUPER // size, size)
        least = np.minimum(blocks.min(axis=2), 0.0)
        scale = _few(((blocks.max(axis=2) - least) / most), scale_bits)[..., None]
        offset = _few(-least, scale_bits)[..., None]
        codes = np.clip(np.rint(np.divide(blocks + offset, scale, where=scale > 0, out=np.zeros_like(blocks))), 0, most)
        found: Weights = (codes * scale - offset).astype(np.float32).reshape(weights.shape)
        return found

    return rounded


def signed_blocks(bits: int, scale_bits: int) -> Callable[[Weights], Weights]:
    """``Q3_K`` and ``Q6_K``: blocks of 16 with a signed scale, chosen for the least squares, rounded in 256 values."""
    half = 2 ** (bits - 1)

    def rounded(weights: Weights) -> Weights:
        blocks = weights.reshape(-1, _SUPER // 16, 16)
        place = np.abs(blocks).argmax(axis=2, keepdims=True)
        extreme = np.take_along_axis(blocks, place, axis=2)[..., 0]
        best, least = np.zeros_like(extreme), np.full_like(extreme, np.inf)
        for stretch in _TRIES:
            scale = -extreme / half * stretch
            error = np.square(blocks - _signed(blocks, scale[..., None], half)).sum(axis=2)
            best, least = np.where(error < least, scale, best), np.minimum(error, least)
        found: Weights = _signed(blocks, _few_signed(best, scale_bits)[..., None], half).astype(np.float32)
        return found.reshape(weights.shape)

    return rounded


def whole_numbers(weights: Weights) -> Weights:
    """``INT8`` of ONNX: a scale for the whole matrix and a whole zero among codes that aren't negative (dynamic quantisation)."""
    least, largest = min(float(weights.min()), 0.0), max(float(weights.max()), 0.0)
    scale = np.float32(max((largest - least) / 255, _NEAR_ZERO))
    zero = np.rint(-least / scale)
    found: Weights = ((np.clip(np.rint(weights / scale) + zero, 0, 255) - zero) * scale).astype(np.float32)
    return found


def uneven_super_blocks(weights: Weights) -> Weights:
    """``IQ4_XS``: blocks of 32 on sixteen uneven levels, their scales rounded to six bits in 256 values."""
    blocks = weights.reshape(-1, _SUPER // 32, 32)
    extreme = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=2, keepdims=True), axis=2)[..., 0]
    scale = _few_signed((extreme / _IQ4[0]).astype(np.float32), 6)
    levels = scale[..., None] * _IQ4
    nearest = np.abs(blocks[..., None] - levels[:, :, None, :]).argmin(axis=3)
    return np.take_along_axis(levels, nearest, axis=2).astype(np.float32).reshape(weights.shape)


def uneven_blocks(weights: Weights) -> Weights:
    """``IQ4_NL``: blocks of 32 on sixteen uneven levels."""
    blocks = weights.reshape(-1, 32)
    extreme = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1, keepdims=True), axis=1)
    scale = (extreme / _IQ4[0]).astype(np.float16).astype(np.float32)
    levels = scale * _IQ4
    nearest = np.abs(blocks[:, :, None] - levels[:, None, :]).argmin(axis=2)
    return np.take_along_axis(levels, nearest, axis=1).reshape(weights.shape)


def grouped(weights: Weights, group: int = 32, bits: int = 4) -> Weights:
    """``AWQ-4`` before channels are scaled, and GPTQ without making up for errors: groups with a scale and a whole zero."""
    return _grouped(weights.reshape(-1, group), bits).reshape(weights.shape)


def gptq(weights: Weights, inputs: Weights, group: int = 32, bits: int = 4) -> Weights:
    """``GPTQ-4`` (Frantar et al. 2023): column by column, each error made up for in the columns that are left.

    ``inputs`` are what the layer was fed, shape [N, in].
    """
    columns = weights.shape[1]
    hessian = inputs.T.astype(np.float64) @ inputs
    hessian[np.diag_indices(columns)] += 0.01 * np.diag(hessian).mean() + _NEAR_ZERO
    inverse = np.linalg.cholesky(np.linalg.inv(hessian)).T
    left, rounded = weights.astype(np.float64), np.zeros_like(weights)
    for j in range(columns):
        if j % group == 0:
            scale, zero = _scale_and_zero(left[:, j : j + group].astype(np.float32), bits)
        column = _on_grid(left[:, j : j + 1].astype(np.float32), scale, zero, bits)[:, 0]
        rounded[:, j] = column
        left[:, j + 1 :] -= np.outer((left[:, j] - column) / inverse[j, j], inverse[j, j + 1 :])
    return rounded


def four_bit(kind: str, *, nested: bool = False) -> Callable[[Weights], Weights]:
    """``NF4`` and ``FP4``, by bitsandbytes on the processor; ``nested`` rounds the scales too."""

    def rounded(weights: Weights) -> Weights:
        import torch  # noqa: PLC0415 - seconds of import
        from bitsandbytes import functional  # noqa: PLC0415 - likewise

        # Flat: on the processor rows that are no multiple of a block are unpacked wrongly.
        flat = torch.from_numpy(np.array(weights)).reshape(1, -1)
        packed, state = functional.quantize_4bit(flat, quant_type=kind, blocksize=64, compress_statistics=nested)
        found: Weights = functional.dequantize_4bit(packed, state).float().numpy().reshape(weights.shape)
        return found

    return rounded


def eight_bit(weights: Weights) -> Weights:
    """``INT8``, by bitsandbytes on the processor: a scale for each row, from weights cast to half precision."""
    import torch  # noqa: PLC0415 - seconds of import
    from bitsandbytes import functional  # noqa: PLC0415 - likewise

    codes, scale, _ = functional.int8_vectorwise_quant(torch.from_numpy(np.array(weights)).half())
    found: Weights = (codes.float() * scale.float()[:, None] / 127).numpy()
    return found


def float_eight(weights: Weights, *, by_row: bool = False) -> Weights:
    """``FP8`` with four exponent bits, scaled by tensor or by row to the largest that it holds."""
    largest = np.abs(weights).max(axis=1, keepdims=True) if by_row else np.abs(weights).max()
    scale = np.maximum(largest / _FP8_LARGEST, _NEAR_ZERO).astype(np.float32)
    found: Weights = (weights / scale).astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * scale
    return found


ROUNDINGS: Final[dict[str, Callable[[Weights], Weights]]] = {
    **{word: legacy(word) for word in ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1")},
    "Q2_K": offset_blocks(2, 16, 4),
    "Q3_K": signed_blocks(3, 6),
    "Q4_K": offset_blocks(4, 32, 6),
    "Q5_K": offset_blocks(5, 32, 6),
    "Q6_K": signed_blocks(6, 8),
    "IQ4_NL": uneven_blocks,
    "IQ4_XS": uneven_super_blocks,
    "AWQ-4": grouped,
    "NF4": four_bit("nf4"),
    "NF4 nested": four_bit("nf4", nested=True),
    "FP4": four_bit("fp4"),
    "INT8": eight_bit,
    "INT8 ONNX": whole_numbers,
    "FP8": float_eight,
    "FP8 by row": lambda weights: float_eight(weights, by_row=True),
}
"""Formats that need nothing but the weights; the first word of each is that of its packing."""

IN_SUPER_BLOCKS: Final = frozenset({"Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"})
"""Formats that fit no matrix but one of so many values."""


def _few(scales: Weights, bits: int) -> Weights:
    """Scales that aren't negative, as whole multiples of a common one in half precision; shape [N, blocks]."""
    most = 2**bits - 1
    unit = (scales.max(axis=1, keepdims=True) / most).astype(np.float16).astype(np.float32)
    found: Weights = np.clip(np.rint(np.divide(scales, unit, where=unit > 0, out=np.zeros_like(scales))), 0, most) * unit
    return found


def _few_signed(scales: Weights, bits: int) -> Weights:
    half = 2 ** (bits - 1)
    extreme = np.take_along_axis(scales, np.abs(scales).argmax(axis=1, keepdims=True), axis=1)
    unit = (-extreme / half).astype(np.float16).astype(np.float32)
    found: Weights = np.clip(np.rint(np.divide(scales, unit, where=unit != 0, out=np.zeros_like(scales))), -half, half - 1) * unit
    return found


def _signed(blocks: Weights, scale: Any, half: int) -> Any:
    codes = np.rint(np.divide(blocks, scale, where=scale != 0, out=np.zeros_like(blocks)))
    return np.clip(codes, -half, half - 1) * scale


def _scale_and_zero(groups: Weights, bits: int) -> tuple[Weights, Weights]:
    least, largest = np.minimum(groups.min(axis=1), 0), np.maximum(groups.max(axis=1), 0)
    scale = np.maximum((largest - least) / (2**bits - 1), 1e-8).astype(np.float16).astype(np.float32)
    return scale[:, None], np.rint(-least / scale)[:, None]


def _on_grid(groups: Weights, scale: Weights, zero: Weights, bits: int) -> Weights:
    found: Weights = (np.clip(np.rint(groups / scale) + zero, 0, 2**bits - 1) - zero) * scale
    return found


def _grouped(groups: Weights, bits: int) -> Weights:
    return _on_grid(groups, *_scale_and_zero(groups, bits), bits)
