"""What a pickle of torch is read as: plain descriptions, of which none can do anything."""

from __future__ import annotations

from dataclasses import dataclass, field

from hub_lineage.read.dtypes import FORMATS

MOST_DIMENSIONS = 32
LARGEST = 2**53
"""Sizes, strides and offsets stay below."""


class Malformed(Exception):
    """Bytes that aren't what torch writes; the reader of a file says of which."""


@dataclass(frozen=True, slots=True)
class Global:
    """The name of a class or function: a word, never the thing itself."""

    word: str


@dataclass(eq=False, slots=True)
class Table:
    """A mapping, as pairs in the order in which they were set: keys may be anything, so none is hashed."""

    pairs: list[tuple[object, object]] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Inert:
    """An object of a class that isn't known: the word for it, and what it was given, which is never handed to anyone."""

    word: str
    state: object = None
    pairs: list[tuple[object, object]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of bytes that tensors look into: its key in the file, the dtype it is named for ("" for others), its size.

    ``base`` is the byte at which a view of it begins; files from before torch 0.4 have such views.
    """

    key: str
    dtype: str
    itemsize: int
    values: int
    base: int = 0

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.itemsize * self.values


@dataclass(frozen=True, slots=True)
class View:
    """A tensor: which values of a storage it has, in torch's words; ``offset`` and ``strides`` count values."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def itemsize(self) -> int:
        """Bytes a value."""
        return FORMATS[self.dtype].bits // 8


_STORAGES: dict[str, tuple[str, int]] = {
    "DoubleStorage": ("F64", 8),
    "FloatStorage": ("F32", 4),
    "HalfStorage": ("F16", 2),
    "BFloat16Storage": ("BF16", 2),
    "LongStorage": ("I64", 8),
    "IntStorage": ("I32", 4),
    "ShortStorage": ("I16", 2),
    "CharStorage": ("I8", 1),
    "ByteStorage": ("U8", 1),
    "BoolStorage": ("BOOL", 1),
    "ComplexFloatStorage": ("C64", 8),
    "ComplexDoubleStorage": ("", 16),
    "QInt8Storage": ("", 1),
    "QUInt8Storage": ("", 1),
    "QInt32Storage": ("", 4),
    "QUInt4x2Storage": ("", 1),
    "QUInt2x4Storage": ("", 1),
    "UntypedStorage": ("U8", 1),
}
"""By the name of the class: dtype, and bytes a value."""
_HOMES = frozenset({"torch", "torch.cuda", "torch.storage"})

_DTYPES: dict[str, str] = {
    "torch.float64": "F64",
    "torch.float32": "F32",
    "torch.float16": "F16",
    "torch.bfloat16": "BF16",
    "torch.float8_e4m3fn": "F8_E4M3",
    "torch.float8_e5m2": "F8_E5M2",
    "torch.float8_e4m3fnuz": "F8_E4M3FNUZ",
    "torch.float8_e5m2fnuz": "F8_E5M2FNUZ",
    "torch.float8_e8m0fnu": "F8_E8M0",
    "torch.complex64": "C64",
    "torch.int64": "I64",
    "torch.uint64": "U64",
    "torch.int32": "I32",
    "torch.uint32": "U32",
    "torch.int16": "I16",
    "torch.uint16": "U16",
    "torch.int8": "I8",
    "torch.uint8": "U8",
    "torch.bool": "BOOL",
}


def storage(named: object) -> Storage | None:
    """The storage that a persistent id names, None where it names something else.

    Raises:
        Malformed: its size isn't one.
    """
    if not isinstance(named, tuple) or len(named) < 5 or named[0] != "storage":
        return None
    kind, key, values = named[1], named[2], named[4]
    home, _, name = kind.word.rpartition(".") if isinstance(kind, Global) else ("", "", "")
    if home not in _HOMES or name not in _STORAGES or not isinstance(key, str):
        return None
    if not _whole(values):
        raise Malformed("a storage has an odd size")
    dtype, itemsize = _STORAGES[name]
    return Storage(key, dtype, itemsize, values, _base(named[5:], itemsize))


def _base(rest: tuple[object, ...], itemsize: int) -> int:
    """Where a view of a storage begins, in bytes: ``(key, offset, size)`` stands last in the old format, or None."""
    if not rest or not isinstance(rest[0], tuple):
        return 0
    if len(rest[0]) != 3 or not _whole(rest[0][1]):
        raise Malformed("a view of a storage is odd")
    return itemsize * int(rest[0][1])


def view(within: object, offset: object, shape: object, strides: object, dtype: object = None) -> View | None:
    """The tensor that such words describe; None where it has no storage here or a dtype that isn't known.

    Raises:
        Malformed: offset, shape or strides aren't whole numbers in bounds, or don't fit one another.
    """
    if not isinstance(within, Storage):
        return None
    word = _DTYPES.get(dtype.word, "") if isinstance(dtype, Global) else within.dtype
    if not isinstance(shape, tuple) or not isinstance(strides, tuple) or len(shape) != len(strides):
        raise Malformed("a tensor has an odd shape")
    if len(shape) > MOST_DIMENSIONS or not all(map(_whole, (offset, *shape, *strides))):
        raise Malformed("a tensor has an odd shape, offset or strides")
    return View(within, word, offset, shape, strides) if word and isinstance(offset, int) else None


def _whole(value: object) -> bool:
    return type(value) is int and 0 <= value < LARGEST
