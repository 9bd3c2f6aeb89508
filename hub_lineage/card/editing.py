"""A model card edited as text: a few lines go in or are replaced, every other byte stays as it was.

YAML is never written anew: comments, order, quotes and line endings are the author's. After an edit the card is read again:
unless it says what it said before and what was added, the edit is refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hub_lineage.card.keys import MEND, UNSAFE, Value, as_lines, said_besides, with_keys
from hub_lineage.errors import Unreadable
from hub_lineage.read import frontmatter
from hub_lineage.read.frontmatter import BOM
from hub_lineage.words import one_line

BEGIN: Final = "<!-- hub-lineage:begin -->"
END: Final = "<!-- hub-lineage:end -->"
LONGEST: Final = 4_000_000
"""Bytes of a card; a longer one isn't edited."""
_BASE, _RELATION = "base_model", "base_model_relation"
_OFF = re.compile(r"<!--\s*hub-lineage:\s*off\s*-->")
_OFF_TAG = "no-hub-lineage"
_MARKERS = re.compile(rf"^(?:{re.escape(BEGIN)}|{re.escape(END)})[ \t]*(?=[\r\n]|\Z)", re.MULTILINE)
_FIGURES = re.compile(r"(?:over |under )?\d+ %")


def text_of(body: bytes) -> str:
    """A README's text; encoded again it gives the same bytes.

    Raises:
        Unreadable: it is no UTF-8, or too long.
    """
    if len(body) > LONGEST:
        raise Unreadable(f"The card is {len(body)} bytes long; at most {LONGEST} are edited.")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable("The card is not written in UTF-8.", "Save it as UTF-8, and run this again.") from error


def minimal(title: str) -> str:
    """A card for a model that has none: a title, and nothing that pretends to be known."""
    return f"# {title}\n"


def opted_out(text: str) -> str | None:
    """How a card says that it wants no lineage from here; None where it doesn't.

    Three ways count: ``hub_lineage: false`` in the front matter, the tag ``no-hub-lineage``, and the comment
    ``<!-- hub-lineage: off -->`` anywhere.
    """
    if _OFF.search(text):
        return "the comment <!-- hub-lineage: off -->"
    data = frontmatter.metadata(text)
    said, tags = data.get("hub_lineage"), data.get("tags")
    if said is False or (isinstance(said, str) and said.strip().lower() in {"off", "no", "false"}):
        return "hub_lineage: false in its front matter"
    return f"the tag {_OFF_TAG}" if _OFF_TAG in (tags if isinstance(tags, list) else [tags]) else None


def contradicts(text: str, parents: Sequence[str], relation: str) -> str | None:
    """What a card declares otherwise, in words; None where it declares nothing, or the same."""
    said = _stated(text)
    named, word = said.get(_BASE), said.get(_RELATION)
    if named is not None and not _same(named, parents):
        return f"{_BASE}: {_in_words(named)}"
    return f"{_RELATION}: {_in_words(word)}" if word is not None and word != relation else None


def edit(text: str, parents: Sequence[str], relation: str, section: str) -> str:
    """The card with its parents in the front matter and a section between its markers.

    A value that is there already and differs is replaced: ask :func:`contradicts` first. One that says the same stays as it
    is written. ``section`` is Markdown, its lines ended by a line feed; it takes on the card's line endings.

    Raises:
        Unreadable: the front matter is broken, unclosed, or written so that it can't be edited safely; the markers don't pair.
    """
    before, said = frontmatter.metadata(text), _stated(text)
    wanted: dict[str, Value] = {}
    if _BASE not in said or not _same(said[_BASE], parents):
        wanted[_BASE] = parents[0] if len(parents) == 1 else list(parents)
    if said.get(_RELATION) != relation:
        wanted[_RELATION] = relation
    done = _with_keys(text, wanted) if wanted else text
    _check(before, wanted, done)
    return _with_section(done, section)


def differs_in_figures_alone(before: str, after: str) -> bool:
    """Whether two cards say the same but for percentages, which move as more models are known: not worth a pull request."""
    return _FIGURES.sub("%", before) == _FIGURES.sub("%", after)


def diff(before: str, after: str, path: str = "README.md") -> str:
    """The change as a unified diff for people: control characters taken out, an empty text where nothing changes."""
    old, new = ([one_line(line, 2000) for line in re.split(r"\r\n|\n|\r", text)] for text in (before, after))
    return "\n".join(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm="")) if before != after else ""


def _stated(text: str) -> dict[str, Any]:
    """What a card says under the two keys, empty values left out."""
    data = frontmatter.metadata(text)
    return {key: data[key] for key in (_BASE, _RELATION) if data.get(key) not in (None, "", [])}


def _with_keys(text: str, wanted: Mapping[str, Value]) -> str:
    if frontmatter.unclosed(text):
        raise Unreadable("The front matter of the card begins with --- but never ends.", MEND)
    block, newline = frontmatter.find(text), _line_ending(text)
    if block is not None:
        return text[: block.start] + with_keys(text[block.start : block.stop], wanted, newline) + text[block.stop :]
    start = len(BOM) if text.startswith(BOM) else 0
    return f"{text[:start]}---{newline}{as_lines(wanted, newline)}---{newline}{text[start:]}"


def _check(before: Mapping[str, Any], wanted: Mapping[str, Value], text: str) -> None:
    """Refuse an edit after which the front matter would not say what it said, and what was added."""
    try:
        after = frontmatter.metadata(text)
    except Unreadable as error:
        raise Unreadable(UNSAFE, MEND) from error
    added = [after.get(_RELATION) == wanted[_RELATION]] if _RELATION in wanted else []
    added += [_same(after.get(_BASE), named if isinstance(named, list) else [named]) for named in [wanted.get(_BASE)] if named]
    if not all(added) or said_besides(after, list(wanted)) != said_besides(before, list(wanted)):
        raise Unreadable(UNSAFE, MEND)


def _with_section(text: str, section: str) -> str:
    """The text with the section between its markers: in place of what stands there, or at the end."""
    newline, block = _line_ending(text), frontmatter.find(text)
    marks = list(_MARKERS.finditer(text, block.end if block else 0))
    fresh = f"{BEGIN}\n{section.strip()}\n{END}".replace("\n", newline)
    if not marks:
        ended = text.endswith(("\n", "\r")) or not text.strip(BOM)
        return f"{text}{'' if ended else newline}{newline}{fresh}{newline}"
    if [match[0].rstrip() for match in marks] != [BEGIN, END]:
        raise Unreadable(f"The markers {BEGIN} and {END} don't stand in the card as one pair.", MEND)
    return text[: marks[0].start()] + fresh + text[marks[1].start() + len(END) :]


def _line_ending(text: str) -> str:
    """The line ending that a text uses first; a line feed where it has only one line."""
    match = re.search(r"\r\n|\n", text)
    return match[0] if match else "\n"


def _same(named: object, parents: Sequence[str]) -> bool:
    given = named if isinstance(named, list) else [named]
    return sorted(str(one).strip().casefold() for one in given) == sorted(one.casefold() for one in parents)


def _in_words(value: object) -> str:
    return ", ".join(one_line(str(one)) for one in (value if isinstance(value, list) else [value])[:5])
