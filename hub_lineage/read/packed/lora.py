"""Low-rank adapters (Hu et al. 2022): the change ``scale * B @ A`` of each matrix, in the shape that it has in the base.

PEFT names the halves ``lora_A`` [rank, in] and ``lora_B`` [out, rank], diffusers and kohya ``lora_down`` and ``lora_up``. The
scale is alpha over the rank, or over its root (Kalajdzievski 2023); alpha stands in ``adapter_config.json`` or, in kohya's
files, in a tensor.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hub_lineage.read import dtypes
from hub_lineage.read.dtypes import FLOATS
from hub_lineage.read.packed.rectangles import Rectangle, Unpacked, cut_out, enclosing, values_at
from hub_lineage.read.packed.settings import Settings
from hub_lineage.types import ByteRange, Floats, Tensor

_HALF = re.compile(r"(?P<stem>.+?)[._]lora[._](?P<half>A|B|down|up)(?P<rest>\..+)?", re.DOTALL)
_WRAPPED = "base_model.model."
_LARGEST_ALPHA = 1e6


@dataclass(frozen=True, slots=True)
class LowRank(Unpacked):
    """A change of the shape [out, in, ...], or [in, out] where ``turned``; with ``alpha``, the scale is that over the rank."""

    shape: tuple[int, ...]
    dtype: str
    scale: float
    down: Tensor
    up: Tensor
    alpha: Tensor | None
    turned: bool

    @property
    def word(self) -> str:
        """What it is called."""
        return f"LORA-{self.rank}"

    @property
    def bits(self) -> int:
        """No value is rounded."""
        return 0

    @property
    def rank(self) -> int:
        """Of the change, at the most."""
        return self.down.shape[0]

    def pieces(self, rectangle: Rectangle) -> tuple[ByteRange, ...]:
        """Rows of B, columns of A, and alpha."""
        up, down = self._laid(rectangle)
        halves = enclosing(self.up, up), enclosing(self.down, down)
        return halves if self.alpha is None else (*halves, values_at(self.alpha, 0, 1))

    def worked_out(self, rectangle: Rectangle, parts: Sequence[bytes]) -> Floats:
        """Their product."""
        halves = zip((self.up, self.down), self._laid(rectangle), parts, strict=False)
        up, down = (cut_out(half, laid, part).astype(np.float32) for half, laid, part in halves)
        scale = self.scale
        if self.alpha is not None:
            scale = float(dtypes.decode(self.alpha.dtype, parts[2])[0]) / self.rank
        change: Floats = (up @ down) * np.float32(scale)
        return change.T if self.turned else change

    def _laid(self, rectangle: Rectangle) -> tuple[Rectangle, Rectangle]:
        out, into = reversed(rectangle) if self.turned else rectangle
        ranks = 0, self.rank
        return Rectangle(out, ranks), Rectangle(ranks, into)


def halves(held: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """A and B of each matrix that an adapter changes, by the matrix's name without its ending; those that fit one another."""
    found: dict[str, dict[str, dict[str, Tensor]]] = {}
    for name, tensor in held.items():
        match = _HALF.fullmatch(name)
        if (
            match
            and len(tensor.shape) >= 2
            and tensor.elements
            and tensor.dtype in FLOATS
            and dtypes.FORMATS[tensor.dtype].bits >= 8
        ):
            side = "A" if match["half"] in {"A", "down"} else "B"
            found.setdefault(match["stem"], {}).setdefault(match["rest"] or "", {})[side] = tensor
    pairs = {}
    for stem, adapters in found.items():
        both = (sides for sides in adapters.values() if len(sides) == 2 and _fit(sides["A"], sides["B"]))
        if (first := next(both, None)) is not None:
            pairs[stem] = first["A"], first["B"]
    return pairs


def _fit(down: Tensor, up: Tensor) -> bool:
    return up.shape[1] == down.shape[0] and all(size == 1 for size in up.shape[2:])


def matrices(held: Mapping[str, Tensor], settings: Settings) -> Iterator[tuple[Tensor | None, tuple[str, ...]]]:
    """Each change, and the names of the stored tensors that it takes the place of; no change where the matrix is there too."""
    said = settings.adapter
    for stem, (down, up) in halves(held).items():
        alpha = held.get(f"{stem}.alpha")
        if alpha is not None and (alpha.elements != 1 or alpha.dtype not in FLOATS or dtypes.FORMATS[alpha.dtype].bits < 8):
            alpha = None
        parts = (down.name, up.name, *([alpha.name] if alpha else []))
        name = stem.removeprefix(_WRAPPED)
        if f"{stem}.weight" in held or f"{stem}.base_layer.weight" in held:
            yield None, parts  # a whole model with an adapter beside it
            continue
        turned = said.get("fan_in_fan_out") is True and len(down.shape) == 2
        shape = (up.shape[0], *down.shape[1:])
        shape = shape[::-1] if turned else shape
        packing = LowRank(shape, "F32", _scale(said, name, down.shape[0]), down, up, alpha, turned)
        yield Tensor(f"{name}.weight", "F32", shape, max(down, up, key=_size).path, *_place(down, up), packing), parts


def _size(tensor: Tensor) -> int:
    return tensor.stop - tensor.start


def _place(down: Tensor, up: Tensor) -> tuple[int, int]:
    largest = max(down, up, key=_size)
    return largest.start, largest.stop


def _scale(said: Mapping[str, object], name: str, rank: int) -> float:
    """Alpha over the rank or its root, as the adapter's settings say; 1 where they say nothing that can be used."""
    alpha = said.get("lora_alpha")
    patterns = said.get("alpha_pattern")
    for pattern, value in patterns.items() if isinstance(patterns, dict) else ():
        if _is_named(name, str(pattern)):
            alpha = value
    if type(alpha) not in {int, float} or not 0 < abs(float(str(alpha))) < _LARGEST_ALPHA:
        return 1.0
    return float(str(alpha)) / (math.sqrt(rank) if said.get("use_rslora") is True else rank)


def _is_named(name: str, pattern: str) -> bool:
    """Whether a module is meant. Patterns are the end of a name; expressions from strangers are not run."""
    if pattern.startswith("^"):
        return name == pattern.removeprefix("^").removesuffix("$").replace("\\.", ".")
    plain = pattern.removesuffix("$").replace("\\.", ".")
    return name == plain or name.endswith(f".{plain}")
