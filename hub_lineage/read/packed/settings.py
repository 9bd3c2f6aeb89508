"""What stands beside packed weights: how they were quantised, or how an adapter's changes are scaled; bounded JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hub_lineage.types import ByteRange, RepoFile, Source, Tensor

LONGEST = 1_000_000
"""Bytes of a settings file that are read at the most; a longer one counts as empty."""
_QUANTISED = ("config.json", "quantize_config.json", "quant_config.json")
_ADAPTER = ("adapter_config.json",)


@dataclass(frozen=True, slots=True)
class Settings:
    """What was found beside the weights.

    ``quantised`` is what ``quantization_config`` says, ``adapter`` what ``adapter_config.json`` says; ``states`` are the texts
    of small tensors by name.
    """

    quantised: Mapping[str, Any] = field(default_factory=dict)
    adapter: Mapping[str, Any] = field(default_factory=dict)
    states: Mapping[str, bytes] = field(default_factory=dict)


def read_settings(source: Source, folder: str, states: Sequence[Tensor], *, quantised: bool, adapter: bool) -> Settings:
    """What is wanted of it, in one go, from the folder of the weights; empty where it isn't there or isn't JSON.

    Args:
        source: The repository or folder.
        folder: Where in it the weights lie.
        states: Small tensors that hold settings, whose bytes are read too.
        quantised: Whether the quantiser's settings are wanted.
        adapter: Whether an adapter's are.
    """
    names = [*(_QUANTISED if quantised else ()), *(_ADAPTER if adapter else ())]
    there = {file.path: file for file in source.files}
    files = [(name, file) for name in names if (file := _beside(there, folder, name)) is not None]
    ranges = [ByteRange(file.path, 0, file.size) for _, file in files]
    ranges += [ByteRange(state.path, state.start, state.stop) for state in states]
    if not ranges:
        return Settings()
    read = source.read(ranges)
    found = {name: as_table(raw) for (name, _), raw in zip(files, read, strict=False)}
    config = found.get(_QUANTISED[0], {}).get("quantization_config")
    stated = next((found[name] for name in _QUANTISED[1:] if found.get(name)), {})
    texts = {state.name: raw for state, raw in zip(states, read[len(files) :], strict=True)}
    return Settings(config if isinstance(config, dict) else stated, found.get(_ADAPTER[0], {}), texts)


def as_table(raw: bytes) -> dict[str, Any]:
    """A JSON object from a stranger; empty where it is none."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _beside(there: Mapping[str, RepoFile], folder: str, name: str) -> RepoFile | None:
    file = there.get(f"{folder}/{name}" if folder else name)
    return file if file is not None and 0 < file.size <= LONGEST else None
