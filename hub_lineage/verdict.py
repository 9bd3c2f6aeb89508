"""Odds to an answer: the kind of the verdict, a sentence that a layman understands, and what would settle it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hub_lineage.evidence.soft import Soft, older
from hub_lineage.family import Matrix
from hub_lineage.fingerprint import is_blank, is_whole
from hub_lineage.judge import Judgement
from hub_lineage.read.declared import on_hub
from hub_lineage.sampling import FULL_SCHEME
from hub_lineage.types import Model, Parent, Verdict

LIKELY = 0.5
"""At these odds a candidate is likelier than all others and none together, and is named; from the judge's cut on, without a
"probably", and only then is it written to a card."""
FEW = 4
"""At most so many candidates are named together; of copies of one body, so many are named and all counted."""


def decide(
    judgement: Judgement,
    child: int,
    ids: Sequence[str],
    revisions: Sequence[str | None],
    strangers: int = 0,
    *,
    known: Sequence[Model] = (),
    alone: Judgement | None = None,
    counted: Sequence[Soft] = (),
) -> Verdict:
    """The verdict about one model of a judged family, from its odds alone.

    Args:
        judgement: The odds.
        child: The model asked about.
        ids: The IDs of all K models, the child included.
        revisions: Their revisions.
        strangers: Models found to be no kin before.
        known: The K models themselves, for what would settle an open answer; they move no odds.
        alone: What weights alone make of the family, where soft evidence moved ``judgement``. A parent that weights alone
            don't make sure is not made sure by it.
        counted: The soft evidence that moved it, which can settle nothing more.
    """
    odds, none = judgement.parent[child], float(judgement.none[child])
    order = [int(k) for k in np.argsort(-odds, kind="stable") if k != child]
    kin = [k for k in order if judgement.kin[child, k]]
    missing = _not_compared(known[child], ids) if known else None
    sharing = [] if judgement.parts is None else [ids[k] for k in order if judgement.parts[child, k]]
    if not kin:
        return _sharing(sharing) if sharing else _without_kin(child, order, known, strangers, missing)

    def parents(places: Sequence[int]) -> list[Parent]:
        return [_parent(judgement, child, k, ids, revisions) for k in places]

    def settle(places: Sequence[int]) -> str:
        same_body = bool(judgement.clone[child, places[0]])
        if not known:
            return _UNTOLD[same_body]
        return _tie(known[child], [known[k] for k in places], counted, same_body=same_body)

    best = order[0]
    own = [k for k in kin if judgement.clone[child, k]]
    if own and not (counted and odds[best] >= LIKELY):  # only what isn't of weights can tell equal bodies apart
        return _same_body(parents(own), none, settle(own))
    if odds[best] >= LIKELY:
        sure = bool(odds[best] >= judgement.cut) and (alone is None or bool(alone.parent[child, best] >= judgement.cut))
        weights = None if alone is None else float(alone.parent[child, best])
        later = bool(known) and "dates" not in counted and older(known[child], known[best]) is True
        return _stated(parents([best])[0], none, sure=sure, weights=weights, later=later)
    copies, few = [k for k in order if judgement.clone[best, k]], _few(odds, order)
    if len(copies) > 1 and float(odds[copies].sum()) >= LIKELY:  # of one body: which of them hardly matters
        return _one_of(parents(copies), none, settle(copies), one_body=True)
    if len(few) > 1 and float(odds[few].sum()) >= judgement.cut:
        return _one_of(parents(few), none, settle(few), one_body=False)
    nearest = max(kin, key=lambda k: float(judgement.cues["cosine"][child, k]))
    perhaps = parents([best])[0] if odds[best] > none else None
    probability = _share(max(none, 1.0 - float(odds[best])))
    return _family(ids[nearest], len(kin) - 1, perhaps, missing, none=_share(none), probability=probability)


def _stated(parent: Parent, none: float, *, sure: bool, weights: float | None, later: bool) -> Verdict:
    how = _percent(parent.probability) + ("" if weights is None else f"; {_percent(weights)} by weights alone")
    verb = "made from" if parent.relation == "duplicate" else "fine-tuned from"
    said = f"{verb.capitalize() if sure else f'Probably {verb}'} {parent.id} ({how})."
    settle = "An earlier checkpoint, a training log or a declaration would make it certain."
    if later:
        settle = f"{parent.id} was uploaded after it, which parents seldom are: --with dates counts that, its author knows."
    return Verdict("parent", parent.probability, _share(none), said, None if sure else settle, (parent,))


def _one_of(parents: Sequence[Parent], none: float, settle: str, *, one_body: bool) -> Verdict:
    together = sum(parent.probability for parent in parents)
    names = _named(parents)
    why = "they are copies of one another" if one_body else "its weights fit each of them about as well"
    said = f"Fine-tuned from one of {len(parents)} models ({_percent(together)}): {names}; {why}."
    return Verdict("one_of", _share(together), _share(none), said, settle, tuple(parents))


def _family(nearest: str, more: int, perhaps: Parent | None, missing: str | None, *, none: float, probability: float) -> Verdict:
    """Kin, but no parent that could be stated; ``perhaps`` is a candidate likelier than none of them."""
    related = f"Related to {nearest}" + (f" and {more} more" if more else "")
    if perhaps is not None:
        said = f"{related}; perhaps fine-tuned from {perhaps.id} ({_percent(perhaps.probability)}), too little to state it."
    elif more and none < LIKELY:
        said = f"{related}; its parent may be among them, but no few of them are likely enough to be named."
    elif more:
        said = f"{related}, but its parent is probably not among them: they look like its siblings, descendants or other kin."
    else:
        said = f"{related}, which is probably not its parent but a sibling, a descendant or other kin."
    settle = missing or "Add the models its author used, or crawl more models of this architecture."
    return Verdict("family", probability, none, said, settle)


def unknown(reason: str, settle: str) -> Verdict:
    """The verdict where there is nothing to compare."""
    return Verdict("unknown", 1.0, 1.0, reason, settle)


def _sharing(others: Sequence[str]) -> Verdict:
    """No kin as a whole, but some tensors in common."""
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    said = f"Holds some tensors of {others[0]}{more} and has no more in common: one took parts of the other, or both of a third."
    return Verdict("family", 0.99, 1.0, said, "Dates of upload or a declaration would tell which came first.")


def _without_kin(child: int, others: Sequence[int], known: Sequence[Model], strangers: int, missing: str | None) -> Verdict:
    """No kin at all: unrelated to what could be compared, which weights without any variation can't be."""
    blank = {k for k, model in enumerate(known) if is_blank(model.fingerprint)}
    why = "every tensor read holds one value throughout, or values that no trained network has"
    if child in blank:
        return unknown(f"Its weights can't be compared: {why}.", "The file may be damaged: look for an intact copy of the model.")
    compared = sum(k not in blank for k in others) + strangers
    if blank and not compared:
        return unknown(f"Nothing to compare with: in every candidate, {why}.", "Name other candidates with --among.")
    return _independent(compared, missing)


