"""Writes ``fingerprint-v2.bin``, once: today's code must read it for ever, as it reads the first version's."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

FIRST = Path(__file__).with_name("fingerprint-v1.bin")
GOLDEN = Path(__file__).with_name("fingerprint-v2.bin")
SHAPES = {
    "blocks.0.up": (40, 30),
    "blocks.0.down": (30, 40),
    "blocks.1.up": (40, 30),
    "blocks.1.down": (30, 40),
    "stem.weight": (30, 3, 3, 3),
    "head.weight": (7, 40),
    "norm": (40,),
}


def golden_model() -> dict[str, NDArray[np.float32]]:
    """Weights by a formula that no library's random numbers can change."""
    model = {}
    for place, (name, shape) in enumerate(SHAPES.items()):
        steps = np.arange(int(np.prod(shape)), dtype=np.int64) * 7919 + place * 104_729
        model[name] = ((steps % 1009) / 1009 - 0.5).astype(np.float32).reshape(shape)
    model["stem.weight"] = model["stem.weight"].astype(ml_dtypes.bfloat16)
    return model


if __name__ == "__main__":
    from safetensors.numpy import save

    from hub_lineage.fingerprint import encode, read_fingerprint
    from tests.simulated import Memory

    GOLDEN.write_bytes(encode(read_fingerprint(Memory({"model.safetensors": save(golden_model())}))))
