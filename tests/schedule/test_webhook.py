"""``hub-lineage schedule --webhook`` against a Hub on loopback: one webhook for each address, and a secret that nobody sees."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hub_lineage.errors import UsageError
from hub_lineage.hub.webhooks import PATH, target
from hub_lineage.testing import LoopbackHub
from hub_lineage.types import SCHEMA
from tests.cli.conftest import Run
from tests.schedule.conftest import READER

SPACE, SECRET = "https://org-crawler.hf.space", "w3bhook-secret"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)


def kept(server: LoopbackHub) -> list[dict[str, Any]]:
    return [hook.described() for hook in server.site.webhooks.values()]


def test_a_webhook_is_registered_once(server: LoopbackHub, run: Run) -> None:
    done = run("schedule", "--webhook", SPACE, "--watch", "ann", "--watch", "org")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("Registered webhook ")
    assert SECRET not in done.out
    (hook,) = kept(server)
    watched = [{"name": "ann", "type": "user"}, {"name": "org", "type": "org"}]
    assert hook["watched"] == watched
    assert (hook["url"], hook["secret"], hook["domains"]) == (SPACE + PATH, SECRET, ["repo"])
    again = run("schedule", "--webhook", SPACE + "/", "--watch", "org", "--watch", "ann", "--watch", "ann")
    assert again.out.startswith("It is registered already:")
    assert kept(server) == [hook]


@pytest.mark.parametrize(
    "change",
    [
        {"watched": [{"type": "user", "name": "eve"}]},
        {"secret": "another"},
        {"secret": None},
        {"domains": ["repo", "discussion"]},
        {"disabled": True},
    ],
)
def test_what_is_other_than_asked_for_is_changed(server: LoopbackHub, run: Run, change: dict[str, Any]) -> None:
    run("schedule", "--webhook", SPACE, "--watch", "ann")
    ((name, hook),) = server.site.webhooks.items()
    before = hook.described()
    for field, value in change.items():
        setattr(hook, field, value)
    done = run("schedule", "--webhook", SPACE, "--watch", "ann", "--json")
    assert done.json["schema"] == SCHEMA
    told = {"id": name, "url": SPACE + PATH, "watched": ["ann"], "status": "changed"}
    assert done.json["webhook"] == told
    assert kept(server) == [before]
    assert run("schedule", "--webhook", SPACE, "--watch", "ann", "--json").json["webhook"]["status"] == "unchanged"


def test_another_address_is_another_webhook(server: LoopbackHub, run: Run) -> None:
    run("schedule", "--webhook", SPACE, "--watch", "ann")
    run("schedule", "--webhook", f"{SPACE}/elsewhere", "--watch", "ann")
    assert [hook["url"] for hook in kept(server)] == [SPACE + PATH, f"{SPACE}/elsewhere"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--webhook", SPACE), 2),
        (("--watch", "ann"), 2),
        (("--webhook", SPACE, "--watch", "ann", "--", "--author", "ann"), 2),
        (("--webhook", "http://org-crawler.hf.space", "--watch", "ann"), 2),
        (("--webhook", "org/crawler", "--watch", "ann"), 2),
        (("--webhook", SPACE, "--watch", "nobody"), 3),
    ],
)
def test_what_can_not_be_registered_is_said(server: LoopbackHub, run: Run, arguments: tuple[str, ...], status: int) -> None:
    done = run("schedule", *arguments)
    assert (done.status, done.out) == (status, "")
    assert len(done.err.splitlines()) == 2
    assert kept(server) == []


@pytest.mark.parametrize("value", ["", "short"])
def test_a_secret_is_needed(server: LoopbackHub, run: Run, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", value)
    done = run("schedule", "--webhook", SPACE, "--watch", "ann")
    assert (done.status, kept(server)) == (2, [])
    assert "openssl rand" in done.err


@pytest.mark.parametrize(("token", "code"), [(READER, "missing_scope"), ("hf_nobody", "bad_token"), (None, "bad_token")])
def test_a_token_must_go_so_far(
    server: LoopbackHub, run: Run, monkeypatch: pytest.MonkeyPatch, token: str | None, code: str
) -> None:
    if token is None:
        monkeypatch.delenv("HF_TOKEN")
    else:
        monkeypatch.setenv("HF_TOKEN", token)
    done = run("schedule", "--webhook", SPACE, "--watch", "ann", "--json")
    assert (done.status, done.json["error"]["code"]) == (4, code)
    assert kept(server) == []


class Receiver(http.server.HTTPServer):
    """Keeps the secret and path of every call."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Call)
        self.calls: list[tuple[str, str | None]] = []


class Call(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((self.path, self.headers["X-Webhook-Secret"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


def test_the_hub_calls_what_was_registered(server: LoopbackHub, run: Run, receiver: Receiver) -> None:
    address = f"http://127.0.0.1:{receiver.server_address[1]}"
    assert run("schedule", "--webhook", address, "--watch", "bob").status == 0
    assert server.notify("ann/root") == []
    assert server.notify("bob/left-one") == [200]
    assert receiver.calls == [(PATH, SECRET)]


@pytest.mark.parametrize(
    "url", ["", "nonsense", "ftp://a.b", "https://", "https://a.b/?x=1", "https://u:p@a.b", "http://[", "http://a.b"]
)
def test_odd_addresses_are_refused(url: str) -> None:
    with pytest.raises(UsageError):
        target(url)
