"""The format in which torch wrote before 1.6: five pickles one after another, then the storages with their lengths."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from hub_lineage.read.pytorch.described import Malformed, Storage, Table
from hub_lineage.read.pytorch.pickled import interpret
from hub_lineage.read.pytorch.window import Window

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
_COUNT = 8  # bytes of the number of values before each storage


class Legacy:
    """A file of that format: the value of its pickle, and the places of its storages."""

    def __init__(self, window: Window) -> None:
        self._window = window
        place = self._opening()
        self.root, storages, keys, place = self._pickles(place)
        self._places: dict[str, tuple[int, int]] = {}
        for key in keys:
            storage = storages.get(key) if isinstance(key, str) else None
            if storage is None or key in self._places:
                raise window.broken("lists storages that no tensor has, or one twice")
            self._places[storage.key] = (place + _COUNT, place + _COUNT + storage.size)
            place += _COUNT + storage.size
        if place > window.file.size:
            raise window.broken("is truncated: its storages need more bytes than it has")
        self._check(storages)

    def locate(self, storages: Iterable[Storage]) -> dict[str, tuple[int, int]]:
        """Where the bytes of each storage lie in the file, by its key.

        Raises:
            BadWeights: the file doesn't list it.
        """
        found = {}
        for storage in storages:
            if storage.key not in self._places:
                raise self._window.broken(f"lacks the storage {storage.key[:40]!r}")
            found[storage.key] = self._places[storage.key]
        return found

    def _opening(self) -> int:
        """Where the fourth pickle begins, behind the magic number, the protocol and what the machine was like."""
        place, values = 0, []
        try:
            for _ in range(3):
                value, _, place = interpret(self._window.head(), place)
                values.append(value)
        except Malformed as error:
            raise self._window.broken("isn't a file of weights that torch wrote, or is truncated") from error
        magic, protocol, machine = values
        if magic != MAGIC or protocol != PROTOCOL:
            raise self._window.broken("isn't a file of weights that torch wrote")
        pairs = machine.pairs if isinstance(machine, Table) else []
        if any(key == "little_endian" and value is False for key, value in pairs):
            raise self._window.broken("was written by a machine with the other order of bytes")
        return place

    def _pickles(self, start: int) -> tuple[object, dict[str, Storage], list[object], int]:
        """The value, its storages, their keys in the order in which they lie, and where the pickles end.

        How long the pickles are stands nowhere: what is known of the file grows until they are read to their ends.
        """
        while True:
            head = self._window.head()
            try:
                root, storages, place = interpret(head, start)
                keys, _, place = interpret(head, place)
            except Malformed as error:
                if not self._window.more():
                    raise self._window.broken(f"can't be read: {error}") from error
                continue
            if not isinstance(keys, list):
                raise self._window.broken("doesn't list its storages")
            return root, storages, keys, place

    def _check(self, storages: dict[str, Storage]) -> None:
        """Compare the lengths that stand before the first and the last storage: one that lies moves all that follow."""
        ends = [*self._places][:1] + [*self._places][-1:]
        counts = self._window.read_all([(self._places[key][0] - _COUNT, self._places[key][0]) for key in ends])
        for key, count in zip(ends, counts, strict=True):
            if struct.unpack("<q", count) != (storages[key].values,):
                raise self._window.broken(f"states two lengths of the storage {key[:40]!r}")
