"""What people type and paste."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils._validators import validate_repo_id
from hypothesis import example, given
from hypothesis import strategies as st

from hub_lineage.errors import BadReference, LineageError, NotFound
from hub_lineage.hub import parse_reference
from hub_lineage.hub.reference import is_id
from hub_lineage.types import Reference


@pytest.mark.parametrize(
    ("text", "name", "revision"),
    [
        ("org/name", "org/name", None),
        ("  org/name\n", "org/name", None),
        ("gpt2", "gpt2", None),
        ("org/na.me_1-x@main", "org/na.me_1-x", "main"),
        ("org/name@refs/pr/3", "org/name", "refs/pr/3"),
        ("gpt2@0123456789abcdef0123456789abcdef01234567", "gpt2", "0123456789abcdef0123456789abcdef01234567"),
    ],
)
def test_ids_need_no_note(text: str, name: str, revision: str | None) -> None:
    assert parse_reference(text) == Reference(name, revision)


@pytest.mark.parametrize(
    ("text", "name", "revision"),
    [
        ("https://huggingface.co/org/name", "org/name", None),
        ("http://huggingface.co/org/name/", "org/name", None),
        ("HTTPS://HuggingFace.co/org/name", "org/name", None),
        ("huggingface.co/org/name", "org/name", None),
        ("https://huggingface.co/gpt2", "gpt2", None),
        ("https://huggingface.co/gpt2/tree/main", "gpt2", "main"),
        ("https://huggingface.co/org/name/tree/v1.0", "org/name", "v1.0"),
        ("https://huggingface.co/org/name/tree/refs%2Fpr%2F1", "org/name", "refs/pr/1"),
        ("https://huggingface.co/org/name/tree/refs/pr/1/folder", "org/name", "refs/pr/1"),
        ("https://huggingface.co/org/name/blob/main/config.json?x=1#L3", "org/name", "main"),
        ("https://huggingface.co/org/name/resolve/abc/model.safetensors?download=true", "org/name", "abc"),
        ("https://huggingface.co/org/name/discussions/5", "org/name", None),
        ("https://huggingface.co/org/name?library=transformers", "org/name", None),
        ("https://huggingface.co/api/models/org/name/revision/v2", "org/name", "v2"),
        ("https://hf.co/org/name#readme", "org/name", None),
        ("hf.co/org/name", "org/name", None),
        ("hf://org/name", "org/name", None),
        ("hf://models/org/name", "org/name", None),
        ("hf://org/name@v1/config.json", "org/name", "v1"),
        ("hf://org/name@refs/pr/1/config.json", "org/name", "refs/pr/1"),
        ("hf://gpt2", "gpt2", None),
    ],
)
def test_addresses_are_understood_and_said_so(text: str, name: str, revision: str | None) -> None:
    reference = parse_reference(text)
    assert (reference.id, reference.revision, reference.local) == (name, revision, False)
    assert reference.note is not None
    assert name in reference.note
    assert revision is None or revision in reference.note


def test_the_endpoint_s_own_addresses_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "http://127.0.0.1:8123/org/name/tree/main"
    with pytest.raises(BadReference):
        parse_reference(address)
    assert parse_reference(address, endpoint="http://127.0.0.1:8123/").id == "org/name"
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:8123")
    assert parse_reference(address).id == "org/name"
    assert parse_reference("127.0.0.1:8123/org/name").id == "org/name"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "org/name"),
        (" \t\n", "org/name"),
        ("org / name", "Did you mean org/name?"),
        ("org/my model", "Did you mean org/my-model?"),
        ("org/name/extra", "Did you mean org/name?"),
        ("https://huggingface.co/org/name/extra", "Did you mean org/name?"),
        ("https://huggingface.co/datasets/org/name", "Give a model"),
        ("https://huggingface.co/spaces/org/name", "Give a model"),
        ("hf://datasets/org/name", "Give a model"),
        ("https://huggingface.co/models?search=x", "org/name"),
        ("https://huggingface.co/docs/hub", "org/name"),
        ("https://huggingface.co/", "org/name"),
        ("https://huggingface.co@elsewhere.example/org/name", "HF_ENDPOINT"),
        ("https://elsewhere.example/org/name", "HF_ENDPOINT"),
        ("ftp://huggingface.co/org/name", "HF_ENDPOINT"),
        ("http://[::1", "org/name"),
        ("org/..", "org/name"),
        ("a..b", "org/name"),
        ("org/na\x00me", "org/name"),
        ("org/na\x1b[31mme", "org/name"),
        ('<a href="https://huggingface.co/org/name">', "org/name"),
        ("org/name@", "branch"),
        ("org/name@a b", "branch"),
        ("org/name@../../x", "branch"),
        ("-org/name", "org/name"),
        ("x" * 97, "org/name"),
        ("x" * 100_000, "org/name"),
    ],
)
def test_what_names_no_model_is_refused_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(BadReference) as caught:
        parse_reference(text)
    assert hint in caught.value.hint
    assert caught.value.message


def test_a_folder_is_taken_as_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    assert parse_reference("./link") == Reference("./link", local=True)
    assert parse_reference(f"{tmp_path}/link") == Reference(f"{tmp_path}/link", local=True)
    assert parse_reference("link").local
    assert "local path" in (parse_reference("link").note or "")


def test_the_home_folder_is_understood(empty_environment: Path) -> None:
    (empty_environment / "model").mkdir()
    assert parse_reference("~/model") == Reference("~/model", local=True)


@pytest.mark.parametrize("text", ["./nowhere", "/no/where", "~/nowhere", "../nowhere/x", "nowhere.safetensors", "~nobody-here/x"])
def test_a_path_to_nothing_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        parse_reference(text)


@given(st.text() | st.text(alphabet="abAB01/._-@:?#%[] \\~<>\x00é", max_size=40))
@example("\ud800")
@example("https://huggingface.co:99999/a/b")
@example("//")
@example("~\x00")
def test_nothing_but_this_package_s_errors_comes_out(text: str) -> None:
    with contextlib.suppress(LineageError):
        parse_reference(text)


@given(
    st.sampled_from(["https://huggingface.co/", "hf://", "hf.co/", "https://[", "http://huggingface.co:"]), st.text(max_size=40)
)
def test_nor_out_of_an_address(start: str, rest: str) -> None:
    with contextlib.suppress(LineageError):
        parse_reference(start + rest)


@given(st.text(alphabet="abZ09/._-", min_size=1, max_size=20) | st.from_regex(r"[\w.-]{1,50}/[\w.-]{1,50}", fullmatch=True))
def test_ids_are_what_the_client_takes_for_ids(text: str) -> None:
    try:
        validate_repo_id(text)
    except HFValidationError:
        assert not is_id(text)
    else:
        assert is_id(text)
