"""The pickle opcodes that torch writes, read as descriptions.

Nothing is imported, called or unpickled. A name stays a word; of all functions a pickle may ask for, those few that torch
puts tensors together with are known by their words, and what they would make is described. Anything else becomes an inert
value that keeps what it was given, so that checkpoints with optimisers, arguments or numpy scalars are read as well.

No value is hashed, compared or printed, so that neither depth nor cycles matter; every opcode costs its bytes and a few
words of memory, and their number is bounded.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable

from hub_lineage.read.pytorch.described import Global, Inert, Malformed, Storage, Table, storage, view

MOST_OPCODES = 1_000_000
"""Some forty a tensor are usual."""
_LARGEST_PLACE = 2**32
_LONGEST_WORD = 500

_TABLES = frozenset({"collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict"})
_SAME = frozenset({"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch.Size"})
"""The functions that give back their first argument, or as good as."""
_WRAPPED = frozenset(
    {
        "torch._tensor._rebuild_from_type_v2",
        "torch._tensor._rebuild_from_type",
        "torch.tensor._rebuild_from_type",
    }
)
_TENSORS = {
    "torch._utils._rebuild_tensor": None,
    "torch._utils._rebuild_tensor_v2": None,
    "torch._utils._rebuild_tensor_v3": 6,
}
"""The functions that make a tensor, and which of their arguments is its dtype."""
_FRAMING = frozenset({"PROTO", "FRAME", "STOP"})
_PLAIN = frozenset({"INT", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "UNICODE"})
_PREFIXES = ("BININT", "BINSTRING", "SHORT_BIN", "BINBYTES", "BYTEARRAY", "BINUNICODE")


def interpret(data: bytes, start: int = 0) -> tuple[object, dict[str, Storage], int]:
    """The value that the pickle at ``start`` describes, all storages it names by key, and where it stops.

    Raises:
        Malformed: the bytes are no pickle, or end before it does, or ask for more than is allowed.
    """
    stream = io.BytesIO(data)
    stream.seek(start)
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count >= MOST_OPCODES:
                raise Malformed(f"its pickle has more than {MOST_OPCODES:,} opcodes")
            if opcode.name in _ALONE:
                _ALONE[opcode.name](machine)
            elif opcode.name not in _FRAMING:
                _WITH_ARGUMENT[opcode.name](machine, argument)
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise Malformed("its pickle is broken or ends too early") from error
    return machine.result(), machine.storages, stream.tell()


class _Machine:
    """The stack, the marks and the memo of a pickle."""

    def __init__(self) -> None:
        self.stack: list[object] = []
        self.marked: list[list[object]] = []
        self.memo: dict[int, object] = {}
        self.storages: dict[str, Storage] = {}
        self.copied = 0

    def result(self) -> object:
        """What is left at the end."""
        if len(self.stack) != 1 or self.marked:
            raise Malformed("its pickle doesn't come to one value")
        return self.stack[0]

    def push(self, value: object) -> None:
        """Put a value on top."""
        self.stack.append(value)

    def since_mark(self) -> list[object]:
        """The values above the last mark, which goes with them."""
        values, self.stack = self.stack, self.marked.pop()
        return values

    def mark(self) -> None:
        """Begin anew above what is there."""
        self.marked.append(self.stack)
        self.stack = []

    def top(self, count: int) -> tuple[object, ...]:
        """Take so many values from the top, the lowest first."""
        if len(self.stack) < count:
            raise Malformed("its pickle takes more values than it has")
        values = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return values

    def pop(self) -> None:
        """Drop a value, or a mark with nothing on it."""
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def remember(self, place: int) -> None:
        """Keep what is on top under a number."""
        if not 0 <= place < _LARGEST_PLACE:
            raise Malformed("its pickle keeps a value under an odd number")
        self.memo[place] = self.stack[-1]

    def extend(self, values: list[object]) -> None:
        """Add to the list on top; what isn't one keeps nothing."""
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(values)

    def set_items(self, values: list[object]) -> None:
        """Add to the mapping on top."""
        pairs = _paired(values)
        if isinstance(self.stack[-1], (Table, Inert)):
            self.stack[-1].pairs.extend(pairs)

    def reduce(self) -> None:
        """Put on top what a function would make of its arguments."""
        function, arguments = self.top(2)
        made = _called(function, arguments)
        if isinstance(made, Table) and isinstance(arguments, tuple) and arguments and isinstance(arguments[0], list):
            made.pairs = _items(arguments[0])
            self.copied += len(arguments[0])
            if self.copied > MOST_OPCODES:
                raise Malformed(f"its pickle copies more than {MOST_OPCODES:,} values")
        self.push(made)

    def build(self) -> None:
        """Give the object below the state on top; a mapping's own attributes are no items of it."""
        (state,) = self.top(1)
        if isinstance(self.stack[-1], Inert):
            self.stack[-1].state = state

    def persistent(self, named: object) -> None:
        """Put the storage that is named on top, or the class, as the old format names those of modules."""
        found = storage(named)
        if found is not None:
            known = self.storages.setdefault(found.key, found)
            if (known.itemsize, known.values) != (found.itemsize, found.values):
                raise Malformed(f"its storage {found.key[:40]!r} has two sizes")
        elif isinstance(named, tuple) and len(named) == 4 and named[0] == "module":
            self.push(named[1])
            return
        self.push(found or Inert("persistent"))


