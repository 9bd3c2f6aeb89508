"""The handlers under /api: listing, model info, references, trees, who am I."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlencode

from hub_lineage.testing.answers import Answer, Blob, Refusal, Request, as_json
from hub_lineage.testing.repositories import Commit, Repository, card_of
from hub_lineage.testing.site import Site

_IN_LISTING = frozenset({"createdAt", "downloads", "library_name", "likes", "pipeline_tag", "private", "tags"})
_IN_FULL = _IN_LISTING | {"author", "gated", "lastModified", "sha", "siblings"}
_SORTS = ("createdAt", "downloads", "lastModified", "likes", "trendingScore")
_EXPANDED_PAGE = 50  # the Hub's page of a tree with last commits


def whoami(site: Site, request: Request) -> Answer:
    """Whose token was sent."""
    user = site.user(request)
    if user is None:
        raise Refusal(401, "Invalid username or password.")
    access = {"accessToken": {"displayName": user.name, "role": "read"}, "type": "access_token"}
    return as_json({"type": "user", "id": user.name, "name": user.name, "fullname": user.name, "orgs": [], "auth": access})


def list_models(site: Site, request: Request) -> Answer:
    """A page of the repositories that match, with a Link to the next."""
    found = [_properties(repository, repository.at("main")) for repository in site.catalogue.visible(site.user(request))]
    found = [properties for properties in found if _matches(properties, request)]
    sort = request.first("sort", "trendingScore")
    if sort not in _SORTS:
        raise Refusal(400, f"Invalid sort: {sort}")
    found.sort(key=lambda properties: properties["id"])
    found.sort(key=lambda properties: properties[sort], reverse=request.first("direction", "-1") == "-1")
    size = min(int(request.first("limit") or site.list_page), site.list_page)
    page, link = _page(site, request, found, size)
    wanted = _wanted(request, _IN_FULL if request.flag("full") else _IN_LISTING)
    return as_json([_only(properties, wanted) for properties in page], headers=link)


def model_info(site: Site, request: Request, repo_id: str, revision: str = "main") -> Answer:
    """What the Hub says of one model; ``blobs`` adds sizes and hashes."""
    repository = site.repository(request, repo_id)
    properties = _properties(repository, repository.at(revision))
    if request.flag("blobs"):
        properties["siblings"] = [_sibling(path, blob) for path, blob in repository.at(revision).files.items()]
    return as_json(_only(properties, _wanted(request, frozenset(properties))))


def references(site: Site, request: Request, repo_id: str) -> Answer:
    """Branches and tags."""
    repository = site.repository(request, repo_id)
    heads = [(name, oid) for name, oid in repository.branches.items() if not name.startswith("refs/")]
    branches = [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": oid} for name, oid in heads]
    tags = [{"name": name, "ref": f"refs/tags/{name}", "targetCommit": oid} for name, oid in repository.tags.items()]
    return as_json({"branches": branches, "converts": [], "tags": tags})


def commits(site: Site, request: Request, repo_id: str, revision: str) -> Answer:
    """A revision's history, newest first."""
    history = site.repository(request, repo_id).history(revision)
    return as_json([{"id": one.oid, "title": one.title, "message": "", "date": _iso(one.date), "authors": []} for one in history])


def tree(site: Site, request: Request, repo_id: str, revision: str, folder: str = "") -> Answer:
    """The files and folders under a path, by pages."""
    commit = site.repository(request, repo_id).at(revision)
    entries = _entries(commit, folder, recursive=request.flag("recursive"))
    if folder and not entries:
        raise Refusal(404, f'"{folder}" does not exist on "{revision}"', "EntryNotFound", {"X-Repo-Commit": commit.oid})
    expanded = request.flag("expand")
    page, link = _page(site, request, entries, min(site.tree_page, _EXPANDED_PAGE) if expanded else site.tree_page)
    return as_json([_expanded(entry, commit) if expanded else entry for entry in page], headers=link)


