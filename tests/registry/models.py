"""Models for the store: some from a number, the same on every machine, and some at random."""

from __future__ import annotations

import hashlib

from hypothesis import strategies as st

from hub_lineage.types import Block, Declaration, Fingerprint, Model, Sample

texts = st.text(max_size=20)
hostile = texts | st.sampled_from(["\ud800", "a\x00b", "'; DROP TABLE model; --", "\U0001f600", "../..", "%", "_"])


def numbered(number: int, *, revision: str = "r1", size: int = 4096, architecture: str = "key-a") -> Model:
    """A model whose every byte follows from the arguments; ``size`` is in bytes of bfloat16."""
    raw = hashlib.shake_128(f"{number}@{revision}".encode()).digest(size)
    return Model(
        id=f"owner/model-{number}",
        revision=revision,
        fingerprint=Fingerprint("hl1", architecture, 10 * number, (Sample((size // 4, 2), "BF16", raw, f"layer.{number}"),)),
        license="apache-2.0",
        downloads=number,
        created_at="2024-01-01T00:00:00+00:00",
        last_modified="2025-01-01T00:00:00+00:00",
        hashes=(hashlib.sha256(raw).hexdigest(),),
        declared=(Declaration(f"owner/model-{number // 2}", "finetune", "card"),),
    )


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """Bytes of any kind, NaN and infinity included, in a whole number of values."""
    dtype, width = draw(st.sampled_from([("F32", 4), ("F16", 2), ("BF16", 2), ("F64", 8), ("F8_E4M3", 1)]))
    data = draw(st.binary(min_size=width, max_size=600))
    raw = data[: len(data) // width * width]
    return Sample((len(raw) // width, 1), dtype, raw, draw(texts))


blocks = st.builds(
    Block,
    key=st.sampled_from(["k", "l", "m"]) | texts,
    count=st.integers(2, 40),
    samples=st.sampled_from([(), (0,)]),
    shapes=st.lists(st.sampled_from([(3, 4), (5, 6), (5, 6, 3, 3)]), max_size=4).map(tuple),
)

fingerprints = st.builds(
    Fingerprint,
    scheme=st.sampled_from(["hl1", "hl2"]),
    architecture=st.sampled_from(["a", "b", "c"]),
    parameters=st.integers(0, 2**60),
    samples=st.lists(samples(), min_size=1, max_size=4).map(tuple),
    vectors=st.lists(samples(), max_size=2).map(tuple),
    blocks=st.lists(blocks, max_size=3, unique_by=lambda block: block.key).map(tuple),
)

models = st.builds(
    Model,
    id=st.text(min_size=1, max_size=12) | st.sampled_from(["o/a", "o/b", "o/c"]),
    revision=st.none() | st.sampled_from(["r1", "r2"]),
    fingerprint=fingerprints,
    license=st.none() | hostile,
    downloads=st.none() | st.integers(-1, 2**70),
    created_at=st.none() | hostile,
    last_modified=st.none() | hostile,
    hashes=st.lists(hostile, max_size=3).map(tuple),
    declared=st.lists(st.builds(Declaration, hostile, st.none() | hostile, hostile), max_size=3).map(tuple),
)


def contents(model: Model) -> tuple[object, ...]:
    """All of a model, as something that can be compared."""
    print_ = model.fingerprint
    taken = [(each.shape, each.dtype, each.raw, each.label) for each in (*print_.samples, *print_.vectors)]
    facts = (model.license, model.downloads, model.created_at, model.last_modified, model.hashes, model.declared)
    return model.id, model.revision, print_.scheme, print_.architecture, print_.parameters, taken, print_.blocks, facts
