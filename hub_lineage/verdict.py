"""Odds to an answer: the kind of the verdict, a sentence that a layman understands, and what would settle it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hub_lineage.family import Matrix
from hub_lineage.judge import Judgement
from hub_lineage.types import Parent, Relation, Verdict

LIKELY = 0.5
"""At these odds a candidate is likelier than all others and none together, and is named; from the judge's cut on, without a
"probably", and only then is it written to a card."""
FEW = 4
"""At most so many candidates are named together."""


def decide(judgement: Judgement, child: int, ids: Sequence[str], revisions: Sequence[str | None], strangers: int = 0) -> Verdict:
    """The verdict about one model of a judged family, from its odds alone.

    ``ids`` and ``revisions`` name the K models, the child included; ``strangers`` counts models found to be no kin before.
    """
    odds, none = judgement.parent[child], float(judgement.none[child])
    order = [int(k) for k in np.argsort(-odds, kind="stable") if k != child]
    kin = [k for k in order if judgement.kin[child, k]]
    if not kin:
        return _independent(len(order) + strangers)
    own = [k for k in kin if judgement.clone[child, k]]
    if own:
        return _same_body([_parent(judgement, child, k, ids, revisions) for k in own])
    best = order[0]
    if odds[best] >= LIKELY:
        return _stated(_parent(judgement, child, best, ids, revisions), none, sure=bool(odds[best] >= judgement.cut))
    few = _few(odds, order)
    one_body = all(judgement.clone[few[0], k] for k in few)  # copies of one model: which of them hardly matters
    if float(odds[few].sum()) >= (LIKELY if one_body else judgement.cut):
        return _one_of([_parent(judgement, child, k, ids, revisions) for k in few], none)
    nearest = max(kin, key=lambda k: float(judgement.cues["cosine"][child, k]))
    perhaps = _parent(judgement, child, best, ids, revisions) if odds[best] > none else None
    return _family(ids[nearest], len(kin) - 1, perhaps, _share(none), _share(max(none, 1.0 - float(odds[best]))))


def _stated(parent: Parent, none: float, *, sure: bool) -> Verdict:
    settle = None if sure else "An earlier checkpoint, a training log or a declaration would make it certain."
    said = f"{'Fine-tuned' if sure else 'Probably fine-tuned'} from {parent.id} ({_percent(parent.probability)})."
    return Verdict("parent", parent.probability, _share(none), said, settle, (parent,))


def _one_of(parents: Sequence[Parent], none: float) -> Verdict:
    together = sum(parent.probability for parent in parents)
    names = ", ".join(parent.id for parent in parents)
    return Verdict(
        "one_of",
        _share(together),
        _share(none),
        f"Fine-tuned from one of {len(parents)} models ({_percent(together)}): {names}.",
        "Dates of upload, a declaration, or a reading of all weights would tell them apart.",
        tuple(parents),
    )


def _family(nearest: str, more: int, perhaps: Parent | None, none: float, probability: float) -> Verdict:
    """Kin, but no parent that could be stated; ``perhaps`` is a candidate likelier than none of them."""
    related = f"Related to {nearest}" + (f" and {more} more" if more else "")
    if perhaps is None:
        said = (
            f"{related}, but its parent is probably not among them." if more else f"{related}, which is probably not its parent."
        )
    else:
        said = f"{related}; perhaps fine-tuned from {perhaps.id} ({_percent(perhaps.probability)}), too little to state it."
    return Verdict(
        "family", probability, none, said, "Add the models its author used, or crawl more models of this architecture."
    )


def unknown(reason: str, settle: str) -> Verdict:
    """The verdict where there is nothing to compare."""
    return Verdict("unknown", 1.0, 1.0, reason, settle)


def _independent(compared: int) -> Verdict:
    others = "the one model" if compared == 1 else f"any of the {compared} models"
    return Verdict(
        "independent",
        0.99,
        1.0,
        f"Not related to {others} of its shape that it was compared with.",
        "A parent may still be among models that are not known here: crawl more of this architecture.",
    )


def _same_body(parents: Sequence[Parent]) -> Verdict:
    """Clones of the body: a copy, or a frozen trunk under another head; weights alone can't tell who came first."""
    together = float(sum(parent.probability for parent in parents))
    none = _share(max(0.0, 1.0 - together))
    settle = "Dates of upload or a declaration would tell which came first."
    if len(parents) == 1:
        return Verdict(
            "one_of",
            _share(together),
            none,
            f"Its body is the same as that of {parents[0].id}, to the bit.",
            settle,
            (parents[0],),
        )
    names = ", ".join(parent.id for parent in parents[:FEW])
    summary = (
        f"Its body is the same, to the bit, as that of {len(parents)} models: {names}{', ...' if len(parents) > FEW else ''}."
    )
    return Verdict("one_of", _share(together), none, summary, settle, tuple(parents))


def _few(odds: Matrix, order: Sequence[int]) -> list[int]:
    """The leading candidates that are about as likely as the first."""
    return [k for k in order[:FEW] if odds[k] >= odds[order[0]] / 3]


def _parent(judgement: Judgement, child: int, place: int, ids: Sequence[str], revisions: Sequence[str | None]) -> Parent:
    relation: Relation = "duplicate" if judgement.clone[child, place] else "finetune"
    return Parent(ids[place], revisions[place], relation, _share(float(judgement.parent[child, place])))


def _share(value: float) -> float:
    return round(min(max(value, 0.0), 1.0), 9)


def _percent(value: float) -> str:
    return f"{min(max(value, 0.01), 0.99):.0%}"
