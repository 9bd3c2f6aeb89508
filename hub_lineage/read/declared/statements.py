"""Statements about a parent in what a repository holds, each with the place where it stands; pure and unbelieving."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from hub_lineage.read.declared.names import NO_ID, Name, understand
from hub_lineage.types import Declaration

RELATIONS: Final = frozenset({"finetune", "adapter", "merge", "quantized"})
MOST: Final = 64
"""Declarations kept of one model; a merge of more parents than that has never been seen."""
_PROSE = re.compile(
    r"\b(?:fine[- ]?tuned(?: version)?(?: (?:of|from|on top of))|fine[- ]?tune of)(?: the)?(?: base)?(?: model)?:?\s+"
    r"(?:\[(?P<label>[^\]\n]{1,200})\](?:\((?P<link>[^)\s]{1,300})\))?|[`*]{1,2}(?P<quoted>[^`*\n]{1,200})[`*]|(?P<bare>[\w.-]+/[\w.-]+))",
    re.IGNORECASE,
)


class Said(NamedTuple):
    """One statement: a parent's name as given, the relation where it is said, and the place."""

    name: object
    relation: str | None
    where: str


def unify(statements: Iterable[Said], itself: str | None = None) -> tuple[Declaration, ...]:
    """One declaration for each parent and relation, in the order in which they are first said, the places joined.

    A statement without a relation joins the one that has it, where there is only one such. Names that mean nothing are left
    out, and so is the model itself.
    """
    places: dict[tuple[str, str | None], list[str]] = {}
    names: dict[str, Name] = {}
    for said in statements:
        name = understand(said.name)
        if name is None or (itself is not None and name.id.casefold() == itself.casefold()):
            continue
        key = name.id.casefold()
        names.setdefault(key, name)
        where = said.where if name.mark is None else f"{said.where} ({name.mark})"
        stated = places.setdefault((key, said.relation if said.relation in RELATIONS else None), [])
        if where not in stated:
            stated.append(where)
        if len(places) >= MOST:
            break
    return tuple(Declaration(names[key].id, relation, "; ".join(where)) for (key, relation), where in _joined(places).items())


def _joined(places: dict[tuple[str, str | None], list[str]]) -> dict[tuple[str, str | None], list[str]]:
    found: dict[tuple[str, str | None], list[str]] = {}
    for (key, relation), where in places.items():
        relations = [known for name, known in places if name == key and known is not None]
        stands = relations[0] if relation is None and len(relations) == 1 else relation
        known = found.setdefault((key, stands), [])
        known += [place for place in where if place not in known]
    return found


def of_metadata(data: object) -> Iterator[Said]:
    """The front matter of a card: ``base_model`` with ``base_model_relation``."""
    if isinstance(data, Mapping):
        relation = data.get("base_model_relation")
        for name in _several(data.get("base_model")):
            yield Said(name, relation if isinstance(relation, str) else None, "card: base_model")


def of_prose(text: str) -> Iterator[Said]:
    """The line that training scripts write: "a fine-tuned version of [org/base](...)"."""
    for match in _PROSE.finditer(text):
        link, label = match["link"], match["label"] or match["quoted"] or match["bare"]
        linked, named = understand(link), understand(label.rstrip("."))
        if link is not None and "huggingface.co/" in link and linked is not None and linked.mark is None:
            yield Said(linked.id, "finetune", "card: text")
        # Prose names data and methods too: a bare word counts only as a link, and other words only as an ID or a path.
        elif named is not None and named.mark != NO_ID and (link is not None or (named.mark is None and "/" in named.id)):
            yield Said(named.id, "finetune", "card: text")


def of_tags(tags: object) -> Iterator[Said]:
    """The Hub's own tags ``base_model:org/base`` and ``base_model:finetune:org/base``."""
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str) and tag.startswith("base_model:"):
            first, _, rest = tag.removeprefix("base_model:").partition(":")
            yield Said(rest, first, "tags") if first in RELATIONS else Said(f"{first}:{rest}" if rest else first, None, "tags")


def of_config(config: object) -> Iterator[Said]:
    """A configuration: ``_name_or_path``, and the short form of an adapter's that the Hub shows."""
    if isinstance(config, Mapping):
        yield Said(config.get("_name_or_path"), None, "config.json: _name_or_path")
        adapter = config.get("peft")
        if isinstance(adapter, Mapping):
            yield from of_adapter(adapter)


def of_adapter(config: object) -> Iterator[Said]:
    """An adapter's configuration: ``base_model_name_or_path``, or ``model_name`` as another library has it."""
    if isinstance(config, Mapping):
        for key in ("base_model_name_or_path", "model_name"):
            yield Said(config.get(key), "adapter", f"adapter_config.json: {key}")


def of_mergekit(config: object) -> Iterator[Said]:
    """A merge's recipe: every ``model`` and ``base_model`` in it, at any depth."""
    waiting, seen = [config], set[int]()
    while waiting and len(seen) < 10_000:
        part = waiting.pop()
        if not isinstance(part, (dict, list)) or id(part) in seen:  # an alias may lead round in a circle
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            for key in ("model", "base_model"):
                yield from _merged(part.get(key))
        waiting += reversed(list(part.values()) if isinstance(part, dict) else part)


def _merged(model: object) -> Iterator[Said]:
    """A model of a recipe, written ``model@revision+adapter@revision``, or as a mapping of a mapping."""
    if isinstance(model, dict):
        inner = model.get("model")
        model = inner.get("path") if isinstance(inner, dict) else inner
    for word in model.split("+") if isinstance(model, str) else ():
        yield Said(word.partition("@")[0], "merge", "mergekit_config.yml")


def of_gguf(metadata: object) -> Iterator[Said]:
    """The metadata of a GGUF file: ``general.base_model.N.repo_url``, the name where there is no address.

    It says of what the unquantised model was made, so the relation stays open.
    """
    if not isinstance(metadata, Mapping):
        return
    for number in range(MOST):
        start = f"general.base_model.{number}."
        stated = [metadata.get(start + key) for key in ("repo_url", "url", "name")]
        name = next((word for word in stated if understand(word)), None)
        if name is None:
            return
        yield Said(name, None, f"GGUF: {start}{('repo_url', 'url', 'name')[stated.index(name)]}")


def of_safetensors(metadata: object) -> Iterator[Said]:
    """The free metadata of a safetensors file, as trainers and mergers of several kinds fill it in."""
    if not isinstance(metadata, Mapping):
        return
    for key, relation in (("base_model", None), ("base_model_name_or_path", "adapter"), ("ss_sd_model_name", "adapter")):
        yield Said(metadata.get(key), relation, f"safetensors: {key}")
    merged = metadata.get("modelspec.merged_from")
    for name in merged.split(",")[:MOST] if isinstance(merged, str) else ():
        yield Said(name, "merge", "safetensors: modelspec.merged_from")
    adapter = metadata.get("lora_adapter_metadata")
    if isinstance(adapter, str) and len(adapter) < 100_000:
        for said in of_adapter(_flat(adapter)):
            yield Said(said.name, said.relation, "safetensors: lora_adapter_metadata")


def _flat(text: str) -> dict[str, Any]:
    """A JSON object whose keys may bear the name of a part before a dot."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return {str(key).rpartition(".")[2]: value for key, value in found.items()} if isinstance(found, dict) else {}


def _several(value: object) -> list[object]:
    return value[:MOST] if isinstance(value, list) else [value]
