"""The parts of the page as HTML, from a trace. Pure; whatever comes from the Hub passes ``markup``."""

from __future__ import annotations

from collections.abc import Iterable

from hub_lineage.app.figures import evidence_rows, evidence_table, odds
from hub_lineage.draw import to_svg
from hub_lineage.errors import LineageError
from hub_lineage.graph import edge_label, label, parents
from hub_lineage.terminal import cost as cost_line
from hub_lineage.types import Candidate, Node, Trace
from hub_lineage.words import AGREEMENTS, ALONE, HIDDEN, kinship, markup, one_line, percent, relation

EMPTY = (
    '<div class="hl-empty"><p>Give a model to see its parents, ranked, and its ancestry.</p>'
    "<p>An ID such as <code>org/model</code>, an ID with a revision, a pasted address of its page, or a local folder.</p></div>"
)
_DETAILED = 3  # candidates whose evidence stands open in the table below the graph


def error(failure: LineageError, note: str | None = None) -> str:
    """What happened and what to do, where the answer would stand."""
    said = f'<p class="hl-note">{markup(note)}</p>' if note else ""
    hint = f"<p>{markup(failure.hint)}</p>" if failure.hint else ""
    return f'<div class="hl-error" role="alert"><h2>{markup(failure.message)}</h2>{hint}{said}</div>'


def verdict(trace: Trace, note: str | None = None) -> str:
    """The answer in a sentence, how sure it is, and what would settle it."""
    answer = trace.verdict
    lines = [f"<h2>{markup(answer.summary)}</h2>"]
    if answer.kind != "unknown":
        lines.append(f'<p class="hl-odds">{odds(answer.probability)} {_rest(trace)}</p>')
    if note:
        lines.insert(0, f'<p class="hl-note">{markup(note)}</p>')
    if answer.settle:
        lines.append(f'<p class="hl-settle"><b>What would settle it.</b> {markup(answer.settle)}</p>')
    return f'<section class="hl-verdict" data-kind="{answer.kind}">{"".join(lines)}</section>'


def _rest(trace: Trace) -> str:
    answer = trace.verdict
    sure = f"<b>{percent(answer.probability)}</b> sure of this answer"
    if answer.kind in {"parent", "one_of"}:
        sure += f"; {percent(answer.none_probability)} that the parent is none of the candidates"
    return f"<span>{sure}.</span>"


def graph(trace: Trace) -> str:
    """The ancestry as a drawing whose nodes can be chosen, with what its marks mean."""
    if not trace.graph.nodes:
        return ""
    hidden = any(node.kind == "hidden" for node in trace.graph.nodes)
    legend = ["Parents stand above their children; the stronger the line, the surer."]
    if hidden:
        legend.append("A dashed box is a place that no known model fills.")
    if any(not edge.detected for edge in trace.graph.edges):
        legend.append("A dotted line is declared only.")
    drawing = to_svg(trace.graph, trace.child.id, f"Ancestry of {trace.child.id}")
    return f'<div class="hl-drawing">{drawing}</div><p class="hl-legend">{" ".join(legend)}</p>'


def ranking(trace: Trace) -> str:
    """The candidates by rank."""
    if not trace.candidates:
        return '<h3>Candidates</h3><p class="hl-none">None: no known model can be compared with this one.</p>'
    rows = "".join(_ranked(candidate) for candidate in trace.candidates)
    head = '<tr><th class="hl-num">#</th><th>Model</th><th>Is the parent</th><th>Kinship</th><th>Relation</th></tr>'
    table = f'<table class="hl-table"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    return f'<h3>Candidates</h3><div class="hl-scroll">{table}</div>'


def _ranked(candidate: Candidate) -> str:
    name = markup(candidate.id)
    came = relation(candidate.relation) if candidate.relation else "–"
    share = f"{percent(candidate.probability)}{_before(candidate)}"
    return (
        f'<tr><td class="hl-num">{candidate.rank}</td>'
        f'<td><button type="button" class="hl-link" data-id="{name}">{name}</button></td>'
        f'<td class="hl-share">{odds(candidate.probability)}<span>{share}</span></td>'
        f"<td>{markup(kinship(candidate.kinship))}</td><td>{markup(came)}</td></tr>"
    )


