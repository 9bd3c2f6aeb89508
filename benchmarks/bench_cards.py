"""``card.bytes_kept``: 100 shapes of README are edited, and every byte that was not ours to change must stay.

The measure knows nothing of how the edit is made: it compares bytes before and after, reads both front matters with PyYAML,
and edits a second time. Beside it: the same keys set by huggingface_hub's ``ModelCard``, which writes YAML anew. The row
stands in ``benchmarks/results/hub.json``.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml
from huggingface_hub import ModelCard

from benchmarks.results_file import Figure
from hub_lineage import card
from hub_lineage.errors import Unreadable

SEED: Final = 4
SHAPES: Final = 100
PARENT: Final = "org/parent-1.5B"
RELATION: Final = "finetune"
SECTION: Final = "## Lineage\n\nFine-tuned from org/parent-1.5B (97 %).\n\n```mermaid\nflowchart TD\n```"
REPLACED = re.compile("⟦(.*?)⟧", re.DOTALL)
"""In a shape, what an edit may replace."""
LOOK_AHEAD = 24

FRONT_MATTERS: Final = {
    "none": "",
    "plain": "---\nlicense: mit\ntags:\n- a\n- b\n---\n",
    "comments": "---\n# about\nlicense: mit  # why\n\n# tags follow\ntags:  # two\n  # inside\n  - a\n  - b # last\n# end\n---\n",
    "quotes": "---\n\"license\": 'mit'\n'tags': [\"a\", 'it''s']\ntitle: \"a \\u00e9 \\\"b\\\"\"\n---\n",
    "lists": '---\nlanguage:\n    - en\n    -   de\ntags: [a,b , "c"]\ndatasets:\n- x/y\nmetrics: {a: [1, 2], b: {c: d}}\n---\n',
    "strings": "---\ndescription: |\n  one\n\n  two\nfolded: >-\n  long\n  line\nplain: goes\n  on here\n---\n",
    "string at the end": "---\nlicense: mit\ndescription: |+\n  text\n\n\n---\n",
    "duplicated keys": "---\nlicense: mit\ntags:\n- a\nlicense: apache-2.0\ntags:\n- b\n---\n",
    "anchors": "---\nbase: &b [x, y]\ntags: *b\nother: &c {k: v}\nmore: *c\n---\n",
    "braces": "---\n{license: mit, tags: [a, b]}\n---\n",
    "empty braces": "---\n{}\n---\n",
    "indented": "---\n  license: mit\n  tags:\n  - a\n---\n",
    "empty": "---\n---\n",
    "blank": "---\n\n---\n",
    "comment alone": "---\n# nothing yet\n---\n",
    "empty value": "---\nlicense: mit\nbase_model:⟦⟧ # to do\ntags: [a]\n---\n",
    "same value": "---\nbase_model:   'ORG/parent-1.5B'   # mine\nlicense: mit\n---\n",
    "same list": "---\nbase_model:\n  - org/parent-1.5B\nbase_model_relation: finetune\nlicense: mit\n---\n",
    "other value": "---\nlicense: mit\nbase_model: ⟦org/other⟧   # I think\ntags: [a]\n---\n",
    "other quoted": "---\nbase_model: ⟦\"org/other\"⟧\nbase_model_relation: ⟦'adapter'⟧ # ?\n---\n",
    "other list": "---\nbase_model:\n⟦- org/other # one\n# and\n- org/third⟧ # two\n\n# then\nlicense: mit\n---\n",
    "other indented list": "---\nbase_model:\n  ⟦- org/other\n  - org/third⟧\nlicense: mit\n---\n",
    "other flow list": "---\nbase_model: ⟦[ org/other,\n  org/third ]⟧ # two\nlicense: mit\n---\n",
    "other block string": "---\nbase_model: ⟦>-\n  org/other⟧\nlicense: mit\n---\n",
    "other in braces": "---\n{base_model: ⟦org/other⟧, license: mit}\n---\n",
    "nested": "---\nmodel-index:\n- name: m\n  results:\n  - task: {type: t}\n    metrics:\n    - type: f1\n      value: 0.5\n"
    "      base_model: inner/one\nwidget:\n- text: 'base_model: no'\n---\n",
    "alphabets": "---\ntitle: Modèle 模型 🤗\nпримечание: да\nlicense: mit\u00a0\n---\n",
    "spaces": "---\nlicense:\tmit  \ntags:   \n-   a   \n\n\n\n---   \n",
    "complex key": "---\n? [a, b]\n: c\nlicense: mit\n---\n".replace("[a, b]", "long key"),
    "odd scalars": "---\ndate: 2024-13-45\nn: 1_000\nx: 0x1f\no: 0o17\nyes: no\nnull: ~\nf: .inf\ng: 1e3\nempty:\n---\n",
    "late": "\n\n  \n---\nlicense: mit\n---\n",
    "dashes inside": "---\ntitle: a --- b\ntext: |\n  --- not the end\n  x\n---\n",
    "at the end": "---\nlicense: mit\n---",
    "tag": "---\n!!map\nlicense: !!str 1.0\n---\n",
    "rule": "---\n\nWords under a rule that is no front matter.\n\n",
}
BODIES: Final = {
    "empty": "",
    "short": "# Model\n\nSome words.\n",
    "no last line ending": "# Model\n\nSome words.",
    "blank end": "# Model\n\n\n   \n\n\n",
    "code": "# Use\n\n```python\nbase_model: x\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |  \n",
    "rules": "# One\n\n---\n\nbase_model: x\n\n---\n\n# Two\n",
    "html": '<!-- a comment -->\n<div align="center">\n\t<img src=x>\n</div>\n',
    "section": "# Model\n\n<!-- hub-lineage:begin -->⟦\nold words\n⟧<!-- hub-lineage:end -->  \n\nAfter it.\n",
    "odd characters": "# M\u2028odel\x0b\x0c\x85 \u202e\u200b\x00\x1b[31m 🤗\n",
    "lone returns": "# Model\rstill\r\rhere\n",
    "huge": "",
}
ENDINGS: Final = ("line feeds", "CRLF", "BOM", "BOM and CRLF", "mixed")
REFUSED: Final = {
    "broken": "---\nlicense: [mit\n---\n# M\n",
    "tab indent": "---\na:\n\t- b\n---\n# M\n",
    "never closed": "---\nlicense: mit\n\n# M\n",
    "a list": "---\n- a\n- b\n---\n# M\n",
    "key twice": "---\nbase_model: a/b\nbase_model: c/d\n---\n# M\n",
    "alias": "---\nx: &x org/other\nbase_model: *x\n---\n# M\n",
    "half a marker": "# M\n<!-- hub-lineage:begin -->\nwords\n",
}


@dataclass(frozen=True)
class Shape:
    name: str
    text: str  # with ⟦ ⟧ around what may be replaced

    @property
    def card(self) -> str:
        return REPLACED.sub(r"\1", self.text)

    @property
    def kept(self) -> list[bytes]:
        """The stretches that must stay, in order."""
        return [stretch.encode() for stretch in REPLACED.sub("⟦⟧", self.text).split("⟦⟧")]

    @property
    def size(self) -> int:
        """How many bytes must stay."""
        return sum(map(len, self.kept))


def shapes(count: int = SHAPES, seed: int = SEED) -> list[Shape]:
    """Front matters, bodies and line endings crossed at random, each of them at least once."""
    chance = random.Random(seed)
    made = []
    for i in range(count):
        front = list(FRONT_MATTERS)[i % len(FRONT_MATTERS)]
        body = list(BODIES)[i % len(BODIES)] if i < 2 * len(FRONT_MATTERS) else chance.choice(list(BODIES))
        ending = ENDINGS[0] if i < len(FRONT_MATTERS) else ENDINGS[1 + i % 4]
        words = _huge(chance) if body == "huge" else BODIES[body]
        joint = "\n" if front == "at the end" and words else ""
        made.append(Shape(f"{front}, {body}, {ending}", _ended(FRONT_MATTERS[front] + joint + words, ending, chance)))
    return made


def _huge(chance: random.Random) -> str:
    words = [f"w{chance.randrange(5000)}" for _ in range(150_000)]
    return "# Huge\n\n" + "\n".join(" ".join(words[i : i + 12]) for i in range(0, len(words), 12)) + "\n"


def _ended(text: str, ending: str, chance: random.Random) -> str:
    if "CRLF" in ending:
        text = re.sub(r"(?<!\r)\n", "\r\n", text)
    if ending == "mixed":
        head, *lines = text.split("\n\n")
        text = head + "".join(chance.choice(("\n\n", "\r\n\r\n")) + line for line in lines)
    return ("\ufeff" if "BOM" in ending else "") + text


def count_kept(stretches: Sequence[bytes], after: bytes) -> tuple[int, int]:
    """How many bytes of the stretches stand in ``after`` in their order, and in how many unbroken runs."""
    at = kept = runs = 0
    for stretch in stretches:
        i, broken = 0, True
        while i < len(stretch):
            if at < len(after) and stretch[i] == after[at]:
                runs += broken
                i, at, kept, broken = i + 1, at + 1, kept + 1, False
                continue
            broken = True
            found = after.find(stretch[i : i + LOOK_AHEAD], at)
            i, at = (i + 1, at) if found < 0 else (i, found)
    return kept, runs


def metadata(text: str) -> dict[str, Any]:
    """The front matter by PyYAML, with dates as words, since the client and the Hub read dates differently."""
    match = re.match(r"[\s\ufeff]*---(?:\r\n|\r|\n)([\S\s]*?)(?:\r\n|\r|\n)---[ \t]*(?:\r\n|\n|\Z)", text)
    return yaml.load(match[1], Loader=yaml.CBaseLoader) or {} if match else {}


def says_what_it_said(before: str, after: str) -> bool:
    """Whether the front matter says what it said, and the parent."""
    was, now = metadata(before), metadata(after)
    named = now.get("base_model")
    named = named if isinstance(named, list) else [named]
    ours = {"base_model", "base_model_relation"}
    same = {k: v for k, v in was.items() if k not in ours} == {k: v for k, v in now.items() if k not in ours}
    return same and [str(one).lower() for one in named] == [PARENT.lower()] and now.get("base_model_relation") == RELATION


def edited(text: str) -> str:
    """What hub-lineage makes of a card, by way of bytes."""
    return card.edit(card.text_of(text.encode()), [PARENT], RELATION, SECTION)


def by_client(text: str) -> str:
    """What the client's card makes of it."""
    known = ModelCard(text)
    data: Any = known.data
    data.base_model, data.base_model_relation = PARENT, RELATION
    return str(known)


