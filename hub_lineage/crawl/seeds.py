"""The models from which most others are derived, told by the tags of the models most downloaded."""

from __future__ import annotations

import re
from collections import Counter

from hub_lineage.crawl.selection import Entry
from hub_lineage.hub import Hub

_AMONG = 20_000  # models whose tags are looked at: twenty pages of the listing
_BASE = re.compile(r"base_model:(?:(?:finetune|adapter|merge|quantized):)?([^:]+)")


def most_derived(hub: Hub, count: int, *, among: int = _AMONG) -> list[Entry]:
    """Those that most of the models most downloaded name as their base, most named first, ties by ID.

    Their commits stand with them where they were listed too, so that what is known of them is known to be known.
    """
    named: Counter[str] = Counter()
    commits: dict[str, str | None] = {}
    for entry in hub.list_models(limit=among):
        commits[entry.id] = entry.sha
        matches = (_BASE.fullmatch(tag) for tag in entry.tags)
        named.update({match[1] for match in matches if match and match[1] != entry.id})
    chosen = sorted(named, key=lambda name: (-named[name], name))[:count]
    return [Entry(name, commits.get(name)) for name in chosen]
