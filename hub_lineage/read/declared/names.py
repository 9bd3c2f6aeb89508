"""What a name that a repository gives for its parent means: a model on the Hub, a local path, or nothing at all."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

LOCAL: Final = "a local path"
ELSEWHERE: Final = "an address elsewhere"
NO_ID: Final = "not an ID"
MARKS: Final = (LOCAL, ELSEWHERE, NO_ID)

_LONGEST = 200
_LONGEST_ID = 96  # the Hub's own bound
_PART = re.compile(r"\w[\w.-]*", re.ASCII)
_HUB = re.compile(
    r"(?:hf://|(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/)(?:models/)?([^/\s?#]+(?:/[^/\s?#]+)?)", re.IGNORECASE
)
_CACHED = re.compile(r"(?:^|[/\\])models--(?P<owner>[\w.-]+?)--(?P<name>[\w.-]+?)(?:[/\\]|$)", re.ASCII)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_PATH = re.compile(r"^(?:[/~]|\.{1,2}(?:[/\\]|$)|[A-Za-z]:[/\\]|file:)|\\")
_FILE = re.compile(r"\.(?:safetensors|gguf|bin|ckpt|pth?|onnx|h5|msgpack|ya?ml|json)$", re.IGNORECASE)
_STEP = re.compile(r"(?:checkpoint|ckpt|step|epoch|global_step|iter)[-_]?\d+", re.IGNORECASE)
_EDGES = re.compile(r"^[\s\"'`]+|[\s\"'`]+$")
_TO_FILL_IN = re.compile(r"<[^>]*>|\{\{|path/to/")
_FOLDERS = frozenset(
    {"out", "output", "outputs", "result", "results", "model", "models", "checkpoint", "checkpoints", "ckpt", "tmp", "temp"}
    | {
        "final",
        "final_model",
        "final-model",
        "best",
        "best_model",
        "saved_model",
        "merged",
        "merged_model",
        "content",
        "workspace",
    }
)
_NOBODY = frozenset(
    {"none", "null", "nan", "n/a", "na", "unknown", "todo", "tbd", "tba", "more information needed", "base_model", "base model"}
    | {"your-base-model", "user/repo", "username/model", "org/model-name", "your-username/your-model", "?", "-", "scratch"}
)


class Name(NamedTuple):
    """A name understood: the ID or the words as they were given, and why they are no ID where they aren't."""

    id: str
    mark: str | None = None


def understand(text: object) -> Name | None:
    """The model that words name; None where they name nothing: empty, a placeholder, no text at all.

    Addresses of the Hub and folders of its cache are read as the IDs they hold. What is no ID is kept with a mark,
    as it may tell a person more than silence would.
    """
    if not isinstance(text, str) or len(text) > 2 * _LONGEST:
        return None
    words = _EDGES.sub("", text)
    if not 0 < len(words) <= _LONGEST or not words.isprintable() or _is_placeholder(words):
        return None
    held = _CACHED.search(words)
    if held and is_id(f"{held['owner']}/{held['name']}"):
        return Name(f"{held['owner']}/{held['name']}")
    address = _HUB.match(words)
    name = address[1].partition("@")[0].removesuffix(".git") if address else words
    return Name(name) if is_id(name) and not _is_path(name) else Name(words, _why_not(words))


def _why_not(words: str) -> str:
    """What words are that are no ID."""
    if _is_path(words):
        return LOCAL
    return ELSEWHERE if _ADDRESS.match(words) else NO_ID


def _is_placeholder(words: str) -> bool:
    return words.lower().strip("[]().") in _NOBODY or words[0] in "<[{" or _TO_FILL_IN.search(words) is not None


def is_id(text: str) -> bool:
    """Whether the Hub would take this as the ID of a repository."""
    parts = text.split("/")
    return (
        len(text) <= _LONGEST_ID
        and len(parts) <= 2
        and all(_PART.fullmatch(part) and not part.endswith(("-", ".")) for part in parts)
        and "--" not in text
        and ".." not in text
    )


def _is_path(words: str) -> bool:
    if _ADDRESS.match(words) and not words.startswith("file:"):
        return False
    if _PATH.search(words) or _FILE.search(words) or words.endswith("/"):
        return True
    parts = [part.lower() for part in words.split("/")]
    if len(parts) > 2:
        return " " not in words
    return parts[0] in _FOLDERS or _STEP.fullmatch(parts[-1]) is not None
