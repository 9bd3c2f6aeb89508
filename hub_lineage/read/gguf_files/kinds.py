"""The types in which GGUF stores tensors: how many values a block has, in how many bytes, and how it is decoded.

The numbers and sizes are those of ggml, of which llama.cpp is made. Blocks are decoded by that project's own library,
``gguf``, which is imported when the first block is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hub_lineage.errors import Unreadable
from hub_lineage.types import Floats


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of tensor: its word, the values and bytes of a block, and the bits of a value without its scales.

    A type whose ``bits`` are 0 stores values as they are, in the dtype of its word.
    """

    number: int
    word: str
    values: int
    size: int
    bits: int = 0

    @property
    def dtype(self) -> str:
        """The dtype of the values, decoded."""
        return "F32" if self.bits else self.word

    def decode(self, raw: bytes) -> bytes:
        """The values of whole blocks, little-endian in :attr:`dtype`.

        Raises:
            Unreadable: the library that decodes blocks isn't there, or is too old for this type.
        """
        return _decoded(self, raw).astype("<f4", copy=False).tobytes() if self.bits else raw


_PLAIN = (
    (0, "F32", 4),
    (1, "F16", 2),
    (24, "I8", 1),
    (25, "I16", 2),
    (26, "I32", 4),
    (27, "I64", 8),
    (28, "F64", 8),
    (30, "BF16", 2),
)
_QUANTISED = (
    (2, "Q4_0", 32, 18, 4),
    (3, "Q4_1", 32, 20, 4),
    (6, "Q5_0", 32, 22, 5),
    (7, "Q5_1", 32, 24, 5),
    (8, "Q8_0", 32, 34, 8),
    (10, "Q2_K", 256, 84, 2),
    (11, "Q3_K", 256, 110, 3),
    (12, "Q4_K", 256, 144, 4),
    (13, "Q5_K", 256, 176, 5),
    (14, "Q6_K", 256, 210, 6),
    (16, "IQ2_XXS", 256, 66, 2),
    (17, "IQ2_XS", 256, 74, 2),
    (18, "IQ3_XXS", 256, 98, 3),
    (19, "IQ1_S", 256, 50, 1),
    (20, "IQ4_NL", 32, 18, 4),
    (21, "IQ3_S", 256, 110, 3),
    (22, "IQ2_S", 256, 82, 2),
    (23, "IQ4_XS", 256, 136, 4),
    (29, "IQ1_M", 256, 56, 1),
    (34, "TQ1_0", 256, 54, 2),
    (35, "TQ2_0", 256, 66, 2),
    (39, "MXFP4", 32, 17, 4),
)
KINDS: dict[int, Kind] = {
    **{number: Kind(number, word, 1, size) for number, word, size in _PLAIN},
    **{number: Kind(number, word, values, size, bits) for number, word, values, size, bits in _QUANTISED},
}
"""The types that are read, by their numbers in a file."""


def _decoded(kind: Kind, raw: bytes) -> Floats:
    try:
        from gguf import GGMLQuantizationType, quants  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise Unreadable(
            f"Reading weights quantised as {kind.word} needs gguf.", "Run: pip install 'hub-lineage[formats]'."
        ) from error
    blocks = np.frombuffer(raw, dtype=np.uint8).reshape(-1, kind.size)
    try:
        with np.errstate(all="ignore"):
            decoded: Floats = quants.dequantize(blocks, GGMLQuantizationType(kind.number))
    except (ValueError, NotImplementedError) as error:
        raise Unreadable(f"The gguf installed here can't decode {kind.word}.", "Run: pip install --upgrade gguf.") from error
    return decoded
