"""What a model declares: from the Hub's answer alone, which costs nothing, or from its small files too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from hub_lineage.errors import LineageError
from hub_lineage.read import frontmatter
from hub_lineage.read.declared import gguf, statements
from hub_lineage.read.declared.statements import Said
from hub_lineage.types import ByteRange, Declaration, RepoFile, Source

LONGEST: Final = 1_000_000  # bytes of a small file; a longer one isn't read
HEAD: Final = 64 * 1024  # bytes of a weight file's beginning
_WORDS: Final = 100_000  # characters of a README that are searched


def of_card(card: Mapping[str, Any], itself: str | None = None) -> tuple[Declaration, ...]:
    """The parents named in what the Hub's API says of a model; no request is made.

    Read are ``card_data`` (the front matter), ``tags``, ``config``, ``gguf`` and ``safetensors``; odd values are passed over.

    Args:
        card: What the API says, as :attr:`hub_lineage.types.Source.card` has it.
        itself: The model's own ID, which is no parent of its own.
    """
    return statements.unify(_of_card(card), itself)


def of_files(source: Source) -> tuple[Declaration, ...]:
    """The parents named anywhere in a repository: as :func:`of_card`, and in its small files and the heads of its weights.

    One call of ``read`` for all, which is a request or two a file. A place that can't be read says nothing.
    """
    places = {name: file for file in source.files for name in [_reader_of(file)] if name}
    return statements.unify([*_of_card(source.card), *_of_places(source, places)], source.reference.id)


def _of_card(card: Mapping[str, Any]) -> Iterator[Said]:
    yield from statements.of_metadata(card.get("card_data"))
    yield from statements.of_tags(card.get("tags"))
    yield from statements.of_config(card.get("config"))
    yield from statements.of_gguf(card.get("gguf"))
    parameters = card.get("safetensors")
    yield from statements.of_safetensors(parameters.get("metadata") if isinstance(parameters, Mapping) else None)


def _of_places(source: Source, places: Mapping[str, RepoFile]) -> Iterator[Said]:
    chosen = [(read, places[name]) for name, read in _READERS.items() if name in places]
    try:
        bodies = source.read(
            [ByteRange(file.path, 0, min(file.size, HEAD if _is_weights(file) else LONGEST)) for _, file in chosen]
        )
    except LineageError:  # the weights count, not the words beside them
        return
    for (read, _), body in zip(chosen, bodies, strict=True):
        yield from read(body)


def _reader_of(file: RepoFile) -> str | None:
    """Which of the readers takes a file; of several weight files the last in the list."""
    if file.path.endswith((".gguf", ".safetensors")):
        return file.path.rpartition(".")[2]
    return file.path if file.path in _READERS and file.size <= LONGEST else None


def _is_weights(file: RepoFile) -> bool:
    return file.path.endswith((".gguf", ".safetensors"))


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _yaml(body: bytes) -> object:
    try:
        return frontmatter.load(body.decode("utf-8", "replace"))
    except LineageError:
        return None


def _readme(body: bytes) -> Iterator[Said]:
    text = body.decode("utf-8", "replace")
    with suppress(LineageError):  # prose can be read beside broken YAML
        yield from statements.of_metadata(frontmatter.metadata(text))
    yield from statements.of_prose(text[:_WORDS])


def _safetensors(head: bytes) -> Iterator[Said]:
    """The metadata at a header's beginning, where writers put it: the tensors after it may be cut off."""
    text = head[8:].decode("utf-8", "replace")
    opening = '{"__metadata__":'
    if text.startswith(opening):
        try:
            found, _ = json.JSONDecoder().raw_decode(text, len(opening))
        except (ValueError, RecursionError):
            return
        yield from statements.of_safetensors(found)


_READERS: Final[dict[str, Callable[[bytes], Iterator[Said]]]] = {  # in the order in which declarations are listed
    "README.md": _readme,
    "adapter_config.json": lambda body: statements.of_adapter(_json(body)),
    "mergekit_config.yml": lambda body: statements.of_mergekit(_yaml(body)),
    "config.json": lambda body: statements.of_config(_json(body)),
    "gguf": lambda body: statements.of_gguf(gguf.texts(body)),
    "safetensors": _safetensors,
}
