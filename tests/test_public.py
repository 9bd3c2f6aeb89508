"""What is visible is what is meant to be, and the error tree is what its docstring draws."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from types import ModuleType

import pytest

from hub_lineage import errors
from hub_lineage.errors import LineageError

PACKAGES = [
    "hub_lineage",
    "hub_lineage.hub",
    "hub_lineage.read",
    "hub_lineage.registry",
    "hub_lineage.testing",
    "hub_lineage.evidence",
]


def offered(module: ModuleType) -> set[str]:
    """``__all__``, or what is imported under its own name again and what is defined in place."""
    if hasattr(module, "__all__"):
        return set(module.__all__)
    found: set[str] = set()
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names if alias.asname == alias.name}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in found if not name.startswith("_")}


@pytest.mark.parametrize("name", PACKAGES)
def test_what_is_offered_is_there_once_and_says_what_it_is(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    for word in offered(module):
        thing = getattr(module, word)
        if inspect.isfunction(thing) or inspect.isclass(thing):
            assert thing.__doc__, word


@pytest.mark.parametrize("name", ["hub_lineage", "hub_lineage.hub", "hub_lineage.registry", "hub_lineage.testing"])
def test_nothing_else_is_visible(name: str) -> None:
    module = importlib.import_module(name)
    inner = {word for word, value in vars(module).items() if isinstance(value, ModuleType)}
    visible = {word for word in vars(module) if not word.startswith("_") and word != "annotations"} - inner
    assert visible == offered(module) - inner


def drawn() -> dict[str, tuple[str, int, set[str]]]:
    """The tree in the docstring: each error's parent, exit status and codes."""
    assert errors.__doc__
    found: dict[str, tuple[str, int, set[str]]] = {"LineageError": ("Exception", 1, {"error"})}
    line: list[str] = ["LineageError"]
    for row in errors.__doc__.splitlines():
        match = re.match(r"^ {4}(?P<bars>[│ ]*)[├└]── (?P<name>\w+) +(?P<exit>\d) +(?P<codes>.+)$", row)
        if match:
            depth = len(match["bars"]) // 4 + 1
            line[depth:] = [match["name"]]
            found[match["name"]] = (line[depth - 1], int(match["exit"]), set(match["codes"].split(" | ")))
    return found


def every(kind: type[LineageError]) -> set[type[LineageError]]:
    return {kind}.union(*(every(below) for below in kind.__subclasses__()))


def test_the_tree_that_is_drawn_is_the_tree() -> None:
    for kind in every(LineageError):
        importlib.import_module(kind.__module__)
    public = {kind.__name__: kind for kind in every(LineageError) if kind.__module__ == errors.__name__}
    tree = drawn()
    assert set(tree) == set(public)
    assert len(tree) > 10
    for name, (parent, status, codes) in tree.items():
        kind = public[name]
        assert kind.__bases__[0].__name__ == parent, name
        assert kind.exit_status == status, name
        assert kind.code in codes, name
        assert kind.__doc__, name


def test_codes_are_words_and_each_is_one_error_s() -> None:
    codes = [code for _, _, codes in drawn().values() for code in codes]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)


def test_exit_statuses_are_those_that_are_documented() -> None:
    branches = {kind.__name__: kind.exit_status for kind in LineageError.__subclasses__() if kind.__module__ == errors.__name__}
    assert branches == {"UsageError": 2, "NotFound": 3, "AccessDenied": 4, "Unreadable": 5, "NetworkError": 6, "RegistryError": 7}


def test_an_error_says_what_happened_and_what_to_do() -> None:
    error = LineageError("It broke.", "Mend it.")
    assert (str(error), error.message, error.hint) == ("It broke. Mend it.", "It broke.", "Mend it.")
    assert str(LineageError("It broke.")) == "It broke."
