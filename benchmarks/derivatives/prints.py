"""Fingerprints of this benchmark's models, and of what is made of their weights."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from safetensors.torch import save_file

from benchmarks.derivatives.models import Made, tensors
from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.hub.local import LocalSource
from hub_lineage.read import dtypes
from hub_lineage.types import Declaration, Fingerprint, Model, Reference

_BLOCK = 32

Weights = dict[str, NDArray[np.float32]]


@cache
def fingerprint(made: Made, *, full: bool = False) -> Fingerprint:
    """Of a trained model, as it lies in its folder."""
    return read_fingerprint(LocalSource(Reference(str(made.path), local=True)), full=full)


def model(made: Made, *, full: bool = False) -> Model:
    """A trained model as the registry would keep it."""
    return Model(made.id, None, fingerprint(made, full=full))


def weights(made: Made) -> Weights:
    """All weights of a trained model as float32."""
    return {name: value.float().numpy() for name, value in tensors(made).items()}


def saved(net: Any) -> Weights:
    """A network's weights by the names that transformers stores them under, which those in memory need not be."""
    with tempfile.TemporaryDirectory() as folder:
        net.save_pretrained(folder)
        return dict(load_file(Path(folder) / "model.safetensors"))


def stored(held: NDArray[np.float32], dtype: str) -> NDArray[np.float32]:
    """The values that are left once they were stored in that dtype."""
    return dtypes.round_to(dtype, held)


def matrices(made: Made) -> tuple[str, ...]:
    """The names of those that quantised formats round: the weights of the body, kernels as long rows, in whole blocks of 32."""
    body = {sample.label for sample in fingerprint(made).samples}
    return tuple(name for name, value in tensors(made).items() if name in body and value[0].numel() % _BLOCK in {0, 16})


def child(
    name: str,
    held: Mapping[str, NDArray[np.float32]],
    *,
    dtype: str = "F32",
    packed: Collection[str] = (),
    word: str = "",
    declared: str | None = None,
    full: bool = False,
) -> Model:
    """A model of these weights, read back from a file; ``packed`` are the tensors that were stored by a packing of that word."""
    import torch  # noqa: PLC0415 - seconds of import

    kinds: dict[str, Any] = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    with tempfile.TemporaryDirectory() as folder:
        made = {key: torch.from_numpy(np.array(value)).to(kinds[dtype]) for key, value in held.items()}
        save_file(made, Path(folder) / "model.safetensors")
        found = read_fingerprint(LocalSource(Reference(folder, local=True)), full=full)
    samples = tuple(replace(s, packed=word) if s.label in packed else s for s in found.samples)
    said = (Declaration(declared, None, "card"),) if declared else ()
    return Model(name, None, replace(found, samples=samples), declared=said)
