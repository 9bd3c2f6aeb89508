"""What a person typed or pasted, understood as a model on the Hub or a local path."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from hub_lineage.errors import BadReference, NotFound
from hub_lineage.types import Reference

_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co", "www.hf.co"})
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BAD_REVISION = re.compile(r"[\s~^:?*\[\\<>\x00-\x1f\x7f]|\.\.|@\{|//|^/|/$")
_WEIGHT_SUFFIXES = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".json", ".onnx")
_REVISION_WORDS = frozenset({"tree", "blob", "resolve", "raw", "commit", "commits", "blame", "edit", "revision"})
_OTHER_WORDS = frozenset({"discussions", "settings", "refs"})
_REF_KINDS = frozenset({"pr", "heads", "tags", "convert"})
_OTHER_KINDS = {"datasets": "a dataset", "spaces": "a Space", "buckets": "a bucket", "kernels": "a kernel"}
_PAGES = frozenset(
    {"blog", "chat", "collections", "docs", "enterprise", "join", "jobs", "learn", "login", "models", "new", "organizations"}
    | {"papers", "posts", "pricing", "settings", "tasks", "join", "api"}
)
_LONGEST = 2000
_LONGEST_ID = 96  # the Hub's own bound
_FORM = "A model is named org/name, by its address, or by a local path such as ./folder."


def parse_reference(text: str, *, endpoint: str | None = None) -> Reference:
    """Understand an ID, ``ID@revision``, a pasted address, or a local path.

    Args:
        text: What was typed or pasted.
        endpoint: The Hub's address, for addresses pasted from there; ``HF_ENDPOINT`` if None.

    Raises:
        BadReference: it names no model; the hint says what may have been meant.
        NotFound: it looks like a path, and nothing is there.
    """
    words = text.strip()
    if not words:
        raise BadReference("The name of the model is empty.", _FORM)
    for path in (text, words):
        if _exists(path):
            return _local(path)
    if len(words) > _LONGEST or not words.isprintable():
        raise BadReference("That is too long, or holds characters that no name has.", _FORM)
    hosts = _HOSTS | {_host_of(endpoint or os.environ.get("HF_ENDPOINT", ""))} - {""}
    if _SCHEME.match(words) or _host_of(f"https://{words}") in hosts:
        return _from_address(words, hosts)
    if _looks_like_path(words):
        raise NotFound(f"There is no file or folder {words}.", "Check the path; a model on the Hub is named org/name.")
    name, at, revision = words.partition("@")
    _check_id(name, words)
    if at:
        _check_revision(revision)
    return Reference(name, revision or None)


def is_id(text: str) -> bool:
    """Whether the Hub would take this as the ID of a repository."""
    parts = text.split("/")
    return (
        len(text) <= _LONGEST_ID
        and len(parts) <= 2
        and all(_NAME.fullmatch(part) and not part.endswith(("-", ".")) for part in parts)
        and not any(pair in text for pair in ("--", ".."))
        and not text.endswith(".git")
    )


def _local(path: str) -> Reference:
    ambiguous = is_id(path) and not _looks_like_path(path)
    return Reference(path, local=True, note=f"Read as the local path {path}." if ambiguous else None)


def _exists(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # a null byte, no such user, a name that is too long
        return False


def _looks_like_path(words: str) -> bool:
    return words.startswith(("/", "./", "../", "~", ".\\", "..\\")) or words in {".", ".."} or words.endswith(_WEIGHT_SUFFIXES)


def _host_of(address: str) -> str:
    """Host and port of an address, empty where there is none."""
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
        return f"{(parts.hostname or '').lower()}{port}" if parts.hostname else ""
    except ValueError:
        return ""


def _from_address(words: str, hosts: frozenset[str]) -> Reference:
    address = words if _SCHEME.match(words) else f"https://{words}"
    try:
        parts = urlsplit(address)
    except ValueError:
        raise BadReference(f"{words} is no address.", _FORM) from None
    scheme = parts.scheme.lower()
    if scheme == "hf":
        return _from_segments(_segments(f"{parts.netloc}{parts.path}"), words, revision_in_name=True)
    if scheme not in {"http", "https"} or _host_of(address) not in hosts:
        raise BadReference(f"{words} is not an address on the Hub.", f"{_FORM} Another Hub is set by HF_ENDPOINT.")
    return _from_segments(_segments(_path_of(parts)), words, revision_in_name=False)


def _path_of(parts: SplitResult) -> str:
    path = parts.path
    for prefix in ("/api/models/", "/models/"):
        if path.startswith(prefix) and path != prefix:
            return path.removeprefix(prefix)
    return path


def _segments(path: str) -> list[str]:
    return [unquote(segment) for segment in path.split("/") if segment]


def _from_segments(segments: list[str], words: str, *, revision_in_name: bool) -> Reference:
    if revision_in_name and segments[:1] == ["models"]:
        segments = segments[1:]
    if not segments:
        raise BadReference(f"{words} names no model.", _FORM)
    if segments[0] in _OTHER_KINDS:
        raise BadReference(f"{words} is {_OTHER_KINDS[segments[0]]}, not a model.", "Give a model.")
    if segments[0] in _PAGES:
        raise BadReference(f"{words} is a page of the Hub, not a model.", _FORM)
    if revision_in_name:
        name, revision = _split_uri(segments)
    else:
        name, revision = _split_address(segments, words)
    _check_id(name, words)
    if revision:
        _check_revision(revision)
    at = f" at revision {revision}" if revision else ""
    return Reference(name, revision, note=f"Read as {name}{at}, from the address given.")


def _split_uri(segments: list[str]) -> tuple[str, str | None]:
    """The ID and revision of ``hf://org/name@revision/file``, or of ``hf://name@revision``."""
    count = 1 if "@" in segments[0] else 2
    name, _, revision = "/".join(segments[:count]).partition("@")
    if revision == "refs" and segments[count : count + 1] and segments[count] in _REF_KINDS:
        revision = "/".join([revision, *segments[count : count + 2]])
    return name, revision or None


def _split_address(segments: list[str], words: str) -> tuple[str, str | None]:
    """The ID and revision of the path of a page."""
    known = _REVISION_WORDS | _OTHER_WORDS
    count = 1 if len(segments) == 1 or segments[1] in known else 2
    name, rest = "/".join(segments[:count]), segments[count:]
    if rest and rest[0] not in known:
        raise BadReference(f"{words} is not a page of a model.", f"Did you mean {name}?" if is_id(name) else _FORM)
    if len(rest) < 2 or rest[0] in _OTHER_WORDS:
        return name, None
    is_ref = rest[1] == "refs" and len(rest) > 3 and rest[2] in _REF_KINDS
    return name, "/".join(rest[1:4]) if is_ref else rest[1]


def _check_id(name: str, words: str) -> None:
    if is_id(name):
        return
    if "<" in words or ">" in words:
        raise BadReference("That looks like HTML, not the name of a model.", _FORM)
    meant = re.sub(r"\s*/\s*", "/", name.strip())
    candidates = [meant, re.sub(r"\s+", "-", meant), "/".join(meant.split("/")[:2])]
    likely = next((one for one in candidates if is_id(one)), None)
    raise BadReference(f"{words} is not the ID of a model.", f"Did you mean {likely}?" if likely else _FORM)


def _check_revision(revision: str) -> None:
    if not revision or len(revision) > 250 or _BAD_REVISION.search(revision):
        raise BadReference(f"{revision!r} is no revision.", "Give a branch, a tag or a commit after the @, or leave it out.")
