"""The models from which most others are derived, told by the tags of the models most downloaded."""

from __future__ import annotations

import re
from collections import Counter

from hub_lineage.hub import Hub

_AMONG = 20_000  # models whose tags are looked at: twenty pages of the listing
_BASE = re.compile(r"base_model:(?:(?:finetune|adapter|merge|quantized):)?([^:]+)")


def most_derived(hub: Hub, count: int, *, among: int = _AMONG) -> list[str]:
    """The IDs that most of the models most downloaded name as their base, most named first, ties by ID."""
    named: Counter[str] = Counter()
    for entry in hub.list_models(limit=among):
        matches = (_BASE.fullmatch(tag) for tag in entry.tags)
        named.update({match[1] for match in matches if match and match[1] != entry.id})
    return sorted(named, key=lambda name: (-named[name], name))[:count]
