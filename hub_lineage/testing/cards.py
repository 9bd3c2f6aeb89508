"""Model cards as the Hub reads them: metadata, base models, and the tags that follow."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from hub_lineage.testing.answers import Blob

RELATIONS = ("finetune", "adapter", "merge", "quantized")


def card_of(files: Mapping[str, Blob]) -> dict[str, Any]:
    """The metadata at the head of the README, as the Hub reads it; none where it can't be read."""
    readme = files.get("README.md")
    return {} if readme is None else _metadata(readme.read().decode("utf-8-sig", "replace"))


@lru_cache(maxsize=10_000)
def _metadata(readme: str) -> dict[str, Any]:
    try:
        data: Any = ModelCard(readme, ignore_metadata_errors=True).data
        metadata: dict[str, Any] = data.to_dict()
    except Exception:  # noqa: BLE001 - the parser's errors have no common type; the Hub shows such a card without metadata
        return {}
    return metadata


def readme_of(card: Mapping[str, Any]) -> str:
    """A README of metadata alone."""
    return f"---\n{ModelCardData(**card).to_yaml()}\n---\n"


def base_models(card: Mapping[str, Any]) -> list[str]:
    """The base models that a card declares."""
    return [parent for parent in listed(card.get("base_model")) if isinstance(parent, str)]


def relation_of(card: Mapping[str, Any], files: Mapping[str, Blob]) -> str:
    """How a model relates to its base models: as declared, or as the Hub takes it from the files."""
    declared = card.get("base_model_relation")
    if declared in RELATIONS:
        return str(declared)
    if "adapter_config.json" in files:
        return "adapter"
    if any(path.endswith(".gguf") for path in files):
        return "quantized"
    return "merge" if len(base_models(card)) > 1 or "merge" in listed(card.get("tags")) else "finetune"


def tags_of(card: Mapping[str, Any], files: Mapping[str, Blob]) -> list[str]:
    """The tags of a page that follow from its card and files."""
    parents = base_models(card)
    relation = relation_of(card, files)
    formats = [word for word in ("safetensors", "gguf") if any(path.endswith(f".{word}") for path in files)]
    told = [card.get("library_name"), card.get("pipeline_tag"), *formats, *listed(card.get("tags"))]
    told += [*listed(card.get("language")), *(f"dataset:{name}" for name in listed(card.get("datasets")))]
    told += [f"base_model:{parent}" for parent in parents]
    told += [f"base_model:{relation}:{parent}" for parent in parents]
    told += [f"license:{name}" for name in listed(card.get("license"))]
    return [word for word in told if isinstance(word, str)]


def listed(value: Any) -> list[Any]:
    """The values of an entry that may be one or many."""
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
