"""Keys put into a front matter as text: the parser's own marks say where, and nothing else is touched."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from hub_lineage.errors import Unreadable
from hub_lineage.read import frontmatter

Value = str | list[str]
Change = tuple[int, int, str]
"""The characters ``start <= i < stop`` are replaced by a text."""
MEND: Final = "Mend it on the model's page, and run this again."
UNSAFE: Final = "The front matter of the card is written in a way that can't be edited safely."
_COMMENTS = re.compile(r"(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))*")
_PLAIN = re.compile(r"[A-Za-z][\w.-]*(?:/[\w.-]+)?|\w[\w.-]*/\w[\w.-]*", re.ASCII)


def with_keys(text: str, wanted: Mapping[str, Value], newline: str) -> str:
    """A front matter's YAML with keys at its top level; one that is there keeps its place and gets the new value.

    Raises:
        Unreadable: it is broken, has a key twice, or is written so that a key can't go in.
    """
    root = frontmatter.compose(text)
    if root is None:
        return as_lines(wanted, newline) + text
    if not isinstance(root, yaml.MappingNode):
        raise Unreadable(UNSAFE, MEND)
    places = {key: _place(root, key) for key in wanted}
    changes = [_replacement(text, node, wanted[key], newline) for key, node in places.items() if node is not None]
    fresh = {key: value for key, value in wanted.items() if places[key] is None}
    if fresh:
        changes.append(_insertion(text, root, fresh, newline))
    for start, stop, new in sorted(changes, reverse=True):
        text = text[:start] + new + text[stop:]
    return text


def as_lines(wanted: Mapping[str, Value], newline: str, indent: str = "") -> str:
    """Keys with their values, each on lines of its own."""
    lines: list[str] = []
    for key, value in wanted.items():
        if isinstance(value, str):
            lines.append(f"{key}: {_scalar(value)}")
        else:
            lines += [f"{key}:", *(f"- {_scalar(one)}" for one in value)]
    return "".join(f"{indent}{line}{newline}" for line in lines)


def _place(root: Any, name: str) -> Any:
    """The node of a key's value; None where the key isn't there."""
    found = [(key, value) for key, value in root.value if isinstance(key, yaml.ScalarNode) and key.value == name]
    if len(found) > 1:
        raise Unreadable(f"The front matter of the card has the key {name} twice.", MEND)
    if found and found[0][1].start_mark.index < found[0][0].end_mark.index:  # an alias: its node stands elsewhere
        raise Unreadable(UNSAFE, MEND)
    return found[0][1] if found else None


def _replacement(text: str, node: Any, value: Value, newline: str) -> Change:
    """Another value in the style of the one that is there: a block of dashes stays one."""
    start = node.start_mark.index
    stop = start + len(text[start : _end(node)].rstrip())
    if isinstance(node, yaml.SequenceNode) and not node.flow_style:
        names = [value] if isinstance(value, str) else value
        indent = " " * (start - _line_start(text, start))
        return start, stop, f"{newline}{indent}".join(f"- {_scalar(name)}" for name in names)
    new = _inline(value)
    return start, stop, new if text[:start].endswith((" ", "\t", "\n", "\r")) else f" {new}"


def _insertion(text: str, root: Any, wanted: Mapping[str, Value], newline: str) -> Change:
    """New keys on top of the others, where they can't touch the end of a value."""
    if root.flow_style:
        inside = text.index("{", root.start_mark.index) + 1
        items = ", ".join(f"{key}: {_inline(value)}" for key, value in wanted.items())
        return inside, inside, items + (", " if root.value else "")
    line = _line_start(text, root.value[0][0].start_mark.index)
    indent = re.match(r" *", text[line:])
    lines = as_lines(wanted, newline, indent[0] if indent else "")
    top = 0 if _COMMENTS.fullmatch(text[:line]) else line  # above comments, which belong to the key that they precede
    return top, top, lines


def _end(node: Any) -> int:
    """Where a node's text ends: a block's own mark stands at whatever follows it, so its last part decides."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _line_start(text: str, at: int) -> int:
    return max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1


def _inline(value: Value) -> str:
    return _scalar(value) if isinstance(value, str) else f"[{', '.join(map(_scalar, value))}]"


def _scalar(word: str) -> str:
    """A word in YAML, in quotes where a parser could take it for a number, a date or nothing."""
    return word if _PLAIN.fullmatch(word) and frontmatter.load(word) == word else f'"{word}"'


def said_besides(data: Mapping[str, Any], keys: Sequence[str]) -> str:
    """All that a front matter says under other keys, as one text that can be compared."""
    return repr({key: value for key, value in data.items() if key not in keys})
