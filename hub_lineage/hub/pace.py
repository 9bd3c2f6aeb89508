"""How long to wait, and when to give up: back-off with jitter, rate limits, patience."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]  # public, but not in __all__

from hub_lineage.errors import NetworkError, RateLimited

_FIRST_WAIT = 0.5  # seconds; doubled at each retry
_LONGEST_WAIT = 16.0
_FOREVER = 1_000_000
_ROUNDING = 1.0  # the Hub states whole seconds


@dataclass(frozen=True, slots=True)
class Clock:
    """The time, sleep and chance that pacing goes by."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    chance: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Policy:
    """How often a call is tried again, and for how many seconds in all it may wait."""

    retries: int = 6
    patience: float = 90.0


class Gates:
    """Until when each of the Hub's limits is used up; shared by all threads, so that one refusal holds for all."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._shut_until: dict[str, float] = {}

    def shut(self, name: str, seconds: float) -> None:
        """Let nothing through for a while."""
        with self._lock:
            self._shut_until[name] = max(self._clock.now() + seconds, self._shut_until.get(name, 0.0))

    def wait(self, name: str) -> float:
        """The seconds until the next call may go."""
        with self._lock:
            return max(0.0, self._shut_until.get(name, 0.0) - self._clock.now())

    def heed(self, name: str, headers: Mapping[str, str], *, refused: bool, sent: float = 0.0) -> bool:
        """Shut where the headers say that the limit is used up; whether they did. When the call was sent is all one."""
        del sent
        said = told(headers, refused=refused)
        if said is None or said.left > 0:
            return False
        self.shut(name, said.seconds + _ROUNDING)
        return True


class Tries:
    """The attempts at one call: counts them, waits between them, and loses patience."""

    def __init__(self, policy: Policy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._failed = 0
        self._waited = 0.0

    def back_off(self, failure: NetworkError, headers: Mapping[str, str] | None = None) -> None:
        """Wait longer after each failure, and as long as Retry-After says; raise the failure when it is the last."""
        self.count(failure)
        backed_off = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (self._failed - 1)) * (0.5 + self._clock.chance() / 2)
        asked = _seconds(headers.get("retry-after")) if headers is not None else None
        self.wait(backed_off if asked is None else max(asked, backed_off), failure)

    def count(self, failure: NetworkError) -> None:
        """Note a failed attempt; raise the failure where no more are to be made."""
        self._failed += 1
        if self._failed > self._policy.retries:
            raise failure

    def wait(self, seconds: float, failure: NetworkError) -> None:
        """Sleep, unless that would be longer than the patience left: then raise the failure at once."""
        if seconds <= 0:
            return
        if self._waited + seconds > self._policy.patience:
            raise failure
        self._waited += seconds
        self._clock.sleep(seconds)


def spent(seconds: float, doing: str) -> RateLimited:
    """The error of a limit that lifts only later than anyone would wait."""
    hint = f"It lifts in about {round(seconds)} s; a token (`hf auth login`) has higher limits."
    return RateLimited(f"{doing}: the Hub's rate limit is used up.", hint)


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer says of its limit: calls left, seconds until it lifts, calls and seconds of a window where known."""

    left: int
    seconds: float
    quota: int | None = None
    length: float | None = None
    refused: bool = False


def told(headers: Mapping[str, str], *, refused: bool) -> Told | None:
    """What the headers say of a limit; of a refusal, Retry-After where nothing else is said."""
    try:
        info = parse_ratelimit_headers(headers)
    except ValueError:  # a number too long to be one
        info = None
    if info is not None and (info.remaining == 0 or not refused):
        quota, length = info.limit or None, info.window_seconds or None
        return Told(
            info.remaining, min(info.reset_in_seconds, _FOREVER), quota, min(length, _FOREVER) if length else None, refused
        )
    seconds = _seconds(headers.get("retry-after")) if refused else None
    return None if seconds is None else Told(0, seconds, refused=True)


def _seconds(text: str | None) -> float | None:
    """The seconds of a Retry-After header; a date, or nonsense, is left to the back-off."""
    words = (text or "").strip()
    return float(words) if words.isascii() and words.isdigit() and len(words) < 7 else None
