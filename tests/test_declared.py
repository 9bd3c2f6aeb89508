"""What repositories declare, and how it stands to what was found."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.errors import NetworkError, Unreadable
from hub_lineage.hub import LocalSource
from hub_lineage.read import frontmatter
from hub_lineage.read.declared import agreement, of_card, of_files, on_hub, with_dead
from hub_lineage.read.declared.gguf import texts
from hub_lineage.read.declared.names import ELSEWHERE, LOCAL, NO_ID, understand
from hub_lineage.read.declared.reading import HEAD
from hub_lineage.types import Agreement, ByteRange, Declaration, Parent, Reference, Verdict, VerdictKind
from tests.strategies import OFTEN, json_values

A, B = Declaration("org/a", "finetune", "card: base_model"), Declaration("org/b", None, "card: base_model")

GONE, PATH = (
    Declaration("org/gone", None, "tags (not on the Hub)"),
    Declaration("./a", None, "config.json: _name_or_path (a local path)"),
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"base_model": "org/a", "base_model_relation": "finetune"}, [("org/a", "finetune")]),
        ({"base_model": ["org/a", "org/b"], "base_model_relation": "merge"}, [("org/a", "merge"), ("org/b", "merge")]),
        ({"base_model": " org/a\n"}, [("org/a", None)]),
        ({"base_model": ["org/a", "org/a", 7, None, "", "x" * 201]}, [("org/a", None)]),
        ({"base_model": "org/a", "base_model_relation": "duplicate"}, [("org/a", None)]),
        ({"base_model": "org/a", "base_model_relation": ["finetune"]}, [("org/a", None)]),
        ({"base_model": {"org/a": 1}}, []),
        ({"base_model": None}, []),
        ({}, []),
        (None, []),
        ("base_model: org/a", []),
    ],
)
def test_parents_that_a_card_names(data: Any, expected: list[tuple[str, str | None]]) -> None:
    found = of_card({"card_data": data})
    assert [(one.id, one.relation) for one in found] == expected
    assert all(one.where == "card: base_model" for one in found)


@given(json_values, json_values)
@OFTEN
def test_no_card_is_too_odd(base: Any, relation: Any) -> None:
    for card in ({"card_data": {"base_model": base, "base_model_relation": relation}}, {"card_data": base}, {}):
        assert all(isinstance(one.id, str) and one.id == one.id.strip() != "" for one in of_card(card))


def verdict(kind: VerdictKind, *parents: str) -> Verdict:
    return Verdict(kind, 0.9, 0.1, "Words.", None, tuple(Parent(name, None, "finetune", 0.9) for name in parents))


@pytest.mark.parametrize(
    ("declared", "found", "compared", "expected"),
    [
        ((), verdict("parent", "org/a"), {"org/a"}, "undeclared"),
        ((A,), verdict("parent", "org/a"), {"org/a", "org/b"}, "confirmed"),
        ((A, B), verdict("parent", "org/b"), {"org/b"}, "confirmed"),
        ((A,), verdict("one_of", "org/b", "org/a"), {"org/a", "org/b"}, "confirmed"),
        ((A,), verdict("parent", "org/b"), {"org/a", "org/b"}, "contradicted"),
        ((A,), verdict("parent", "org/b"), {"org/b"}, "unverifiable"),
        ((A,), verdict("independent"), {"org/a", "org/b"}, "contradicted"),
        ((A, B), verdict("independent"), {"org/a"}, "unverifiable"),
        ((A,), verdict("independent"), {"org/b"}, "unverifiable"),
        ((A,), verdict("family"), {"org/a"}, "unverifiable"),
        ((A,), verdict("one_of", "org/b"), {"org/a", "org/b"}, "unverifiable"),
        ((A,), verdict("unknown"), set(), "unverifiable"),
        ((A,), verdict("parent", "Org/A"), {"Org/A"}, "confirmed"),
        ((A,), verdict("independent"), {"ORG/A"}, "contradicted"),
        ((GONE,), verdict("parent", "org/b"), {"org/b"}, "unverifiable"),
        ((PATH,), verdict("independent"), {"org/b"}, "unverifiable"),
        ((A, PATH), verdict("independent"), {"org/a"}, "unverifiable"),
    ],
)
def test_what_is_declared_beside_what_was_found(
    declared: tuple[Declaration, ...], found: Verdict, compared: set[str], expected: Agreement
) -> None:
    assert agreement(declared, found, compared) == expected


@given(st.sampled_from(["parent", "one_of", "family", "independent", "unknown"]), st.sets(st.sampled_from(["org/a", "org/b"])))
@OFTEN
def test_what_was_not_compared_is_never_contradicted(kind: VerdictKind, compared: set[str]) -> None:
    named = ("org/b",) if kind in {"parent", "one_of"} else ()
    if "org/a" not in compared:
        assert agreement((A,), verdict(kind, *named), compared) == "unverifiable"


@pytest.mark.parametrize(
    ("words", "name", "mark"),
    [
        ("org/a", "org/a", None),
        ("gpt2", "gpt2", None),
        (" `org/a` ", "org/a", None),
        ("https://huggingface.co/org/a", "org/a", None),
        ("https://huggingface.co/org/a/tree/main", "org/a", None),
        ("hf.co/org/a?x=1#y", "org/a", None),
        ("hf://org/a@v1", "org/a", None),
        ("/home/ann/.cache/huggingface/hub/models--org--a-b/snapshots/0123abc", "org/a-b", None),
        ("C:\\cache\\models--org--a\\x", "org/a", None),
        ("/home/x/model", "/home/x/model", LOCAL),
        ("./out", "./out", LOCAL),
        ("../out", "../out", LOCAL),
        ("~/out", "~/out", LOCAL),
        ("C:\\models\\a", "C:\\models\\a", LOCAL),
        ("D:/models/a", "D:/models/a", LOCAL),
        ("file:///x/y", "file:///x/y", LOCAL),
        ("output", "output", LOCAL),
        ("outputs/run", "outputs/run", LOCAL),
        ("run/checkpoint-500", "run/checkpoint-500", LOCAL),
        ("a/b/c", "a/b/c", LOCAL),
        ("sd_xl_base_1.0.safetensors", "sd_xl_base_1.0.safetensors", LOCAL),
        ("https://github.com/org/a", "https://github.com/org/a", ELSEWHERE),
        ("https://huggingface.co/org/a b", "org/a", None),
        ("Llama 2 7B", "Llama 2 7B", NO_ID),
        ("org--a", "org--a", NO_ID),
    ],
)
def test_what_a_name_means(words: str, name: str, mark: str | None) -> None:
    assert understand(words) == (name, mark)


@pytest.mark.parametrize(
    "words",
    [
        *(
            "",
            "  ",
            "None",
            "null",
            "N/A",
            "[More Information Needed]",
            "<base model>",
            "{{ base_model }}",
            "path/to/model",
            "x\x00y",
        ),
        *("unknown", None, 7, ["org/a"], {"a": 1}, "x" * 201, True),
    ],
)
def test_what_names_nothing(words: object) -> None:
    assert understand(words) is None


def test_one_parent_said_in_several_places_is_one_declaration() -> None:
    card = {
        "card_data": {"base_model": "Org/A"},
        "tags": ["base_model:org/a", "base_model:adapter:org/a", "license:mit", "base_model:"],
        "config": {"_name_or_path": "./out", "peft": {"base_model_name_or_path": "org/a"}},
    }
    assert of_card(card) == (
        Declaration("Org/A", "adapter", "card: base_model; tags; adapter_config.json: base_model_name_or_path"),
        Declaration("./out", None, "config.json: _name_or_path (a local path)"),
    )


def test_two_relations_are_two_declarations() -> None:
    tags = ["base_model:org/a", "base_model:merge:org/a", "base_model:quantized:org/a"]
    assert [(one.id, one.relation) for one in of_card({"tags": tags})] == [
        ("org/a", None),
        ("org/a", "merge"),
        ("org/a", "quantized"),
    ]


def test_the_model_is_no_parent_of_its_own() -> None:
    card = {"card_data": {"base_model": ["org/Self", "org/a"]}, "config": {"_name_or_path": "org/self"}}
    assert [one.id for one in of_card(card, "org/self")] == ["org/a"]


def test_what_is_on_no_hub_is_told_apart() -> None:
    declared = of_card({"card_data": {"base_model": ["org/a", "/x/y", "https://a.b/c", "some words", "org/gone"]}})
    assert [one.id for one in on_hub(declared)] == ["org/a", "org/gone"]
    marked = with_dead(declared, {"org/gone"})
    assert [one.id for one in on_hub(marked)] == ["org/a"]
    assert marked[-1].where == "card: base_model (not on the Hub)"


def folder(place: Path, files: Mapping[str, bytes | str]) -> LocalSource:
    for name, body in files.items():
        (place / name).write_bytes(body.encode() if isinstance(body, str) else body)
    return LocalSource(Reference(str(place), local=True))


def gguf(*pairs: tuple[str, str], more: bytes = b"", count: int | None = None) -> bytes:
    def text(words: str) -> bytes:
        return struct.pack("<Q", len(words.encode())) + words.encode()

    scalar = text("general.parameters") + struct.pack("<IQ", 10, 7)
    listed = text("tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b")
    numbers = text("scores") + struct.pack("<IIQ", 9, 6, 2) + struct.pack("<ff", 0, 1)
    body = b"".join(text(key) + struct.pack("<I", 8) + text(value) for key, value in pairs)
    head = struct.pack("<4sIQQ", b"GGUF", 3, 0, len(pairs) + 3 if count is None else count)
    return head + scalar + listed + numbers + body + more


def safetensors(metadata: dict[str, str]) -> bytes:
    header = json.dumps({"__metadata__": metadata}, separators=(",", ":")).encode()
    return struct.pack("<Q", len(header)) + header


MERGE = """
slices:
- sources:
  - model: org/a
    layer_range: [0, 8]
  - model: org/b@v1+org/lora@main