def paths_info(site: Site, request: Request, repo_id: str, revision: str) -> Answer:
    """What is known of the paths named; those that don't exist are left out."""
    commit = site.repository(request, repo_id).at(revision)
    if request.headers.get("content-type", "").startswith("application/json"):
        form: dict[str, Any] = json.loads(request.body)
    else:
        form = parse_qs(request.body.decode())
    by_path = {entry["path"]: entry for entry in _entries(commit, "", recursive=True)}
    found = [by_path[path.strip("/")] for path in form.get("paths", []) if path.strip("/") in by_path]
    expanded = str(form.get("expand", ["false"])).strip("[']").lower() == "true"
    return as_json([_expanded(entry, commit) if expanded else entry for entry in found])


def _properties(repository: Repository, commit: Commit) -> dict[str, Any]:
    card = card_of(commit)
    return {
        "author": repository.id.partition("/")[0],
        "cardData": card,
        "createdAt": _iso(repository.created_at),
        "disabled": repository.disabled,
        "downloads": repository.downloads,
        "gated": repository.gated,
        "id": repository.id,
        "lastModified": _iso(repository.last_modified),
        "library_name": repository.library or card.get("library_name"),
        "likes": repository.likes,
        "modelId": repository.id,
        "pipeline_tag": repository.pipeline_tag or card.get("pipeline_tag"),
        "private": repository.private,
        "sha": commit.oid,
        "siblings": [{"rfilename": path} for path in commit.files],
        "tags": _tags(repository, card),
        "trendingScore": repository.likes,
        "usedStorage": sum(blob.size for blob in commit.files.values()),
    }


def _tags(repository: Repository, card: dict[str, Any]) -> list[str]:
    parents = card.get("base_model") or []
    parents = [parents] if isinstance(parents, str) else parents
    relation = card.get("base_model_relation")
    told = [card.get("library_name"), card.get("pipeline_tag"), *(card.get("tags") or ())]
    told += [f"base_model:{parent}" for parent in parents]
    told += [f"base_model:{relation}:{parent}" for parent in parents if relation]
    told += [f"license:{card['license']}"] if card.get("license") else []
    words = [repository.library, repository.pipeline_tag, *repository.extra_tags, *told]
    return list(dict.fromkeys(word for word in words if word))


def _matches(properties: dict[str, Any], request: Request) -> bool:
    tags = {*properties["tags"], properties["library_name"], properties["pipeline_tag"]}
    filters = [word for value in request.parameters.get("filter", []) for word in value.split(",")]
    filters += request.parameters.get("pipeline_tag", [])
    author = request.first("author")
    return (
        author in {"", properties["author"]}
        and request.first("search").lower() in properties["id"].lower()
        and all(word in tags for word in filters)
    )


def _wanted(request: Request, otherwise: frozenset[str]) -> frozenset[str]:
    expand = request.parameters.get("expand")
    extra = {"cardData"} if request.flag("cardData") else set()
    return frozenset({*(expand or otherwise), *extra, "id", "modelId"})


def _only(properties: dict[str, Any], wanted: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name in wanted}


def _sibling(path: str, blob: Blob) -> dict[str, Any]:
    lfs = {"lfs": {"sha256": blob.sha256, "size": blob.size, "pointerSize": 134}} if blob.lfs else {}
    return {"rfilename": path, "size": blob.size, "blobId": blob.oid, **lfs}


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
    return {**entry, "lastCommit": {"id": commit.oid, "title": commit.title, "date": _iso(commit.date)}}


def _page(site: Site, request: Request, items: list[dict[str, Any]], size: int) -> tuple[list[dict[str, Any]], dict[str, str]]:
    cursor = request.first("cursor")
    start = int(base64.urlsafe_b64decode(cursor)) if cursor else 0
    stop = start + size
    if stop >= len(items):
        return items[start:stop], {}
    query = {**request.parameters, "cursor": [base64.urlsafe_b64encode(b"%d" % stop).decode()]}
    return items[start:stop], {"Link": f'<{site.url}{request.path}?{urlencode(query, doseq=True)}>; rel="next"'}


def _iso(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.000Z")
