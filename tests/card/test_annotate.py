"""A pull request to a card, end to end: the real client, over real HTTP, of a really fine-tuned model."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from huggingface_hub import HfApi

from hub_lineage import card
from hub_lineage.annotate import Annotation, annotate
from hub_lineage.annotate.ledger import Ledger
from hub_lineage.crawl import crawl
from hub_lineage.errors import AccessDenied, LineageError, NetworkError, NotFound, RateLimited, Unreadable, UsageError
from hub_lineage.hub.cards import Moved
from hub_lineage.registry import Registry, default_folder
from hub_lineage.testing import LoopbackHub
from tests.card.cases import CHILD, LATE, READER, README, TALKER, TOKEN, case, commits_of, put_child


def run(name: str = CHILD, **options: Any) -> Annotation:
    return annotate(name, **{"among": case().among, "token": TOKEN, **options})


def proposed(server: LoopbackHub, number: int = 1, name: str = CHILD) -> bytes:
    """The README that a pull request proposes."""
    blob = server.repository(name).at(f"refs/pr/{number}").files["README.md"]
    assert blob.data is not None
    return blob.data


def test_a_parent_goes_on_the_card_by_one_pull_request(server: LoopbackHub) -> None:
    put_child(server)
    main = server.repository(CHILD).at("main")
    done = run()
    assert (done.status, done.parents, done.relation, done.revision) == ("opened", (case().parent,), "finetune", main.oid)
    assert done.url == f"{server.url}/{CHILD}/discussions/1"
    assert server.repository(CHILD).at("main").oid == main.oid
    branch = server.repository(CHILD).at("refs/pr/1")
    assert branch.parent == main.oid
    assert {path for path, blob in branch.files.items() if main.files.get(path) != blob} == {"README.md"}


def test_every_other_byte_arrives_as_it_was(server: LoopbackHub) -> None:
    put_child(server)
    run()
    body = proposed(server)
    keys = f"base_model: {case().parent}\nbase_model_relation: finetune\n".encode()
    assert body.startswith(b"---\n" + keys + README[4:] + b"\n" + card.BEGIN.encode())
    assert body.count(b"```mermaid") == 1
    api = HfApi(endpoint=server.url, token=TOKEN)
    assert api.model_info(CHILD, revision="refs/pr/1").card_data.base_model == case().parent  # type: ignore[union-attr]


def test_the_pull_request_tells_the_evidence(server: LoopbackHub) -> None:
    put_child(server)
    run()
    details = HfApi(endpoint=server.url, token=TOKEN).get_discussion_details(CHILD, 1)
    assert (details.title, details.author, details.status) == (card.TITLE, "ann", "open")
    words = getattr(details.events[0], "content", "")
    assert "## Evidence" in words
    assert f"hub-lineage trace {CHILD} --among {case().parent}" in words
    assert "| correlation |" in words


def test_a_second_run_opens_no_second_one(server: LoopbackHub) -> None:
    put_child(server)
    first, second = run(), run()
    assert (second.status, second.url) == ("already_open", first.url)
    assert commits_of(server) == 1
    api = HfApi(endpoint=server.url, token=TOKEN)
    assert len(list(api.get_repo_discussions(CHILD))) == 1


def test_one_by_somebody_else_counts_too_and_other_talk_does_not(server: LoopbackHub) -> None:
    put_child(server)
    server.add_user("bob", "hf_bob", role="write")
    api = HfApi(endpoint=server.url, token="hf_bob")
    for i in range(12):
        api.create_discussion(CHILD, f"About hub-lineage {i}")
    api.create_pull_request(CHILD, title="Mend a word")
    assert run(token="hf_bob").status == "opened"
    assert run().status == "already_open"


def test_once_merged_there_is_nothing_left_to_say(server: LoopbackHub) -> None:
    put_child(server, name="ann/child")
    run("ann/child")
    HfApi(endpoint=server.url, token=TOKEN).merge_pull_request("ann/child", 1)
    again = run("ann/child")
    assert (again.status, again.diff) == ("unchanged", "")
    # Fewer candidates move the figures, which is no news.
    fewer = run("ann/child", among=[name for name in case().among if name.partition("/")[0] in case().parent or "/" in name])
    assert fewer.status == "unchanged"


def test_once_closed_it_may_be_asked_again(server: LoopbackHub) -> None:
    put_child(server)
    run()
    HfApi(endpoint=server.url, token=TOKEN).change_discussion_status(CHILD, 1, "closed")
    assert run().url == f"{server.url}/{CHILD}/discussions/2"


def test_a_dry_run_shows_the_change_and_needs_no_token(server: LoopbackHub) -> None:
    put_child(server)
    done = run(dry_run=True, token=None)
    assert done.status == "proposed"
    assert f"+base_model: {case().parent}" in done.diff.splitlines()
    assert [record.method for record in server.requests if record.method != "GET"] == []


def test_a_no_sends_nothing(server: LoopbackHub) -> None:
    put_child(server)
    seen: list[Annotation] = []

    def refuse(what: Annotation) -> bool:
        seen.append(what)
        return False

    assert run(confirm=refuse).status == "proposed"
    assert [what.diff != "" for what in seen] == [True]
    assert commits_of(server) == 0


def test_a_missing_readme_gets_a_minimal_card(server: LoopbackHub) -> None:
    put_child(server, None)
    done = run()
    assert done.status == "opened"
    front = f"---\nbase_model: {case().parent}\nbase_model_relation: finetune\n---\n# child\n\n{card.BEGIN}\n## Lineage\n"
    assert proposed(server).decode().startswith(front)


def test_an_empty_readme_stays_free_of_words_of_ours(server: LoopbackHub) -> None:
    put_child(server, b"")
    assert run().status == "opened"
    assert b"# child" not in proposed(server)


@pytest.mark.parametrize("front", ["base_model: org/other", "base_model: [org/other, org/third]", "base_model_relation: adapter"])
def test_a_declared_value_is_never_written_over_unasked(server: LoopbackHub, front: str) -> None:
    put_child(server, f"---\n{front}\n---\n# M\n".encode())
    done = run()
    assert done.status == "declared"
    assert done.reason
    assert front.partition(":")[0] in done.reason
    assert commits_of(server) == 0
    assert run(overwrite=True).status == "opened"
    assert b"base_model_relation: finetune\n" in proposed(server)


@pytest.mark.parametrize(
    "readme",
    [b"---\nhub_lineage: false\n---\n# M\n", b"# M\n<!-- hub-lineage: off -->\n", b"---\ntags: [no-hub-lineage]\n---\n"],
)
def test_an_opt_out_is_honoured(server: LoopbackHub, readme: bytes) -> None:
    put_child(server, readme)
    done = run(overwrite=True)
    assert done.status == "opted_out"
    assert done.reason
    assert commits_of(server) == 0


@pytest.mark.parametrize(
    "readme", [b"---\nlicense: [mit\n---\n", b"---\nlicense: mit\n# no end\n", b"# M\xe8re\n", f"# M\n{card.BEGIN}\n".encode()]
)
def test_a_card_that_cannot_be_edited_safely_is_left_alone(server: LoopbackHub, readme: bytes) -> None:
    put_child(server, readme)
    with pytest.raises(Unreadable):
        run()
    assert commits_of(server) == 0


def test_what_the_hub_does_not_take_is_said_in_words(server: LoopbackHub) -> None:
    put_child(server, b"---\nlicense: mit\nlicense: gpl\n---\n# M\n")
    with pytest.raises(Unreadable, match="duplicated mapping key"):
        run()
    assert commits_of(server) == 0


def test_an_open_verdict_writes_nothing(server: LoopbackHub) -> None:
    put_child(server)
    done = run(among=[name for name in case().among if name != case().parent][-1:])
    assert (done.status, done.parents, done.diff) == ("undecided", (), "")
    assert done.reason
    assert commits_of(server) == 0


def test_the_registry_gives_the_candidates(server: LoopbackHub) -> None:
    with Registry.open(default_folder(), write=True) as known:
        crawl(known, ids=case().among)
    put_child(server)
    assert run(among=None, dry_run=True).parents == (case().parent,)


@pytest.mark.parametrize(
    ("token", "words"),
    [(READER, "may not open a pull request"), (LATE, "accept the token"), ("hf_nobody", "accept the token"), (None, "logged in")],
)
def test_a_token_that_does_not_go_so_far_writes_nothing(server: LoopbackHub, token: str | None, words: str) -> None:
    put_child(server)
    with pytest.raises(AccessDenied, match=words) as caught:
        run(token=token)
    assert "hf auth login" in caught.value.hint
    assert server.repository(CHILD).discussions == []
    assert run().status == "opened"  # and nothing was taken from the day's cap for it


def test_a_token_for_discussions_alone_is_enough(server: LoopbackHub) -> None:
    put_child(server)
    assert run(token=TALKER).status == "opened"


def test_the_daily_cap_is_kept(server: LoopbackHub) -> None:
    for name in ("some/one", "some/two", "some/three"):
        put_child(server, name=name)
    assert [run(name, daily_cap=2).status for name in ("some/one", "some/two")] == ["opened", "opened"]
    with pytest.raises(RateLimited, match="cap"):
        run("some/three", daily_cap=2)
    assert commits_of(server, "some/three") == 0
    assert run("some/three", daily_cap=2, dry_run=True).status == "proposed"
    assert run("some/three", daily_cap=3).status == "opened"


def test_a_card_that_is_changed_meanwhile_is_read_again(server: LoopbackHub) -> None:
    put_child(server)
    asked = 0

    def change_first(what: Annotation) -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            server.repository(CHILD).commit({"README.md": b"# Another card\n"})
        return what.status == "proposed"

    done = run(confirm=change_first)
    assert (done.status, asked) == ("opened", 2)
    assert proposed(server).decode().endswith(f"{card.END}\n")
    assert b"# Another card\n" in proposed(server)
    assert done.revision == server.repository(CHILD).at("main").oid
    assert commits_of(server) == 1


def test_an_opt_out_that_comes_meanwhile_is_honoured(server: LoopbackHub) -> None:
    put_child(server)

    def opt_out(what: Annotation) -> bool:
        server.repository(CHILD).commit({"README.md": b"<!-- hub-lineage: off -->\n"})
        return bool(what.diff)

    assert run(confirm=opt_out).status == "opted_out"
    assert commits_of(server) == 0


def test_a_card_that_never_stands_still_is_given_up(server: LoopbackHub) -> None:
    put_child(server)
    count = 0

    def change(what: Annotation) -> bool:
        nonlocal count
        count += 1
        server.repository(CHILD).commit({"README.md": f"# Card {count}\n".encode()})
        return bool(what.diff)

    with pytest.raises(Moved, match="keeps changing"):
        run(confirm=change)
    assert (count, commits_of(server)) == (2, 0)


def test_weights_that_are_changed_meanwhile_are_not_spoken_for(server: LoopbackHub) -> None:
    put_child(server)

    def retrain(what: Annotation) -> bool:
        server.repository(CHILD).commit({"model.safetensors": b"others"})
        return bool(what.diff)

    with pytest.raises(NetworkError, match="were changed while"):
        run(confirm=retrain)
    assert commits_of(server) == 0


def test_a_hub_that_says_it_moved_is_asked_again(server: LoopbackHub) -> None:
    put_child(server)
    server.fault("status", status=412, path=f"/api/models/{CHILD}/commit/", times=1)
    assert run().status == "opened"
    assert commits_of(server) == 2
    server.fault("status", status=412, path="/commit/", times=2)
    put_child(server, name="some/other")
    with pytest.raises(Moved, match="keeps changing"):
        run("some/other")
    assert server.repository("some/other").discussions == []


def test_trouble_while_it_is_sent_is_said_and_counts(server: LoopbackHub) -> None:
    put_child(server)
    server.fault("status", status=503, path="/commit/", times=1)
    with pytest.raises(NetworkError, match="trouble of its own"):
        run()
    assert commits_of(server) == 1
    with pytest.raises(UsageError, match="Another run"):  # the first may be there all the same
        run()
    with pytest.raises(RateLimited), Ledger().slot(server.url, "some/other", 1):
        pass


def test_a_parent_that_strangers_cannot_see_is_not_given_away(server: LoopbackHub) -> None:
    put_child(server)
    server.repository(case().parent).private = True
    server.add_user("ann", TOKEN, role="write", reads=[case().parent])
    done = run()
    assert done.status == "undecided"
    assert done.reason
    assert "everyone" in done.reason
    assert case().parent not in done.diff
    put_child(server, name="ann/child", private=True)
    assert run("ann/child").status == "opened"


def test_a_renamed_parent_is_written_under_its_present_name(server: LoopbackHub) -> None:
    put_child(server)
    with Registry.open(default_folder(), write=True) as known:
        crawl(known, ids=case().among)
    server.rename(case().parent, "new/name")
    done = run(among=None)
    assert done.parents == ("new/name",)
    assert b"base_model: new/name\n" in proposed(server)


@pytest.mark.parametrize("name", [f"{CHILD}@main", ".", "https://huggingface.co/a/b/tree/v1"])
def test_a_revision_or_a_folder_has_no_card_to_write_to(server: LoopbackHub, name: str) -> None:
    with pytest.raises(UsageError, match="main"):
        run(name)
    assert commits_of(server) == 0


@pytest.mark.parametrize("name", ["some/missing", "closed/other"])
def test_a_model_that_is_not_there(server: LoopbackHub, name: str) -> None:
    with pytest.raises(NotFound):
        run(name)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("status", "/api/models/some/child/discussions"),
        ("status", "/api/validate-yaml"),
        ("drop", "/api/validate-yaml"),
        ("garbage", "/api/validate-yaml"),
        ("status", "/preupload/"),
        ("status", "/commit/"),
        ("drop", "/commit/"),
        ("garbage", "/commit/"),
    ],
)
def test_every_failure_is_one_of_ours(server: LoopbackHub, kind: Literal["status", "drop", "garbage"], path: str) -> None:
    put_child(server)
    server.fault(kind, path=path, status=418)
    with pytest.raises(LineageError) as caught:
        run()
    assert caught.value.message
    assert caught.value.hint
    assert server.repository(CHILD).discussions == []
