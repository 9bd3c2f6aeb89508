"""The handlers of discussions and pull requests."""

from __future__ import annotations

from typing import Any

from hub_lineage.testing import merging
from hub_lineage.testing.answers import Answer, Refusal, Request, as_json
from hub_lineage.testing.repositories import Commit, Repository
from hub_lineage.testing.site import Site
from hub_lineage.testing.talk import Discussion, Event, edit, hide, iso
from hub_lineage.testing.users import Token


def list_discussions(site: Site, request: Request, repo: str) -> Answer:
    """A page of the discussions that match, newest first."""
    repository = site.repository(request, repo)
    found = [one for one in reversed(repository.discussions) if _matches(one, request)]
    start = int(request.first("p", "0")) * site.discussion_page
    shown = found[start : start + site.discussion_page]
    told = [_described(repository, one) for one in shown]
    return as_json({"discussions": told, "count": len(found), "start": start, "numClosedDiscussions": 0})


def _matches(discussion: Discussion, request: Request) -> bool:
    kind = request.first("type", "all")
    status = request.first("status", "all")
    return (
        request.first("author") in {"", discussion.author}
        and (kind == "all" or (kind == "pull_request") == discussion.pull_request)
        and (status == "all" or (status == "open") == (discussion.status in {"open", "draft"}))
    )


def details(site: Site, request: Request, repo: str, number: str) -> Answer:
    """A discussion with its events; a pull request with its changes too."""
    repository = site.repository(request, repo)
    discussion = _numbered(repository, number)
    told = _described(repository, discussion)
    told["events"] = [event.described() for event in discussion.events]
    if discussion.pull_request:
        told["changes"] = {"base": "refs/heads/main", "mergeCommitId": discussion.merge_commit}
        done = discussion.status == "merged"
        told["filesWithConflicts"] = [] if done else merging.conflicts(repository, discussion.branch)
        if request.flag("diff"):
            told["diff"] = merging.diff(repository, discussion.branch)
    return as_json(told)


def create(site: Site, request: Request, repo: str) -> Answer:
    """Open a discussion, or a draft of a pull request."""
    repository, token = site.discussable(request, repo)
    form = request.form()
    title, text = str(form.get("title", "")), str(form.get("description", ""))
    if len(title) < 3:
        raise Refusal(400, '"title" length must be at least 3 characters long')
    if form.get("pullRequest"):
        made = open_pull_request(site, repository, token, title, text, start=repository.at("main"))
        made.status = "draft"
    else:
        made = _open(site, repository, token, title, text, pull_request=False)
    return as_json(
        {"num": made.num, "url": f"{site.url}/{repository.path}/discussions/{made.num}", "pullRequest": made.pull_request}
    )


def open_pull_request(site: Site, repository: Repository, token: Token, title: str, text: str, *, start: Commit) -> Discussion:
    """A new pull request whose branch begins at a commit."""
    made = _open(site, repository, token, title, text, pull_request=True)
    repository.branches[made.branch] = start.oid
    return made


def _open(site: Site, repository: Repository, token: Token, title: str, text: str, *, pull_request: bool) -> Discussion:
    name, now = token.user.name, site.now()
    made = Discussion(len(repository.discussions) + 1, title, name, now, pull_request)
    made.comment(name, now, text)
    repository.discussions.append(made)
    return made


def comment(site: Site, request: Request, repo: str, number: str) -> Answer:
    """Add a comment."""
    repository, token = site.discussable(request, repo)
    event = _numbered(repository, number).comment(token.user.name, site.now(), str(request.form().get("comment", "")))
    return as_json({"newMessage": event.described()})


def edit_comment(site: Site, request: Request, repo: str, number: str, event: str) -> Answer:
    """Change a comment's text."""
    found, token = _own_comment(site, request, repo, number, event)
    edit(found, token.user.name, site.now(), str(request.form().get("content", "")))
    return as_json({"updatedComment": found.described()})


def hide_comment(site: Site, request: Request, repo: str, number: str, event: str) -> Answer:
    """Hide a comment for good."""
    found, _ = _own_comment(site, request, repo, number, event)
    hide(found)
    return as_json({"updatedComment": found.described()})


def change_title(site: Site, request: Request, repo: str, number: str) -> Answer:
    """Give a discussion another title."""
    _, discussion, token = _governed(site, request, repo, number)
    event = discussion.rename(token.user.name, site.now(), str(request.form().get("title", "")))
    return as_json({"newTitle": event.described()})


def change_status(site: Site, request: Request, repo: str, number: str) -> Answer:
    """Close or open a discussion."""
    _, discussion, token = _governed(site, request, repo, number)
    form, now = request.form(), site.now()
    status = form.get("status")
    if status not in {"open", "closed"} or discussion.status == "merged":
        raise Refusal(400, f"Cannot change status from {discussion.status} to {status}")
    if form.get("comment"):
        discussion.comment(token.user.name, now, str(form["comment"]))
    event = discussion.set_status(token.user.name, now, "open" if status == "open" else "closed")
    return as_json({"newStatus": event.described()})


def merge(site: Site, request: Request, repo: str, number: str) -> Answer:
    """Bring a pull request's changes to main."""
    repository, token = site.writable(request, repo)
    discussion = _numbered(repository, number)
    if not discussion.pull_request or discussion.status not in {"open", "draft"}:
        raise Refusal(400, f"Cannot merge: the pull request is {discussion.status}")
    if merging.conflicts(repository, discussion.branch):
        raise Refusal(409, "Cannot merge: there are conflicts")
    added, deleted = merging.merged_files(repository, discussion.branch)
    name, now = token.user.name, site.now()
    made = repository.commit(added, title=f"{discussion.title} (#{discussion.num})", delete=deleted, date=now, author=name)
    if text := request.form().get("comment"):
        discussion.comment(name, now, str(text))
    discussion.merge_commit = made.oid
    discussion.set_status(name, now, "merged")
    return as_json({"success": True})


def _numbered(repository: Repository, number: str) -> Discussion:
    for discussion in repository.discussions:
        if str(discussion.num) == number:
            return discussion
    raise Refusal(404, "Discussion not found")


def _governed(site: Site, request: Request, repo: str, number: str) -> tuple[Repository, Discussion, Token]:
    """A discussion that its author and the repository's writers may govern."""
    repository, token = site.discussable(request, repo)
    discussion = _numbered(repository, number)
    if token.user.name != discussion.author:
        token.check_write(repository.id)
    return repository, discussion, token


def _own_comment(site: Site, request: Request, repo: str, number: str, event: str) -> tuple[Event, Token]:
    repository, token = site.discussable(request, repo)
    for found in _numbered(repository, number).events:
        if found.id == event and found.type == "comment":
            if token.user.name != found.author:
                token.check_write(repository.id)
            return found, token
    raise Refusal(404, "Comment not found")


def _described(repository: Repository, discussion: Discussion) -> dict[str, Any]:
    return {
        "num": discussion.num,
        "title": discussion.title,
        "author": {"name": discussion.author, "_id": discussion.author, "type": "user"},
        "createdAt": iso(discussion.date),
        "status": discussion.status,
        "repo": {"name": repository.id, "type": repository.kind},
        "isPullRequest": discussion.pull_request,
        "numComments": sum(event.type == "comment" for event in discussion.events),
    }
