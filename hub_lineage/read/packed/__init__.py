"""Packed weights: groups of stored tensors that together hold one matrix become one tensor of the matrix's name and shape.

Quantised copies are GPTQ, AWQ, bitsandbytes, FP8 and compressed-tensors', a file each; an adapter's pairs become the changes
that they make. No way knows another, and none reads a weight before it is sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from hub_lineage.read.packed import awq, bitsandbytes, gptq, lora, pack_quantized, scaled
from hub_lineage.read.packed.settings import Settings, read_settings
from hub_lineage.types import Source, Tensor

Ways = Callable[[Mapping[str, Tensor], Settings], Iterable[tuple[Tensor | None, tuple[str, ...]]]]

WAYS: tuple[Ways, ...] = (
    gptq.matrices,
    awq.matrices,
    bitsandbytes.matrices,
    scaled.matrices,
    pack_quantized.matrices,
    lora.matrices,
)
"""The ways of packing; what one takes no other sees."""
_TOLD = (".qweight", ".weight_packed")  # endings of names of which settings tell more
_SIDES = {
    ".qweight": ("qzeros", "scales", "g_idx"),
    ".weight_packed": ("weight_scale", "weight_zero_point", "weight_g_idx"),
    ".weight": tuple(f"weight.{part}" for part in ("absmax", "quant_map", "nested_absmax", "nested_quant_map")),
}
"""What stands beside packed weights of an ending, and is no weight itself."""


def unpacked(tensors: Sequence[Tensor], source: Source) -> tuple[Tensor, ...]:
    """The tensors with every packed group as one; others stay as they are, in their order.

    What is left of an incomplete group is left out where it isn't weights of its own. Settings and JSON beside the weights are
    read in one go, and only where something is packed.

    Raises:
        BadWeights: a group contradicts itself.
    """
    held = {tensor.name: tensor for tensor in tensors if tensor.packing is None}
    states = bitsandbytes.states(held.values())
    quantised, adapter = any(name.endswith(_TOLD) for name in held), bool(lora.halves(held))
    folder = tensors[0].path.rpartition("/")[0] if tensors else ""
    settings = read_settings(source, folder, states, quantised=quantised, adapter=adapter)
    left, made = dict(held), dict[str, Tensor]()
    for way in WAYS:
        for tensor, parts in list(way(left, settings)):
            for part in parts:
                left.pop(part, None)
            if tensor is not None:
                made.setdefault(tensor.name, tensor)
    beside = _beside(left)
    plain = [t for t in tensors if t.name not in made and t.name not in beside and (t.packing is not None or t.name in left)]
    return (*plain, *made.values())


def _beside(left: Mapping[str, Tensor]) -> set[str]:
    """What stands beside whole numbers of which no matrix could be made."""
    found = set[str]()
    for name, tensor in left.items():
        for ending, parts in _SIDES.items():
            if name.endswith(ending) and tensor.dtype in {"I32", "U8"}:
                found |= {f"{name.removesuffix(ending)}.{part}" for part in parts}
    return found
