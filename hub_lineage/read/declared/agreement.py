"""What is declared beside what was found: two things that are kept apart and compared."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from hub_lineage.read.declared.names import MARKS, is_id
from hub_lineage.types import Agreement, Declaration, Verdict

DEAD: Final = "not on the Hub"
"""The mark of an ID that leads nowhere: :func:`with_dead` sets it."""
_ENDINGS = tuple(f"({mark})" for mark in (*MARKS, DEAD))


def on_hub(declared: Sequence[Declaration]) -> tuple[Declaration, ...]:
    """The declarations that name a model which may be on the Hub: no local paths, addresses elsewhere, dead links."""
    return tuple(one for one in declared if is_id(one.id) and not one.where.endswith(_ENDINGS))


def with_dead(declared: Sequence[Declaration], gone: Collection[str]) -> tuple[Declaration, ...]:
    """The declarations, those of models that the Hub doesn't know marked in ``where``."""
    return tuple(replace(one, where=f"{one.where} ({DEAD})") if one.id in gone else one for one in declared)


def agreement(declared: Sequence[Declaration], verdict: Verdict, compared: Collection[str]) -> Agreement:
    """How what is declared stands to what was found.

    ``compared`` holds the ids of the models that were compared; a declared parent outside it can't be judged: a local path,
    a dead link, a model that wasn't read. IDs that differ in case alone are one, as on the Hub.
    """
    if not declared:
        return "undeclared"
    found = {parent.id.casefold() for parent in verdict.parents}
    named = {declaration.id.casefold() for declaration in declared}
    known = {name.casefold() for name in compared}
    if named & found:
        return "confirmed"
    if (verdict.kind == "parent" and named & known) or (verdict.kind == "independent" and named <= known):
        return "contradicted"
    return "unverifiable"
