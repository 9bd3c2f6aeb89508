"""Large files on their way in: the batch that says where to, the upload itself, and its verification."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from hub_lineage.testing.answers import Answer, Refusal, Request, as_json
from hub_lineage.testing.blobs import blob_of
from hub_lineage.testing.site import Site

_CONTENT = {"Content-Type": "application/vnd.git-lfs+json"}


def batch(site: Site, request: Request, repo: str) -> Answer:
    """Where to upload each object; those already here have no actions."""
    form = request.form()
    reference = form.get("ref", {}).get("name")
    if reference and not reference.startswith("refs/pr/"):
        site.writable(request, repo)
    else:
        site.discussable(request, repo)
    objects = [_object(site, entry["oid"], entry["size"]) for entry in form.get("objects", [])]
    kind = "multipart" if any(entry["size"] > site.part_size for entry in objects) else "basic"
    return as_json({"transfer": kind, "objects": objects}, headers=_CONTENT)


def _object(site: Site, oid: str, size: int) -> dict[str, Any]:
    known = {"oid": oid, "size": size}
    if oid in site.stored or site.catalogue.lfs(oid) is not None:
        return known
    verify = {"href": f"{site.url}/api/lfs/verify"}
    return {**known, "authenticated": True, "actions": {"upload": _upload(site, oid, size), "verify": verify}}


def _upload(site: Site, oid: str, size: int) -> dict[str, Any]:
    if size <= site.part_size:
        return {"href": site.cdn_url + site.signer.sign(f"/uploads/{oid}")}
    count = math.ceil(size / site.part_size)
    parts = {f"{number:05}": site.cdn_url + site.signer.sign(f"/uploads/{oid}/{number}") for number in range(1, count + 1)}
    return {"href": f"{site.url}/api/lfs/complete", "header": {"chunk_size": str(site.part_size), **parts}}


def store(site: Site, request: Request, digest: str) -> Answer:
    """Take a whole object; one that isn't what its address says is refused."""
    site.signer.check(request)
    return _keep(site, digest, request.body)


def store_part(site: Site, request: Request, digest: str, number: str) -> Answer:
    """Take one part of an object."""
    site.signer.check(request)
    site.parts[digest, int(number)] = request.body
    return Answer(200, {"ETag": _etag(request.body)})


def complete(site: Site, request: Request) -> Answer:
    """Join the parts of an object."""
    form = request.form()
    digest = str(form.get("oid"))
    pieces = []
    for part in form.get("parts", []):
        piece = site.parts.pop((digest, part["partNumber"]), None)
        if piece is None or part["etag"] != _etag(piece):
            raise Refusal(400, "InvalidPart")
        pieces.append(piece)
    return _keep(site, digest, b"".join(pieces))


def verify(site: Site, request: Request) -> Answer:
    """Whether an object arrived whole."""
    site.signed_in(request)
    form = request.form()
    blob = site.stored.get(str(form.get("oid")))
    if blob is None or blob.size != form.get("size"):
        raise Refusal(404, "Object not found")
    return as_json({"success": True}, headers=_CONTENT)


def _keep(site: Site, digest: str, content: bytes) -> Answer:
    if hashlib.sha256(content).hexdigest() != digest:
        raise Refusal(400, "XAmzContentSHA256Mismatch")
    site.stored[digest] = blob_of(digest, content, lfs=True)
    return Answer(200, {"ETag": f'"{digest}"'})


def _etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'
