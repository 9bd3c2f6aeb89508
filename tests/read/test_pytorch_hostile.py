"""Files of torch that lie, break off or want to run: an error in words or an inert value, little memory, nothing run."""

from __future__ import annotations

import os
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.errors import BadWeights, LineageError, NoWeights
from hub_lineage.read.index import read_index
from hub_lineage.read.pytorch import pickled as opcodes
from hub_lineage.read.pytorch import states, window, zipped
from tests.read.forged import MODEL, WRAPPED, Described, Stored, archive, assert_refused, legacy, pickled, read, real, told
from tests.simulated import Memory
from tests.strategies import OFTEN


@pytest.mark.parametrize("form", WRAPPED)
def test_the_truth_beside_the_lies_is_read(form: str) -> None:
    (tensor,) = read(WRAPPED[form](MODEL))
    assert (tensor.name, tensor.dtype, tensor.shape, tensor.stop - tensor.start) == ("weight", "F32", (2, 2), 16)


class Runs:
    """What it is pickled as calls a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.call = (function, arguments, *([] if state is None else [state]))

    def __reduce__(self) -> Any:
        return self.call


def payloads(path: Path) -> dict[str, bytes]:
    """Pickles that write a file when they are unpickled, by every opcode that can call something."""
    code = f"__import__('pathlib').Path({str(path)!r}).touch()"
    text = code.encode()
    return {
        "eval": pickle.dumps({"weight": Runs(eval, code)}, 2),
        "exec": pickle.dumps(Runs(exec, code), 2),
        "a shell": pickle.dumps([Runs(os.system, f"echo ran > {path}")], 2),
        "by a name on the stack": pickle.dumps(Runs(eval, code), 4),
        "by name": b"cbuiltins\neval\n(V" + text + b"\ntR.",
        "by an instance": b"(V" + text + b"\nibuiltins\neval\n.",
        "by an object": b"(cbuiltins\neval\nV" + text + b"\no.",
        "by map, consumed by list": b"cbuiltins\nlist\n(cbuiltins\nmap\n(cbuiltins\neval\n(V" + text + b"\nltRtR.",
        "by a class made anew": b"\x80\x02cbuiltins\nlist\ncbuiltins\nmap\ncbuiltins\neval\n(V" + text + b"\nl\x86\x81\x85R.",
    }  # fmt: skip


@pytest.mark.parametrize("form", WRAPPED)
@pytest.mark.parametrize("kind", payloads(Path("x")))
def test_nothing_ever_runs(tmp_path: Path, kind: str, form: str) -> None:
    payload = payloads(tmp_path / "ran")[kind]
    found = told(WRAPPED[form](payload))
    assert isinstance(found, LineageError)
    assert not (tmp_path / "ran").exists()
    pickle.loads(payload)  # it would have
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("form", WRAPPED)
def test_weights_beside_what_wants_to_run_are_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / "ran"
    (tensor,) = read(
        WRAPPED[form]({"hook": Runs(eval, f"__import__('pathlib').Path({str(path)!r}).touch()"), "weight": Described()})
    )
    assert tensor.name == "weight"
    assert not path.exists()


def test_a_function_of_torch_that_is_given_another_runs_nothing() -> None:
    for function in ("torch._utils\n_rebuild_parameter", "torch._tensor\n_rebuild_from_type_v2"):
        for argument in ("cbuiltins\nexit\n", "cbuiltins\nexit\n)R", "N"):
            content = f"c{function}\n({argument}NNNtR.".encode()
            assert isinstance(told(archive(content)), NoWeights)


@pytest.mark.parametrize("form", WRAPPED)
def test_a_file_that_ends_anywhere_too_early_is_refused(form: str) -> None:
    content = real(form)
    structural = {content.find(word) + i for word in (b"PK", b"data", b"version", b"storage", b"\x8a\n") for i in range(3)}
    for stop in sorted({*range(0, len(content), 5), *structural, *range(len(content) - 120, len(content))}):
        assert isinstance(told(content[:stop]), BadWeights), stop


@given(st.data())
@OFTEN
def test_a_file_with_bytes_changed_never_crashes(data: st.DataObject) -> None:
    content = bytearray(real(data.draw(st.sampled_from(sorted(WRAPPED)))))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    told(bytes(content))


@given(st.lists(st.sampled_from(sorted(b"()]}t\x85\x86\x87lda0es2uR\x81obiQ.N\x88q\x00h\x94K\x93c\nXU\x8c")), max_size=60))
@OFTEN
def test_any_opcodes_are_a_value_or_an_error(codes: list[int]) -> None:
    content = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + bytes(codes) + b"."
    for wrap in WRAPPED.values():
        assert isinstance(told(wrap(content)), LineageError)


numbers = st.sampled_from([0, 1, 2, 3, 4, 5, 16, -1, 2**31, 2**40, 2**53, 2**63, 2**70, 1.5, True, None, "4"])


@given(st.data())
@OFTEN
def test_any_words_of_a_tensor_are_checked(data: st.DataObject) -> None:
    sizes = st.lists(numbers, max_size=3).map(tuple) | numbers
    storage = st.builds(Stored, values=numbers, key=st.sampled_from(["0", "1", "", 0, None])) | numbers
    tensor = data.draw(st.builds(Described, storage, numbers, sizes, sizes))
    for wrap in WRAPPED.values():
        found = told(wrap({"weight": tensor}))
        assert isinstance(found, LineageError) or len(found) == 1


def tensor(**words: Any) -> Any:
    return {"weight": Described(**words)}


LIES: dict[str, tuple[Any, str]] = {
    "beyond its storage": (tensor(shape=(3, 2)), "beyond its storage"),
    "an offset beyond its storage": (tensor(offset=1), "beyond its storage"),
    "an offset beyond all": (tensor(offset=2**52), "beyond its storage"),
    "strides beyond its storage": (tensor(strides=(2, 2)), "beyond its storage"),
    "a huge shape": (tensor(shape=(2**52, 2**52)), "beyond its storage"),
    "a huge shape over one value": (tensor(shape=(2**40, 2), strides=(0, 0)), "more values than its storage"),
    "a negative stride": (tensor(strides=(-2, 1), offset=2), "odd shape"),
    "a negative offset": (tensor(offset=-1), "odd shape"),
    "a negative size": (tensor(shape=(-2, -2)), "odd shape"),
    "a number of 80 bits": (tensor(shape=(2**80, 2)), "odd shape"),
    "half a value": (tensor(shape=(2, 1.5)), "odd shape"),
    "truth for a number": (tensor(shape=(2, True)), "odd shape"),
    "no shape": (tensor(shape=None), "odd shape"),
    "a stride too few": (tensor(strides=(1,)), "odd shape"),
    "33 dimensions": (tensor(shape=(1,) * 33, strides=(1,) * 33), "odd shape"),
    "a storage of no size": (tensor(storage=Stored(values=None)), "odd size"),
    "a storage of negative size": (tensor(storage=Stored(values=-4)), "odd size"),
    "a storage of two sizes": ({"a": Described(), "b": Described(Stored(values=5))}, "two sizes"),
    "a storage that isn't there": (tensor(storage=Stored(key="1")), "storage"),
    "a storage elsewhere": (tensor(storage=Stored(key="../../data.pkl")), "storage"),
    "a view of a storage, beyond it": (tensor(storage=Stored(rest=(("1", 2, 4),))), "beyond its storage"),
    "an odd view of a storage": (tensor(storage=Stored(rest=(("1", -2, 4),))), "view"),
    "a name of a thousand letters": ({"x" * 1000: Described()}, "name is too long"),
    "a name that isn't Unicode": (
        b"\x80\x02}X\x03\x00\x00\x00\xed\xa0\x80" + pickled(Described())[2:-1] + b"s.",
        "isn't text",
    ),
    "a long word made often": (
        b"\x80\x04T" + b"\x40\x42\x0f\x00" + b"x" * 1_000_000 + b"q\x00h\x00\x93" + b"0h\x00h\x00\x93" * 9 + b".",
        "no word",
    ),
    "no pickle": (b"\x93\x93\x93.", "pickle"),
    "no stop": (b"]" * 50, "pickle"),
    "a stop too early": (b".", "pickle"),
    "values left over": (b"NN.", "pickle"),
    "a mark left over": (b"(N.", "pickle"),
    "an unknown opcode": (b"\xff.", "pickle"),
    "a buffer out of band": (b"\x80\x05\x97.", "pickle"),
    "a memo that isn't there": (b"h\x07.", "pickle"),
    "a memo of a million digits": (b"Np" + b"9" * 1_000_000 + b"\n.", "pickle"),
    "a memo that is negative": (b"Np-1\n.", "odd number"),
    "a memo without a value": (b"q\x00N.", "pickle"),
    "a string of 4 GB": (b"X\xff\xff\xff\xffabc.", "pickle"),
    "a string of 2^63 bytes": (b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7fabc.", "pickle"),
    "bytes of negative length": (b"T\xff\xff\xff\xffabc.", "pickle"),
    "a number of 2 GB": (b"\x8b\xff\xff\xff\x7f1.", "pickle"),
    "a number of a million digits": (b"L" + b"7" * 1_000_000 + b"L\n.", "pickle"),
    "a key without a value": (b"}(Nu.", "pickle"),
    "a name that is no word": (b"NN\x93.", "no word"),
}


@pytest.mark.parametrize("form", WRAPPED)
@pytest.mark.parametrize("lie", LIES)
def test_a_lie_in_the_pickle_is_found_out_and_said(lie: str, form: str) -> None:
    value, words = LIES[lie]
    content = WRAPPED[form](value)
    tracemalloc.start()
    assert_refused(content, words)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000 + 10 * len(content)


DEEP = 50_000
DEPTHS: dict[str, bytes] = {
    "lists": b"]" * DEEP + b"a" * (DEEP - 1) + b".",
    "tuples": b")" + b"\x85" * DEEP + b".",
    "tables": b"}U\x01a" * DEEP + b"}" + b"s" * DEEP + b".",
    "objects": b"N" + b"q\x000cx\ny\nh\x00\x85Rh\x00b" * 10_000 + b".",
    "marks": b"(" * DEEP + b"N" + b"t" * DEEP + b".",
    "pairs of one": b"N" + b"2\x86" * 10_000 + b".",
}


@pytest.mark.parametrize("form", WRAPPED)
@pytest.mark.parametrize("kind", DEPTHS)
def test_depth_takes_no_recursion(kind: str, form: str) -> None:
    assert isinstance(told(WRAPPED[form](DEPTHS[kind])), NoWeights)


HUNDRED = b"".join(b"U\x02%02dh\x63" % i for i in range(100))


def test_cycles_survive() -> None:
    weight = pickled(Described())[2:-1]
    cyclic = {
        "a list in itself": b"\x80\x02]q\x63h\x63a.",
        "a table in itself": b"\x80\x02}q\x63U\x01ah\x63sU\x06weight" + weight + b"s.",
        "an object in its own state": b"\x80\x02cx\ny\n)Rq\x63}(U\x01ah\x63U\x06weight" + weight + b"ub.",
        "a table under a hundred names": b"\x80\x02}q\x63(" + HUNDRED + b"U\x06weight" + weight + b"u.",
    }  # fmt: skip
    found = {kind: told(archive(content)) for kind, content in cyclic.items()}
    assert isinstance(found.pop("a list in itself"), NoWeights)
    for tensors in found.values():
        assert not isinstance(tensors, LineageError)
        assert [tensor.name for tensor in tensors] == ["weight"]


def test_one_value_under_very_many_names_is_gone_through_once() -> None:
    """Each table holds the one before twice: 2^60 ways to one tensor."""
    weight = pickled(Described())[2:-1]
    content = b"\x80\x02}U\x06weight" + weight + b"s" + b"q\xc80}U\x01ah\xc8sU\x01bh\xc8s" * 60 + b"."
    (tensor,) = read(archive(content))
    assert tensor.name.endswith("weight")


def test_what_very_many_names_share_is_gone_through_once() -> None:
    """As many wrappers as the table in them is long: each alone would be cheap."""
    weight = pickled(Described())[2:-1]
    names = [b"U\x05%05d" % i for i in range(30_000)]
    shared = b"}q\xc8(" + b"".join(name + b"N" for name in names) + b"U\x06weight" + weight + b"u"
    content = b"\x80\x02}U\x03one" + shared + b"s(" + b"".join(name + b"]h\xc8a" for name in names) + b"u."
    assert [tensor.name for tensor in read(archive(content))] == ["weight"]


def test_a_list_that_is_copied_very_often_takes_no_memory() -> None:
    pairs = b"](" + b"NN\x86" * 20_000 + b"e\x85q\xc8"
    content = b"\x80\x02" + pairs + b"ccollections\nOrderedDict\nq\xc90" + b"h\xc9h\xc8R0" * 10_000 + b"."
    tracemalloc.start()
    assert_refused(archive(content), "copies more than")
    assert tracemalloc.get_traced_memory()[1] < 60_000_000
    tracemalloc.stop()


def test_python_2_s_ordered_mappings_are_read() -> None:
    content = b"\x80\x02ccollections\nOrderedDict\n]]U\x06weight" + pickled(Described())[2:-1] + b"ea\x85R."
    content = content.replace(b"]]U", b"]](U")
    assert [tensor.name for tensor in read(archive(content))] == ["weight"]


def test_bounds_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcodes, "MOST_OPCODES", 50)
    assert isinstance(told(archive(MODEL)), tuple)
    assert "opcodes" in str(told(archive(b"N0" * 40 + b"N.")))
    monkeypatch.undo()
    monkeypatch.setattr(states, "MOST_TENSORS", 3)
    many = {f"{i}": Described(shape=(i, 1), strides=(1, 1)) for i in range(4)}
    assert "more than 3 tensors" in str(told(archive(many)))
    monkeypatch.setattr(zipped, "LONGEST_PICKLE", 20)
    assert "at most 20" in str(told(archive(MODEL)))


def test_a_pickle_without_end_is_not_read_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "LONGEST_PICKLE", 1_000_000)
    endless = legacy(b"N0" * 100 + b"X\xff\xff\xff\x7f" + bytes(3_000_000))
    memory = Memory({"model.pt": endless})
    with pytest.raises(BadWeights, match="pickle"):
        read_index(memory)
    assert memory.cost().bytes_read <= 1_000_000 + window.FIRST_READ
