"""A clock that moves only when someone sleeps, and remembers how long."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from hub_lineage.hub import Clock


@dataclass
class Sleeper:
    """Time for a test: ``clock`` for the Hub's client, ``now`` for the loopback Hub."""

    time: float = 1000.0
    slept: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def clock(self) -> Clock:
        return Clock(now=self.now, sleep=self.sleep, chance=lambda: 1.0)

    def now(self) -> float:
        with self._lock:
            return self.time

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.time += seconds
