"""Retries, rate limits and patience, by a clock that only sleeping moves."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from hub_lineage.errors import NetworkError, RateLimited
from hub_lineage.hub import Hub
from hub_lineage.testing import LoopbackHub
from hub_lineage.types import ByteRange, Reference
from tests.hub.clock import Sleeper


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


@pytest.fixture
def served(sleeper: Sleeper) -> Iterator[LoopbackHub]:
    with LoopbackHub(clock=sleeper.now) as served:
        served.add_repo("org/name", files={"a.bin": b"x" * 1000, "config.json": "{}"})
        yield served
    assert served.crashes == []


@pytest.fixture
def hub(served: LoopbackHub, sleeper: Sleeper) -> Iterator[Hub]:
    with Hub(served.url, False, clock=sleeper.clock, patience=400) as hub:
        yield hub


def test_waits_double_and_end(served: LoopbackHub, hub: Hub, sleeper: Sleeper) -> None:
    served.fault("status", status=503, times=100)
    with pytest.raises(NetworkError, match="503"):
        hub.open(Reference("org/name"))
    assert sleeper.slept == [0.5, 1, 2, 4, 8, 16]
    assert len(served.requests) == 7


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_passing_trouble_passes(served: LoopbackHub, hub: Hub, status: int) -> None:
    served.fault("status", status=status, times=2)
    assert hub.open(Reference("org/name")).revision
    assert [record.status for record in served.requests] == [status, status, 200]


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_lasting_trouble_isn_t_tried_again(served: LoopbackHub, hub: Hub, sleeper: Sleeper, status: int) -> None:
    served.fault("status", status=status)
    with pytest.raises(Exception, match="org/name"):
        hub.open(Reference("org/name"))
    assert sleeper.slept == []


def test_retry_after_is_obeyed(served: LoopbackHub, hub: Hub, sleeper: Sleeper) -> None:
    served.fault("status", status=503, headers={"Retry-After": "17"})
    hub.open(Reference("org/name"))
    assert sleeper.slept == [17]


def test_a_date_in_retry_after_is_left_to_the_back_off(served: LoopbackHub, hub: Hub, sleeper: Sleeper) -> None:
    served.fault("status", status=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    hub.open(Reference("org/name"))
    assert sleeper.slept == [0.5]


def test_the_rate_limit_is_waited_for_before_it_refuses(served: LoopbackHub, hub: Hub, sleeper: Sleeper) -> None:
    served.limit("api", calls=2, window=55)
    for _ in range(3):
        hub.open(Reference("org/name"))
    assert sleeper.slept == [56]
    assert [record.status for record in served.requests] == [200, 200, 200]


def test_a_refusal_is_waited_for_as_long_as_it_says(served: LoopbackHub, hub: Hub, sleeper: Sleeper) -> None:
    served.limit("api", calls=1, window=55)
    with Hub(served.url, False) as other:
        other.open(Reference("org/name"))
    hub.open(Reference("org/name"))
    assert sleeper.slept == [56]
    assert [record.status for record in served.requests] == [200, 429, 200]


def test_one_limit_doesn_t_hold_up_the_other(served: LoopbackHub, hub: Hub, sleeper: Sleeper) -> None:
    served.limit("api", calls=1, window=300)
    source = hub.open(Reference("org/name"))
    assert source.read([ByteRange("a.bin", 0, 10), ByteRange("config.json", 0, 2)]) == [b"x" * 10, b"{}"]
    assert sleeper.slept == []


def test_a_limit_beyond_patience_is_an_error_at_once(served: LoopbackHub, sleeper: Sleeper) -> None:
    served.limit("api", calls=1, window=300)
    with Hub(served.url, False, clock=sleeper.clock, patience=60) as hub:
        hub.open(Reference("org/name"))
        with pytest.raises(RateLimited) as caught:
            hub.open(Reference("org/name"))
    assert "301 s" in caught.value.hint
    assert sleeper.slept == []
    assert len(served.requests) == 1


def test_limits_that_never_lift_end(served: LoopbackHub, sleeper: Sleeper) -> None:
    served.fault("status", status=429, times=1000, headers={"RateLimit": '"api";r=0;t=10'})
    with Hub(served.url, False, clock=sleeper.clock, patience=35) as hub, pytest.raises(RateLimited):
        hub.open(Reference("org/name"))
    assert sleeper.slept == [11, 11, 11]


@pytest.mark.parametrize("value", ['"api";r=0;t=' + "9" * 5000, '"api";r=0;t=' + "9" * 400, "nonsense", '"api";r=x;t=y'])
def test_nonsense_in_the_limit_s_header_does_no_harm(served: LoopbackHub, hub: Hub, value: str) -> None:
    served.fault("status", status=429, headers={"RateLimit": value})
    with contextlib.suppress(RateLimited):
        assert hub.open(Reference("org/name")).revision


def test_a_refused_connection_is_tried_again_then_an_error(sleeper: Sleeper) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with Hub(address, False, clock=sleeper.clock) as hub, pytest.raises(NetworkError, match="can't be reached"):
            hub.open(Reference("org/name"))
    assert len(sleeper.slept) == 2  # it never answered


def test_a_hub_that_has_answered_is_tried_longer(sleeper: Sleeper) -> None:
    with LoopbackHub() as served:
        served.add_repo("org/name", files={"README.md": "words"})
        hub = Hub(served.url, False, clock=sleeper.clock)
        assert hub.open(Reference("org/name")).revision
    with hub, pytest.raises(NetworkError, match=r"can't be reached|broke"):
        hub.open(Reference("org/name"))
    assert len(sleeper.slept) == 6


def test_an_answer_that_doesn_t_come_is_tried_again(served: LoopbackHub, sleeper: Sleeper) -> None:
    served.fault("hang", seconds=0.5)
    with Hub(served.url, False, clock=sleeper.clock, timeout=0.1) as hub:
        assert hub.open(Reference("org/name")).revision
    assert sleeper.slept == [0.5]


def test_closing_wakes_those_who_wait(served: LoopbackHub) -> None:
    served.fault("status", status=503, times=1000, headers={"Retry-After": "80"})
    hub = Hub(served.url, False)
    failures: list[Exception] = []

    def wait() -> None:
        try:
            hub.open(Reference("org/name"))
        except Exception as error:  # noqa: BLE001 - looked at below
            failures.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not served.requests:
        waiting.join(0.01)
    hub.close()
    waiting.join(10)
    assert not waiting.is_alive()
    assert len(failures) == 1
