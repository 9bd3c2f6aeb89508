"""Which tensors make a network's body, in what order, whatever their names; and the architecture key.

What belongs to the body is told from shapes alone, so that renaming every tensor changes neither the body nor its key.
Names only decide the order of tensors that have one shape, where they carry block numbers and the customary words.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

from hub_lineage.read.dtypes import FLOATS
from hub_lineage.types import Tensor

_NUMBER = re.compile(r"(\d+)")
_ROLES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("q", re.compile(r"^(q|query|wq|to_q|q_proj|q_lin|attn_q|query_proj)$")),
    ("k", re.compile(r"^(k|key|wk|to_k|k_proj|k_lin|attn_k|key_proj)$")),
    ("v", re.compile(r"^(v|value|wv|to_v|v_proj|v_lin|attn_v|value_proj)$")),
    ("o", re.compile(r"^(o|wo|to_out|o_proj|out_proj|out_lin|attn_output)$")),
    ("gate", re.compile(r"^(w1|gate|gate_proj|ffn_gate)$")),
    ("up", re.compile(r"^(w3|up|up_proj|ffn_up|fc1|c_fc|intermediate|lin1)$")),
    ("down", re.compile(r"^(w2|down|down_proj|ffn_down|fc2|lin2)$")),
)
MOST_MULTIPLE = 4
"""Widths of up to this many times the input (fused projections, expansions) belong to the body, not to a head."""
MOST_CHANNELS = 4
"""Inputs of up to this many channels are an image's: a head of three classes doesn't feed them."""


def body(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The weight tensors of a network's body in canonical order: head, vocabulary and position tables left out.

    A weight has at least two dimensions above 1 and a float dtype. Those with the same shape follow the numbers in their
    names (blocks), then their role in the block, then their names.
    """
    floats = [t for t in tensors if t.dtype in FLOATS]
    weights = [t for t in floats if _is_weight(t.shape)]
    shapes = [_matrix(t.shape) for t in weights]
    outputs = Counter(shape[0] for shape in shapes)
    # A head of one class is no weight, but what feeds it is part of the body.
    inputs = {t.shape[1] for t in floats if (len(t.shape) == 2 or _is_weight(t.shape)) and t.shape[1] > MOST_CHANNELS}
    kept = [t for t, shape in zip(weights, shapes, strict=True) if not _is_table(shape, outputs, inputs)]
    return tuple(sorted(kept or weights, key=_order))


def architecture_key(weights: Sequence[Tensor]) -> str:
    """A hash of the shapes of a body's weight tensors, whatever their names and order: 16 hexadecimal digits.

    Two models with one key can be compared tensor by tensor. Whether they are related is another question.
    """
    shapes = sorted(t.shape for t in weights)
    return hashlib.sha256(repr(shapes).encode()).hexdigest()[:16]


def _is_weight(shape: tuple[int, ...]) -> bool:
    """At least two dimensions above 1; a leading 1 in three or more marks a table of positions or tokens."""
    if 0 in shape or sum(size > 1 for size in shape) < 2:
        return False
    return not (len(shape) == 3 and shape[0] == 1)


def _matrix(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with a kernel of 1 x 1 left out: such a convolution is a matrix."""
    return shape[:2] if all(size == 1 for size in shape[2:]) else shape


def _is_table(shape: tuple[int, ...], outputs: Counter[int], inputs: set[int]) -> bool:
    """Whether a matrix is a head, a vocabulary or a table of positions: nothing else takes its rows as input.

    A head and a vocabulary share their number of rows with one another at most, while the projections of a body stand
    once in every block and have widths that another matrix reads or that are small multiples of their input.
    """
    if len(shape) != 2:
        return False
    rows, width = shape
    multiple = rows % width == 0 and rows // width <= MOST_MULTIPLE
    return rows not in inputs and outputs[rows] <= 2 and not multiple


def _order(tensor: Tensor) -> tuple[tuple[int, ...], tuple[int, ...], str, tuple[tuple[int, str], ...]]:
    """Shape, numbers in the name, role, then the name itself with its numbers compared as numbers."""
    words = tensor.name.split(".")
    numbers = tuple(int(number[:9]) for number in _NUMBER.findall(tensor.name))
    role = next((role for word in reversed(words) for role, known in _ROLES if known.match(word)), "")
    natural = tuple(
        (int(part[:9]), "") if part.isdigit() and part.isascii() else (-1, part) for part in _NUMBER.split(tensor.name)
    )
    return tensor.shape, numbers, role, natural
