"""Opening a repository: one API call for its commit, its files and what the Hub says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from hub_lineage.errors import NetworkError, Unreadable
from hub_lineage.hub.failures import refusal
from hub_lineage.hub.listing import gate, number, pages, text, words
from hub_lineage.hub.meter import Meter
from hub_lineage.hub.reference import is_id
from hub_lineage.hub.transport import Transport
from hub_lineage.types import Reference, RepoFile

INFO_LIMIT = 32_000_000  # bytes of JSON; 50,000 files with their hashes take half of it
MOST_FILES = 100_000
DATASETS = "datasets/"
"""How the ID of a dataset begins where a repository is to be opened, as in the address of its page."""
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening a repository tells."""

    reference: Reference
    commit: str | None
    files: tuple[RepoFile, ...]
    card: dict[str, Any]


def open_repository(transport: Transport, reference: Reference, meter: Meter) -> Opened:
    """Resolve a reference to a commit and list its files; a repository without a commit has none.

    It is a model unless its ID begins with :data:`DATASETS`.
    """
    doing = f"Opening {reference}"
    info = _info(transport, reference, meter, doing)
    commit, siblings = info.get("sha"), info.get("siblings")
    entries = [one for one in siblings if isinstance(one, dict)] if isinstance(siblings, list) else None
    if commit is None and not entries:
        return Opened(_renamed(reference, info), None, (), card_of(info))
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise NetworkError(f"{doing}: the Hub names no commit.", "Check that HF_ENDPOINT names a Hub.")
    now = _renamed(reference, info)
    if entries is None or any(not isinstance(one.get("size"), int) for one in entries):
        # The listing of a very large repository comes without sizes, or not at all.
        url = f"{_address(transport, now)}/tree/{commit}?recursive=true"
        entries = []
        for page in pages(transport, url, meter, doing):
            entries += [one for one in page if one.get("type") == "file"]
            if len(entries) > MOST_FILES:
                break
    if len(entries) > MOST_FILES:
        raise Unreadable(f"{reference} has more than {MOST_FILES} files.", "Models of that many files are not read.")
    files = [file for file in map(_file, entries) if file is not None]
    return Opened(now, commit, tuple(sorted(files, key=lambda file: file.path)), card_of(info))


def card_of(info: dict[str, Any]) -> dict[str, Any]:
    """What the API says of a model, under this package's names."""
    card = info.get("cardData")
    card = card if isinstance(card, dict) else {}
    tags = words(info, "tags")
    license_tags = [tag.removeprefix("license:") for tag in tags if tag.startswith("license:")]
    stated = card.get("license")
    return {
        "license": stated if isinstance(stated, str) else next(iter(license_tags), None),
        "downloads": number(info, "downloads"),
        "likes": number(info, "likes"),
        "created_at": text(info, "createdAt"),
        "last_modified": text(info, "lastModified"),
        "tags": tags,
        "library": text(info, "library_name"),
        "pipeline_tag": text(info, "pipeline_tag"),
        "private": bool(info.get("private")),
        "gated": gate(info),
        "card_data": card,
        **{part: info[part] for part in ("config", "gguf", "safetensors") if isinstance(info.get(part), dict)},
    }


def _info(transport: Transport, reference: Reference, meter: Meter, doing: str) -> dict[str, Any]:
    at = f"/revision/{quote(reference.revision, safe='')}" if reference.revision else ""
    url = f"{_address(transport, reference)}{at}?blobs=true"
    answer, info = transport.json(url, limit=INFO_LIMIT, meter=meter, doing=doing)
    if not answer.ok:
        raise refusal(answer.status, answer.headers, name=str(reference), thing="revision", token=transport.has_token)
    if not isinstance(info, dict):
        raise NetworkError(f"{doing}: the answer isn't what a Hub says.", "Check that HF_ENDPOINT names a Hub.")
    return info


def _address(transport: Transport, reference: Reference) -> str:
    kind = "" if reference.id.startswith(DATASETS) else "models/"
    return f"{transport.endpoint}/api/{kind}{quote(reference.id)}"


def _renamed(reference: Reference, info: dict[str, Any]) -> Reference:
    """The reference under the name that the repository has now."""
    name, kind = info.get("id"), DATASETS if reference.id.startswith(DATASETS) else ""
    if not isinstance(name, str) or kind + name == reference.id or not is_id(name):
        return reference
    return replace(reference, id=kind + name, note=f"{reference.id} is called {kind + name} now.")


def _file(entry: dict[str, Any]) -> RepoFile | None:
    """A file of either listing; one whose name could lead astray is left out."""
    path, size = entry.get("rfilename", entry.get("path")), entry.get("size")
    if not isinstance(path, str) or not isinstance(size, int) or isinstance(size, bool) or size < 0:
        return None
    if not path.isprintable() or any(part in {"", ".", ".."} for part in path.split("/")):
        return None
    lfs = entry.get("lfs")
    digest = lfs.get("sha256", lfs.get("oid")) if isinstance(lfs, dict) else None
    return RepoFile(path, size, digest if isinstance(digest, str) and _SHA256.fullmatch(digest) else None)
