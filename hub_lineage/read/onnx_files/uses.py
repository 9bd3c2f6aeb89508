"""How the nodes of a graph use its stored tensors: which way round a matrix stands, its module, its scales.

A right operand of a product is stored as [in, out], where torch has [out, in]. Exporters fold torch's transposition into
the matrix and then give it a name of their own; a parameter that keeps the name it has in torch stands as it does there, so
that GPT-2's matrices, which torch multiplies from the right, stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hub_lineage.read.onnx_files.graph import Graph, Node, Stored

_RIGHT = {"MatMul": 1, "Gemm": 1, "FusedMatMul": 1, "MatMulInteger": 1, "DynamicQuantizeMatMul": 1, "Attention": 1}
_RIGHT |= {"QAttention": 1, "QLinearMatMul": 3, "QGemm": 3}
"""Operations that multiply by a matrix from the right, and the place of that input."""
_ASIDE = {"Conv": 1, "ConvTranspose": 1, "ConvInteger": 1, "QLinearConv": 3, "Gather": 0, "MatMulNBits": 1}
"""Other operations that have weights, and the place of those."""
_SCALES = {
    "DequantizeLinear": (0, 1, 2), "DynamicQuantizeMatMul": (1, 2, 3), "QLinearMatMul": (3, 4, 5), "QLinearConv": (3, 4, 5),
    "QGemm": (3, 4, 5), "QAttention": (1, 4, 7), "MatMulInteger": (1, -1, 3), "ConvInteger": (1, -1, 3),
}  # fmt: skip
"""The places of whole-numbered weights, their scales (-1 where the name alone tells) and their zero points."""
_SAME = frozenset({"Identity", "Cast", "DequantizeLinear"})
_QUANTIZED = re.compile(r"_quantized$|_Q[48]$")
"""What quantisers add to a name."""
_FOLDED = re.compile(r"[^.]*|/.*|.*::.*|.*[._]?MatMul[._].*|.*_output_\d+", re.DOTALL)
"""Names that are an exporter's, not a parameter's."""
_FROM_RIGHT = re.compile(r".*\b(c_attn|c_proj|c_fc|q_attn)\b.*", re.DOTALL)
"""Parameters that torch itself multiplies from the right."""


@dataclass(frozen=True, slots=True)
class Scales:
    """The names of a quantised tensor's scales and zero points, and the axis along which they stand."""

    scale: str
    zero: str
    axis: int


@dataclass(slots=True)
class Use:
    """What is known of one stored tensor from the nodes that use it: ``scope`` is its module's name in torch."""

    right: bool = False
    weight: bool = False
    bias: bool = False
    scope: str = ""
    scales: Scales | None = None
    blocks: Node | None = None  # the product of a matrix that is quantised in blocks


def uses(graph: Graph) -> dict[str, Use]:
    """What the nodes tell of every stored tensor that they use."""
    found: dict[str, Use] = {}
    flows: dict[str, tuple[str, bool]] = {name: (name, False) for name in graph.stored}
    for node in graph.nodes:
        _follow(node, flows)
        for place, name in enumerate(node.inputs):
            if name in flows:
                stored, turned = flows[name]
                _note(found.setdefault(stored, Use()), node, place, turned)
        _note_scales(found, node, graph.stored)
    return found


def is_folded(name: str) -> bool:
    """Whether a name is an exporter's own, for what it worked out, rather than a parameter's."""
    return _FOLDED.fullmatch(_plain(name)) is not None


def is_turned(name: str, stored: Stored, use: Use) -> bool:
    """Whether a matrix must be transposed to stand as it does in torch."""
    if not use.right or len(stored.dims) != 2:
        return False
    if use.scales is not None:  # quantisers transpose matrices and leave them their names
        return not _FROM_RIGHT.fullmatch(name)
    return is_folded(name)


def names(graph: Graph, used: Mapping[str, Use]) -> dict[str, str]:
    """The names that the tensors have in torch, as far as nodes tell; all differ, as the stored ones do."""
    given: dict[str, str] = {}
    taken = {_plain(name) for name in graph.stored} | set(graph.stored)
    for name in graph.stored:
        use, plain = used.get(name, Use()), _plain(name)
        kept = plain if plain == name or plain not in graph.stored else name
        given[name] = kept
        if is_folded(name) and use.scope and (use.weight or use.bias):
            wanted = f"{use.scope}.{'weight' if use.weight else 'bias'}"
            if wanted not in taken:
                taken.add(wanted)
                given[name] = wanted
    return given


def _plain(name: str) -> str:
    return _QUANTIZED.sub("", name)


def _follow(node: Node, flows: dict[str, tuple[str, bool]]) -> None:
    """A tensor goes through operations that don't change it, or only turn it."""
    if not node.inputs or len(node.outputs) != 1 or node.inputs[0] not in flows:
        return
    stored, turned = flows[node.inputs[0]]
    if node.op in _SAME:
        flows.setdefault(node.outputs[0], (stored, turned))
    elif node.op == "Transpose" and node.attributes.get("perm", (1, 0)) == (1, 0):
        flows.setdefault(node.outputs[0], (stored, not turned))


def _note(use: Use, node: Node, place: int, turned: bool) -> None:
    """The first operation that has the tensor for its weight decides."""
    if use.weight or use.bias:
        return
    if _RIGHT.get(node.op) == place:
        use.weight, use.scope = True, node.scope
        use.right = turned == _is_turning(node)
    elif _ASIDE.get(node.op) == place:
        use.weight, use.scope = True, node.scope
        use.blocks = node if node.op == "MatMulNBits" else None
    elif node.op in {"Conv", "Gemm"} and place == 2:
        use.bias, use.scope = True, node.scope


def _note_scales(found: dict[str, Use], node: Node, stored: Mapping[str, Stored]) -> None:
    if node.op not in _SCALES or node.attributes.get("block_size", (0,)) != (0,):
        return
    weight, scale, zero = (_input(node, place) for place in _SCALES[node.op])
    if weight not in stored:
        return
    if not scale:
        scale = f"{_plain(weight)}_scale"
    if scale in stored:
        found.setdefault(weight, Use()).scales = Scales(scale, zero, _axis(node))


def _axis(node: Node) -> int:
    """The axis along which the scales of an operation's weights stand, where there are several: that of its outputs."""
    if node.op == "DequantizeLinear":
        return next(iter(node.attributes.get("axis", ())), 1)
    return 0 if "Conv" in node.op or _is_turning(node) else 1


def _is_turning(node: Node) -> bool:
    return node.attributes.get("transB", (0,))[:1] == (1,)


def _input(node: Node, place: int) -> str:
    return node.inputs[place] if 0 <= place < len(node.inputs) else ""