def _before(candidate: Candidate) -> str:
    """What the odds were before anything was counted beside weights, where something was."""
    said = next((percent(each.value) for each in candidate.evidence if each.source == ALONE), None)
    return f' <small class="hl-expected">{said} by weights alone</small>' if said else ""


def evidence(trace: Trace) -> str:
    """The figures of the first candidates, each beside what unrelated models give."""
    shown = [candidate for candidate in trace.candidates if candidate.evidence][:_DETAILED]
    if not shown:
        return '<h3>Evidence</h3><p class="hl-none">Nothing was measured.</p>'
    groups = "".join(_group(candidate, first=candidate is shown[0]) for candidate in shown)
    return f"<h3>Evidence</h3>{groups}"


def _group(candidate: Candidate, *, first: bool) -> str:
    state = " open" if first else ""
    table = evidence_table(evidence_rows(candidate.evidence))
    return f"<details{state}><summary>{markup(candidate.id)}</summary>{table}</details>"


def declared(trace: Trace) -> str:
    """What the repository says of itself beside what the weights say."""
    said = [(d.id, relation(d.relation) if d.relation else "", d.where) for d in trace.declared]
    found = [(p.id, relation(p.relation), percent(p.probability)) for p in trace.verdict.parents]
    return (
        "<h3>Declared beside detected</h3>"
        f'<p class="hl-agreement" data-agreement="{trace.agreement}">{AGREEMENTS[trace.agreement]}</p>'
        f'<div class="hl-beside"><div><h4>Declared</h4>{_list(said, "Nothing.")}</div>'
        f"<div><h4>Detected in the weights</h4>{_list(found, 'No parent.')}</div></div>"
    )


def _list(rows: Iterable[tuple[str, ...]], otherwise: str) -> str:
    items = "".join(
        f"<li><b>{markup(name)}</b> <span>{markup(', '.join(one_line(word) for word in words if word))}</span></li>"
        for name, *words in rows
    )
    return f"<ul>{items}</ul>" if items else f"<p>{otherwise}</p>"


def cost(trace: Trace) -> str:
    """What the answer asked of time and network."""
    child = trace.child
    about = f"{child.parameters:,} weights, architecture {one_line(child.architecture)[:12]}" if child.architecture else ""
    return f'<p class="hl-cost">{markup(cost_line(trace.cost))} {markup(about)}</p>'


def find(trace: Trace, chosen: str) -> Node | None:
    """The node or candidate that the page calls by this name."""
    known = [*trace.graph.nodes, *(Node(c.id, c.revision) for c in trace.candidates)]
    return next((node for node in known if one_line(node.id, 600) == chosen), None)


def details(trace: Trace, node: Node, address: str | None) -> str:
    """Everything known of one node: kinship, odds, evidence, licence, and its page."""
    candidate = next((c for c in trace.candidates if c.id == node.id), None)
    if node.kind == "hidden":
        title = HIDDEN.capitalize()
        facts = ["No known model fills this place; the models around it need one."]
    else:
        title = label(node)
        facts = [_standing(trace, node, candidate)]
    facts += [f"From {_name(trace, e.parent)}: {edge_label(e)}." for e in parents(trace.graph).get(node.id, [])]
    if node.kind == "model":
        facts.append(f"Licence: {one_line(node.license) if node.license else 'not stated'}.")
    if node.revision:
        facts.append(f"Revision {one_line(node.revision)[:12]}.")
    items = "".join(f"<li>{markup(fact)}</li>" for fact in facts)
    page = f'<p><a href="{markup(address)}" target="_blank" rel="noopener noreferrer">Its page</a></p>' if address else ""
    table = evidence_table(evidence_rows(candidate.evidence)) if candidate and candidate.evidence else ""
    return f'<div class="hl-details" role="status"><h3>{markup(title)}</h3><ul>{items}</ul>{page}{table}</div>'


def _name(trace: Trace, name: str) -> str:
    return next((label(node) for node in trace.graph.nodes if node.id == name), one_line(name))


def _standing(trace: Trace, node: Node, candidate: Candidate | None) -> str:
    if node.id == trace.child.id:
        return "The model asked about."
    if candidate is None:
        return "Stands in the ancestry, but is not ranked among the candidates."
    return (
        f"Kinship: {kinship(candidate.kinship)}. Is the parent: {percent(candidate.probability)}; "
        f"is of the family: {percent(candidate.family_probability)}."
    )
