"""Taking off a disguise from files to kin: which models are read whole, one after another, and what the child lies upon."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

from hub_lineage.errors import LineageError
from hub_lineage.gathering import Gathered
from hub_lineage.hub import Hub, open_source
from hub_lineage.read.whole import read_weights
from hub_lineage.types import Cost, Model, Progress, Reference
from hub_lineage.unmasked import MOST_KIN, MOST_PROBED, Agenda, Key, Laid, Unmasked, Whole, can_be_read, key, lay, unmask, unread


def read_wholly(
    models: Sequence[Model], opened: Collection[Key], hub: Hub | None, tell: Progress, costs: list[Cost]
) -> Iterator[Whole]:
    """Models with their weights in memory, one at a time; what can't be read is told and left out.

    Args:
        models: The models.
        opened: By ID and revision those whose sizes were counted before; they aren't counted again.
        hub: The Hub to read from; one on ``HF_ENDPOINT`` where it is left out.
        tell: Called as ``tell(step, done, total)``.
        costs: Where what was read is added.
    """
    with ExitStack() as stack:
        if hub is None and any(model.revision is not None for model in models):
            hub = stack.enter_context(Hub())
        for done, model in enumerate(models, 1):
            tell("Looking for disguises", done, len(models))
            try:
                source = open_source(Reference(model.id, model.revision, local=model.revision is None), hub)
                weights = read_weights(source)
            except LineageError as error:
                tell(f"Could not read {model.id} whole: {error.message}", done, len(models))
                continue
            cost = source.cost()
            costs.append(replace(cost, bytes_total=0) if key(model) in opened else cost)
            yield Whole(model, weights)


def undisguised(
    gathered: Gathered, nearest: Model | None, hub: Hub | None, tell: Progress
) -> tuple[Unmasked | None, list[Model], list[Cost]]:
    """A model without its disguise among its kin, if it wears one; which models were read whole for that; and what it cost.

    ``nearest`` is its nearest kin as it stands, if it has any: where it lies upon that undisguised, no other is read.
    """
    subject, found = gathered.subject, gathered.found
    costs: list[Cost] = []
    opened = {*found.opened, key(subject)}
    agenda = Agenda([model for model in (*found.known, *found.rest) if model.fingerprint.samples])
    child = next(read_wholly([subject], opened, hub, tell, costs), None) if agenda.families and can_be_read(subject) else None
    if child is None:
        return None, [], costs

    def laid(models: Sequence[Model]) -> list[Laid]:
        return list(lay(child, read_wholly(models, opened, hub, tell, costs)))

    first = [] if nearest is None else [nearest]
    kin = laid(first)
    if kin and not kin[0].alignment.disguises:
        return None, first, costs
    probed = [*first, *unread(agenda.probes(), first, MOST_PROBED + MOST_KIN)]
    kin += laid(probed[len(first) :])
    more = unread(agenda.relatives([one.whole.model for one in kin]), probed, MOST_KIN)
    kin += laid(more)
    return unmask(child, kin, len(probed) + len(more)), [*probed, *more], costs
