"""A model's parents onto its card: trace, edit, show, and open one pull request."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Literal

from hub_lineage import card
from hub_lineage.annotate.ledger import Ledger
from hub_lineage.errors import AccessDenied, NetworkError, NotFound, UsageError
from hub_lineage.hub import Hub, parse_reference, read_whole
from hub_lineage.hub.cards import README, Cards, Moved
from hub_lineage.registry import Registry
from hub_lineage.trace import trace
from hub_lineage.types import Progress, Reference, Source, Trace

DAILY_CAP = 20
Status = Literal["opened", "already_open", "unchanged", "proposed", "undecided", "declared", "opted_out"]
Confirm = Callable[["Annotation"], bool]


@dataclass(frozen=True, slots=True)
class Annotation:
    """What became of a card.

    ``status``: ``opened`` (``url`` is the pull request), ``already_open`` (``url`` is one that was open before), ``proposed``
    (shown, not sent), ``unchanged`` (the card says it already), ``undecided`` (the verdict names no parent that may be
    written), ``declared`` (the card declares otherwise, and overwriting wasn't asked for), ``opted_out``.
    """

    id: str
    revision: str | None
    status: Status
    parents: tuple[str, ...] = ()
    relation: str | None = None
    reason: str | None = None
    diff: str = ""
    url: str | None = None


def annotate(
    repo_id: str,
    *,
    among: Sequence[str] | None = None,
    registry: Registry | str | os.PathLike[str] | None = None,
    hub: Hub | None = None,
    token: str | None = None,
    dry_run: bool = False,
    overwrite: bool = False,
    confirm: Confirm | None = None,
    daily_cap: int = DAILY_CAP,
    progress: Progress | None = None,
) -> Annotation:
    """Put a model's parents on its card by a pull request, where the weights name them.

    Only a verdict of ``parent`` or ``merge`` is written. Nothing is written where the card opts out, where it declares
    otherwise (unless ``overwrite``), where it says the same already, or while such a pull request is open.

    Args:
        repo_id: A model on the Hub, without a revision: pull requests go to its main branch.
        among: The candidates; without them the registry is searched.
        registry: A registry or its folder; the default one where it is left out.
        hub: The Hub to read from; one on ``HF_ENDPOINT`` where it is left out.
        token: Who opens the pull request; the one that huggingface_hub has where it is left out.
        dry_run: Show the change as ``diff`` and send nothing.
        overwrite: Also where the card declares other parents or another relation.
        confirm: Asked before anything is sent, with what would be; nothing is sent where it says no.
        daily_cap: How many pull requests may be opened from this machine in 24 hours.
        progress: Called as ``progress(step, done, total)``.

    Raises:
        LineageError: the model can't be read, its card can't be edited safely, or the Hub refuses; nothing is written then.
    """
    asked = parse_reference(repo_id)
    if asked.local or asked.revision:
        raise UsageError(
            f"{repo_id} is {'a local path' if asked.local else 'one revision of a model'}; cards are written to main on the Hub.",
            "Give the ID of a model.",
        )
    with ExitStack() as stack:
        used = hub or stack.enter_context(Hub(token=token))
        source = used.open(asked)
        before = _text(source)
        out = card.opted_out(before or "")
        if out:
            return Annotation(source.reference.id, source.revision, "opted_out", reason=f"The card opts out by {out}.")
        answer = trace(f"{source.reference.id}@{source.revision}", among=among, registry=registry, hub=used, progress=progress)
        found = _public(card.finding(answer), source, used.endpoint)
        for _ in range(2):  # a branch that moves under us is read once more
            draft = _draft(source, answer, found, used.endpoint, overwrite=overwrite)
            if draft.said.status != "proposed" or dry_run or (confirm is not None and not confirm(draft.said)):
                return draft.said
            try:
                return _send(draft, used, token, daily_cap)
            except Moved:
                source = _again(source, used)
        raise Moved(f"{source.reference.id} keeps changing while it is read.", "Run this again later.")


@dataclass(frozen=True, slots=True)
class _Draft:
    said: Annotation
    body: bytes = b""
    description: str = ""


def _draft(source: Source, answer: Trace, found: card.Finding, endpoint: str, *, overwrite: bool) -> _Draft:
    """What would be sent for the card as it is at this commit."""
    name, before = source.reference.id, _text(source)
    said = Annotation(name, source.revision, "undecided", tuple(found.ids), found.relation, found.reason)
    out = card.opted_out(before or "")
    if out:
        return _Draft(replace(said, status="opted_out", reason=f"The card opts out by {out}."))
    if found.relation is None:
        return _Draft(said)
    otherwise = card.contradicts(before or "", found.ids, found.relation)
    if otherwise and not overwrite:
        return _Draft(replace(said, status="declared", reason=f"The card declares otherwise: {otherwise}."))
    start = card.minimal(name.rpartition("/")[2]) if before is None else before
    after = card.edit(start, found.ids, found.relation, card.section(answer, found, endpoint))
    if before is not None and card.differs_in_figures_alone(before, after):
        return _Draft(replace(said, status="unchanged", reason="The card says it already."))
    description = card.description(answer, found, endpoint, otherwise)
    return _Draft(replace(said, status="proposed", diff=card.diff(before or "", after)), after.encode(), description)


def _send(draft: _Draft, hub: Hub, token: str | None, cap: int) -> Annotation:
    """Opens the pull request, unless one is open or the branch has moved."""
    said = draft.said
    with Cards(hub, token) as cards, Ledger().slot(hub.endpoint, said.id, cap) as slot:
        standing = cards.find_open(said.id, card.MARK)
        if standing:
            return replace(said, status="already_open", url=standing, reason="Such a pull request is open already.")
        if hub.open(Reference(said.id)).revision != said.revision:  # the Hub itself lets a pull request start at an old commit
            raise Moved(f"{said.id} was changed while it was read.", "Run this again.")
        slot.url = cards.propose(said.id, draft.body, parent=said.revision, title=card.TITLE, description=draft.description)
        return replace(said, status="opened", url=slot.url)


def _again(source: Source, hub: Hub) -> Source:
    """The repository at its new commit, as long as its weights are those that were judged."""
    fresh = hub.open(Reference(source.reference.id))
    if [file for file in fresh.files if file.path != README] != [file for file in source.files if file.path != README]:
        raise NetworkError(f"The files of {source.reference.id} were changed while they were read.", "Run this again.")
    return fresh


def _text(source: Source) -> str | None:
    """The card's text; None where there is no README."""
    try:
        return card.text_of(read_whole(source, README, card.LONGEST))
    except NotFound:
        return None


def _public(found: card.Finding, child: Source, endpoint: str) -> card.Finding:
    """The finding with the parents under their present names; none where a stranger couldn't see one of them.

    A card that everyone may read must not give away the name of a private model, nor lead nowhere.
    """
    if child.card.get("private"):
        return found
    try:
        with Hub(endpoint, token=False) as stranger:
            parents = [replace(one, id=stranger.open(Reference(one.id)).reference.id) for one in found.parents]
    except (NotFound, AccessDenied) as error:
        return card.Finding(reason=f"A parent isn't there for everyone to see, so none is written. {error.message}")
    return replace(found, parents=tuple(parents))
