"""Every failure is one of this package's, with words for people."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import errors as client_errors

from hub_lineage.errors import AccessDenied, BadToken, Gated, LineageError, MissingScope, NetworkError, NotFound, Private
from hub_lineage.hub import Hub
from hub_lineage.hub.failures import mapped
from hub_lineage.testing import LoopbackHub
from hub_lineage.types import ByteRange, Reference


def errors_of(module: Any) -> list[type[Exception]]:
    return [one for _, one in inspect.getmembers(module, inspect.isclass) if issubclass(one, Exception)]


def instance(kind: type[Exception]) -> Exception:
    """An error of a class, whatever its constructor takes."""
    error = kind.__new__(kind)
    error.args = ("some words",)
    return error


@pytest.mark.parametrize("kind", errors_of(httpx2), ids=lambda kind: kind.__name__)
def test_every_error_of_the_http_client_is_mapped(kind: type[Exception]) -> None:
    with pytest.raises(LineageError) as caught, mapped("Reading"):
        raise instance(kind)
    assert caught.value.message.startswith("Reading: ")
    assert caught.value.hint


@pytest.mark.parametrize("kind", errors_of(client_errors), ids=lambda kind: kind.__name__)
def test_every_error_of_the_hub_client_is_mapped(kind: type[Exception]) -> None:
    with pytest.raises(LineageError), mapped("Reading"):
        raise instance(kind)


def test_gated_is_told_from_unknown() -> None:
    with pytest.raises(Gated), mapped("Reading"):
        raise instance(client_errors.GatedRepoError)
    with pytest.raises(NotFound), mapped("Reading"):
        raise instance(client_errors.RepositoryNotFoundError)


@pytest.fixture
def served(loopback_hub: LoopbackHub) -> LoopbackHub:
    files: dict[str, bytes | str | Path] = {"model.safetensors": b"x" * 100, "config.json": "{}"}
    loopback_hub.add_repo("org/open", files=files)
    loopback_hub.add_repo("org/private", files=files, private=True)
    loopback_hub.add_repo("org/gated", files=files, gated="manual")
    loopback_hub.add_user("ann", "hf_ann", reads=["org/private", "org/gated"])
    loopback_hub.add_user("bob", "hf_bob")
    return loopback_hub


@pytest.fixture(params=[False, "hf_bob"], ids=["nobody", "bob"])
def stranger(served: LoopbackHub, request: pytest.FixtureRequest) -> Iterator[Hub]:
    with Hub(served.url, request.param) as hub:
        yield hub


@pytest.mark.parametrize("name", ["org/unknown", "org/private"])
def test_unknown_and_private_look_alike(stranger: Hub, name: str) -> None:
    with pytest.raises(NotFound) as caught:
        stranger.open(Reference(name))
    assert name in caught.value.message
    assert "private" in caught.value.hint


def test_gated_files_are_denied(stranger: Hub) -> None:
    source = stranger.open(Reference("org/gated"))
    assert source.card["gated"] == "manual"
    with pytest.raises(Gated) as caught:
        source.read([ByteRange("model.safetensors", 0, 10)])
    assert (caught.value.code, caught.value.exit_status) == ("gated", 4)
    assert "Ask for access" in caught.value.hint


@pytest.mark.parametrize("name", ["org/private", "org/gated"])
def test_those_let_in_read(served: LoopbackHub, name: str) -> None:
    with Hub(served.url, "hf_ann") as hub:
        ranges = [ByteRange("model.safetensors", 0, 10), ByteRange("config.json", 0, 2)]
        assert hub.open(Reference(name)).read(ranges) == [b"x" * 10, b"{}"]


def test_an_unknown_revision_is_not_found(stranger: Hub) -> None:
    with pytest.raises(NotFound, match="revision"):
        stranger.open(Reference("org/open", "nowhere"))


def test_a_file_that_vanished_is_not_found(served: LoopbackHub, stranger: Hub) -> None:
    source = stranger.open(Reference("org/open"))
    served.fault("status", path="resolve", status=404, headers={"X-Error-Code": "EntryNotFound"})
    with pytest.raises(NotFound, match=r"model\.safetensors"):
        source.read([ByteRange("model.safetensors", 0, 10)])
    assert source.read([ByteRange("model.safetensors", 0, 10)]) == [b"x" * 10]


def test_a_disabled_repository_is_denied(served: LoopbackHub, stranger: Hub) -> None:
    served.site.catalogue.repositories["org/open"].disabled = True
    with pytest.raises(AccessDenied, match="disabled") as caught:
        stranger.open(Reference("org/open"))
    assert (caught.value.code, caught.value.exit_status) == ("access_denied", 4)


@pytest.mark.parametrize(
    ("token", "kind", "code", "hint"),
    [
        ("hf_nobody", BadToken, "bad_token", "hf auth login"),
        ("hf_old", BadToken, "expired_token", "Make a new one"),
        ("hf_talk", MissingScope, "missing_scope", "a token that may read it"),
        ("hf_bob", Gated, "gated", "Ask for access"),
    ],
)
def test_why_a_token_is_not_enough(served: LoopbackHub, token: str, kind: type[AccessDenied], code: str, hint: str) -> None:
    served.add_token("ann", "hf_old", expires=1.0)
    served.add_token("ann", "hf_talk", role="fineGrained", scopes=["write-discussions"])
    with Hub(served.url, token) as hub, pytest.raises(kind) as caught:
        hub.open(Reference("org/gated")).read([ByteRange("model.safetensors", 0, 10)])
    assert (caught.value.code, caught.value.exit_status) == (code, 4)
    assert hint in caught.value.hint
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "kind"), [("This repository is private.", Private), ("Forbidden", AccessDenied), ("", AccessDenied)]
)
def test_what_the_hub_denies_in_other_words(served: LoopbackHub, stranger: Hub, said: str, kind: type[AccessDenied]) -> None:
    served.fault("status", status=403, headers={"X-Error-Message": said})
    with pytest.raises(AccessDenied) as caught:
        stranger.open(Reference("org/open"))
    assert type(caught.value) is kind
    assert said in caught.value.message


@pytest.mark.parametrize("token", ["hf_\nX-Evil: 1", "hf_é", "hf_\x00"])
def test_a_token_that_can_t_be_sent_is_an_error_in_words(served: LoopbackHub, token: str) -> None:
    with Hub(served.url, token) as hub, pytest.raises(LineageError):
        hub.open(Reference("org/open"))


@pytest.mark.parametrize("address", ["http://127.0.0.1:1:2", "ftp://127.0.0.1", "nonsense", "http://[", "http://127.0.0.1:99999"])
def test_an_address_without_sense_is_an_error_in_words(address: str) -> None:
    with pytest.raises(LineageError), Hub(address, False, retries=0) as hub:
        hub.open(Reference("org/open"))


def test_no_network_is_an_error_in_words() -> None:
    with Hub(None, False, retries=0) as hub:
        assert hub.endpoint == "https://huggingface.co"
        with pytest.raises(NetworkError, match="can't be reached"):
            hub.open(Reference("org/open"))


def test_offline_mode_is_honoured(served: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with Hub(served.url, False) as hub, pytest.raises(NetworkError, match="HF_HUB_OFFLINE"):
        hub.open(Reference("org/open"))
    assert served.requests == []


def test_the_environment_s_endpoint_and_token_are_used(served: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", served.url + "/")
    monkeypatch.setenv("HF_TOKEN", "hf_ann")
    with Hub() as hub:
        assert hub.endpoint == served.url
        assert hub.open(Reference("org/private")).revision
    assert served.requests[0].headers["authorization"] == "Bearer hf_ann"


@pytest.mark.parametrize(
    "headers", [{"Location": "http://[bad"}, {"Location": "file:///etc/passwd"}, {"Location": "http://127.0.0.1:0/"}, {}]
)
def test_redirects_without_sense_are_errors_in_words(served: LoopbackHub, headers: dict[str, str]) -> None:
    with Hub(served.url, False, retries=0) as hub:
        source = hub.open(Reference("org/open"))
        served.fault("status", path="resolve", status=302, headers=headers)
        with pytest.raises(NetworkError):
            source.read([ByteRange("model.safetensors", 0, 10)])


@pytest.mark.parametrize(
    "body",
    [b"", b"no json", b"[]", b"null", b'{"sha": 5, "siblings": [{}]}', b'{"sha": "x", "siblings": []}', b"[" * 100_000, b"\xff"],
)
def test_an_answer_that_is_no_hub_s_is_an_error_in_words(
    served: LoopbackHub, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    answer = httpx2.Response(200, content=body)
    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", lambda *_: answer)
    with Hub(served.url, False) as hub, pytest.raises(NetworkError, match="Opening org/open"):
        hub.open(Reference("org/open"))


def test_an_answer_without_end_is_cut_off(served: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub_lineage.hub.opening.INFO_LIMIT", 100)
    with Hub(served.url, False) as hub, pytest.raises(NetworkError, match="more than the 100 bytes"):
        hub.open(Reference("org/open"))


def test_an_encoding_that_explodes_is_refused(served: LoopbackHub) -> None:
    served.fault("status", status=200, headers={"Content-Encoding": "br"})
    with Hub(served.url, False) as hub, pytest.raises(NetworkError, match="encoding"):
        hub.open(Reference("org/open"))
