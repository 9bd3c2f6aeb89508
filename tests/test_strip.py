"""The strip chart and the table: everything that colour says is said in words, whatever names hold, in any number."""

from __future__ import annotations

import xml.etree.ElementTree as ET  # the text is our own
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage import strip
from hub_lineage.derivation.nouns import Layer
from hub_lineage.layers import Layers, origins
from hub_lineage.types import Child, Cost

SVG = "{http://www.w3.org/2000/svg}"
ROWS = (
    Layer("model.layers.10.mlp.weight", (8, 4), (("org/b", 1.0),), 0.02),
    Layer("model.layers.2.mlp.weight", (8, 4), (("org/a", 1.0),), 0.0),
    Layer("neck.weight", (8, 4), (), 1.0),
    Layer("model.embed.weight", (8, 4), (("org/a", 0.6), ("org/b", 0.4)), 0.001),
)


def answer(rows: tuple[Layer, ...] = ROWS, summary: str = "Put together.") -> Layers:
    return Layers(Child("org/child", None, "key", 10), rows, origins(rows), None, summary, Cost())


def cells(found: Layers) -> list[ET.Element]:
    first, _ = (group for group in ET.fromstring(strip.to_svg(found)).iter(f"{SVG}g") if group.get("role") == "list")
    return list(first)


def test_tensors_stand_in_order_of_depth() -> None:
    order = ["model.embed.weight", "model.layers.2.mlp.weight", "model.layers.10.mlp.weight", "neck.weight"]
    assert [row.tensor for row in strip.by_depth(ROWS)] == order
    assert [(cell.get("aria-label") or "").partition(":")[0] for cell in cells(answer())] == order


def test_each_cell_says_in_words_what_its_colour_says() -> None:
    titles = [cell.findtext(f"{SVG}title") for cell in cells(answer())]
    assert titles == [
        "model.embed.weight: from .6 of org/a and .4 of org/b; under 1 % unexplained",
        "model.layers.2.mlp.weight: from org/a; 0 % unexplained",
        "model.layers.10.mlp.weight: from org/b; 2 % unexplained",
        "neck.weight: from none of the models compared; 100 % unexplained",
    ]
    assert [cell.findtext(f"{SVG}text") for cell in cells(answer())] == ["A", "A", "B", "-"]


def test_a_merged_tensor_is_split_by_its_coefficients() -> None:
    wide = [float(part.get("width", "0")) for part in cells(answer())[0].iter(f"{SVG}rect") if part.get("fill")]
    assert wide[0] / sum(wide) == pytest.approx(0.6, abs=0.01)


def test_every_pattern_that_is_used_is_there_and_no_two_are_alike() -> None:
    rows = tuple(replace(ROWS[0], tensor=f"layers.{i}.weight", origins=((f"org/{i:02}", 1.0),)) for i in range(12))
    drawn = strip.to_svg(answer(rows))
    tree = ET.fromstring(drawn)
    patterns = {
        one.get("id"): ET.tostring(one).replace((one.get("id") or "").encode(), b"") for one in tree.iter(f"{SVG}pattern")
    }
    assert len(set(patterns.values())) == len(patterns) == strip.MOST_ORIGINS
    used = {fill[5:-1] for one in tree.iter() if (fill := one.get("fill", "")).startswith("url(#")}
    assert used == set(patterns)
    assert "L: org/11, 1 of 12 tensors" in drawn


def test_light_and_dark_are_the_readers_own() -> None:
    drawn = strip.to_svg(answer())
    assert "prefers-color-scheme:dark" in drawn
    assert "currentColor" in drawn
    assert drawn.count("http") == 1  # the namespace alone: nothing is loaded


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@given(
    named=st.tuples(names, names),
    share=st.floats(-2, 2, allow_nan=False),
    left=st.floats(0, 1),
    count=st.integers(0, 60),
    summary=names,
)
def test_whatever_names_hold_the_chart_is_well_formed(
    named: tuple[str, str], share: float, left: float, count: int, summary: str
) -> None:
    tensor, origin = named
    rows = tuple(Layer(f"{tensor}{i}", (2, 2), ((f"{origin}{i % 40}", share),), left) for i in range(count))
    found = answer(rows, summary)
    drawn = strip.to_svg(found)
    assert drawn == strip.to_svg(found)
    assert len(cells(found)) == count
    box = ET.fromstring(drawn).get("viewBox", "").split()
    for cell in cells(found):
        x, y = (float(number) for number in (cell.get("transform") or "")[10:-1].split())
        assert 0 <= x < float(box[2])
        assert 0 <= y < float(box[3])
    assert strip.table(found).count("\n") == strip.table(answer(rows, "s")).count("\n")


def test_the_table_says_the_same() -> None:
    assert strip.table(answer()) == (
        "Put together.\n"
        "\n"
        "tensor                      shape  from         unexplained\n"
        "model.embed.weight          8 x 4  .6 A + .4 B  under 1 %\n"
        "model.layers.2.mlp.weight   8 x 4  A            0 %\n"
        "model.layers.10.mlp.weight  8 x 4  B            2 %\n"
        "neck.weight                 8 x 4  -            100 %\n"
        "\n"
        "A  org/a\n"
        "B  org/b\n"
    )
