"""A steady pace: over many windows by a clock that only sleeping moves, and against every way to round the seconds."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest

from hub_lineage.errors import RateLimited
from hub_lineage.hub import Hub
from hub_lineage.hub.budget import Budget
from hub_lineage.testing import LoopbackHub
from hub_lineage.types import Reference
from tests.hub.clock import Sleeper


def spend(budget: Budget, sleeper: Sleeper, answer: Callable[[], tuple[bool, dict[str, str]]], calls: int) -> list[float]:
    """Makes so many calls and returns when each went; a call takes a tenth of a second on the Hub's side."""
    times = []
    for _ in range(calls):
        while (seconds := budget.wait("api")) > 0:
            sleeper.sleep(seconds)
        sent = sleeper.now()
        times.append(sent)
        sleeper.time += 0.05
        allowed, headers = answer()
        sleeper.time += 0.05
        budget.heed("api", headers, refused=not allowed, sent=sent)
    return times


class Aligned:
    """A Hub whose windows open on the clock, whoever calls; it rounds the seconds left in its own way."""

    def __init__(self, sleeper: Sleeper, round_off: Callable[[float], int], calls: int = 20, window: int = 60) -> None:
        self.sleeper, self.round_off, self.calls, self.window = sleeper, round_off, calls, window
        self.number, self.used, self.refused = -1, 0, 0

    def __call__(self) -> tuple[bool, dict[str, str]]:
        number, inside = divmod(self.sleeper.now(), self.window)
        if number != self.number:
            self.number, self.used = int(number), 0
        allowed = self.used < self.calls
        self.used += allowed
        self.refused += not allowed
        left = {"RateLimit": f'"api";r={self.calls - self.used};t={self.round_off(self.window - inside)}'}
        return allowed, {**left, "RateLimit-Policy": f'"fixed window";"api";q={self.calls};w={self.window}'}


@pytest.mark.parametrize("round_off", [round, math.floor, math.ceil])
def test_windows_are_used_up_and_nothing_is_refused(round_off: Callable[[float], int]) -> None:
    sleeper = Sleeper(time=1030.0)
    hub = Aligned(sleeper, round_off)
    times = spend(Budget(sleeper.clock), sleeper, hub, 200)
    assert hub.refused == 0
    whole = (times[-1] - times[20]) / hub.window  # the first window was half over
    assert (len(times) - 21) / whole >= 0.95 * hub.calls


def test_calls_are_spread_over_a_window() -> None:
    sleeper = Sleeper(time=1200.0)
    times = spend(Budget(sleeper.clock), sleeper, Aligned(sleeper, round), 60)
    second = [time for time in times if 1260 <= time < 1320]
    assert len(second) == 20
    assert max(later - time for time, later in pairwise(second)) < 10
    assert second[-1] > 1260 + 40


def test_another_consumer_s_calls_are_left_to_it() -> None:
    sleeper = Sleeper(time=1200.0)
    hub = Aligned(sleeper, round)

    def shared() -> tuple[bool, dict[str, str]]:
        hub()  # someone else calls as often
        return hub()

    times = spend(Budget(sleeper.clock), sleeper, shared, 40)
    assert hub.refused == 0
    assert len([time for time in times if 1260 <= time < 1320]) == 10


def test_a_steady_hub_is_never_refused() -> None:
    sleeper = Sleeper()
    with LoopbackHub(clock=sleeper.now) as served, Hub(served.url, False, clock=sleeper.clock, patience=900, steady=True) as hub:
        served.add_repo("org/name", files={"config.json": "{}"})
        served.limit("api", calls=10, window=60)
        began = sleeper.now()
        for _ in range(60):
            hub.open(Reference("org/name"))
        assert {record.status for record in served.requests} == {200}
        assert sleeper.now() - began < 5 * 60 * 1.05 + 60


def test_a_steady_hub_loses_patience_too() -> None:
    sleeper = Sleeper()
    with LoopbackHub() as served:
        served.fault("status", status=429, times=1000, headers={"RateLimit": '"api";r=0;t=10'})
        with Hub(served.url, False, clock=sleeper.clock, patience=35, steady=True) as hub, pytest.raises(RateLimited):
            hub.open(Reference("org/name"))
    assert len(sleeper.slept) == 3


def test_headers_without_sense_hold_nothing_up() -> None:
    sleeper = Sleeper()
    budget = Budget(sleeper.clock)
    for value in ['"api";r=99999999999;t=5', '"api";r=x;t=y', "nonsense", '"api";r=5;t=' + "9" * 5000]:
        assert not budget.heed("api", {"RateLimit": value}, refused=False, sent=sleeper.now())
    assert budget.wait("api") == 0


def test_calls_go_gently_until_an_answer_tells_of_the_limit() -> None:
    sleeper = Sleeper(time=1200.0)
    budget = Budget(sleeper.clock)
    assert budget.wait("api") == 0
    first = budget.wait("api")  # the answer to the one before is still under way
    assert first > 0
    assert budget.wait("resolvers") == 0  # a limit of its own
    hub = Aligned(sleeper, round)
    budget.heed("api", hub()[1], refused=False, sent=1200.0)
    waits = []
    for _ in range(10):
        waits.append(budget.wait("api"))
        sleeper.sleep(waits[-1])
    assert max(waits) < 0.9 * hub.window / (hub.calls - 1)  # spread over the window from the second call on


def test_an_answer_without_limits_sets_calls_free() -> None:
    sleeper = Sleeper()
    budget = Budget(sleeper.clock)
    assert budget.wait("storage") == 0
    assert budget.wait("storage") > 0
    budget.heed("storage", {}, refused=False, sent=sleeper.now())
    assert [budget.wait("storage") for _ in range(100)] == [0] * 100


def test_a_small_crawl_is_no_burst() -> None:
    sleeper = Sleeper(time=1200.0)
    hub = Aligned(sleeper, round, calls=20)
    sent: list[float] = []
    budget = Budget(sleeper.clock)
    flying: list[tuple[float, float, dict[str, str]]] = []  # when an answer arrives, when its call was sent, what it says
    while len(sent) < 12:  # many threads: calls go as soon as they may, answers come a little later
        for arrives, went, headers in [one for one in flying if one[0] <= sleeper.now()]:
            budget.heed("api", headers, refused=False, sent=went)
            flying.remove((arrives, went, headers))
        seconds = budget.wait("api")
        if seconds:
            sleeper.sleep(min(seconds, 0.05))
            continue
        allowed, headers = hub()
        assert allowed
        sent.append(sleeper.now())
        flying.append((sleeper.now() + 0.3, sleeper.now(), headers))
    assert len([time for time in sent if time < 1200 + 1]) <= 5
    assert max(later - time for time, later in pairwise(sent)) < 2 * hub.window / hub.calls
