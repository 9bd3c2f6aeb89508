"""What a repository says of itself: never an edge, only a claim to be checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub_lineage.types import Agreement, Declaration, Verdict

_RELATIONS = frozenset({"finetune", "adapter", "merge", "quantized"})
_LONGEST = 200


def of_card(card: Mapping[str, Any]) -> tuple[Declaration, ...]:
    """The parents that a card's front matter declares (``base_model``), with the relation where it is said.

    ``card`` is what the Hub's API says of a model, its ``card_data`` the front matter; odd values are passed over.
    """
    data = card.get("card_data")
    if not isinstance(data, Mapping):
        return ()
    said = data.get("base_model")
    named = said if isinstance(said, list) else [said]
    relation = data.get("base_model_relation")
    word = relation if isinstance(relation, str) and relation in _RELATIONS else None
    ids = dict.fromkeys(name.strip() for name in named if isinstance(name, str) and 0 < len(name.strip()) <= _LONGEST)
    return tuple(Declaration(name, word, "card: base_model") for name in ids)


def agreement(declared: tuple[Declaration, ...], verdict: Verdict, compared: set[str]) -> Agreement:
    """How what is declared stands to what was found.

    ``compared`` holds the ids of the models that were compared; a declared parent outside it can't be judged.
    """
    if not declared:
        return "undeclared"
    found = {parent.id for parent in verdict.parents}
    named = {declaration.id for declaration in declared}
    if named & found:
        return "confirmed"
    if (verdict.kind == "parent" and named & compared) or (verdict.kind == "independent" and named <= compared):
        return "contradicted"
    return "unverifiable"
