"""What a card links to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.errors import NetworkError
from hub_lineage.read import mentioned
from tests.simulated import Memory
from tests.strategies import OFTEN


def linked(card: str | bytes) -> tuple[str, ...]:
    return mentioned.models(Memory({"README.md": card.encode() if isinstance(card, str) else card}))


def test_links_to_models_are_found_in_their_order_each_once() -> None:
    card = """Made of [b/two](https://huggingface.co/b/two), https://hf.co/a/one. and <https://huggingface.co/b/two/tree/main>;
    not of https://huggingface.co/datasets/c/data, https://huggingface.co/docs/hub or https://example.org/x/y."""
    assert linked(card) == ("b/two", "a/one")


def test_what_is_no_id_or_too_much_is_left_out() -> None:
    assert linked("huggingface.co/a--b/c huggingface.co/-a/b huggingface.co/alone") == ()
    assert len(linked(" ".join(f"hf.co/a/m{i}" for i in range(100)))) == mentioned.MOST
    assert linked(b"x" * (mentioned.LONGEST + 1) + b" hf.co/a/one") == ()


def test_without_a_card_or_where_it_cannot_be_read_there_is_none() -> None:
    assert mentioned.models(Memory({"model.safetensors": b""})) == ()

    class Broken(Memory):
        def read(self, ranges: object) -> list[bytes]:
            raise NetworkError(f"The line is cut at {ranges}.", "Try again.")

    assert mentioned.models(Broken({"README.md": b"hf.co/a/one"})) == ()


@given(st.binary(max_size=200) | st.text().map(lambda text: f"huggingface.co/{text}".encode("utf-8", "surrogatepass")))
@OFTEN
def test_any_card_is_read(card: bytes) -> None:
    assert all(name.count("/") == 1 for name in linked(card))
