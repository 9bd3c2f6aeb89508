"""A steady pace within the Hub's limits: calls are spread over each window, and none is sent that would be refused.

What is left and until when is learnt from the headers of each answer. They count whole seconds, so the end of a window is
only ever known as a time by which it is surely over: the least that any answer of the window allows. Before the first
answer nothing is known, and calls go gently: a crawl of few models would else be one burst. An answer that tells of no
limit sets them free.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from hub_lineage.hub.pace import Clock, Told, told

_ROUNDING = 1.0  # the Hub states whole seconds
_EARLY = 0.8  # of the time left, for the calls left: what goes wrong at the end then finds time
_SHORTEST_WAIT = 0.001
_GENTLE = 0.1
"""Seconds between two calls under a limit of which no answer has told yet: ten a second is what the Hub grants strangers."""


@dataclass
class _Window:
    """One limit: calls left, when the next may go, and by when the window is over."""

    left: float = math.inf
    next_at: float = -math.inf
    began: float = -math.inf
    ends: float = math.inf
    quota: float = math.inf
    length: float = math.inf
    answered: bool = False

    def take(self, now: float) -> float:
        """The seconds to wait before asking again; 0 where a call may go now, which is counted."""
        if now >= self.ends:
            self.began, self.left, self.next_at, self.answered = now, self.quota, now, False
            self.ends = now + self.length + _ROUNDING
        if self.left < 1:
            return max(self.ends - now, _SHORTEST_WAIT)
        if now < self.next_at:
            return max(self.next_at - now, _SHORTEST_WAIT)
        self.next_at = now + self._spread(now)
        self.left -= 1
        return 0.0

    def _spread(self, now: float) -> float:
        if math.isfinite(self.left) and math.isfinite(self.ends):
            return _EARLY * (self.ends - now) / self.left
        return 0.0 if self.answered else _GENTLE

    def free(self, now: float) -> None:
        """Note an answer that tells of no limit: where none is known, nothing holds the next call back."""
        self.answered = True
        if not math.isfinite(self.left):
            self.next_at = min(self.next_at, now)

    def heed(self, said: Told, now: float, sent: float) -> None:
        """Learn from an answer; one to a call of the window before tells only how large windows are."""
        self.answered = True
        self.quota, self.length = said.quota or self.quota, said.length or self.length
        if sent < self.began:
            return
        self.left = min(self.left, said.left)
        if said.refused:
            self.left, self.ends = 0, now + said.seconds + _ROUNDING
        # The window was open when the answer came, so it is over a whole window later at the latest.
        self.ends = min(self.ends, now + said.seconds + _ROUNDING, now + self.length)


class Budget:
    """All limits of a Hub, each with its window; safe to use from many threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[str, _Window] = {}

    def wait(self, name: str) -> float:
        """The seconds to wait before asking again; 0 where a call may go now, which is counted."""
        with self._lock:
            return self._windows.setdefault(name, _Window()).take(self._clock.now())

    def heed(self, name: str, headers: Mapping[str, str], *, refused: bool, sent: float) -> bool:
        """Learn from the headers of an answer to a call sent at that time; whether they tell of a limit that is used up."""
        said = told(headers, refused=refused)
        with self._lock:
            window = self._windows.setdefault(name, _Window())
            if said is None:
                window.free(self._clock.now())
            else:
                window.heed(said, self._clock.now(), sent)
        return said is not None and said.left == 0
