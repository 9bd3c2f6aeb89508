"""Small models, and huge sparse ones, written in a moment for tests and benchmarks."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from safetensors.numpy import save_file

Shapes = Mapping[str, tuple[int, ...]]


def write_model(
    folder: Path,
    tensors: Mapping[str, NDArray[Any]],
    *,
    dtype: DTypeLike | None = None,
    shards: int = 1,
    config: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a model's weights as safetensors, in one file or in shards with their index; gives the folder back.

    Args:
        folder: Where to write; made if it isn't there.
        tensors: The weights by name.
        dtype: What to store floating-point weights as, ``ml_dtypes`` included; as they are if None.
        shards: How many files; tensors are dealt out in their order, by bytes.
        config: What to write to ``config.json``, if anything.
        metadata: The ``__metadata__`` of each file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored = {name: np.ascontiguousarray(_stored_as(tensor, dtype)) for name, tensor in tensors.items()}
    groups = _dealt({name: tensor.nbytes for name, tensor in stored.items()}, shards)
    names = _file_names(len(groups))
    for file, group in zip(names, groups, strict=True):
        save_file({name: stored[name] for name in group}, folder / file, metadata=dict(metadata or {"format": "pt"}))
    if len(groups) > 1:
        _write_index(folder, names, groups, sum(tensor.nbytes for tensor in stored.values()))
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config, indent=2))
    return folder


def llama_shapes(
    *, layers: int = 32, hidden: int = 4096, inner: int = 11008, vocabulary: int = 32000
) -> dict[str, tuple[int, ...]]:
    """The tensors of a Llama-like language model; as given by default, 6.7 billion parameters in 291 tensors."""
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, hidden)}
    for layer in range(layers):
        block = f"model.layers.{layer}"
        shapes[f"{block}.input_layernorm.weight"] = (hidden,)
        shapes[f"{block}.mlp.down_proj.weight"] = (hidden, inner)
        shapes[f"{block}.mlp.gate_proj.weight"] = (inner, hidden)
        shapes[f"{block}.mlp.up_proj.weight"] = (inner, hidden)
        shapes[f"{block}.post_attention_layernorm.weight"] = (hidden,)
        for projection in "koqv":
            shapes[f"{block}.self_attn.{projection}_proj.weight"] = (hidden, hidden)
    return {**shapes, "model.norm.weight": (hidden,), "lm_head.weight": (vocabulary, hidden)}


def sparse_model(
    folder: Path,
    shapes: Shapes | None = None,
    *,
    dtype: str = "F16",
    shards: int = 4,
    patches: int = 1,
    patch_bytes: int = 4096,
    seed: int = 0,
) -> Path:
    """Write a model of any size as sparse files: true headers, zeros, and random values at random places.

    Args:
        folder: Where to write; made if it isn't there.
        shapes: The tensors; :func:`llama_shapes` if None.
        dtype: F16 or F32.
        shards: How many files.
        patches: How many places in each tensor hold values.
        patch_bytes: How long such a place is.
        seed: What the values and places follow from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = shapes if shapes is not None else llama_shapes()
    stored = np.dtype({"F16": "<f2", "F32": "<f4"}[dtype])
    sizes = {name: math.prod(shape) * stored.itemsize for name, shape in wanted.items()}
    groups = _dealt(sizes, shards)
    names = _file_names(len(groups))
    random = np.random.default_rng(seed)
    for file, group in zip(names, groups, strict=True):
        header, offsets = _header(group, wanted, sizes, dtype)
        with (folder / file).open("wb") as stream:
            stream.write(header)
            stream.truncate(len(header) + sum(sizes[name] for name in group))
            for name in group:
                for _ in range(patches):
                    count = min(patch_bytes, sizes[name]) // stored.itemsize
                    place = int(random.integers(0, sizes[name] // stored.itemsize - count + 1)) * stored.itemsize
                    stream.seek(len(header) + offsets[name] + place)
                    stream.write((random.standard_normal(count) * 0.02).astype(stored).tobytes())
    _write_index(folder, names, groups, sum(sizes.values()))
    shape = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float16"}
    (folder / "config.json").write_text(json.dumps(shape))
    return folder


def _stored_as(tensor: NDArray[Any], dtype: DTypeLike | None) -> NDArray[Any]:
    return tensor.astype(dtype) if dtype is not None and np.issubdtype(tensor.dtype, np.floating) else tensor


def _dealt(sizes: Mapping[str, int], shards: int) -> list[list[str]]:
    """The names in their order, cut into at most so many groups of like size."""
    total, before = sum(sizes.values()) or 1, 0
    groups: list[list[str]] = [[] for _ in range(shards)]
    for name, size in sizes.items():
        groups[min(shards - 1, before * shards // total)].append(name)
        before += size
    return [group for group in groups if group] or [[]]


def _file_names(count: int) -> list[str]:
    if count == 1:
        return ["model.safetensors"]
    return [f"model-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]


def _write_index(folder: Path, names: Sequence[str], groups: Sequence[Sequence[str]], total: int) -> None:
    weight_map = {name: file for file, group in zip(names, groups, strict=True) for name in group}
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))


def _header(group: Sequence[str], shapes: Shapes, sizes: Mapping[str, int], dtype: str) -> tuple[bytes, dict[str, int]]:
    """The head of a safetensors file, and where in its data each tensor begins."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offsets, position = {}, 0
    for name in group:
        offsets[name] = position
        entries[name] = {"dtype": dtype, "shape": list(shapes[name]), "data_offsets": [position, position + sizes[name]]}
        position += sizes[name]
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, offsets
