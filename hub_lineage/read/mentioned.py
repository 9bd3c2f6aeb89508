"""Models that a card's text links to: no declarations, only places to look."""

from __future__ import annotations

import re

from hub_lineage.errors import LineageError
from hub_lineage.read.declared.names import is_id
from hub_lineage.types import ByteRange, Source

CARD = "README.md"
LONGEST = 1_000_000
MOST = 16
"""Models that are looked at of one card, in the order in which it names them."""
_LINK = re.compile(r"(?:huggingface\.co|hf\.co)/([\w.-]{1,96}/[\w.-]{1,96})", re.ASCII)
_OTHERS = frozenset(
    {"datasets", "spaces", "docs", "blog", "papers", "collections", "models", "organizations", "settings", "join"}
)


def models(source: Source) -> tuple[str, ...]:
    """The IDs of the models that a repository's card links to; none where it has no card or that can't be read."""
    card = next((file for file in source.files if file.path == CARD and file.size <= LONGEST), None)
    if card is None:
        return ()
    try:
        (text,) = source.read([ByteRange(card.path, 0, card.size)])
    except LineageError:
        return ()
    found = (match.rstrip(".") for match in _LINK.findall(text.decode("utf-8", "replace")))
    named = (name for name in found if is_id(name) and name.partition("/")[0].lower() not in _OTHERS)
    return tuple(dict.fromkeys(name for name in named if name.casefold() != source.reference.id.casefold()))[:MOST]
