"""Where each tensor of a model came from: as a strip chart that needs no colour to be read, and as a table.

The chart is one self-contained SVG: a cell a tensor in order of depth, coloured, hatched and lettered by origin. It names no
other host; colours follow the page's variables ``--hl-*`` where there are any, otherwise the reader's light or dark setting.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Final

from hub_lineage.derivation.nouns import Layer
from hub_lineage.layers import Layers
from hub_lineage.words import coefficient, markup, one_line, percent, short

Bold = Callable[[str], str]

PER_LINE: Final = 48
"""Cells in one line of the chart."""
MOST_ORIGINS: Final = 8
"""Models that have a colour of their own; what came from others has the last one together."""
NONE: Final = "-"
_CELL, _HEIGHT, _GAP, _MARGIN, _LINE = 16, 34, 10, 16, 20
_NAME = 52  # characters of a name in the table
_NUMBER = re.compile(r"\d+")
_FIRST = re.compile(r"embed|patch|stem|wte|wpe|tok|pos|conv1\b|conv_in", re.IGNORECASE)
# Told apart by those who see no red or no green (Okabe and Ito 2008), and light enough for dark letters on both grounds.
_COLOURS: Final = ("#56b4e9", "#e69f00", "#3fc19c", "#f0e442", "#e08a4f", "#d99bc3", "#9db7ff", "#b8bcc4")
_HATCHES: Final = (
    "",
    "M0 8 8 0",
    "M0 0 8 8",
    "M0 4H8",
    "M4 0V8",
    "M0 8 8 0M0 0 8 8",
    "M0 4H8M4 0V8",
    "M1 1h2v2h-2zM5 5h2v2h-2z",
)
_STYLE: Final = (
    ".hl-strip{color:var(--hl-ink,#1c2530);font-family:ui-sans-serif,system-ui,sans-serif;font-size:13px}"
    "@media(prefers-color-scheme:dark){.hl-strip{color:var(--hl-ink,#e8edf3)}}"
    ".hl-strip text{fill:currentColor}"
    ".hl-strip .hl-letter{fill:#1c2530;font-size:11px;font-weight:600;text-anchor:middle}"
    ".hl-strip .hl-none{fill:none;stroke:currentColor;stroke-dasharray:3 3}"
    ".hl-strip .hl-none+text{fill:currentColor}"
    ".hl-strip .hl-rim{fill:none;stroke:currentColor;stroke-opacity:.35}"
    ".hl-strip pattern path{stroke:#1c2530;stroke-opacity:.45;stroke-width:1.2;fill:none}"
)


def by_depth(rows: Sequence[Layer]) -> list[Layer]:
    """The tensors as a signal meets them: what embeds first, then by the numbers in their names, what has none last."""

    def place(item: tuple[int, Layer]) -> tuple[int, tuple[int, ...], int]:
        at, row = item
        numbers = tuple(int(number[:9]) for number in _NUMBER.findall(row.tensor))
        return (0 if _FIRST.search(row.tensor) else 1 if numbers else 2, numbers, at)

    return [row for _, row in sorted(enumerate(rows), key=place)]


def to_svg(found: Layers) -> str:
    """The strip chart; the same text for the same answer. Every cell has a title that says all that its colour says."""
    rows, letters = by_depth(found.layers), _letters(found.origins)
    title = f"Where each tensor of {found.child.id} came from"
    mark = f"hl-{hashlib.sha256(repr((title, found.layers)).encode()).hexdigest()[:8]}"
    used = sorted({_place(name, letters) for row in rows for name, _ in row.origins})
    lines = -(-len(rows) // PER_LINE)
    legend = _MARGIN + _LINE + lines * (_HEIGHT + _GAP)
    said = _legend(found, letters)
    width, height = 2 * _MARGIN + PER_LINE * _CELL, legend + _LINE * (len(said) + 1)
    box = f'viewBox="0 0 {width} {height}" style="max-width:{width}px;width:100%"'
    named = f'role="group" aria-labelledby="{mark}-title {mark}-desc"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="hl-strip" {box} {named}>',
        f'<title id="{mark}-title">{markup(title)}</title><desc id="{mark}-desc">{markup(found.summary)}</desc>',
        f"<style>{_STYLE}</style>",
        f"<defs>{''.join(_pattern(mark, place) for place in used)}</defs>",
        f'<text x="{_MARGIN}" y="{_MARGIN + 4}">{markup(short(title, 96))}</text>',
        f'<g role="list" aria-label="{len(rows)} tensors in order of depth">',
        *(_cell(row, number, letters, mark) for number, row in enumerate(rows)),
        f'</g><g role="list" aria-label="Legend" transform="translate({_MARGIN} {legend})">',
        *(_key(place, words, line, mark) for line, (place, words) in enumerate(said)),
        "</g></svg>",
    ]
    return "\n".join(parts) + "\n"


def table(found: Layers, bold: Bold = str) -> str:
    """The answer as text: the summary, a line a tensor in order of depth, then what the letters mean."""
    letters = _letters(found.origins)
    head = ("tensor", "shape", "from", "unexplained")
    rows = [
        (
            short(row.tensor, _NAME),
            " x ".join(map(str, row.shape)),
            " + ".join(_share(letters[name], share) for name, share in row.origins) or NONE,
            _rest(row),
        )
        for row in by_depth(found.layers)
    ]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    first, *rest = (
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    )
    named = [f"{letters[name]}  {one_line(name)}" for name in found.origins]
    return (
        "\n\n".join(
            part for part in (bold(one_line(found.summary, 600)), "\n".join([bold(first), *rest]), "\n".join(named)) if part
        )
        + "\n"
    )


def _letters(origins: Sequence[str]) -> dict[str, str]:
    """A letter for each model: A to Z, then A1 and so on."""
    return {name: chr(65 + i % 26) + (str(i // 26) if i >= 26 else "") for i, name in enumerate(origins)}


def _place(name: str, letters: dict[str, str]) -> int:
    return min(list(letters).index(name), MOST_ORIGINS - 1)


def _pattern(mark: str, place: int) -> str:
    return (
        f'<pattern id="{mark}-{place}" width="8" height="8" patternUnits="userSpaceOnUse">'
        f'<rect width="8" height="8" fill="{_COLOURS[place]}"/><path d="{_HATCHES[place] or "M0 0"}"/></pattern>'
    )


def _cell(row: Layer, number: int, letters: dict[str, str], mark: str) -> str:
    """One tensor: its origins side by side, as wide as their coefficients; a dashed box where it came from none of them."""
    x, y = _MARGIN + number % PER_LINE * _CELL, _MARGIN + _LINE + number // PER_LINE * (_HEIGHT + _GAP)
    words = markup(f"{row.tensor}: {_origin_in_words(row)}; {_rest(row)} unexplained")
    box = f'width="{_CELL - 1}" height="{_HEIGHT}"'
    inside = [f'<rect class="hl-none" {box}/>'] if not row.origins else []
    total = sum(abs(share) for _, share in row.origins) or 1.0
    start = 0.0
    for name, share in row.origins:
        wide = abs(share) / total * (_CELL - 1)
        fill = f"url(#{mark}-{_place(name, letters)})"
        inside.append(f'<rect x="{start:.2f}" width="{wide:.2f}" height="{_HEIGHT}" fill="{fill}"/>')
        start += wide
    if row.origins:
        inside.append(f'<rect class="hl-rim" {box}/>')
    letter = letters[max(row.origins, key=lambda one: abs(one[1]))[0]] if row.origins else NONE
    label = f'<text class="hl-letter" x="{(_CELL - 1) / 2}" y="{_HEIGHT / 2 + 4}" aria-hidden="true">{letter}</text>'
    inside = [f"<title>{words}</title>", *inside, label]
    return f'<g role="listitem" aria-label="{words}" transform="translate({x} {y})">{"".join(inside)}</g>'


def _legend(found: Layers, letters: dict[str, str]) -> list[tuple[int | None, str]]:
    """What each colour and letter means; None is the dashed box."""
    counts = {name: sum(name in dict(row.origins) for row in found.layers) for name in found.origins}
    said: list[tuple[int | None, str]] = [
        (_place(name, letters), f"{letters[name]}: {short(name, 72)}, {counts[name]} of {len(found.layers)} tensors")
        for name in found.origins
    ]
    without = sum(not row.origins for row in found.layers)
    return [*said, (None, f"{NONE}: from none of the models compared, {without} of {len(found.layers)}")] if without else said


def _key(place: int | None, words: str, line: int, mark: str) -> str:
    box = 'class="hl-none"' if place is None else f'fill="url(#{mark}-{place})"'
    text = f'<text x="22" y="11">{markup(words)}</text>'
    return f'<g role="listitem" transform="translate(0 {line * _LINE})"><rect {box} width="14" height="14"/>{text}</g>'


def _origin_in_words(row: Layer) -> str:
    if not row.origins:
        return "from none of the models compared"
    if len(row.origins) == 1 and row.origins[0][1] == 1:
        return f"from {row.origins[0][0]}"
    return "from " + " and ".join(f"{coefficient(share)} of {name}" for name, share in row.origins)


def _share(letter: str, share: float) -> str:
    return letter if share == 1 else f"{coefficient(share)} {letter}"


def _rest(row: Layer) -> str:
    """The share that its origins don't explain; rounded figures would call a tuned tensor a copy."""
    return "0 %" if row.unexplained == 0 else percent(row.unexplained)
