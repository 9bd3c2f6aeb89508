"""Which tensors make a network's body, in what order, whatever their names; and the keys of its shapes.

What belongs to the body is told from shapes alone, so that renaming every tensor changes neither the body nor its key.
Names only decide the order of tensors that have one shape, where they carry block numbers and the customary words, and
where one depth block ends and the next begins.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, islice

from hub_lineage.read.dtypes import FLOATS
from hub_lineage.types import Block, Tensor

Shape = tuple[int, ...]

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
CHANGE = "LORA"
"""How the words of packings begin that hold a low-rank change of a matrix and not the matrix."""
MOST_MULTIPLE = 4
"""Widths of up to this many times the input (fused projections, expansions) belong to the body, not to a head."""
MOST_CHANNELS = 4
"""Inputs of up to this many channels are an image's: a head of three classes doesn't feed them."""
SHORTEST_VECTOR = 8
MOST_BLOCKS = 8
"""Kinds of depth block that are told apart in one network, those with most weights first."""
_LEVELS = 6  # numbers in a name that are looked at
_LEFT_OVER = 3  # a tensor outside the repeating unit counts as much as so many within it
_MOST_IN_BLOCK = 8  # tensors of one shape in a block, where blocks are told by counting


def body(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The weight tensors of a network's body in canonical order: head, vocabulary and position tables left out.

    A weight has at least two dimensions above 1 and a float dtype. Those with the same shape follow the numbers in their
    names (blocks), then their role in the block, then their names. The body of an adapter is the matrices that it changes.
    """
    floats = [t for t in tensors if t.dtype in FLOATS]
    weights = [t for t in floats if _is_weight(t.shape)]
    if changed := changed_by_adapter(weights):
        return changed
    shapes = [_matrix(t.shape) for t in weights]
    outputs = Counter(shape[0] for shape in shapes)
    # A head of one class is no weight, but what feeds it is part of the body.
    inputs = {t.shape[1] for t in floats if (len(t.shape) == 2 or _is_weight(t.shape)) and t.shape[1] > MOST_CHANNELS}
    kept = [t for t, shape in zip(weights, shapes, strict=True) if not _is_table(shape, outputs, inputs)]
    return tuple(sorted(kept or weights, key=_order))