def _independent(compared: int, missing: str | None) -> Verdict:
    others = "the one model" if compared == 1 else f"any of the {compared} models"
    return Verdict(
        "independent",
        0.99,
        1.0,
        f"Not related to {others} of its shape that it was compared with: they have no more in common than chance gives.",
        missing or "A parent may still be among models that are not known here: crawl more of this architecture.",
    )


def _same_body(parents: Sequence[Parent], none: float, settle: str) -> Verdict:
    """Clones of the body: a copy, or a frozen trunk under another head; weights alone can't tell who came first."""
    together = float(sum(parent.probability for parent in parents))
    if len(parents) == 1:
        said = f"Its body is the same as that of {parents[0].id}, to the bit: which of the two came first, weights can't tell."
    else:
        said = f"Its body is the same, to the bit, as that of {len(parents)} models, so weights can't tell which came first: "
        said += f"{_named(parents)}."
    return Verdict("one_of", _share(together), _share(none), said, settle, tuple(parents))


def _named(parents: Sequence[Parent]) -> str:
    return ", ".join(parent.id for parent in parents[:FEW]) + (", ..." if len(parents) > FEW else "")


_UNTOLD = {
    True: "Dates of upload or a declaration would tell which came first.",
    False: "Dates of upload, a declaration, or a reading of more weights (--depth full) would tell them apart.",
}


