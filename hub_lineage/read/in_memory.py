"""Tensors in memory as a source: what was worked out of weights can be read like weights that lie in a file."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hub_lineage.read import dtypes
from hub_lineage.types import ByteRange, Cost, Floats, Reference, RepoFile

_FILE = "model.safetensors"


class InMemory:
    """A :class:`~hub_lineage.types.Source` of one file of safetensors; it costs nothing."""

    def __init__(self, tensors: Mapping[str, Floats], dtype: str = "F32") -> None:
        bodies = [dtypes.encode(dtype, values.reshape(-1)) for values in tensors.values()]
        ends = np.cumsum([0, *map(len, bodies)]).tolist()
        head = {
            name: {"dtype": dtype, "shape": values.shape, "data_offsets": ends[place : place + 2]}
            for place, (name, values) in enumerate(tensors.items())
        }
        packed = json.dumps(head).encode()
        self._content = b"".join([struct.pack("<Q", len(packed)), packed, *bodies])

    @property
    def reference(self) -> Reference:
        """No place at all."""
        return Reference("memory", local=True)

    @property
    def revision(self) -> str | None:
        """None: there are no commits."""
        return None

    @property
    def files(self) -> tuple[RepoFile, ...]:
        """The one file."""
        return (RepoFile(_FILE, len(self._content)),)

    @property
    def card(self) -> dict[str, Any]:
        """Nothing is said of it."""
        return {}

    def read(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        """The bytes of each range, in order."""
        return [self._content[span.start : span.stop] for span in ranges]

    def cost(self) -> Cost:
        """Nothing."""
        return Cost()
