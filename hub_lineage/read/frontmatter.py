"""The YAML block on top of a README, and YAML from strangers read within bounds.

YAML can name a thing many times over: a few lines with merge keys expand to gigabytes, and deep nesting breaks parsers
written with recursion. So events are counted first, and merge keys are read as plain words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

from hub_lineage.errors import Unreadable

LONGEST: Final = 2_000_000  # characters of YAML
MOST_EVENTS: Final = 200_000
DEEPEST: Final = 60
BOM: Final = "\ufeff"
_SPACE = r"[\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]*"  # what the Hub's pages take for space
_OPENING = re.compile(rf"{_SPACE}---(?:\r\n|\r|\n)")
_CLOSING = re.compile(r"(?:\r\n|\r|\n)---[ \t]*(?:\r\n|\n|\Z)")
_EMPTY = re.compile(r"---[ \t]*(?:\r\n|\n|\Z)")
_UNREAD = frozenset({f"tag:yaml.org,2002:{word}" for word in ("merge", "value", "timestamp")})
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Plain(_LOADER):  # type: ignore[misc]  # the C loader where PyYAML was built with it
    """The safe loader without merge keys, as nothing is to grow by being named, and with dates left as words."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way of keeping them
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _UNREAD]
        for first, resolvers in _LOADER.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True, slots=True)
class Block:
    """Where the YAML of a front matter stands in its text: the characters ``start <= i < stop``; ``end`` is past its fence."""

    start: int
    stop: int
    end: int


def find(text: str) -> Block | None:
    """The front matter of a README as the Hub's pages find it; None where there is none.

    A block that is empty (one fence right after the other) counts too, though the Hub passes it over.
    """
    opening = _OPENING.match(text)
    if opening is None:
        return None
    closing = _CLOSING.search(text, opening.end())
    if closing is not None:
        return Block(opening.end(), closing.start(), closing.end())
    empty = _EMPTY.match(text, opening.end())
    return Block(opening.end(), opening.end(), empty.end()) if empty else None


def unclosed(text: str) -> bool:
    """Whether a README begins like a front matter that never ends."""
    opening = _OPENING.match(text)
    return opening is not None and find(text) is None and re.match(r"[\w-]+:(?:\s|$)", text[opening.end() :]) is not None


def metadata(text: str) -> dict[str, Any]:
    """The front matter as a mapping, empty where there is none.

    Raises:
        Unreadable: it isn't YAML, or no mapping.
    """
    block = find(text)
    data = load(text[block.start : block.stop]) if block else None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise Unreadable("The front matter of the card is no mapping of keys to values.", "Mend it on the model's page.")
    return data


def load(text: str) -> Any:
    """One YAML document as plain values, within bounds.

    Raises:
        Unreadable: it isn't YAML, or it is beyond the bounds.
    """
    _check_bounds(text)
    try:
        return yaml.load(text, Loader=_Plain)  # noqa: S506 - a safe loader, by another name
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError, AttributeError) as error:
        raise _broken(error) from error


def compose(text: str) -> Any:
    """One YAML document as PyYAML's nodes, whose marks are places in the text; None where it is empty.

    Raises:
        Unreadable: it isn't YAML, or it is beyond the bounds.
    """
    _check_bounds(text)
    try:
        return yaml.compose(text, Loader=_Plain)
    except (yaml.YAMLError, ValueError) as error:
        raise _broken(error) from error


def _check_bounds(text: str) -> None:
    if len(text) > LONGEST:
        raise Unreadable(f"The YAML is {len(text)} characters long; at most {LONGEST} are read.")
    depth = 0
    try:
        for count, event in enumerate(yaml.parse(text, Loader=_Plain)):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if count > MOST_EVENTS or depth > DEEPEST:
                raise Unreadable("The YAML has too many parts, or is nested too deeply.")
    except (yaml.YAMLError, ValueError) as error:
        raise _broken(error) from error


def _broken(error: Exception) -> Unreadable:
    mark = getattr(error, "problem_mark", None)
    where = f" in line {mark.line + 1}" if mark is not None else ""
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0] or type(error).__name__
    return Unreadable(f"The YAML is broken{where}: {problem[:120]}.", "Mend it on the model's page, and run this again.")
