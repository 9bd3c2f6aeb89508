"""The handlers behind a commit: which files go where, and the commit itself."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

from hub_lineage.testing.answers import Answer, Blob, Refusal, Request, as_json
from hub_lineage.testing.blobs import blob_of, is_lfs
from hub_lineage.testing.community import open_pull_request
from hub_lineage.testing.repositories import Commit, Repository
from hub_lineage.testing.site import Site
from hub_lineage.testing.users import Token

_NO_OBJECT = "Your push was rejected because an LFS pointer pointed to a file that does not exist."


@dataclass
class _Change:
    """What a commit is to do: its words and its files."""

    summary: str = ""
    description: str = ""
    parent: str | None = None
    files: dict[str, Blob] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)


def preupload(site: Site, request: Request, repo: str, revision: str) -> Answer:
    """How each file is to be uploaded, whether it is ignored, and what stands in its place now."""
    repository, _ = _committer(site, request, repo, revision)
    commit = repository.at(revision)
    form = request.form()
    ignored = [line.strip() for line in str(form.get("gitIgnore", "")).splitlines() if line.strip() and line[0] != "#"]
    return as_json({"files": [_upload_mode(commit, file, ignored) for file in form.get("files", [])]})


def _upload_mode(commit: Commit, file: dict[str, Any], ignored: list[str]) -> dict[str, Any]:
    path, blob = file["path"], commit.files.get(file["path"])
    binary = b"\0" in base64.b64decode(file.get("sample", ""))
    mode = "lfs" if binary or is_lfs(path, file["size"]) else "regular"
    present = {} if blob is None else {"oid": blob.sha256 if blob.lfs else blob.oid}
    skip = any(fnmatch(path, pattern) or fnmatch(path.rpartition("/")[2], pattern) for pattern in ignored)
    return {"path": path, "uploadMode": mode, "shouldIgnore": skip, **present}


def commit(site: Site, request: Request, repo: str, revision: str) -> Answer:
    """Add and delete files in one commit, on a branch or as a new pull request."""
    repository, token = _committer(site, request, repo, revision)
    before = repository.at(revision)
    if revision not in repository.branches:
        raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    change = _change(site, request.body, before)
    pull = None
    if request.flag("create_pr"):
        start = repository.at(change.parent or revision)
        pull = open_pull_request(site, repository, token, change.summary, change.description, start=start)
        revision = pull.branch
    elif change.parent and change.parent != before.oid:
        raise Refusal(412, "A commit has happened since. Please refresh and try again.")
    made = repository.commit(
        change.files,
        title=change.summary,
        message=change.description,
        branch=revision,
        delete=tuple(change.deleted),
        date=site.now(),
        author=token.user.name,
    )
    _tell(site, repository, token, revision, made)
    page = f"{site.url}/{repository.path}"
    told = {"success": True, "commitOid": made.oid, "commitUrl": f"{page}/commit/{made.oid}", "hookOutput": ""}
    return as_json({**told, "pullRequestUrl": f"{page}/discussions/{pull.num}"} if pull else told)


def _committer(site: Site, request: Request, repo: str, revision: str) -> tuple[Repository, Token]:
    """Who commits: a pull request takes less than write access to the repository."""
    repository, token = site.repository(request, repo), site.signed_in(request)
    own = any(one.branch == revision and one.author == token.user.name for one in repository.discussions)
    if request.flag("create_pr") or own:
        return site.discussable(request, repo)
    token.check_write(repository.id)
    return repository, token


def _tell(site: Site, repository: Repository, token: Token, revision: str, made: Commit) -> None:
    for discussion in repository.discussions:
        if discussion.branch == revision:
            discussion.add("commit", token.user.name, site.now(), subject=made.title, oid=made.oid)


def _change(site: Site, body: bytes, before: Commit) -> _Change:
    change = _Change()
    for key, value in _lines(body):
        if key == "header":
            change.summary, change.description = str(value.get("summary", "")), str(value.get("description", ""))
            change.parent = value.get("parentCommit")
        elif key == "file":
            change.files[value["path"]] = blob_of(value["path"], base64.b64decode(value["content"]), lfs=False)
        elif key == "lfsFile":
            change.files[value["path"]] = _uploaded(site, value["oid"])
        elif key in {"deletedFile", "deletedFolder"}:
            change.deleted += _named(before, value["path"], folder=key == "deletedFolder")
        else:
            raise Refusal(400, f"Invalid operation: {key}")
    if not change.summary:
        raise Refusal(400, '"summary" is required')
    return change


def _lines(body: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        for line in body.splitlines():
            entry = json.loads(line)
            yield entry["key"], entry["value"]
    except (ValueError, KeyError, TypeError):
        raise Refusal(400, "Invalid ndjson body") from None


def _uploaded(site: Site, sha256: str) -> Blob:
    blob = site.stored.get(sha256) or site.catalogue.lfs(sha256)
    if blob is None:
        raise Refusal(400, _NO_OBJECT)
    return blob


def _named(before: Commit, path: str, *, folder: bool) -> list[str]:
    prefix = path.rstrip("/") + "/"
    found = [name for name in before.files if (name.startswith(prefix) if folder else name == path)]
    if not found:
        raise Refusal(404, "A file with this name doesn't exist", "EntryNotFound")
    return found
