"""Merges: which models a child is made of, in what shares and by which method, from sampled weights value by value.

``pool`` lays them side by side, ``selection`` finds who is in a combination of whole tensors, by the least squares of
``fitting``, and ``whole`` tells which method that is; ``sparse`` finds who is in a merge that chooses coordinate by coordinate
and ``coordinates`` tells what they explain; ``answer`` puts it in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hub_lineage.derivation.matched import is_rounded
from hub_lineage.derivation.merge import answer, sparse, whole
from hub_lineage.derivation.merge.coordinates import Sparse
from hub_lineage.derivation.merge.fitting import Fit
from hub_lineage.derivation.merge.pool import Pool, pool
from hub_lineage.derivation.merge.selection import likeliest, refined
from hub_lineage.derivation.nouns import Derivation
from hub_lineage.types import Model, Null, Parent

Kind = Literal["merge", "stack", "incomplete", "copy", "source", "none", "unknown"]
_COPY = 1.3  # the mean square in units of rounding that a copy in another storage leaves at the most
_MISSING = 0.2  # of what the nearest leaves, that several models may leave where one of theirs is missing
_MISSING_KIN = 0.05  # likewise where some of them count against others, as kin do that stand for the missing one
_BEYOND = 3.0  # times that, which as many others have to leave
_PRUNED = 0.03  # of the weights, that are zero in no merge of models that were trained


@dataclass(frozen=True, eq=False)
class Attempt:
    """The best that candidates can do: ``merge`` where they explain the child, ``incomplete`` where they explain much of it.

    ``copy`` names the one model whose weights the child has; with ``source`` the child is itself a part of a
    merge that is among the candidates; with ``none`` the combination is but the nearest one, and with ``unknown`` there was
    nothing to compare.
    """

    kind: Kind
    method: str = ""
    parents: tuple[Parent, ...] = ()
    unexplained: float = 1.0
    null: Null | None = None
    derivation: Derivation | None = None
    compared: int = 0


def explain(child: Model, models: Sequence[Model]) -> Derivation | None:
    """The merge that a child is; None where candidates don't explain it to within rounding.

    A plain fine-tune, a sibling and an average that lacks one of its models leave far more than rounding does. A child
    that has every tensor from one model or another is none either: a model between two others looks the same, so that is
    told elsewhere, with the doubt that belongs to it.
    """
    found = _pooled(child, models)
    if found is None or _is_copy(found):
        return None
    likely = likeliest(found)
    if whole.holds(found, likely):
        kind, told = _solved(found, likely)
        return answer.derivation(found, told) if kind == "merge" and told.method != answer.PASSTHROUGH else None
    by_coordinates = _by_coordinates(found, likely)
    if by_coordinates is None or not sparse.explained(found, by_coordinates):
        return None
    return answer.derivation(found, answer.of_sparse(found, by_coordinates))


def attempt(child: Model, models: Sequence[Model]) -> Attempt:
    """The merge that a child is or, where candidates don't explain it, what they explain of it."""
    found = _pooled(child, models)
    if found is None:
        return Attempt("unknown")
    if _is_copy(found):
        model = found.models[int(found.distances.argmin())][0]
        parent = Parent(model.id, model.revision, "duplicate", answer.PROBABILITY, 1.0)
        return Attempt("copy", "", (parent,), 0.0, None, None, len(found))
    kind, told = _solved(found, likeliest(found))
    if kind == "merge":
        made = answer.derivation(found, told)
        return Attempt("merge", made.method, made.parents, made.unexplained, made.null, made, len(found))
    share, null = answer.unexplained(found, told), answer.other_sets(found, told)
    return Attempt(kind, told.method, answer.parents(found, told, 0.0), share, null, None, len(found))


def _pooled(child: Model, models: Sequence[Model]) -> Pool | None:
    """The pool, unless the child's weights were rounded after they were merged, so that no merge can be told from others."""
    if any(is_rounded(sample.packed) for sample in child.fingerprint.samples):
        return None
    return pool(child, [model for model in models if (model.id, model.revision) != (child.id, child.revision)])


def _is_copy(found: Pool) -> bool:
    return bool(found.distances.min() <= _COPY)


def _solved(found: Pool, likely: Fit) -> tuple[Kind, answer.Told]:
    """The merge, if there is one, and else the best combination."""
    chosen = refined(found, likely)
    described = whole.ordered(whole.describe(found, chosen))
    told = answer.of_whole(found, described)
    if whole.holds(found, described.fit):
        if whole.made_last(found, described.fit):
            return "merge", told
        return ("incomplete" if whole.is_mixture(described.fit) else "source"), told
    other = _by_coordinates(found, chosen)
    if other is not None and sparse.explained(found, other):
        return "merge", answer.of_sparse(found, other)
    if _is_part(found, described, told):
        return "incomplete", told
    if other is not None and sparse.is_trace(found, other):
        return "incomplete", answer.of_sparse(found, other)
    return "none", told


def _by_coordinates(found: Pool, likely: Fit) -> Sparse | None:
    """The merge by coordinates; none is looked for in what is pruned, which leaves marks coordinate by coordinate as well."""
    return sparse.solve(found, likely.members) if float((found.own == 0).mean()) <= _PRUNED else None


def _is_part(found: Pool, described: whole.Whole, told: answer.Told) -> bool:
    """Whether several models leave little of the child, and far less than others do, so that it is a merge of more than them."""
    share = answer.unexplained(found, told)
    most = _MISSING if whole.is_mixture(described.fit) else _MISSING_KIN
    if len(told.rows) < 2 or share > most or whole.heaviest(described.fit) > 1.0 + whole.ONE:
        return False
    return answer.other_sets(found, told).mean >= _BEYOND * share