def _tie(child: Model, tied: Sequence[Model], counted: Sequence[Soft], *, same_body: bool) -> str:
    """What would break a tie, given what is known of the tied models; else what would have to be known."""
    told = [
        None if "declared" in counted else _by_name(child, tied, whole=same_body),
        None if "dates" in counted else _by_date(child, tied, whole=same_body),
        _by_head(child, tied),
    ]
    if any(told):
        return " ".join(said for said in told if said)
    wanting = []
    if any(older(model, child) is None for model in tied):
        wanting.append("dates of upload")
    if not child.declared:
        wanting.append("a declaration")
    if not same_body and child.fingerprint.scheme != FULL_SCHEME and not is_whole(child.fingerprint):
        wanting.append("a reading of more weights (--depth full)")
    if not wanting:
        return "Only its author could tell, by an earlier checkpoint or a training log."
    *others, last = wanting
    said = f"{', '.join(others)} or {last}" if others else last
    return f"{said[0].upper()}{said[1:]} would tell {'which came first' if same_body else 'them apart'}."


def _by_name(child: Model, tied: Sequence[Model], *, whole: bool) -> str | None:
    named = {declaration.id.casefold() for declaration in child.declared}
    chosen = [model for model in tied if model.id.casefold() in named]
    return _part(chosen, tied, "named by it as its base, which --with declared counts", whole=whole)


def _by_date(child: Model, tied: Sequence[Model], *, whole: bool) -> str | None:
    before = [older(model, child) for model in tied]
    if not any(before) and None not in before:
        who = f"{tied[0].id} was" if len(tied) == 1 else f"All {len(tied)} were"
        return f"{who} uploaded after it, which parents seldom are; --with dates counts that."
    if None in before:
        return None
    chosen = [model for model, is_older in zip(tied, before, strict=True) if is_older]
    return _part(chosen, tied, "older than it, which --with dates counts", whole=whole)


def _by_head(child: Model, tied: Sequence[Model]) -> str | None:
    """Fine-tuning often keeps the head; where it replaces it, this tells nothing, and is a hint all the same."""
    size = child.fingerprint.parameters
    alike = [model for model in tied if model.fingerprint.parameters == size]
    return _part(alike, tied, "as large as it with its head: compare the shapes of the heads", whole=False)


def _part(chosen: Sequence[Model], tied: Sequence[Model], what: str, *, whole: bool) -> str | None:
    """A sentence about some of the tied models; None for none of them and, where that breaks no tie, for the whole."""
    if not chosen or (len(chosen) == len(tied) and not whole):
        return None
    if len(chosen) == len(tied):
        return f"{chosen[0].id} is {what}." if len(tied) == 1 else f"All {len(tied)} are {what}."
    return f"Only {chosen[0].id} is {what}." if len(chosen) == 1 else f"{len(chosen)} of the {len(tied)} are {what}."


def _not_compared(child: Model, ids: Sequence[str]) -> str | None:
    """The next step where a child names a base that was not among the models compared."""
    there = {name.casefold() for name in ids}
    missing = [declaration.id for declaration in on_hub(child.declared) if declaration.id.casefold() not in there]
    if not missing:
        return None
    return f"It names {missing[0]}, which is not among the models compared: add that one with --among."


def _few(odds: Matrix, order: Sequence[int]) -> list[int]:
    """The leading candidates that are about as likely as the first."""
    return [k for k in order[:FEW] if odds[k] >= odds[order[0]] / 3]


def _parent(judgement: Judgement, child: int, place: int, ids: Sequence[str], revisions: Sequence[str | None]) -> Parent:
    return Parent(ids[place], revisions[place], judgement.relation(child, place), _share(float(judgement.parent[child, place])))


def _share(value: float) -> float:
    return round(min(max(value, 0.0), 1.0), 9)


def _percent(value: float) -> str:
    return f"{min(max(value, 0.01), 0.99):.0%}"
