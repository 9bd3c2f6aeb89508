"""What the registry answers with, and how a model's facts are written in a row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hub_lineage.types import Declaration, Fingerprint, Model


@dataclass(frozen=True, slots=True)
class Hit:
    """A model found by its short fingerprint; ``similarity`` is the cosine of the two, from -1 to 1."""

    id: str
    revision: str | None
    similarity: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a model could not be stored when it was last tried; ``at`` is UTC in ISO 8601."""

    id: str
    revision: str | None
    code: str
    message: str
    at: str


@dataclass(frozen=True, slots=True)
class RegistryInfo:
    """What a registry holds: newest ``models``, ``superseded`` revisions, and ``bytes`` taken on disk."""

    models: int
    superseded: int
    architectures: int
    failures: int
    bytes: int
    version: int
    last_write: str | None


def plain(text: str) -> str:
    """The text as the database takes it: what isn't Unicode, a lone surrogate, is escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def written(shape: tuple[int, ...]) -> str:
    """A shape as the database takes it."""
    return "x".join(map(str, shape))


def write_facts(model: Model) -> str:
    """All of a model but its identity and fingerprint, as JSON.

    JSON takes what a hostile repository may say, lone surrogates and huge numbers included, where a column would not.
    """
    facts = {
        "license": model.license,
        "downloads": model.downloads,
        "created_at": model.created_at,
        "last_modified": model.last_modified,
        "hashes": model.hashes,
        "declared": [(each.id, each.relation, each.where) for each in model.declared],
    }
    return json.dumps(facts, separators=(",", ":"))


def read_model(name: str, revision: str, fingerprint: Fingerprint, facts: str) -> Model:
    """The model of one row; the opposite of :func:`write_facts`."""
    stated: dict[str, Any] = json.loads(facts)
    return Model(
        id=name,
        revision=revision or None,
        fingerprint=fingerprint,
        license=stated["license"],
        downloads=stated["downloads"],
        created_at=stated["created_at"],
        last_modified=stated["last_modified"],
        hashes=tuple(stated["hashes"]),
        declared=tuple(Declaration(*each) for each in stated["declared"]),
    )
