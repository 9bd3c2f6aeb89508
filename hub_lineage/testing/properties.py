"""What the Hub says of a repository, one function a property, so that only what is asked for is worked out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hub_lineage.testing.answers import Blob, Refusal
from hub_lineage.testing.cards import base_models, relation_of
from hub_lineage.testing.catalogue import Catalogue
from hub_lineage.testing.repositories import Commit, Repository
from hub_lineage.testing.talk import iso


@dataclass(frozen=True, slots=True)
class View:
    """A repository at a commit, seen within everything else that there is."""

    catalogue: Catalogue
    repository: Repository
    commit: Commit


def _library(view: View) -> Any:
    return view.repository.library or view.commit.card.get("library_name")


def _task(view: View) -> Any:
    return view.repository.pipeline_tag or view.commit.card.get("pipeline_tag")


def _base_models(view: View) -> Any:
    parents = base_models(view.commit.card)
    models = [{"_id": parent, "id": parent} for parent in parents]
    return {"relation": relation_of(view.commit.card, view.commit.files), "models": models} if parents else None


def _storage(view: View) -> int:
    return sum(blob.size for blob in view.commit.files.values())


PROPERTIES: Mapping[str, Callable[[View], Any]] = {
    "author": lambda view: view.repository.owner,
    "baseModels": _base_models,
    "cardData": lambda view: view.commit.card or None,
    "childrenModelCount": lambda view: view.catalogue.children(view.repository.id),
    "config": lambda view: view.commit.config or None,
    "createdAt": lambda view: iso(view.repository.created_at),
    "description": lambda _: None,
    "disabled": lambda view: view.repository.disabled,
    "downloads": lambda view: view.repository.downloads,
    "downloadsAllTime": lambda view: view.repository.downloads,
    "gated": lambda view: view.repository.gated,
    "gguf": lambda view: view.commit.gguf,
    "lastModified": lambda view: iso(view.repository.last_modified),
    "library_name": _library,
    "likes": lambda view: view.repository.likes,
    "pipeline_tag": _task,
    "private": lambda view: view.repository.private,
    "safetensors": lambda view: view.commit.safetensors,
    "sha": lambda view: view.commit.oid,
    "siblings": lambda view: view.commit.siblings,
    "tags": lambda view: view.repository.words,
    "trendingScore": lambda view: view.repository.likes,
    "usedStorage": _storage,
}
NEVER_LISTED = frozenset({"baseModels", "childrenModelCount", "usedStorage"})
IN_LISTING = frozenset({"createdAt", "downloads", "library_name", "likes", "pipeline_tag", "private", "tags"})
IN_FULL = IN_LISTING | {"author", "gated", "lastModified", "sha", "siblings"}
IN_INFO = frozenset(PROPERTIES) - {"baseModels", "childrenModelCount", "description", "downloadsAllTime"}
_OF_MODELS = frozenset({"config", "gguf", "library_name", "pipeline_tag", "safetensors"}) | NEVER_LISTED - {"usedStorage"}


def described(view: View, names: Iterable[str]) -> dict[str, Any]:
    """The properties named; those that are empty are left out, as the Hub does."""
    of_model = view.repository.kind == "model"
    told: dict[str, Any] = {"_id": view.repository.path, "id": view.repository.id}
    if of_model:
        told["modelId"] = view.repository.id
    for name in names:
        if of_model or name not in _OF_MODELS:
            value = PROPERTIES[name](view)
            if value is not None:
                told[name] = value
    return told


def expanded(names: Iterable[str], refused: frozenset[str] = frozenset()) -> frozenset[str]:
    """The properties that a request asks to expand; one that there isn't is refused."""
    wanted = frozenset(names)
    allowed = sorted(PROPERTIES.keys() - refused)
    if not wanted <= set(allowed) | _ACCEPTED:
        raise Refusal(400, f'"expand" must be one of [{", ".join(allowed)}]')
    return wanted & PROPERTIES.keys()


# The client may ask for these too; there is nothing to tell.
_ACCEPTED = frozenset(
    {"citation", "evalResults", "inference", "inferenceProviderMapping", "mainSize", "mask_token", "model-index"}
    | {"paperswithcode_id", "resourceGroup", "spaces", "transformersInfo", "widgetData"}
)


def sibling(path: str, blob: Blob) -> dict[str, Any]:
    """A file with its size and hashes."""
    lfs = {"lfs": {"sha256": blob.sha256, "size": blob.size, "pointerSize": 134}} if blob.lfs else {}
    return {"rfilename": path, "size": blob.size, "blobId": blob.oid, **lfs}
