"""Discussions by the real client."""

from __future__ import annotations

import pytest
from huggingface_hub import DiscussionComment, HfApi, errors

from hub_lineage.testing import LoopbackHub


def test_a_discussion_s_life(ann: HfApi, bob: HfApi) -> None:
    opened = bob.create_discussion("org/name", "A question", description="What is it?")
    assert (opened.num, opened.status, opened.author, opened.is_pull_request) == (1, "open", "bob", False)
    assert opened.url == f"{bob.endpoint}/org/name/discussions/1"
    answer = ann.comment_discussion("org/name", 1, "A model.")
    edited = ann.edit_discussion_comment("org/name", 1, answer.id, "A *small* model.")
    assert (edited.content, edited.edited, edited.number_of_edits) == ("A *small* model.", True, 1)
    assert bob.rename_discussion("org/name", 1, "Answered").old_title == "A question"
    assert bob.change_discussion_status("org/name", 1, "closed", comment="Thanks.").new_status == "closed"
    details = ann.get_discussion_details("org/name", 1)
    assert (details.title, details.status) == ("Answered", "closed")
    said = [event.content for event in details.events if isinstance(event, DiscussionComment)]
    assert said == ["What is it?", "A *small* model.", "Thanks."]


def test_comments_are_hidden_for_good(ann: HfApi, bob: HfApi) -> None:
    bob.create_discussion("org/name", "Rude words")
    first = bob.comment_discussion("org/name", 1, "...")
    with pytest.warns(UserWarning, match="irreversible"):
        hidden = ann.hide_discussion_comment("org/name", 1, first.id)
    assert (hidden.hidden, hidden.content) == (True, "")


def test_listing_by_pages_and_filters(ann: HfApi, bob: HfApi, served: LoopbackHub) -> None:
    served.site.discussion_page = 2
    for number in range(3):
        bob.create_discussion("org/name", f"Question {number}")
    bob.create_pull_request("org/name", "A change")
    ann.create_discussion("org/name", "A notice")
    ann.change_discussion_status("org/name", 1, "closed")
    served.forget()
    assert [one.num for one in ann.get_repo_discussions("org/name")] == [5, 4, 3, 2, 1]
    assert len(served.requests) == 3
    assert [one.num for one in ann.get_repo_discussions("org/name", author="ann")] == [5]
    assert [one.num for one in ann.get_repo_discussions("org/name", discussion_type="pull_request")] == [4]
    assert [one.num for one in ann.get_repo_discussions("org/name", discussion_status="closed")] == [1]
    wanted = ann.get_repo_discussions("org/name", author="bob", discussion_type="discussion", discussion_status="open")
    assert [one.num for one in wanted] == [3, 2]


def test_a_draft_has_a_branch_and_can_be_opened(bob: HfApi) -> None:
    draft = bob.create_pull_request("org/name", "A change")
    assert (draft.status, draft.git_reference, draft.target_branch) == ("draft", "refs/pr/1", "refs/heads/main")
    bob.upload_file(repo_id="org/name", path_or_fileobj=b"x\n", path_in_repo="x.txt", revision="refs/pr/1")
    assert bob.change_discussion_status("org/name", 1, "open").new_status == "open"
    details = bob.get_discussion_details("org/name", 1)
    assert details.diff is not None
    assert "+++ b/x.txt\n@@ -0,0 +1 @@\n+x\n" in details.diff
    references = bob.list_repo_refs("org/name", include_pull_requests=True)
    assert [one.ref for one in references.pull_requests or ()] == ["refs/pr/1"]
    assert bob.list_repo_refs("org/name").pull_requests is None


def test_who_may_govern(ann: HfApi, bob: HfApi, eve: HfApi) -> None:
    ann.create_discussion("org/name", "A notice")
    with pytest.raises(errors.HfHubHTTPError, match="403"):
        bob.change_discussion_status("org/name", 1, "closed")
    with pytest.raises(errors.HfHubHTTPError, match="write token to take part"):
        eve.comment_discussion("org/name", 1, "Hello")
    with pytest.raises(errors.HfHubHTTPError, match="401"):
        HfApi(endpoint=ann.endpoint, token=False).create_discussion("org/name", "Anyone")
    with pytest.raises(errors.HfHubHTTPError, match="Discussion not found"):
        ann.get_discussion_details("org/name", 7)
    with pytest.raises(errors.RepositoryNotFoundError):
        ann.create_discussion("org/nowhere", "Hello")


def test_what_can_t_be_done_twice(ann: HfApi) -> None:
    ann.upload_file(repo_id="org/name", path_or_fileobj=b"x", path_in_repo="x.txt", create_pr=True)
    ann.merge_pull_request("org/name", 1)
    with pytest.raises(errors.BadRequestError, match="merged"):
        ann.merge_pull_request("org/name", 1)
    with pytest.raises(errors.BadRequestError, match="merged"):
        ann.change_discussion_status("org/name", 1, "closed")
