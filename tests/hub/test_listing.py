"""Listings, page by page."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from safetensors.numpy import save

from hub_lineage.errors import NetworkError
from hub_lineage.hub import Hub, Listing
from hub_lineage.testing import LoopbackHub


@pytest.fixture
def served() -> Iterator[LoopbackHub]:
    with LoopbackHub(list_page=3) as served:
        for number in range(8):
            org, kind = ("one", "bert") if number % 2 else ("two", "gpt")
            served.add_repo(f"{org}/{kind}-{number}", downloads=number, tags=[kind, "any"], created_at=f"2024-01-0{number + 1}")
        served.add_repo("one/private", private=True, files={"a": "b"})
        yield served
    assert served.crashes == []


@pytest.fixture
def hub(served: LoopbackHub) -> Iterator[Hub]:
    with Hub(served.url, False) as hub:
        yield hub


def test_all_pages_come_most_downloaded_first(hub: Hub, served: LoopbackHub) -> None:
    assert [one.downloads for one in hub.list_models()] == [7, 6, 5, 4, 3, 2, 1, 0]
    assert len(served.requests) == 3


def test_pages_are_fetched_as_they_are_needed(hub: Hub, served: LoopbackHub) -> None:
    models = hub.list_models()
    assert served.requests == []
    next(models)
    assert len(served.requests) == 1


def test_a_listing_tells_what_a_registry_needs(hub: Hub, served: LoopbackHub) -> None:
    first = next(hub.list_models(limit=1))
    commit = served.site.catalogue.repositories["one/bert-7"].at("main")
    when = "2024-01-08T00:00:00.000Z"
    assert first == Listing("one/bert-7", commit.oid, 7, when, when, ("bert", "any"), None, None, private=False, gated=False)


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ({"author": "one"}, [7, 5, 3, 1]),
        ({"search": "GPT"}, [6, 4, 2, 0]),
        ({"filter": "bert"}, [7, 5, 3, 1]),
        ({"filter": ["bert", "any"]}, [7, 5, 3, 1]),
        ({"filter": ["bert", "gpt"]}, []),
        ({"author": "one", "search": "nothing"}, []),
        ({"limit": 2}, [7, 6]),
        ({"limit": 5}, [7, 6, 5, 4, 3]),
        ({"limit": 0}, []),
        ({"sort": "created_at", "limit": 1}, [7]),
    ],
)
def test_what_is_asked_for_comes(hub: Hub, options: dict[str, object], numbers: list[int]) -> None:
    assert [one.downloads for one in hub.list_models(**options)] == numbers  # type: ignore[arg-type]  # each of its type


def test_models_are_found_by_their_size(served: LoopbackHub, hub: Hub) -> None:
    for rows in (1, 40, 300, 5000):
        served.add_repo(f"two/sized-{rows}", files={"model.safetensors": save({"x": np.zeros((rows, 30), np.float32)})})
    found = {one.id: one.parameters for one in hub.list_models(search="sized", sized=True)}
    assert found == {f"two/sized-{rows}": 30 * rows for rows in (1, 40, 300, 5000)}
    assert {one.parameters for one in hub.list_models(sized=True, author="one")} == {None}
    for least, most, rows_within in ((1200, 9000, {40, 300}), (0, 999, {1}), (10**6, 3 * 10**9, set()), (1201, 149_999, {300})):
        named = {one.id for one in hub.list_models(parameters=(least, most))}
        assert named == {f"two/sized-{rows}" for rows in rows_within}
    asked = [record.request.first("num_parameters") for record in served.requests]
    assert asked[-2:] == ["min:1M,max:3B", "min:1.201K,max:149.999K"]


def test_private_models_show_to_those_who_may_read(served: LoopbackHub) -> None:
    served.add_user("ann", "hf_ann", reads=["one"])
    with Hub(served.url, "hf_ann") as hub:
        assert "one/private" in {one.id for one in hub.list_models()}


def test_pages_on_another_host_are_not_followed(hub: Hub, served: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.site, "url", "http://127.0.0.2:80")
    with pytest.raises(NetworkError, match="astray"):
        list(hub.list_models())


def test_pages_in_a_circle_end(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub_lineage.testing.paging.base64.urlsafe_b64decode", lambda _: b"0")
    with pytest.raises(NetworkError, match="astray"):
        list(hub.list_models())
