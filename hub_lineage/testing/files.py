"""The handlers that give files: the resolver, and the second origin with its signed addresses."""

from __future__ import annotations

from urllib.parse import quote

from hub_lineage.testing.answers import Answer, Blob, Refusal, Request
from hub_lineage.testing.repositories import Commit
from hub_lineage.testing.site import Site


def resolve(site: Site, request: Request, repo: str, revision: str, path: str) -> Answer:
    """A small file itself, or for an LFS file a redirect to its signed address."""
    commit = site.readable(request, repo, revision)
    blob = _file(commit, path)
    told = _told(commit, blob)
    if blob.lfs:
        site.stored[blob.sha256] = blob
        location = site.cdn_url + site.signer.sign(f"/repos/{quote(repo, safe='')}/{blob.sha256}")
        linked = {"X-Linked-Size": str(blob.size), "X-Linked-ETag": f'"{blob.sha256}"', "Location": location}
        return Answer(302, {**told, **linked}, f"Found. Redirecting to {location}".encode())
    if site.resolve_cache:
        location = f"/api/resolve-cache/{_kinds(repo)}/{commit.oid}/{quote(path)}"
        return Answer(307, {**told, "Location": location}, f"Temporary Redirect. Redirecting to {location}".encode())
    return Answer(200, told, blob)


def resolve_cache(site: Site, request: Request, repo: str, revision: str, path: str) -> Answer:
    """The place on the same host to which the resolver may send for a small file."""
    commit = site.readable(request, repo, revision)
    blob = _file(commit, path)
    return Answer(200, _told(commit, blob), blob)


def stored(site: Site, request: Request, digest: str) -> Answer:
    """A file at its signed address."""
    site.signer.check(request)
    blob = site.stored.get(digest)
    if blob is None:
        raise Refusal(404, "NoSuchKey")
    return Answer(200, {"ETag": f'"{digest}"', "Content-Type": "application/octet-stream"}, blob)


def _kinds(repo: str) -> str:
    return repo if repo.startswith(("datasets/", "spaces/")) else f"models/{repo}"


def _file(commit: Commit, path: str) -> Blob:
    blob = commit.files.get(path)
    if blob is None:
        raise Refusal(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": commit.oid})
    return blob


def _told(commit: Commit, blob: Blob) -> dict[str, str]:
    etag = blob.sha256 if blob.lfs else blob.oid
    return {"X-Repo-Commit": commit.oid, "ETag": f'"{etag}"', "Content-Type": "text/plain; charset=utf-8"}
