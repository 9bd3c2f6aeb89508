"""A card edited as text: what must change does, every other byte stays, and what can't be edited safely is refused."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import pytest
import yaml
from hypothesis import event, given
from hypothesis import strategies as st

from benchmarks import bench_cards
from benchmarks.bench_cards import PARENT, REFUSED, RELATION, SECTION, Shape
from hub_lineage import card
from hub_lineage.errors import Unreadable
from tests.strategies import OFTEN

SHAPES = bench_cards.shapes()


@pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])
def test_every_byte_that_is_not_ours_is_kept(shape: Shape) -> None:
    assert bench_cards.score(shape) == 1


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_edited_safely_is_refused_in_words(name: str) -> None:
    with pytest.raises(Unreadable) as caught:
        bench_cards.edited(REFUSED[name])
    assert caught.value.message
    assert caught.value.hint


def test_the_measure_notices_a_byte_that_is_lost() -> None:
    shape = Shape("x", "---\nlicense: mit\n---\n# Title\n")
    assert bench_cards.count_kept(shape.kept, b"---\nlicense: mit\n---\n# Tile\n")[0] < shape.size


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# M\n", "---\nbase_model: org/p\nbase_model_relation: merge\n---\n# M\n"),
        ("", "---\nbase_model: org/p\nbase_model_relation: merge\n---\n"),
        ("\ufeff# M\r\n", "\ufeff---\r\nbase_model: org/p\r\nbase_model_relation: merge\r\n---\r\n# M\r\n"),
        ("---\n# c\na: 1\n---\n", "---\nbase_model: org/p\nbase_model_relation: merge\n# c\na: 1\n---\n"),
        ("---\nbase_model: x/y # why\n---\n", "---\nbase_model_relation: merge\nbase_model: org/p # why\n---\n"),
        (
            "---\nbase_model:\n  - x/y # 1\n  - z/w # 2\na: 1\n---\n",
            "---\nbase_model_relation: merge\nbase_model:\n  - org/p # 2\na: 1\n---\n",
        ),
        ("---\nbase_model: # to do\n---\n", "---\nbase_model_relation: merge\nbase_model: org/p # to do\n---\n"),
        ("---\n{a: 1}\n---\n", "---\n{base_model: org/p, base_model_relation: merge, a: 1}\n---\n"),
        ("---\n{}\n---\n", "---\n{base_model: org/p, base_model_relation: merge}\n---\n"),
        ("---\n? - a\n  - b\n: c\n---\n", None),
        ("---\n&x\na: 1\n---\n", "---\n&x\nbase_model: org/p\nbase_model_relation: merge\na: 1\n---\n"),
        (
            "---\nbase_model: ORG/P\nbase_model_relation: adapter\n---\n",
            "---\nbase_model: ORG/P\nbase_model_relation: merge\n---\n",
        ),
    ],
)
def test_where_the_lines_go(before: str, after: str | None) -> None:
    if after is None:  # a list as a key is no mapping of words: neither PyYAML nor the Hub takes it
        with pytest.raises(Unreadable):
            card.edit(before, ["org/p"], "merge", "words")
        return
    done = card.edit(before, ["org/p"], "merge", "words")
    assert done[: done.index(card.BEGIN)].rstrip("\r\n") == after.rstrip("\r\n")


def test_several_parents_are_a_list() -> None:
    done = card.edit("---\na: 1\n---\n", ["org/p", "org/q"], "merge", "words")
    assert done.startswith("---\nbase_model:\n- org/p\n- org/q\nbase_model_relation: merge\na: 1\n---\n")
    done = card.edit("---\nbase_model: x/y\n---\n", ["org/p", "org/q"], "merge", "words")
    assert "base_model: [org/p, org/q]\n" in done


@pytest.mark.parametrize("name", ["123", "1e5", "null", "true", "0o17", "2024-01-01", "no", "1_000", "gpt2", "3/4", "-x", "a/b"])
def test_a_name_is_a_word_whatever_it_looks_like(name: str) -> None:
    done = card.edit("", [name], "finetune", "words")
    assert bench_cards.metadata(done)["base_model"] == name
    assert yaml.safe_load(done.split("---\n")[1])["base_model"] == name


def test_the_section_is_replaced_between_its_markers() -> None:
    first = card.edit("# M\n\nWords.", ["org/p"], "finetune", "one\ntwo")
    second = card.edit(first + "\nAfter.\n", ["org/p"], "finetune", "three")
    assert first.endswith(f"Words.\n\n{card.BEGIN}\none\ntwo\n{card.END}\n")
    assert second.endswith(f"Words.\n\n{card.BEGIN}\nthree\n{card.END}\n\nAfter.\n")
    assert second.count(card.BEGIN) == second.count(card.END) == 1


@pytest.mark.parametrize(
    "body",
    [
        f"{card.END}\n{card.BEGIN}\n",
        f"{card.BEGIN}\n{card.BEGIN}\n{card.END}\n",
        f"{card.END}\n",
        f"{card.BEGIN}\n{card.END}\n" * 2,
    ],
)
def test_markers_that_do_not_pair_are_refused(body: str) -> None:
    with pytest.raises(Unreadable, match="one pair"):
        card.edit(body, ["org/p"], "finetune", "words")


def test_markers_within_words_are_words() -> None:
    text = f"Put `{card.BEGIN}` on a line.\n"
    assert card.edit(text, ["org/p"], "finetune", "words").count(card.BEGIN) == 2


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("# M\n", False),
        ("# M\n<!-- hub-lineage: off -->\n", True),
        ("<!--hub-lineage:off-->", True),
        ("---\nhub_lineage: false\n---\n", True),
        ("---\nhub_lineage: off\n---\n", True),
        ("---\nhub_lineage: 'No'\n---\n", True),
        ("---\nhub_lineage: true\n---\n", False),
        ("---\nhub_lineage:\n---\n", False),
        ("---\ntags: [a, no-hub-lineage]\n---\n", True),
        ("---\ntags: no-hub-lineage\n---\n", True),
        ("---\ntags: [hub-lineage]\n---\n", False),
        ("---\nbroken: [\n---\n<!-- hub-lineage: off -->", True),
    ],
)
def test_ways_to_opt_out(text: str, out: bool) -> None:
    assert (card.opted_out(text) is not None) is out


@pytest.mark.parametrize(
    ("front", "clash"),
    [
        ("license: mit", None),
        ("base_model:", None),
        ("base_model: []", None),
        ("base_model: org/p", None),
        ("base_model: [Org/P]", None),
        ("base_model: org/p\nbase_model_relation: finetune", None),
        ("base_model: org/q", "base_model: org/q"),
        ("base_model: [org/p, org/q]", "base_model: org/p, org/q"),
        ("base_model: {a: b}", "base_model: {'a': 'b'}"),
        ("base_model: org/p\nbase_model_relation: adapter", "base_model_relation: adapter"),
    ],
)
def test_what_a_card_declares_otherwise(front: str, clash: str | None) -> None:
    assert card.contradicts(f"---\n{front}\n---\n", ["org/p"], "finetune") == clash


def test_bytes_that_are_no_utf_8_are_refused() -> None:
    for body in ("# Modèle".encode("latin-1"), "# M".encode("utf-16"), b"x" * (card.LONGEST + 1)):
        with pytest.raises(Unreadable):
            card.text_of(body)


def test_the_diff_shows_the_change_and_no_control_characters() -> None:
    before = "# M\x1b[31m\r\n\r\nOne\u202e.\r\n"
    shown = card.diff(before, card.edit(before, ["org/p"], "finetune", "words"))
    assert "+base_model: org/p" in shown.splitlines()
    assert not [line for line in shown.splitlines() if line.startswith("-") and not line.startswith("---")]
    assert all(character.isprintable() for line in shown.splitlines() for character in line)
    assert card.diff(before, before) == ""


def test_figures_alone_are_no_news() -> None:
    assert card.differs_in_figures_alone("of 97 %, over 99 %", "of over 99 %, 93 %")
    assert not card.differs_in_figures_alone("from org/a, 97 %", "from org/b, 97 %")


KEYS = st.sampled_from(["license", "tags", "título", "a b", "x", "base_model", "base_model_relation", "model-index"])
WORDS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
)


FRONTS = st.builds(
    lambda data, flow, indent: (data, yaml.safe_dump(data, default_flow_style=flow, indent=indent, allow_unicode=True)),
    st.dictionaries(KEYS, VALUES, max_size=5),
    st.booleans(),
    st.integers(2, 5),
)


def in_common(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def only_added(before: str, after: str) -> bool:
    """Whether ``after`` is ``before`` with one stretch put in, and the section with its line endings at the end."""
    core = after[: after.rindex(card.BEGIN)]
    for ending in ("", "\n", "\n\n", "\r\n", "\r\n\r\n"):
        if core.endswith(ending):
            short = core.removesuffix(ending)
            if in_common(short, before) + in_common(short[::-1], before[::-1]) >= len(before) <= len(short):
                return True
    return False


@given(FRONTS, WORDS, st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\ufeff"]))
@OFTEN
def test_whatever_yaml_is_written_it_says_afterwards_what_it_said(
    front: tuple[dict[str, Any], str], body: str, newline: str, bom: str
) -> None:
    data, written = front
    text = bom + f"---\n{written}---\n".replace("\n", newline) + body
    try:
        done = card.edit(text, [PARENT], RELATION, SECTION)
    except Unreadable:  # it takes names for keys and values that PyYAML itself can't read again
        event("refused")
        return
    assert bench_cards.says_what_it_said(text, done)
    assert card.edit(done, [PARENT], RELATION, SECTION) == done
    if not {"base_model", "base_model_relation"} & set(data):
        assert only_added(text, done)


@given(
    st.text(max_size=200)
    | st.text(alphabet="-\n\r: ab#'\"[]{}&*|>?!\t", max_size=60).map(lambda text: f"---\n{text}\n---\n# M\n")
)
@OFTEN
def test_no_card_is_too_odd(text: str) -> None:
    try:
        done = card.edit(text, [PARENT], RELATION, SECTION)
    except Unreadable:
        event("refused")
        return
    if "base_model" not in text and card.BEGIN not in text:
        assert only_added(text, done)
    assert card.edit(done, [PARENT], RELATION, SECTION) == done