def score(shape: Shape) -> float:
    """The share of bytes kept, 0 where the card doesn't say what it should or a second edit changes it again."""
    after = edited(shape.card)
    kept, runs = count_kept(shape.kept, after.encode())
    if runs > 6 or not says_what_it_said(shape.card, after) or edited(after) != after or SECTION.splitlines()[2] not in after:
        return 0.0
    return kept / shape.size if shape.size else 1.0


def is_refused(text: str) -> bool:
    """Whether an edit is refused in words."""
    try:
        edited(text)
    except Unreadable as error:
        return bool(error.message)
    return False


def baseline(shape: Shape) -> float:
    """The share of bytes that the client's card keeps; 0 where it fails."""
    try:
        after = by_client(shape.card)
    except Exception:  # noqa: BLE001 - whatever it is, the card is not edited
        return 0.0
    return count_kept(shape.kept, after.encode())[0] / shape.size if shape.size else 1.0


def figures() -> list[Figure]:
    """The row; what isn't kept whole is printed."""
    made = shapes()
    scores = {shape.name: score(shape) for shape in made}
    for name, value in scores.items():
        if value < 1:
            print(f"{value:.4f}  {name}")
    client = [baseline(shape) for shape in made]
    refused = sum(is_refused(text) for text in REFUSED.values())
    note = (
        f"{sum(value == 1 for value in scores.values())} of {len(scores)} shapes whole; "
        f"{refused} of {len(REFUSED)} that can't be edited safely refused; "
        f"the client keeps {sum(value == 1 for value in client)} whole"
    )
    kept, beside = sum(scores.values()) / len(scores), {"ModelCard of huggingface_hub": sum(client) / len(client)}
    return [Figure("card.bytes_kept", kept, "share", ">= 1", beside, note)]


def main() -> None:
    """Measures and prints; ``benchmarks.bench_hub`` stores the row."""
    for figure in figures():
        print(f"{figure.id}: {figure.value:.6g} {figure.bar} {dict(figure.baselines)} {figure.note}")


if __name__ == "__main__":
    main()
