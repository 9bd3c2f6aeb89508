"""The handlers that tell what a repository holds: references, history, folders, and the headers of weights."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from hub_lineage.testing.answers import Answer, Refusal, Request, as_json
from hub_lineage.testing.paging import page
from hub_lineage.testing.repositories import Commit
from hub_lineage.testing.site import Site
from hub_lineage.testing.summaries import header_of, index_of
from hub_lineage.testing.talk import iso

_EXPANDED_PAGE = 50  # the Hub's page of a tree with last commits
_HISTORY_PAGE = 50


def references(site: Site, request: Request, repo: str) -> Answer:
    """Branches and tags, and the pull requests where they are asked for."""
    repository = site.repository(request, repo)
    heads = dict(repository.branches)
    told: dict[str, Any] = {
        "branches": [_reference(name, f"refs/heads/{name}", oid) for name, oid in heads.items() if not name.startswith("refs/")],
        "converts": [],
        "tags": [_reference(name, f"refs/tags/{name}", oid) for name, oid in list(repository.tags.items())],
    }
    if request.flag("include_prs"):
        pulls = [(name, oid) for name, oid in heads.items() if name.startswith("refs/pr/")]
        told["pullRequests"] = [_reference(name.removeprefix("refs/"), name, oid) for name, oid in pulls]
    return as_json(told)


def _reference(name: str, full: str, oid: str) -> dict[str, str]:
    return {"name": name, "ref": full, "targetCommit": oid}


def commits(site: Site, request: Request, repo: str, revision: str) -> Answer:
    """A revision's history, newest first."""
    history, link = page(site, request, site.repository(request, repo).history(revision), _HISTORY_PAGE)
    told = [
        {
            "id": one.oid,
            "title": one.title,
            "message": one.message,
            "date": iso(one.date),
            "authors": [{"user": one.author}] if one.author else [],
        }
        for one in history
    ]
    return as_json(told, headers=link)


def tree(site: Site, request: Request, repo: str, revision: str, folder: str = "") -> Answer:
    """The files and folders under a path, by pages."""
    commit = site.repository(request, repo).at(revision)
    entries = _entries(commit, folder, recursive=request.flag("recursive"))
    if folder and not entries:
        raise Refusal(404, f'"{folder}" does not exist on "{revision}"', "EntryNotFound", {"X-Repo-Commit": commit.oid})
    expanded = request.flag("expand")
    shown, link = page(site, request, entries, min(site.tree_page, _EXPANDED_PAGE) if expanded else site.tree_page)
    return as_json([_expanded(entry, commit) if expanded else entry for entry in shown], headers=link)


def paths_info(site: Site, request: Request, repo: str, revision: str) -> Answer:
    """What is known of the paths named; those that don't exist are left out."""
    commit = site.repository(request, repo).at(revision)
    if request.headers.get("content-type", "").startswith("application/json"):
        form: dict[str, Any] = json.loads(request.body)
    else:
        form = parse_qs(request.body.decode())
    by_path = {entry["path"]: entry for entry in _entries(commit, "", recursive=True)}
    found = [by_path[path.strip("/")] for path in form.get("paths", []) if path.strip("/") in by_path]
    expanded = str(form.get("expand", ["false"])).strip("[']").lower() == "true"
    return as_json([_expanded(entry, commit) if expanded else entry for entry in found])


def weight_headers(site: Site, request: Request, repo: str, path: str) -> Answer:
    """The headers of all shards that an index on main names, in one answer."""
    commit = site.readable(request, repo, "main")
    index = index_of(commit.files, path)
    if index is None:
        raise Refusal(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": commit.oid})
    folder = path.rpartition("/")[0]
    shards = sorted(set(index.get("weight_map", {}).values()))
    blobs = {shard: commit.files.get(f"{folder}/{shard}" if folder else shard) for shard in shards}
    headers = {shard: header_of(blob) for shard, blob in blobs.items() if blob is not None}
    kept = {name: value for name, value in index.items() if name != "weight_map"}
    return as_json({"index": kept, "headers": {shard: header for shard, header in headers.items() if header is not None}})


def lfs_files(site: Site, request: Request, repo: str) -> Answer:
    """The large files that main holds."""
    repository, _ = site.writable(request, repo)
    commit = repository.at("main")
    files = {path: blob for path, blob in commit.files.items() if blob.lfs}
    told = [
        {
            "fileOid": blob.sha256,
            "filename": path,
            "oid": blob.sha256,
            "pushedAt": iso(commit.date),
            "ref": "main",
            "size": blob.size,
        }
        for path, blob in files.items()
    ]
    return as_json(told)


def _entries(commit: Commit, folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
    entries: dict[str, dict[str, Any]] = {}
    for path, blob in commit.files.items():
        if not path.startswith(prefix):
            continue
        parts = path.removeprefix(prefix).split("/")
        for depth in range(1, len(parts) if recursive else min(2, len(parts))):
            above = prefix + "/".join(parts[:depth])
            entries.setdefault(above, {"type": "directory", "oid": commit.oid, "size": 0, "path": above})
        if recursive or len(parts) == 1:
            lfs = {"lfs": {"oid": blob.sha256, "size": blob.size, "pointerSize": 134}} if blob.lfs else {}
            entries[path] = {"type": "file", "oid": blob.oid, "size": blob.size, "path": path, **lfs}
    return list(entries.values())


def _expanded(entry: dict[str, Any], commit: Commit) -> dict[str, Any]:
    return {**entry, "lastCommit": {"id": commit.oid, "title": commit.title, "date": iso(commit.date)}}
