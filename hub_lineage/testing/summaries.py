"""What the Hub tells of a model's files without handing them out: parameters, GGUF headers, configuration.

Only headers are read, so that a sparse file of many gigabytes costs no more than a small one.
"""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from collections.abc import Mapping
from typing import Any

from hub_lineage.testing.answers import Blob

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_GGUF_HEAD = 16_000_000  # bytes of a GGUF file in which its metadata and tensor list must lie
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_KEPT = ("architectures", "model_type", "quantization_config")


def header_of(blob: Blob) -> dict[str, Any] | None:
    """The header of a safetensors file, None where it is none."""
    length = int.from_bytes(blob.read(0, 8), "little")
    if not 2 <= length <= blob.size - 8:
        return None
    return as_object(blob.read(8, 8 + length))


def index_of(files: Mapping[str, Blob], name: str = _INDEX) -> dict[str, Any] | None:
    """The index of sharded weights."""
    blob = files.get(name)
    return None if blob is None else as_object(blob.read())


def safetensors_of(files: Mapping[str, Blob]) -> dict[str, Any] | None:
    """How many parameters the weights hold, by dtype; None without safetensors weights."""
    index = index_of(files)
    names = sorted(set(index.get("weight_map", {}).values())) if index else [_SINGLE]
    parameters: Counter[str] = Counter()
    for name in names:
        header = header_of(files[name]) if name in files else None
        for tensor, entry in (header or {}).items():
            if tensor != "__metadata__":
                parameters[entry["dtype"]] += math.prod(entry["shape"])
    return {"parameters": dict(parameters), "total": parameters.total()} if parameters else None


def config_of(files: Mapping[str, Blob]) -> dict[str, Any]:
    """What the Hub keeps of the configuration files."""
    config, tokenizer, adapter = (
        (as_object(files[name].read()) if name in files else None) or {}
        for name in ("config.json", "tokenizer_config.json", "adapter_config.json")
    )
    kept = {name: config[name] for name in _KEPT if name in config}
    if tokenizer:
        kept["tokenizer_config"] = {name: value for name, value in tokenizer.items() if name.endswith(("_token", "_template"))}
    if adapter:
        names = ("base_model_name_or_path", "task_type")
        kept["peft"] = {name: adapter[name] for name in names if name in adapter}
    return kept


def gguf_of(files: Mapping[str, Blob]) -> dict[str, Any] | None:
    """Parameters, architecture and the like from the header of the first GGUF file; None without one."""
    blob = next((files[path] for path in files if path.endswith(".gguf")), None)
    if blob is None:
        return None
    try:
        metadata, total = _Gguf(blob.read(0, _GGUF_HEAD)).header()
    except (struct.error, KeyError, UnicodeDecodeError, IndexError):
        return None
    architecture = metadata.get("general.architecture")
    told = {"total": total, "architecture": architecture, "context_length": metadata.get(f"{architecture}.context_length")}
    told["chat_template"] = metadata.get("tokenizer.chat_template")
    return {name: value for name, value in told.items() if value is not None}


class _Gguf:
    """A reader over the head of a GGUF file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def header(self) -> tuple[dict[str, Any], int]:
        """The metadata, and how many values all tensors hold together."""
        if self._data[:4] != b"GGUF":
            raise KeyError
        self._place = 8
        tensors, entries = self._take("Q"), self._take("Q")
        metadata = {}
        for _ in range(entries):
            name = self._string()
            metadata[name] = self._value(self._take("I"))
        return metadata, sum(self._tensor() for _ in range(tensors))

    def _take(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._data, self._place)
        self._place += struct.calcsize(f"<{code}")
        return value

    def _string(self) -> str:
        length = self._take("Q")
        start, self._place = self._place, self._place + length
        return self._data[start : self._place].decode()

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            inner, count = self._take("I"), self._take("Q")
            return [self._value(inner) for _ in range(count)]
        return self._take(_SCALARS[kind])

    def _tensor(self) -> int:
        self._string()
        shape = [self._take("Q") for _ in range(self._take("I"))]
        self._take("I")
        self._take("Q")
        return math.prod(shape)


def as_object(text: bytes) -> dict[str, Any] | None:
    """A JSON object, None where the text is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
