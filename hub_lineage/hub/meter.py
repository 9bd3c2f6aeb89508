"""Counting what was asked of the network or disk."""

from __future__ import annotations

import threading

from hub_lineage.types import Cost


class Meter:
    """Counts requests and bytes from many threads; what it counts, its parent counts too."""

    def __init__(self, parent: Meter | None = None) -> None:
        self._lock = threading.Lock()
        self._parent = parent
        self._requests = 0
        self._bytes = 0

    def add(self, *, requests: int = 0, bytes_read: int = 0) -> None:
        """Count some requests and bytes."""
        with self._lock:
            self._requests += requests
            self._bytes += bytes_read
        if self._parent is not None:
            self._parent.add(requests=requests, bytes_read=bytes_read)

    def cost(self, bytes_total: int = 0) -> Cost:
        """What was counted so far."""
        with self._lock:
            return Cost(requests=self._requests, bytes_read=self._bytes, bytes_total=bytes_total)
