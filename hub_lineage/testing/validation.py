"""What the Hub checks of a card before it is committed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from huggingface_hub import ModelCard
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined] # exported, though in no __all__

from hub_lineage.testing.answers import Answer, Request, as_json
from hub_lineage.testing.cards import RELATIONS, base_models, listed
from hub_lineage.testing.site import Site

_EMPTY = "empty or missing yaml metadata in repo card (https://huggingface.co/docs/hub/model-cards#model-card-metadata)"
_BLOCK = re.compile(r"\A\s*---\s*\r?\n(.*?)(?:\r?\n)?---\s*(?:\r?\n|\Z)", re.DOTALL)
_TOP_KEY = re.compile(r"^([^\s#:'\"-][^:\n]*?)\s*:(?=\s|$)", re.MULTILINE)
_ONE_OR_MANY = ("base_model", "datasets", "language", "license", "tags")
_TEXT = ("library_name", "pipeline_tag")


def validate_yaml(site: Site, request: Request) -> Answer:  # noqa: ARG001 - every handler has this signature
    """Check a card's metadata before it is committed."""
    form = request.form()
    content = str(form.get("content", ""))
    block = _BLOCK.match(content)
    if block is None or not block[1].strip():
        return as_json({"errors": [], "warnings": [{"message": _EMPTY}]})
    errors = [{"message": message} for message in _faults(content, block[1], str(form.get("repoType", "model")))]
    return as_json({"errors": errors, "warnings": []}, 400 if errors else 200)


def _faults(content: str, block: str, kind: str) -> Iterator[str]:
    keys = [match[1] for match in _TOP_KEY.finditer(block)]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        yield f"duplicated mapping key: {', '.join(twice)}"
        return
    try:
        data: Any = ModelCard(content, ignore_metadata_errors=kind != "model").data
        card: dict[str, Any] = data.to_dict()
    except Exception as error:  # noqa: BLE001 - whatever the client's reader raises, the card can't be read
        yield f"YAML Metadata Error: {error}"
        return
    yield from _wrong_types(card)
    if kind == "model":
        yield from _wrong_parents(card)


def _wrong_types(card: Mapping[str, Any]) -> Iterator[str]:
    for key in _TEXT:
        if not isinstance(card.get(key, ""), str):
            yield f'"{key}" must be a string'
    for key in _ONE_OR_MANY:
        values = listed(card.get(key))
        yield from (f'"{key}[{place}]" must be a string' for place, value in enumerate(values) if not isinstance(value, str))


def _wrong_parents(card: Mapping[str, Any]) -> Iterator[str]:
    relation = card.get("base_model_relation")
    if relation is not None and relation not in RELATIONS:
        yield f'"base_model_relation" must be one of [{", ".join(RELATIONS)}]'
    for parent in base_models(card):
        if not _is_id(parent):
            yield f'"base_model" with value "{parent}" is not valid. Use a model id from https://hf.co/models.'


def _is_id(text: str) -> bool:
    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return True
