"""Figures as HTML: a bar for odds, and a strip that shows a figure against what unrelated models give."""

from __future__ import annotations

from collections.abc import Iterable

from hub_lineage.types import Evidence
from hub_lineage.words import ALONE, COUNTED, chance, counted, expected, figure, markup, percent, source, times

_STRIP = 120  # pixels


def odds(share: float) -> str:
    """A bar as long as a probability; the words beside it say the same, so it is hidden from screen readers."""
    return f'<span class="hl-bar" aria-hidden="true"><span style="width:{100 * min(max(share, 0.0), 1.0):.1f}%"></span></span>'


def evidence_table(rows: str) -> str:
    """Rows of evidence under their head."""
    head = "<tr><th>Figure</th><th>Value</th><th>Compare with</th><th>p</th><th>Tensors</th></tr>"
    return f'<div class="hl-scroll"><table class="hl-table hl-evidence"><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def evidence_rows(evidence: Iterable[Evidence]) -> str:
    """One row a figure."""
    return "".join(_row(each) for each in evidence)


def _row(each: Evidence) -> str:
    p = "–" if each.p_value is None else chance(each.p_value)
    return (
        f"<tr><td>{markup(source(each.source))}</td><td>{_value(each)}</td><td>{_null(each)}</td>"
        f"<td>{p}</td><td>{each.tensors or '–'}</td></tr>"
    )


def _value(each: Evidence) -> str:
    if each.source in COUNTED:
        return times(each.value)
    return percent(each.value) if each.source == ALONE else figure(each.value)


def _null(each: Evidence) -> str:
    if each.source in COUNTED:
        return f'<span class="hl-counted">{counted(each.source, each.value)}</span>'
    if each.null is None:
        return f'<span class="hl-expected">{expected(each.source) or "–"}</span>'
    said = f"{figure(each.null.mean)} ± {figure(each.null.sd)}"
    return f'{_strip(each)}<span title="{markup(f"{each.null.source}, {each.null.n} pairs")}">{said}</span>'


def _strip(each: Evidence) -> str:
    """A scale with a band of two standard deviations around the null's mean, and a dot at the value."""
    null = each.null
    if null is None:
        return ""
    low, high = null.mean - 2 * null.sd, null.mean + 2 * null.sd
    start, stop = min(0.0, low, each.value), max(1.0, high, each.value)

    def place(value: float) -> float:
        return 6 + (_STRIP - 12) * (value - start) / (stop - start)

    band = max(place(high) - place(low), 3.0)
    return (
        f'<svg class="hl-strip" width="{_STRIP}" height="14" viewBox="0 0 {_STRIP} 14" aria-hidden="true">'
        f'<line x1="6" x2="{_STRIP - 6}" y1="7" y2="7"/><rect x="{place(low):.1f}" y="2" width="{band:.1f}" height="10" rx="2"/>'
        f'<circle cx="{place(each.value):.1f}" cy="7" r="4"/></svg>'
    )