def vectors(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The body's tensors of one dimension in canonical order: gains and biases of eight values or more.

    Those as long as a head or a vocabulary has rows are left out with it.
    """
    inside = {t.name for t in body(tensors)}
    outside = {t.shape[0] for t in tensors if len(t.shape) == 2 and t.name not in inside}
    flat = [t for t in tensors if t.dtype in FLOATS and len(t.shape) == 1 and t.shape[0] >= SHORTEST_VECTOR]
    return tuple(sorted((t for t in flat if t.shape[0] not in outside), key=_order))


def changed_by_adapter(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The matrices that a low-rank adapter changes, in canonical order and in the shapes of its base; none in a whole model."""
    changed = (t for t in tensors if t.packing is not None and is_change(t.packing.word))
    return tuple(sorted((t for t in changed if _is_weight(t.shape)), key=_order))


def is_change(word: str) -> bool:
    """Whether a packing of that word holds changes of a matrix."""
    return word.startswith(CHANGE)


def architecture_key(weights: Sequence[Tensor], *, changes: bool = False) -> str:
    """A hash of the shapes of a body's weight tensors, whatever their names and order: 16 hexadecimal digits.

    Two models with one key can be compared tensor by tensor. Whether they are related is another question. ``changes`` says
    that only changes of such tensors are held, as the packings of an adapter's do: its key is never that of its base.
    """
    shapes: list[Shape] = [t.shape for t in weights]
    return _key([*shapes, ()] if changes or changed_by_adapter(weights) else shapes)


def block_keys(weights: Sequence[Tensor]) -> tuple[Block, ...]:
    """The kinds of depth block in a body, those with most weights first; ``samples`` are places in ``weights``.

    The key of a kind is a hash of the shapes in one such block, so neither depth nor prefix moves it. Blocks are told by
    the numbers in names; where those tell little, the unit that repeats is worked out from how often each shape stands.
    """
    named = _named_blocks(weights)
    if 2 * _covered(named) < len(weights):
        named = max(named, _counted_blocks(weights), key=_covered)
    heavy = sorted(named, key=lambda block: (-sum(weights[i].elements for i in block.samples), block.key))
    return tuple(heavy[:MOST_BLOCKS])


def _key(shapes: Iterable[Shape]) -> str:
    return hashlib.sha256(repr(sorted(shapes)).encode()).hexdigest()[:16]


def _covered(blocks: Sequence[Block]) -> int:
    return sum(len(block.samples) for block in blocks)


def _named_blocks(weights: Sequence[Tensor]) -> list[Block]:
    """Blocks of two weights or more that stand under one name up to a number, of kinds that stand at least twice.

    The outermost number that counts such blocks is taken: a stage of blocks of several widths is no block.
    """
    ends = [[number.end() for number in islice(_NUMBER.finditer(t.name), _LEVELS)] for t in weights]
    kinds: dict[str, list[list[int]]] = {}
    left = list(range(len(weights)))
    for level in range(_LEVELS):
        blocks: dict[str, list[int]] = {}
        for i in left:
            if level < len(ends[i]):
                blocks.setdefault(weights[i].name[: ends[i][level]], []).append(i)
        keyed = [(_key(weights[i].shape for i in members), members) for members in blocks.values()]
        times = Counter(key for key, members in keyed if len(members) > 1)
        for key, members in keyed:
            if times[key] > 1:
                kinds.setdefault(key, []).append(members)
        left = [i for key, members in keyed if times[key] < 2 for i in members]
    return [_block([weights[i].shape for i in found[0]], len(found), chain.from_iterable(found)) for found in kinds.values()]


def _counted_blocks(weights: Sequence[Tensor]) -> list[Block]:
    """The one kind of block whose repetition describes the counts of shapes in the fewest words, if there is one."""
    counts = Counter(t.shape for t in weights)
    alike = Counter(counts.values())
    depths = {count // times for count in alike for times in range(1, _MOST_IN_BLOCK + 1)} - {0, 1}

    def words(depth: int) -> int:
        return sum(shapes * (count // depth + _LEFT_OVER * (count % depth)) for count, shapes in alike.items())

    depth = min(depths, key=lambda depth: (words(depth), depth), default=1)
    if words(depth) >= words(1):
        return []
    unit = Counter({shape: count // depth for shape, count in counts.items() if count >= depth})
    return [_block(list(unit.elements()), depth, (i for i, t in enumerate(weights) if t.shape in unit))]


def _block(unit: Sequence[Shape], count: int, members: Iterable[int]) -> Block:
    return Block(_key(unit), count, tuple(sorted(members)), tuple(sorted(unit)))


def _is_weight(shape: Shape) -> bool:
    """At least two dimensions above 1; a leading 1 in three marks a table of positions or tokens, two a mask."""
    if 0 in shape or sum(size > 1 for size in shape) < 2:
        return False
    return not (len(shape) == 3 and shape[0] == 1) and shape[:2] != (1, 1)


def _matrix(shape: Shape) -> Shape:
    """The shape with a kernel of 1 x 1 left out: such a convolution is a matrix."""
    return shape[:2] if all(size == 1 for size in shape[2:]) else shape


def _is_table(shape: Shape, outputs: Counter[int], inputs: set[int]) -> bool:
    """Whether a matrix is a head, a vocabulary or a table of positions: nothing else takes its rows as input.

    A head and a vocabulary share their number of rows with one another at most, while the projections of a body stand
    once in every block and have widths that another matrix reads or that are small multiples of their input.
    """
    if len(shape) != 2:
        return False
    rows, width = shape
    multiple = rows % width == 0 and rows // width <= MOST_MULTIPLE
    return rows not in inputs and outputs[rows] <= 2 and not multiple


def _order(tensor: Tensor) -> tuple[Shape, tuple[int, ...], str, tuple[tuple[int, str], ...]]:
    """Shape, numbers in the name, role, then the name itself with its numbers compared as numbers."""
    words = tensor.name.split(".")
    numbers = tuple(int(number[:9]) for number in _NUMBER.findall(tensor.name))
    role = next((role for word in reversed(words) for role, known in _ROLES if known.match(word)), "")
    natural = tuple(
        (int(part[:9]), "") if part.isdigit() and part.isascii() else (-1, part) for part in _NUMBER.split(tensor.name)
    )
    return tensor.shape, numbers, role, natural