def _items(listed: list[object]) -> list[tuple[object, object]]:
    """The items of a mapping made of a list of pairs, as Python 2 wrote an OrderedDict."""
    return [(pair[0], pair[1]) for pair in listed if isinstance(pair, (list, tuple)) and len(pair) == 2]


def _paired(values: list[object]) -> list[tuple[object, object]]:
    if len(values) % 2:
        raise Malformed("its pickle has a key without a value")
    return list(zip(values[::2], values[1::2], strict=True))


def _called(function: object, arguments: object, *, wrapped: bool = False) -> object:
    """What a known function of torch would make of such arguments; an inert value for all others."""
    word = function.word if isinstance(function, Global) else ""
    if not isinstance(arguments, tuple):
        return Inert(word)
    if word in _TABLES:
        return Table()
    made: object = None
    if word in _SAME and arguments:
        made = arguments[0]
    elif word in _WRAPPED and len(arguments) > 2 and not wrapped:
        made = _called(arguments[0], arguments[2], wrapped=True)
    elif word in _TENSORS and len(arguments) >= 4:
        place = _TENSORS[word]
        dtype = arguments[place] if place is not None and len(arguments) > place else None
        within, offset, shape, strides = arguments[:4]
        made = view(within, offset, shape, strides, dtype)
    return Inert(word) if made is None else made


def _named(module: object, name: object) -> Global:
    if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > _LONGEST_WORD:
        raise Malformed("its pickle names something by no word")
    return Global(f"{module}.{name}")


def _instance(machine: _Machine, kind: object) -> None:
    """An object of a class without arguments that matter: a mapping of the standard library, or an inert one."""
    word = kind.word if isinstance(kind, Global) else ""
    machine.push(Table() if word in _TABLES else Inert(word))


def _name(machine: _Machine, argument: object) -> None:
    machine.push(Global(str(argument).replace(" ", ".")))


def _inst(machine: _Machine, argument: object) -> None:
    machine.since_mark()
    _instance(machine, Global(str(argument).replace(" ", ".")))


_ALONE: dict[str, Callable[[_Machine], object]] = {
    "NONE": lambda m: m.push(None),
    "NEWTRUE": lambda m: m.push(True),
    "NEWFALSE": lambda m: m.push(False),
    "EMPTY_LIST": lambda m: m.push([]),
    "EMPTY_SET": lambda m: m.push([]),
    "EMPTY_TUPLE": lambda m: m.push(()),
    "EMPTY_DICT": lambda m: m.push(Table()),
    "LIST": lambda m: m.push(m.since_mark()),
    "FROZENSET": lambda m: m.push(m.since_mark()),
    "TUPLE": lambda m: m.push(tuple(m.since_mark())),
    "TUPLE1": lambda m: m.push(m.top(1)),
    "TUPLE2": lambda m: m.push(m.top(2)),
    "TUPLE3": lambda m: m.push(m.top(3)),
    "DICT": lambda m: m.push(Table(_paired(m.since_mark()))),
    "APPEND": lambda m: m.extend(list(m.top(1))),
    "APPENDS": lambda m: m.extend(m.since_mark()),
    "ADDITEMS": lambda m: m.extend(m.since_mark()),
    "SETITEM": lambda m: m.set_items(list(m.top(2))),
    "SETITEMS": lambda m: m.set_items(m.since_mark()),
    "MARK": lambda m: m.mark(),
    "POP": lambda m: m.pop(),
    "POP_MARK": lambda m: m.since_mark(),
    "DUP": lambda m: m.push(m.stack[-1]),
    "MEMOIZE": lambda m: m.remember(len(m.memo)),
    "STACK_GLOBAL": lambda m: m.push(_named(*m.top(2))),
    "REDUCE": lambda m: m.reduce(),
    "BUILD": lambda m: m.build(),
    "OBJ": lambda m: _instance(m, m.since_mark()[0]),
    "NEWOBJ": lambda m: _instance(m, m.top(2)[0]),
    "NEWOBJ_EX": lambda m: _instance(m, m.top(3)[0]),
    "BINPERSID": lambda m: m.persistent(m.top(1)[0]),
}
"""What the opcodes without an argument do, by their names in pickletools."""


def _with_argument() -> dict[str, Callable[[_Machine, object], object]]:
    """What the others do; those that are in neither table are refused."""
    steps: dict[str, Callable[[_Machine, object], object]] = {"GLOBAL": _name, "INST": _inst, "PERSID": _Machine.persistent}
    for name in (opcode.name for opcode in pickletools.opcodes):
        if name in _PLAIN or name.startswith(_PREFIXES):
            steps[name] = _Machine.push
        elif name.endswith("PUT"):
            steps[name] = lambda m, a: m.remember(int(str(a)))
        elif name.endswith("GET"):
            steps[name] = lambda m, a: m.push(m.memo[int(str(a))])
        elif name.startswith("EXT"):
            steps[name] = lambda m, a: m.push(Inert(f"extension {a}"))
    return steps


_WITH_ARGUMENT = _with_argument()
