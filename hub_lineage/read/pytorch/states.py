"""Which of the mappings in a checkpoint is the model's state, and its tensors by name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hub_lineage.read.pytorch.described import LARGEST, Inert, Malformed, Table, View

CUSTOMARY = (
    "params_ema",
    "state_dict_ema",
    "ema_state_dict",
    "model_ema",
    "g_ema",
    "ema",
    "teacher",
    "params",
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "module",
    "net",
    "network",
    "generator",
    "weights",
)
"""Names under which training scripts put a state; of those with as many tensors the first, as loaders prefer averages."""
_TRAINING = re.compile(r"optim|sched|scaler|^rng|random_state|callbacks|loops|param_groups", re.IGNORECASE)
_PARTS = ("_parameters", "_buffers", "_modules")
MOST_TENSORS = 200_000
LONGEST_NAME = 500
_DEEPEST = 8  # mappings within mappings before a state

_KINDS = (View, Table, Inert, list, tuple)  # what may be a tensor or hold one

Named = tuple[str, object]


def state(root: object) -> dict[str, View]:
    """The tensors of the model in a checkpoint, names joined by dots; none where it has none.

    Raises:
        Malformed: there are too many, or a name is too long.
    """
    chosen = root
    for _ in range(_DEEPEST):
        within = _within(chosen)
        if within is None:
            break
        chosen = within
    return _flat(chosen)


def _within(table: object) -> object | None:
    """The part of a mapping that is the model's state, None where it is all of it."""
    if not isinstance(table, Table):
        return None
    children = sorted(_children(table), key=lambda child: child[0] not in CUSTOMARY)
    named = [(name, part) for name, part in children if not isinstance(part, View)]
    own = len(children) - len(named)
    seen: set[int] = set()  # what two parts share counts in the first
    filled = [(count, name, part) for name, part in named if (count := sum(1 for _ in _tensors(part, seen)))]
    known = [item for item in filled if item[1] in CUSTOMARY]
    if known and own <= max(count for count, _, _ in known):
        return max(known, key=lambda item: (item[0], -CUSTOMARY.index(item[1])))[2]
    return filled[0][2] if len(filled) == 1 and not own else None


def _flat(root: object) -> dict[str, View]:
    found = {}
    for name, tensor in _tensors(root, set()):
        found[name] = tensor
        if len(found) > MOST_TENSORS:
            raise Malformed(f"it has more than {MOST_TENSORS:,} tensors")
    return found


def _tensors(root: object, seen: set[int]) -> Iterator[tuple[str, View]]:
    """All tensors in a value with their names, in their order; what was seen, by its id, isn't gone through again."""
    waiting: list[tuple[str, str, object]] = [("", "", root)]
    while waiting:
        before, last, value = waiting.pop()
        if id(value) in seen and not isinstance(value, View):
            continue
        name = f"{before}.{last}" if before else last
        if isinstance(value, View):
            if len(name) > LONGEST_NAME or any("\ud800" <= letter <= "\udfff" for letter in name):
                raise Malformed("it has a tensor whose name is too long or isn't text")
            yield name, value
        elif len(name) < LONGEST_NAME:  # no state lies deeper, whatever else does
            seen.add(id(value))
            children = [child for child in _children(value) if isinstance(child[1], _KINDS)]
            waiting += [(name, word, part) for word, part in reversed(children)]


def _children(value: object) -> list[Named]:
    """What stands directly in a value, by name; what belongs to training is left out."""
    if isinstance(value, Table):
        pairs = _latest(value.pairs)
    elif isinstance(value, Inert):
        pairs = _latest(value.pairs) + _attributes(value.state)
    elif isinstance(value, (list, tuple)):
        return [(str(place), part) for place, part in enumerate(value) if isinstance(part, _KINDS)]
    else:
        return []
    return [(name, part) for name, part in pairs if isinstance(part, View) or not _TRAINING.search(name)]


def _attributes(state: object) -> list[Named]:
    """The attributes of an object; of a whole module, pickled with its class, its parameters, buffers and modules."""
    pairs = _latest(state.pairs) if isinstance(state, Table) else []
    named = dict(pairs)
    if "_parameters" not in named:
        return pairs
    parts = (part for name in _PARTS if isinstance(part := named.get(name), Table))
    return [pair for part in parts for pair in _latest(part.pairs)]


def _latest(pairs: list[tuple[object, object]]) -> list[Named]:
    """The values by names that are words or small numbers; of one name the last, as when they are set."""
    named: dict[str, object] = {}
    for key, value in pairs:
        if isinstance(key, str) and len(key) > LONGEST_NAME:
            if isinstance(value, View):
                raise Malformed("it has a tensor whose name is too long or isn't text")
        elif isinstance(key, str) or (type(key) is int and abs(key) < LARGEST):
            named[str(key)] = value
    return list(named.items())
