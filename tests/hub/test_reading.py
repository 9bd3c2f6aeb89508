"""Repositories opened and read over real HTTP."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub_lineage.errors import AccessDenied, LineageError, NetworkError, NotFound, Unreadable
from hub_lineage.hub import Hub, open_source, read_whole
from hub_lineage.testing import LoopbackHub, sparse_model
from hub_lineage.types import ByteRange, Reference, RepoFile, Source
from tests.hub.clock import Sleeper

NOISE = random.Random(0).randbytes(300_000)
CONFIG = b'{"hidden_size": 64}'
TOKEN = "hf_secret"
WEIGHTS = "sub folder/model.safetensors"


@pytest.fixture
def served(loopback_hub: LoopbackHub) -> LoopbackHub:
    files = {"config.json": CONFIG, WEIGHTS: NOISE, "other.bin": NOISE[::-1], "long.txt": NOISE}
    card = {"license": "mit", "base_model": "org/parent"}
    loopback_hub.add_repo("org/name", files=files, card=card, downloads=7, created_at="2024-05-01", tags=["a-tag"])
    loopback_hub.add_user("ann", TOKEN)
    return loopback_hub


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


@pytest.fixture
def hub(served: LoopbackHub, sleeper: Sleeper) -> Iterator[Hub]:
    with Hub(served.url, TOKEN, gap=1000, clock=sleeper.clock) as hub:
        yield hub


@pytest.fixture
def source(hub: Hub) -> Source:
    return hub.open(Reference("org/name"))


def test_opening_takes_one_request(served: LoopbackHub, source: Source) -> None:
    assert [record.path for record in served.requests] == ["/api/models/org/name"]
    assert source.revision == served.site.catalogue.repositories["org/name"].at("main").oid
    assert {file.path for file in source.files} == {"README.md", "config.json", "long.txt", "other.bin", WEIGHTS}
    assert source.cost().requests == 1
    assert source.cost().bytes_total == sum(file.size for file in source.files)


def test_lfs_files_come_with_their_hash(source: Source) -> None:
    by_path = {file.path: file for file in source.files}
    assert by_path["config.json"] == RepoFile("config.json", len(CONFIG), None)
    assert len(by_path[WEIGHTS].sha256 or "") == 64


def test_the_card_comes_with_the_files(source: Source) -> None:
    assert source.card["license"] == "mit"
    assert source.card["downloads"] == 7
    assert source.card["created_at"] == "2024-05-01T00:00:00.000Z"
    assert source.card["card_data"]["base_model"] == "org/parent"
    assert "a-tag" in source.card["tags"]


def test_a_file_is_resolved_once_and_read_in_parts(served: LoopbackHub, source: Source) -> None:
    first = source.read([ByteRange(WEIGHTS, 100, 200), ByteRange(WEIGHTS, 200_000, 200_010)])
    second = source.read([ByteRange(WEIGHTS, 50_000, 50_001)])
    assert [*first, *second] == [NOISE[100:200], NOISE[200_000:200_010], NOISE[50_000:50_001]]
    resolved = [record for record in served.requests if "/resolve/" in record.path]
    stored = [record for record in served.requests if record.origin == "cdn"]
    assert (len(resolved), len(stored)) == (1, 3)
    assert {record.status for record in stored} == {206}


def test_bytes_and_requests_are_counted(source: Source, hub: Hub) -> None:
    before = source.cost()
    source.read([ByteRange(WEIGHTS, 0, 5000)])
    after = source.cost()
    assert after.requests - before.requests == 2
    assert 5000 <= after.bytes_read - before.bytes_read < 5000 + 500  # the redirect has a body of its own
    assert hub.cost().requests == after.requests
    assert hub.cost().bytes_read == after.bytes_read


def test_a_small_file_takes_one_request(served: LoopbackHub, source: Source) -> None:
    served.forget()
    assert read_whole(source, "config.json", 1000) == CONFIG
    assert len(served.requests) == 1
    assert served.requests[0].status == 206


def test_a_small_file_behind_a_redirect_on_the_hub() -> None:
    with LoopbackHub(resolve_cache=True) as served, Hub(served.url, False, gap=0) as hub:
        served.add_repo("org/name", files={"config.json": NOISE})
        source = hub.open(Reference("org/name"))
        ranges = [ByteRange("config.json", start, start + 10) for start in range(0, 1000, 100)]
        assert source.read(ranges) == [NOISE[one.start : one.stop] for one in ranges]
        assert sum("/resolve/" in record.path for record in served.requests) == 1


def test_what_is_too_big_or_missing_is_not_read_whole(source: Source) -> None:
    with pytest.raises(Unreadable):
        read_whole(source, "config.json", 3)
    with pytest.raises(NotFound):
        read_whole(source, "nothing.json", 1000)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_random_ranges_are_the_file_s_bytes(source: Source, data: st.DataObject) -> None:
    contents = {WEIGHTS: NOISE, "other.bin": NOISE[::-1], "long.txt": NOISE, "config.json": CONFIG}
    ranges = []
    for _ in range(data.draw(st.integers(0, 12))):
        path = data.draw(st.sampled_from(sorted(contents)))
        start = data.draw(st.integers(0, len(contents[path])))
        length = data.draw(st.integers(0, 5000))
        ranges.append(ByteRange(path, start, min(start + length, len(contents[path]))))
    assert source.read(ranges) == [contents[one.path][one.start : one.stop] for one in ranges]


def test_the_token_stays_with_the_hub(served: LoopbackHub, source: Source) -> None:
    source.read([ByteRange(WEIGHTS, 0, 10), ByteRange("config.json", 0, 2)])
    by_origin = {origin: [r for r in served.requests if r.origin == origin] for origin in ("hub", "cdn")}
    assert all(record.headers["authorization"] == f"Bearer {TOKEN}" for record in by_origin["hub"])
    assert by_origin["cdn"]
    assert all("authorization" not in record.headers for record in by_origin["cdn"])


def test_a_redirect_to_another_hub_gets_no_token(served: LoopbackHub, hub: Hub) -> None:
    with LoopbackHub() as other:
        served.fault("status", path="/api/models", status=302, headers={"Location": f"{other.url}/api/models/org/name"})
        with pytest.raises(NetworkError, match="another host"):
            hub.open(Reference("org/name"))
        assert other.requests == []


def test_an_expired_address_is_resolved_once_more(served: LoopbackHub, source: Source) -> None:
    source.read([ByteRange(WEIGHTS, 0, 10)])
    served.forget()
    served.fault("expire", origin="cdn")
    assert source.read([ByteRange(WEIGHTS, 70, 80)]) == [NOISE[70:80]]
    assert [(record.origin, record.status) for record in served.requests] == [("cdn", 403), ("hub", 302), ("cdn", 206)]


def test_signatures_that_really_expire() -> None:
    sleeper = Sleeper()
    with LoopbackHub(clock=sleeper.now, signature_lifetime=60) as served, Hub(served.url, False, clock=sleeper.clock) as hub:
        served.add_repo("org/name", files={WEIGHTS: NOISE})
        source = hub.open(Reference("org/name"))
        source.read([ByteRange(WEIGHTS, 0, 10)])
        sleeper.sleep(61)
        many = [ByteRange(WEIGHTS, start, start + 10) for start in range(0, 300_000, 70_000)]
        assert source.read(many) == [NOISE[one.start : one.stop] for one in many]
        assert sum("/resolve/" in record.path for record in served.requests) == 2


def test_an_address_that_stays_forbidden_is_an_error(served: LoopbackHub, source: Source) -> None:
    served.fault("expire", origin="cdn", times=100)
    with pytest.raises(AccessDenied):
        source.read([ByteRange(WEIGHTS, 0, 10)])
    assert len(served.requests) < 8


def test_all_of_a_file_instead_of_a_part_is_refused_unread(served: LoopbackHub, source: Source) -> None:
    served.fault("whole", origin="cdn")
    before = source.cost().bytes_read
    with pytest.raises(NetworkError, match="where a part was asked for"):
        source.read([ByteRange(WEIGHTS, 10, 20)])
    assert source.cost().bytes_read - before < 2000


def test_all_of_a_file_is_fine_where_all_was_asked_for(served: LoopbackHub, source: Source) -> None:
    served.fault("whole", origin="cdn")
    assert source.read([ByteRange(WEIGHTS, 0, len(NOISE))]) == [NOISE]


def test_all_of_a_tiny_file_is_cut_to_the_part(served: LoopbackHub, source: Source) -> None:
    served.fault("whole", path="config.json")
    assert source.read([ByteRange("config.json", 2, 8)]) == [CONFIG[2:8]]


@pytest.mark.parametrize("kind", ["lie", "flood"])
def test_other_bytes_than_asked_for_are_refused(served: LoopbackHub, source: Source, kind: str) -> None:
    served.fault(kind, origin="cdn")  # type: ignore[arg-type]  # one of the kinds
    before = source.cost().bytes_read
    with pytest.raises(NetworkError):
        source.read([ByteRange(WEIGHTS, 10, 20)])
    assert source.cost().bytes_read - before < 200_000


@pytest.mark.parametrize("kind", ["drop", "truncate", "garbage", "status"])
def test_what_fails_once_is_tried_again(served: LoopbackHub, source: Source, sleeper: Sleeper, kind: str) -> None:
    served.fault(kind, origin="cdn")  # type: ignore[arg-type]  # one of the kinds
    assert source.read([ByteRange(WEIGHTS, 1000, 9000)]) == [NOISE[1000:9000]]
    assert sleeper.slept == [0.5]


def test_renamed_repositories_are_followed(served: LoopbackHub, hub: Hub) -> None:
    served.rename("org/name", "neworg/new-name")
    source = hub.open(Reference("org/name", "main"))
    assert source.reference.id == "neworg/new-name"
    assert source.reference.note == "org/name is called neworg/new-name now."
    assert source.read([ByteRange(WEIGHTS, 3, 9)]) == [NOISE[3:9]]
    assert [record.status for record in served.requests] == [307, 200, 302, 206]
    assert served.requests[1].headers["authorization"] == f"Bearer {TOKEN}"


def test_redirects_in_a_circle_end(served: LoopbackHub, hub: Hub) -> None:
    served.fault("status", status=307, headers={"Location": "/api/models/org/name"}, times=100)
    with pytest.raises(NetworkError, match="circle"):
        hub.open(Reference("org/name"))
    assert len(served.requests) < 10


def test_revisions_are_commits_once_opened(served: LoopbackHub, hub: Hub) -> None:
    repository = served.site.catalogue.repositories["org/name"]
    old = repository.at("main").oid
    repository.tag("v1")
    repository.branch("refs/pr/1")
    source = hub.open(Reference("org/name"))
    repository.commit({WEIGHTS: b"new" * 1000}, title="Retrain")
    assert source.read([ByteRange(WEIGHTS, 0, 50)]) == [NOISE[:50]]
    assert [hub.open(Reference("org/name", name)).revision for name in ("v1", "refs/pr/1", old, old[:10])] == [old] * 4
    assert hub.open(Reference("org/name")).read([ByteRange(WEIGHTS, 0, 6)]) == [b"newnew"]


def test_a_listing_without_sizes_falls_back_on_the_tree(hub: Hub, served: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    served.site.tree_page = 2
    monkeypatch.setattr("hub_lineage.testing.listing.sibling", lambda path, _blob: {"rfilename": path})
    files = {file.path: file for file in hub.open(Reference("org/name")).files}
    assert files[WEIGHTS].size == len(NOISE)
    assert len(files[WEIGHTS].sha256 or "") == 64
    assert set(files) == {"README.md", "config.json", "long.txt", "other.bin", WEIGHTS}


def test_hostile_names_are_left_out(hub: Hub, served: LoopbackHub) -> None:
    served.add_repo("org/odd", files={"../up": "x", "/root": "x", "a//b": "x", "new\nline": "x", "fine": "x"})
    assert [file.path for file in hub.open(Reference("org/odd")).files] == ["fine"]


def test_an_empty_repository_has_no_files(hub: Hub, served: LoopbackHub) -> None:
    served.add_repo("org/empty")
    assert hub.open(Reference("org/empty")).files == ()


def test_open_source_goes_where_the_reference_points(hub: Hub, tmp_path: Path) -> None:
    assert open_source(Reference("org/name"), hub).revision
    assert open_source(Reference(str(tmp_path), local=True)).revision is None


def test_seven_billion_parameters_stay_within_bounds(served: LoopbackHub, tmp_path: Path) -> None:
    sparse_model(tmp_path / "huge")
    served.add_repo("org/huge", folder=tmp_path / "huge")
    served.forget()
    with Hub(served.url, False, gap=1000) as hub:
        source = hub.open(Reference("org/huge"))
        shards = [file for file in source.files if file.path.endswith(".safetensors")]
        assert sum(file.size for file in shards) > 13 * 10**9
        source.read([ByteRange(file.path, 0, 20_000) for file in shards])
        middles = [ByteRange(file.path, at, at + 4000) for file in shards for at in range(10**8, 3 * 10**9, 2 * 10**8)]
        assert all(len(piece) == 4000 for piece in source.read(middles))
        assert source.cost().requests == 1 + 2 * 4 + len(middles)
    connections = {record.connection for record in served.requests}
    assert len(connections) <= 2 * 16


def test_a_failing_range_fails_the_whole_read(served: LoopbackHub, source: Source) -> None:
    served.fault("lie", origin="cdn", path=served_digest(source))
    with pytest.raises(LineageError):
        source.read([ByteRange(WEIGHTS, 0, 10), ByteRange("other.bin", 0, 10)])


def served_digest(source: Source) -> str:
    """The sha256 by which the second origin knows the other file."""
    return next(file.sha256 or "" for file in source.files if file.path == "other.bin")
