"""The handlers that tell of repositories: the listing, and one alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from hub_lineage.testing.answers import Answer, Refusal, Request, as_json
from hub_lineage.testing.paging import page
from hub_lineage.testing.properties import (
    IN_FULL,
    IN_INFO,
    IN_LISTING,
    NEVER_LISTED,
    View,
    described,
    expanded,
    sibling,
)
from hub_lineage.testing.repositories import Kind, Repository
from hub_lineage.testing.site import Site

_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_BOUND = re.compile(r"(min|max):([0-9.]+)([KMBT]?)")
_SORTS: dict[str, Callable[[Repository], float | datetime]] = {
    "createdAt": lambda repository: repository.created_at,
    "downloads": lambda repository: repository.downloads,
    "lastModified": lambda repository: repository.last_modified,
    "likes": lambda repository: repository.likes,
    "trendingScore": lambda repository: repository.likes,
}


def list_repositories(site: Site, request: Request, kind: Kind) -> Answer:
    """A page of the repositories that match, with a Link to the next."""
    found = [one for one in site.catalogue.visible(kind, site.token(request)) if _matches(one, request)]
    sort = request.first("sort", "trendingScore")
    if sort not in _SORTS:
        raise Refusal(400, f"Invalid sort: {sort}")
    found.sort(key=lambda repository: repository.id)
    found.sort(key=_SORTS[sort], reverse=request.first("direction", "-1") == "-1")
    size = min(int(request.first("limit") or site.list_page), site.list_page)
    shown, link = page(site, request, found, size)
    wanted = _wanted(request)
    return as_json([described(View(site.catalogue, one, one.at("main")), wanted) for one in shown], headers=link)


def repository_info(site: Site, request: Request, repo: str, revision: str = "main") -> Answer:
    """What the Hub says of one repository; ``blobs`` adds sizes and hashes."""
    repository = site.repository(request, repo)
    commit = repository.at(revision)
    expand = request.parameters.get("expand")
    told = described(View(site.catalogue, repository, commit), expanded(expand) if expand else IN_INFO)
    if request.flag("blobs"):
        told["siblings"] = [sibling(path, blob) for path, blob in commit.files.items()]
    return as_json(told)


def _wanted(request: Request) -> frozenset[str]:
    expand = request.parameters.get("expand")
    if expand:
        return expanded(expand, NEVER_LISTED)
    wanted = IN_FULL if request.flag("full") else IN_LISTING
    return wanted | {name for name in ("cardData", "config") if request.flag(name)}


def _matches(repository: Repository, request: Request) -> bool:
    if request.first("author") not in {"", repository.owner}:
        return False
    if not all(text.lower() in repository.id.lower() for text in request.parameters.get("search", [])):
        return False
    gated = request.first("gated")
    if gated and (gated.lower() == "true") != bool(repository.gated):
        return False
    if not _sized(repository, request.first("num_parameters")):
        return False
    filters = [word for value in request.parameters.get("filter", []) for word in value.split(",")]
    filters += request.parameters.get("pipeline_tag", [])
    return not filters or _tags(repository).issuperset(filters)


def _sized(repository: Repository, limits: str) -> bool:
    """Whether a model has so many parameters; ``min:6B,max:128B`` is how limits are written."""
    bounds = {match[1]: float(match[2]) * _UNITS[match[3]] for match in _BOUND.finditer(limits)}
    if not bounds:
        return True
    parameters = (repository.at("main").safetensors or {}).get("total")
    return parameters is not None and bounds.get("min", 0) <= parameters <= bounds.get("max", float("inf"))


def _tags(repository: Repository) -> set[str]:
    commit = repository.at("main")
    tags = {*repository.words, *commit.config.get("architectures", ())}
    return tags | {commit.config["model_type"]} if "model_type" in commit.config else tags