base_model: {model: {path: org/root}}
merge_method: ties
"""
PROSE = "This model is a fine-tuned version of [org/a](https://huggingface.co/org/a) on the [squad](x) dataset."


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("config.json", '{"_name_or_path": "org/a"}', [("org/a", None, "config.json: _name_or_path")]),
        (
            "adapter_config.json",
            '{"base_model_name_or_path": "org/a"}',
            [("org/a", "adapter", "adapter_config.json: base_model_name_or_path")],
        ),
        (
            "mergekit_config.yml",
            MERGE,
            [(name, "merge", "mergekit_config.yml") for name in ("org/root", "org/a", "org/b", "org/lora")],
        ),
        ("README.md", f"---\nlicense: mit\n---\n{PROSE}", [("org/a", "finetune", "card: text")]),
        ("README.md", f"---\nbroken: [\n---\n{PROSE}", [("org/a", "finetune", "card: text")]),
        ("README.md", "Fine-tuned from `org/a` by hand.", [("org/a", "finetune", "card: text")]),
        ("README.md", "It was fine-tuned from scratch and fine-tuned on x/y.", []),
        ("README.md", "a fine-tuned version of [gpt2](https://huggingface.co/gpt2)", [("gpt2", "finetune", "card: text")]),
        (
            "README.md",
            "a fine-tuned version of [/data/x](https://huggingface.co//data/x)",
            [("/data/x", "finetune", "card: text (a local path)")],
        ),
        (
            "m.gguf",
            gguf(("general.base_model.0.repo_url", "https://huggingface.co/org/a")),
            [("org/a", None, "GGUF: general.base_model.0.repo_url")],
        ),
        (
            "m.gguf",
            gguf(("general.base_model.0.name", "Some Base")),
            [("Some Base", None, "GGUF: general.base_model.0.name (not an ID)")],
        ),
        ("m.safetensors", safetensors({"ss_sd_model_name": "org/a"}), [("org/a", "adapter", "safetensors: ss_sd_model_name")]),
        (
            "m.safetensors",
            safetensors({"modelspec.merged_from": "org/a, org/b"}),
            [(f"org/{x}", "merge", "safetensors: modelspec.merged_from") for x in "ab"],
        ),
        (
            "m.safetensors",
            safetensors({"lora_adapter_metadata": '{"transformer.base_model_name_or_path": "org/a"}'}),
            [("org/a", "adapter", "safetensors: lora_adapter_metadata")],
        ),
        ("m.safetensors", safetensors({"format": "pt"}), []),
    ],
)
def test_what_the_files_say(tmp_path: Path, name: str, body: bytes | str, expected: list[tuple[str, str | None, str]]) -> None:
    found = of_files(folder(tmp_path, {name: body}))
    assert sorted((one.id, one.relation, one.where) for one in found) == sorted(expected, key=str)


def test_files_and_card_are_unified(tmp_path: Path) -> None:
    files = {"README.md": f"---\nbase_model: org/a\n---\n{PROSE}", "config.json": '{"_name_or_path": "org/a"}'}
    assert of_files(folder(tmp_path, files)) == (
        Declaration("org/a", "finetune", "card: base_model; config.json: _name_or_path; card: text"),
    )


HOSTILE = [
    b"",
    b"{",
    b"[" * 100_000,
    b"\xff\xfe\x00",
    b"a: &a [*a]",
    b"9" * 10_000,
    b"---\n" + b"[" * 5000,
    b"null",
    b'{"model": 1.5}',
]


@pytest.mark.parametrize("body", HOSTILE)
@pytest.mark.parametrize(
    "name", ["config.json", "adapter_config.json", "mergekit_config.yml", "README.md", "m.gguf", "m.safetensors"]
)
def test_no_file_is_too_odd(tmp_path: Path, name: str, body: bytes) -> None:
    assert of_files(folder(tmp_path, {name: body})) == ()


def test_a_file_too_long_is_left_unread_and_weights_at_their_head(tmp_path: Path) -> None:
    source = folder(tmp_path, {"config.json": b" " * 1_000_001, "m.safetensors": b"\0" * 1_000_000})
    assert of_files(source) == ()
    assert source.cost().bytes_read == HEAD


class Unreachable(LocalSource):
    """A folder whose bytes can't be had."""

    def read(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        raise NetworkError(f"{len(ranges)} ranges can't be read.")


def test_files_that_cannot_be_read_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"_name_or_path": "org/a"}')
    assert of_files(Unreachable(Reference(str(tmp_path), local=True))) == ()


def test_aliases_and_merge_keys_do_not_grow() -> None:
    bomb = "a0: &a0 {x: y}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}, *a{i - 1}], k{i}: v}}\n" for i in range(1, 60))
    assert set(frontmatter.load(bomb)) == {f"a{i}" for i in range(60)}


@pytest.mark.parametrize("text", ["[" * 1000, "a: 1\n" * 150_000, "x" * 2_000_001])
def test_yaml_beyond_the_bounds_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        frontmatter.load(text)


@given(st.binary(max_size=200), st.integers(0, 400))
@OFTEN
def test_a_gguf_head_may_end_or_lie_anywhere(more: bytes, stop: int) -> None:
    whole = gguf(("general.name", "x"), ("general.base_model.0.name", "y"), more=more, count=2**40)
    known = texts(whole[:stop])
    assert {key: known[key] for key in ("general.name",) if key in known} in ({}, {"general.name": "x"})


@given(st.text(max_size=60))
@OFTEN
def test_any_words_are_understood_once_and_for_all(words: str) -> None:
    name = understand(words)
    if name is not None:
        assert understand(name.id) == name
