"""An answer as plain text for the terminal: the verdict, ranked parents, the ancestry, and what it cost.

Pure: it returns text. ``bold`` wraps the few words that stand out, where the caller's terminal can show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hub_lineage.graph import pieces, tree_lines
from hub_lineage.types import Candidate, Cost, Evidence, Graph, Phylogeny, Trace
from hub_lineage.words import (
    AGREEMENTS,
    ALONE,
    COUNTED,
    amount,
    counted,
    figure,
    kinship,
    one_line,
    percent,
    relation,
    short,
    source,
    times,
)

Bold = Callable[[str], str]
FIGURES = 2  # pieces of evidence in a row of the table
NAME = 44  # characters of an ID in the table
LEAST = 0.005  # odds of which it is told what moved them
NAMED = 6  # models that are named in a sentence


def render(trace: Trace, bold: Bold = str) -> str:
    """The whole answer, for people; it ends in a line break."""
    parts = [
        verdict(trace, bold),
        table(trace.candidates, bold),
        ancestry(trace.graph, trace.child.id, bold),
        declared(trace),
        settle(trace),
        cost(trace.cost),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict(trace: Trace, bold: Bold = str) -> str:
    """The sentence of the verdict with its odds."""
    answer = trace.verdict
    odds = percent(answer.probability)
    lines = [bold(one_line(answer.summary, 600))]
    if answer.kind != "unknown":
        lines.append(f"Probability of this answer: {odds}.")
    if answer.kind in {"parent", "one_of"}:
        lines[-1] += f" That the parent is none of the candidates: {percent(answer.none_probability)}."
    return "\n".join(lines)


def table(candidates: Sequence[Candidate], bold: Bold = str) -> str:
    """The candidates by rank, with their odds, kinship and strongest figures beside their null."""
    if not candidates:
        return ""
    head = ("#", "model", "parent", "kinship", "relation", "evidence (what unrelated models give)")
    rows = [_row(candidate) for candidate in candidates]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    first, *rest = (_line(row, widths) for row in (head, *rows))
    return "\n".join([bold(first), *rest])


def _row(candidate: Candidate) -> tuple[str, ...]:
    return (
        str(candidate.rank),
        short(candidate.id, NAME),
        percent(candidate.probability),
        kinship(candidate.kinship),
        relation(candidate.relation) if candidate.relation else "",
        ", ".join([*map(_figure, _telling(candidate.evidence)[:FIGURES]), *_counted(candidate)]),
    )


def _counted(candidate: Candidate) -> list[str]:
    """What moved a candidate's odds beside its weights, and what they were without it; nothing of who has hardly any."""
    before = next((each.value for each in candidate.evidence if each.source == ALONE), None)
    if before is None or max(before, candidate.probability) < LEAST:
        return []
    moved = [
        f"{counted(each.source, each.value)}: odds {times(each.value)}"
        for each in candidate.evidence
        if each.source in COUNTED and each.value != 1
    ]
    return [*moved, f"by weights alone {percent(before)}"]


def _line(cells: Iterable[str], widths: Sequence[int]) -> str:
    """Cells under each other; the rank to the right, the rest to the left."""
    rank, *rest = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join([rank.strip().rjust(widths[0]), *rest]).rstrip()


def _telling(evidence: Iterable[Evidence]) -> list[Evidence]:
    """The figures of weights that stand for themselves; ``correlation.median`` only adds to ``correlation``."""
    return [each for each in evidence if "." not in each.source and each.source not in {*COUNTED, ALONE}]


def _figure(evidence: Evidence) -> str:
    null = f" ({figure(evidence.null.mean)} ± {figure(evidence.null.sd)})" if evidence.null else ""
    return f"{source(evidence.source)} {figure(evidence.value)}{null}"


def ancestry(graph: Graph, focus: str, bold: Bold = str) -> str:
    """The tree of the lineage, the model asked about in bold."""
    lines = tree_lines(graph, focus)
    if not graph.edges:
        return ""
    return "\n".join([bold("Ancestry"), *(bold(line) if line.endswith("this model") else line for line in lines)])


def declared(trace: Trace) -> str:
    """What the repository says of itself, and whether the weights agree."""
    said = [f"{one_line(d.id)} ({relation(d.relation) + ', ' if d.relation else ''}{one_line(d.where)})" for d in trace.declared]
    return "\n".join([AGREEMENTS[trace.agreement], *(f"  declared: {line}" for line in said)])


def settle(trace: Trace) -> str:
    """What would settle an open answer."""
    return f"What would settle it: {one_line(trace.verdict.settle, 600)}" if trace.verdict.settle else ""


def cost(spent: Cost) -> str:
    """What the answer asked of time and network."""
    of_all = f" of {amount(spent.bytes_total)}" if spent.bytes_total else ""
    requests = f"{spent.requests} request{'' if spent.requests == 1 else 's'}"
    time = f"{spent.seconds:{'.1f' if spent.seconds >= 1 else '.2g'}} s, " if spent.seconds else ""
    return f"Cost: {time}{requests}, {amount(spent.bytes_read)} read{of_all}."


def phylogeny(found: Phylogeny, bold: Bold = str) -> str:
    """Whole families for people: what there is, a tree for each family, what stands outside; it ends in a line break."""
    parts = [bold(headline(found)), *_trees(found, bold)]
    if found.graph.edges:
        parts.append("A figure is the odds of that parent; below an unknown model, that none of these models is the parent.")
    outside = [short(name, NAME) for name in found.outside]
    if outside:
        more = f" and {len(outside) - NAMED} more" if len(outside) > NAMED else ""
        parts.append(f"Compared, and not of the family: {', '.join(outside[:NAMED])}{more}.")
    parts += [f"Could not be read: {short(one.id, NAME)}. {one_line(one.message)}" for one in found.unread]
    return "\n\n".join([*parts, cost(found.cost)]) + "\n"


def headline(found: Phylogeny) -> str:
    """How many models, families and models without kin there are."""
    families = len({one.family for one in found.models if one.family is not None})
    alone = sum(one.family is None for one in found.models)
    if found.model is not None:
        name, kin = short(found.model, NAME), len(found.models) - 1
        return f"{name} has {_count(kin, 'relative')} among the models known here." if kin else f"{name} has no known relatives."
    of_several = len({one.architecture for one in found.models})
    said = f"{_count(len(found.models), 'model')}: {_count(families, 'family', 'families')}"
    said += f" and {_count(alone, 'model')} without kin here" if alone else ""
    return f"{said}, of {of_several} architectures." if of_several > 1 else f"{said}."


def _trees(found: Phylogeny, bold: Bold) -> list[str]:
    """The trees of each architecture under its name, where there are several."""
    architecture = {one.id: one.architecture for one in found.models}
    groups: dict[str, list[str]] = {}
    for piece in pieces(found.graph):
        key = next(architecture[node.id] for node in piece.nodes if node.kind == "model")
        groups.setdefault(key, []).extend(tree_lines(piece, found.model, siblings=len(piece.nodes)))
    marked = {key: [bold(line) if line.endswith("this model") else line for line in lines] for key, lines in groups.items()}
    heads = {key: [bold(f"Architecture {one_line(key)[:12]}")] if len(groups) > 1 else [] for key in groups}
    return ["\n".join([*heads[key], *lines]) for key, lines in marked.items()]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"
