"""Who might be the parent: the models worth judging, out of many of one architecture; and what others have in common with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hub_lineage.evidence.null import p_value
from hub_lineage.evidence.parts import Part, shared_part
from hub_lineage.fingerprint import short_vector
from hub_lineage.tensors import is_change
from hub_lineage.types import Block, Candidate, Evidence, Fingerprint, Model, Verdict

MOST_JUDGED = 48
"""Models that are judged together at the most; a family's cost grows with the cube of its size."""
NOISE = 4.5 / 32
"""Short fingerprints of strangers correlate less than this: their standard deviation is 1/32."""
_LIKE_COPIES = 4  # copies of one body that are judged before others have had their turn


def shortlist(child: Fingerprint, models: Sequence[Model], most: int = MOST_JUDGED) -> tuple[list[Model], list[Model]]:
    """The models to judge with the child, the likest first, and the rest; all of the child's architecture.

    Few are all judged. Of many, those are that resemble the child by short fingerprint more than strangers do, further
    copies of one body after all else; the rest are strangers or copies as far as that can tell.
    """
    if len(models) <= most:
        return list(models), []
    vectors = np.stack([short_vector(model.fingerprint) for model in models])
    likeness = vectors.astype(np.float32) @ short_vector(child).astype(np.float32)
    order = [int(k) for k in np.argsort(-likeness, kind="stable")]
    kin = [k for k in order if likeness[k] > NOISE] or order[:1]
    chosen = [kin[place] for place in copies_last([vectors[k].tobytes() for k in kin])[:most]]
    taken = set(chosen)
    return [models[k] for k in chosen], [models[k] for k in order if k not in taken]


def copies_last(bodies: Sequence[object]) -> list[int]:
    """Places in their order, but those of a body that has had its share only after all others."""
    seen: Counter[object] = Counter()
    first: list[int] = []
    later: list[int] = []
    for place, body in enumerate(bodies):
        (first if seen[body] < _LIKE_COPIES else later).append(place)
        seen[body] += 1
    return first + later


@dataclass(frozen=True, slots=True)
class Fit:
    """A model that an adapter could belong to, by the shapes alone; ``away`` is how many blocks it has beyond those changed."""

    id: str
    revision: str | None
    away: int


def is_adapter(fingerprint: Fingerprint) -> bool:
    """Whether a fingerprint is of a low-rank adapter: it holds samples of changes, and its blocks are its base's."""
    return any(is_change(sample.packed) for sample in fingerprint.samples)


def away(adapter: Fingerprint, blocks: Iterable[Block]) -> int | None:
    """How many blocks a network has beyond those that an adapter changes; None where it hasn't all that are changed.

    None too where an adapter changes no blocks, as then its shapes tell nothing.
    """
    if not adapter.blocks:
        return None
    held = [(Counter(block.shapes), block.count) for block in blocks]
    found = 0
    for block in adapter.blocks:
        wanted = Counter(block.shapes)
        depths = [count - block.count for shapes, count in held if wanted <= shapes and count >= block.count]
        if not depths:
            return None
        found = max(found, min(depths))
    return found


def fitted(adapter: Fingerprint, models: Sequence[Model]) -> tuple[list[Fit], list[Model]]:
    """The models that an adapter could belong to, nearest in depth first, and the rest; none where it is no adapter."""
    depths = [away(adapter, model.fingerprint.blocks) if is_adapter(adapter) else None for model in models]
    fits = [Fit(model.id, model.revision, depth) for model, depth in zip(models, depths, strict=True) if depth is not None]
    return sorted(fits, key=lambda fit: fit.away), [model for model, depth in zip(models, depths, strict=True) if depth is None]


def are_of_one_kind(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether two networks of any architecture have a kind of depth block in common, of which both hold samples."""
    mine = {block.key for block in one.blocks if block.samples}
    return one.scheme == other.scheme and any(block.key in mine for block in other.blocks if block.samples)


def sharing(child: Fingerprint, models: Sequence[Model]) -> tuple[list[tuple[Model, Part]], list[Model]]:
    """The models of other architectures that clearly hold weights of the child's, those with most first; and the rest."""
    parts = [
        (model, shared_part(child, model.fingerprint) if are_of_one_kind(child, model.fingerprint) else None) for model in models
    ]
    found = [(model, part) for model, part in parts if part is not None]
    found.sort(key=lambda item: (-item[1].shared, -item[1].correlation, item[0].id))
    return found, [model for model, part in parts if part is None]


def component(model: Model, part: Part, compared: int) -> Candidate:
    """A model that shares weights with the child, as a candidate without a rank: kin by its parts, never a parent by odds."""
    p = min(1.0, p_value(part.correlation, part.null) * max(compared, 1))
    evidence = Evidence("parts", round(part.correlation, 4), part.null, float(f"{p:.3g}"), part.tensors)
    return Candidate(0, model.id, model.revision, 0.0, round(1.0 - p, 4), None, "component", (evidence,))


def fitting(fit: Fit) -> Candidate:
    """A model that an adapter could belong to, as a candidate without a rank; no weights were compared."""
    return Candidate(0, fit.id, fit.revision, 0.0, 0.0, None, "unknown", (Evidence("shapes", float(fit.away)),))


def with_parts(verdict: Verdict, child: Fingerprint, parts: Sequence[tuple[Model, Part]]) -> Verdict:
    """A verdict with what a child shares with models of other architectures, where there is nothing surer to say."""
    if not parts or verdict.kind not in {"unknown", "independent", "family"}:
        return verdict
    model, part = parts[0]
    which = f"all {part.blocks}" if part.shared >= part.blocks else f"at least {part.shared} of the {part.blocks}"
    kind = " of one kind" if len(child.blocks) > 1 else ""
    said = f"{which} of its blocks{kind} hold weights of {model.id}, which has {part.whole} such blocks"
    if verdict.kind == "family":
        return replace(verdict, summary=f"{verdict.summary} Besides, {said}.")
    return Verdict(
        "family",
        round(min(0.99, 1.0 - p_value(part.correlation, part.null)), 4),
        1.0,
        f"{said[0].upper()}{said[1:]}: one was made of parts of the other, or both of a third.",
        "Dates of upload or a declaration would tell which came first.",
    )


def fits_in_words(fits: Sequence[Fit]) -> str:
    """What an adapter could belong to, for people."""
    more = f" and {len(fits) - 1} more" if len(fits) > 1 else ""
    return f"An adapter: by the shapes that it changes it could belong to {fits[0].id}{more}, and weights alone can't tell."
