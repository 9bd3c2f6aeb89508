"""What goes over the wire, seen by a plain HTTP client."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub_lineage.testing import LoopbackHub

WEIGHTS = bytes(range(256)) * 4
PATH = "/org/name/resolve/main/model.safetensors"


class Clock:
    """A time that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def served(clock: Clock, tmp_path: Path) -> Iterator[LoopbackHub]:
    (tmp_path / "on-disk.bin").write_bytes(WEIGHTS)
    with LoopbackHub(clock=clock, signature_lifetime=60) as hub:
        hub.add_repo("org/name", files={"model.safetensors": WEIGHTS, "text.txt": WEIGHTS}, folder=tmp_path)
        yield hub
    assert hub.crashes == []


@pytest.fixture
def connection(served: LoopbackHub) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=5)
    yield connection
    connection.close()


def fetch(url: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> tuple[int, http.client.HTTPMessage, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def signed(served: LoopbackHub, path: str = PATH) -> str:
    status, headers, _ = fetch(served.url + path)
    assert status == 302
    return headers["Location"]


def test_large_files_lie_on_another_origin(served: LoopbackHub) -> None:
    status, headers, _ = fetch(served.url + PATH, method="HEAD")
    assert status == 302
    assert headers["Location"].startswith(served.cdn_url)
    assert headers["X-Linked-Size"] == str(len(WEIGHTS))
    assert len(headers["X-Linked-ETag"].strip('"')) == 64
    assert len(headers["X-Repo-Commit"]) == 40
    assert served.cdn_url != served.url
    assert fetch(headers["Location"])[2] == WEIGHTS


def test_small_files_come_at_once(served: LoopbackHub) -> None:
    status, headers, body = fetch(f"{served.url}/org/name/resolve/main/text.txt", {"Range": "bytes=1-3"})
    assert (status, body, headers["Content-Range"]) == (206, WEIGHTS[1:4], "bytes 1-3/1024")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(start=st.integers(0, 1100), stop=st.integers(0, 1100), name=st.sampled_from(["model.safetensors", "on-disk.bin"]))
def test_ranges(served: LoopbackHub, start: int, stop: int, name: str) -> None:
    url = signed(served, f"/org/name/resolve/main/{name}")
    status, headers, body = fetch(url, {"Range": f"bytes={start}-{stop}"})
    if start <= stop and start < len(WEIGHTS):
        assert (status, body) == (206, WEIGHTS[start : stop + 1])
        assert headers["Content-Range"] == f"bytes {start}-{min(stop, 1023)}/1024"
    else:
        assert (status, headers["Content-Range"]) == (416, "bytes */1024")


@pytest.mark.parametrize(
    ("header", "status", "expected"),
    [
        ("bytes=1000-", 206, WEIGHTS[1000:]),
        ("bytes=-10", 206, WEIGHTS[-10:]),
        ("bytes=-5000", 206, WEIGHTS),
        ("bytes=0-1,5-6", 200, WEIGHTS),
        ("bytes=-", 200, WEIGHTS),
        ("lines=1-2", 200, WEIGHTS),
    ],
)
def test_odd_ranges(served: LoopbackHub, header: str, status: int, expected: bytes) -> None:
    assert fetch(signed(served), {"Range": header})[::2] == (status, expected)


def test_signed_addresses_expire(served: LoopbackHub, clock: Clock) -> None:
    url = signed(served)
    clock.now += 59
    assert fetch(url)[0] == 200
    clock.now += 2
    assert fetch(url)[0] == 403


def test_signed_addresses_can_t_be_forged(served: LoopbackHub) -> None:
    url = signed(served)
    assert fetch(url.replace("Expires=1", "Expires=2"))[0] == 403
    assert fetch(url.partition("?")[0])[0] == 403


def test_the_second_origin_takes_no_token(served: LoopbackHub) -> None:
    assert fetch(signed(served), {"Authorization": "Bearer hf_x"})[0] == 400


@pytest.mark.parametrize("path", ["/api/models/org/name", "/api/models", "/org/name/resolve/main/text.txt"])
def test_what_is_known_already_isn_t_sent_again(served: LoopbackHub, path: str) -> None:
    status, headers, body = fetch(served.url + path)
    assert (status, len(body) > 0) == (200, True)
    for known in (headers["ETag"], f'"else", {headers["ETag"]}', "*"):
        assert fetch(served.url + path, {"If-None-Match": known})[::2] == (304, b"")
    assert fetch(served.url + path, {"If-None-Match": '"else"'})[::2] == (200, body)
    served.repository("org/name").commit({"text.txt": "other"})
    status, changed, _ = fetch(served.url + path, {"If-None-Match": headers["ETag"]})
    if path != "/api/models":  # what a listing tells by default doesn't depend on the commit
        assert (status, changed["ETag"] != headers["ETag"]) == (200, True)


def test_a_body_may_come_in_chunks(served: LoopbackHub, connection: http.client.HTTPConnection) -> None:
    for _ in range(2):
        pieces = iter([b'{"content": "---\\nbase_model_relation: ', b'copied\\n---\\n"}'])
        connection.request("POST", "/api/validate-yaml", pieces, encode_chunked=True)
        answer = connection.getresponse()
        assert answer.status == 400
        assert "must be one of" in json.loads(answer.read())["errors"][0]["message"]


def test_a_body_that_is_too_long_ends_the_connection(
    served: LoopbackHub, connection: http.client.HTTPConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_lineage.testing.wire._BODY_LIMIT", 5)
    connection.request("POST", "/api/validate-yaml", b'{"a": 1}')
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("X-Error-Message"), answer.read()[:1]) == (400, "Invalid JSON body", b"{")
    assert connection.sock is None or connection.sock.recv(1) == b""


def test_a_force_push_takes_what_was_there_away(served: LoopbackHub) -> None:
    repository = served.repository("org/name")
    old = repository.at("main").oid
    repository.tag("kept")
    kept, gone = old, repository.commit({"a.txt": "a"}).oid
    new = repository.force_push({"b.txt": "b"}).oid
    found = [fetch(f"{served.url}/api/models/org/name/revision/{revision}")[0] for revision in (kept, gone, new, "main")]
    assert found == [200, 404, 200, 200]


def test_connections_are_kept(served: LoopbackHub, connection: http.client.HTTPConnection) -> None:
    for _ in range(3):
        connection.request("GET", "/api/models/org/name")
        assert connection.getresponse().read()
    assert {record.connection for record in served.requests} == {served.requests[0].connection}


def test_round_trips_take_their_time(served: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("hub_lineage.testing.wire.time.sleep", waits.append)
    served.delay, served.connect_delay = 0.25, 0.75
    fetch(f"{served.url}/api/models")
    assert [wait for wait in waits if wait in {0.25, 0.75}] == [0.75, 0.25]


def test_rate_limits_have_windows(served: LoopbackHub, clock: Clock) -> None:
    served.limit("resolvers", calls=2, window=300)
    assert [fetch(served.url + PATH)[0] for _ in range(3)] == [302, 302, 429]
    clock.now += 100
    _, headers, _ = fetch(served.url + PATH)
    assert headers["RateLimit"] == '"resolvers";r=0;t=200'
    assert headers["RateLimit-Policy"] == '"fixed window";"resolvers";q=2;w=300'
    assert headers["Retry-After"] == "200"
    clock.now += 200
    assert fetch(served.url + PATH)[0] == 302
    assert fetch(f"{served.url}/api/models")[0] == 200


def test_a_dropped_connection(served: LoopbackHub) -> None:
    served.fault("drop")
    with pytest.raises(http.client.RemoteDisconnected):
        fetch(f"{served.url}/api/models")
    assert [record.status for record in served.requests] == [0]
    assert fetch(f"{served.url}/api/models")[0] == 200


def test_garbage(served: LoopbackHub) -> None:
    served.fault("garbage")
    with pytest.raises(http.client.BadStatusLine):
        fetch(f"{served.url}/api/models")


def test_a_truncated_body(served: LoopbackHub) -> None:
    url = signed(served)
    served.fault("truncate", origin="cdn")
    with pytest.raises(http.client.IncompleteRead) as caught:
        fetch(url)
    assert caught.value.partial == WEIGHTS[:512]


def test_the_whole_instead_of_a_part(served: LoopbackHub) -> None:
    url = signed(served)
    served.fault("whole", origin="cdn")
    assert fetch(url, {"Range": "bytes=1-2"})[::2] == (200, WEIGHTS)


def test_a_lying_content_range(served: LoopbackHub) -> None:
    url = signed(served)
    served.fault("lie", origin="cdn")
    status, headers, body = fetch(url, {"Range": "bytes=1-2"})
    assert (status, headers["Content-Range"], body) == (206, "bytes 2-3/1024", WEIGHTS[1:3])


def test_more_than_was_asked_for(served: LoopbackHub) -> None:
    url = signed(served)
    served.fault("flood", origin="cdn")
    assert fetch(url, {"Range": "bytes=1000-1001"})[::2] == (206, WEIGHTS[1000:])


def test_faults_strike_where_and_as_often_as_told(served: LoopbackHub) -> None:
    served.fault("status", path="^/api/models$", method="GET", times=2, status=418, headers={"X-Odd": "yes"})
    assert fetch(f"{served.url}/api/models/org/name")[0] == 200
    assert [fetch(f"{served.url}/api/models")[0] for _ in range(3)] == [418, 418, 200]
    served.fault("status")
    served.faults.clear()
    assert fetch(f"{served.url}/api/models")[0] == 200


def test_an_address_that_isn_t_there(served: LoopbackHub) -> None:
    assert fetch(f"{served.url}/nowhere/at/all/x")[0] == 404
    assert fetch(f"{served.cdn_url}/api/models")[0] == 404


def test_a_crash_in_a_handler_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackHub() as hub:
        monkeypatch.setattr(hub, "site", None)
        # Both addresses were known before the state went away.
        assert fetch(f"{hub._servers[0].url}/api/models")[0] == 500
        assert len(hub.crashes) == 1


def test_closing_hangs_up(connection: http.client.HTTPConnection, served: LoopbackHub) -> None:
    connection.request("GET", "/api/models")
    connection.getresponse().read()
    served.close()
    assert connection.sock.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        fetch(f"{served.url}/api/models")
