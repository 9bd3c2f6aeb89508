"""The reliability diagram as a small SVG: stated odds against how often they came true."""

from __future__ import annotations

import math
from collections.abc import Mapping

from benchmarks.judgement.reliability import Odds

SIDE, MARGIN, GAP = 260, 46, 64
COLOURS = ("#3366cc", "#cc5522", "#228855", "#884499")


def reliability(panels: Mapping[str, Mapping[str, Odds]]) -> str:
    """Panels side by side, by title; in each the odds of some groups of cases, by name.

    A disc stands for the cases whose odds fall into one tenth, its area for their number: across, the mean of what was
    stated; up, the share that came true. Where odds hold, discs lie on the diagonal.
    """
    width, height = MARGIN + len(panels) * (SIDE + GAP), SIDE + 2 * MARGIN + 24
    groups = list(dict.fromkeys(group for panel in panels.values() for group in panel))
    colours = {group: COLOURS[k % len(COLOURS)] for k, group in enumerate(groups)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        "<title>Stated odds against how often they came true</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for k, (title, panel) in enumerate(panels.items()):
        parts.append(f'<g transform="translate({MARGIN + k * (SIDE + GAP)} {MARGIN})">')
        parts += _axes(title)
        for group, odds in panel.items():
            parts += _discs(odds, colours[group])
        parts.append("</g>")
    for k, group in enumerate(groups):
        left, top = MARGIN + k * 150, SIDE + 2 * MARGIN + 10
        parts.append(f'<circle cx="{left + 6}" cy="{top - 4}" r="5" fill="{colours[group]}" fill-opacity=".7"/>')
        parts.append(f'<text x="{left + 16}" y="{top}" fill="#222222">{group}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _axes(title: str) -> list[str]:
    parts = [
        f'<text x="{SIDE / 2:g}" y="-14" text-anchor="middle" font-weight="bold" fill="#222222">{title}</text>',
        f'<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="#999999"/>',
        f'<line x1="0" y1="{SIDE}" x2="{SIDE}" y2="0" stroke="#999999" stroke-dasharray="4 4"/>',
        f'<text x="{SIDE / 2:g}" y="{SIDE + 34}" text-anchor="middle" fill="#222222">stated odds</text>',
        f'<text transform="translate(-32 {SIDE / 2:g}) rotate(-90)" text-anchor="middle" fill="#222222">came true</text>',
    ]
    for tick in (0.0, 0.5, 1.0):
        at = tick * SIDE
        parts.append(f'<text x="{at:g}" y="{SIDE + 16}" text-anchor="middle" fill="#555555">{tick:g}</text>')
        parts.append(f'<text x="-6" y="{SIDE - at + 4:g}" text-anchor="end" fill="#555555">{tick:g}</text>')
    return parts


def _discs(odds: Odds, colour: str) -> list[str]:
    """A disc a bin that holds any case."""
    parts = []
    for count, stated, true in odds.bins.T:
        if count:
            across, up = stated / count * SIDE, SIDE - true / count * SIDE
            radius = 2.0 + 22.0 * math.sqrt(count / len(odds.stated))
            said = f"{count:.0f} cases: stated {stated / count:.2f}, true {true / count:.2f}"
            parts.append(
                f'<circle cx="{across:.1f}" cy="{up:.1f}" r="{radius:.1f}" fill="{colour}" fill-opacity=".6">'
                f"<title>{said}</title></circle>"
            )
    return parts
