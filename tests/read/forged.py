"""Files of torch put together by hand, so that any part of them can lie."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hub_lineage.errors import BadWeights, LineageError
from hub_lineage.read import dtypes
from hub_lineage.read.index import read_index
from hub_lineage.read.pytorch.legacy import MAGIC, PROTOCOL
from hub_lineage.types import Tensor
from tests.simulated import Memory


@dataclass(frozen=True)
class Stored:
    """A storage as a pickle names it."""

    key: Any = "0"
    values: Any = 4
    kind: Any = torch.FloatStorage
    rest: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Described:
    """A tensor as a pickle describes it; every word of it may be wrong."""

    storage: Any = Stored()
    offset: Any = 0
    shape: Any = (2, 2)
    strides: Any = (2, 1)
    more: tuple[Any, ...] = (False, OrderedDict())

    def __reduce__(self) -> tuple[Any, ...]:
        return torch._utils._rebuild_tensor_v2, (self.storage, self.offset, self.shape, self.strides, *self.more)


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return ("storage", obj.kind, obj.key, "cpu", obj.values, *obj.rest) if isinstance(obj, Stored) else None


def pickled(value: Any, protocol: int = 2) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, protocol).dump(value)
    return buffer.getvalue()


def archive(value: Any, records: Sequence[tuple[str, bytes]] = (("data/0", bytes(16)),), packed: str = "") -> bytes:
    """A zip with that pickle, given as bytes or to be pickled, and those records; ``packed`` is compressed."""
    buffer = io.BytesIO()
    content = value if isinstance(value, bytes) else pickled(value)
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as file:
        warnings.simplefilter("ignore")  # of names that stand twice
        for name, data in [("data.pkl", content), *records]:
            file.writestr(f"it/{name}", data, zipfile.ZIP_DEFLATED if name == packed else zipfile.ZIP_STORED)
    return buffer.getvalue()


def legacy(
    value: Any,
    storages: Mapping[Any, tuple[int, bytes]] | None = None,
    opening: Sequence[Any] = (MAGIC, PROTOCOL, {"little_endian": True}),
    keys: Any = None,
) -> bytes:
    """A file of the old format: three values, the pickle, the keys of storages, and these with the lengths they state."""
    content = value if isinstance(value, bytes) else pickled(value)
    if storages is None:
        storages = {"0": (4, bytes(16))} if b"Storage" in content else {}
    parts = [*(pickle.dumps(word, 2) for word in opening), content]
    parts.append(pickle.dumps(list(storages) if keys is None else keys, 2))
    parts += [count.to_bytes(8, "little", signed=True) + data for count, data in storages.values()]
    return b"".join(parts)


MODEL = {"weight": Described()}
WRAPPED: dict[str, Callable[[Any], bytes]] = {"zip": archive, "legacy": legacy}


def read(content: bytes) -> tuple[Tensor, ...]:
    return read_index(Memory({"model.pt": content}))


def told(content: bytes) -> tuple[Tensor, ...] | LineageError:
    """What such a file is read as; an error that isn't in words gets through."""
    try:
        tensors = read(content)
    except LineageError as error:
        return error
    for one in tensors:
        assert 0 <= one.start <= one.stop <= len(content)
        if one.packing is None:
            assert one.elements * dtypes.FORMATS[one.dtype].bits == 8 * (one.stop - one.start)
        else:
            last = min(one.elements, 100)
            spans = one.packing.ranges(0, last)
            values = one.packing.values(0, last, [content[span.start : span.stop] for span in spans])
            assert len(values) * 8 == last * dtypes.FORMATS[one.dtype].bits
    return tensors


def assert_refused(content: bytes, words: str) -> None:
    found = told(content)
    assert isinstance(found, BadWeights)
    assert words in found.message
    assert found.hint
    assert len(found.message) < 400


def real(form: str) -> bytes:
    """A small file that torch wrote itself."""
    buffer = io.BytesIO()
    state = {"a.weight": torch.arange(12.0).view(3, 4), "b.weight": torch.ones(5, 2).t(), "b.bias": torch.zeros(3).half()}
    torch.save(state, buffer, _use_new_zipfile_serialization=form == "zip")
    return buffer.getvalue()
