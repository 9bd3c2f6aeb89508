"""What belongs to a body and what its key depends on, told on the shapes of real architectures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.read.packed import unpacked
from hub_lineage.tensors import architecture_key, block_keys, body, changed_by_adapter, vectors
from hub_lineage.types import Block, Tensor
from tests.simulated import Memory
from tests.strategies import OFTEN, names

Shapes = Mapping[str, tuple[int, ...]]


def tensors(shapes: Shapes, dtype: str = "F32") -> list[Tensor]:
    return [Tensor(name, dtype, shape, "model.safetensors", 0, 0) for name, shape in shapes.items()]


def key(shapes: Shapes) -> str:
    return architecture_key(body(tensors(shapes)))


def llama(vocabulary: int = 32_000, head: int | None = None, layers: int = 3, inner: int = 1376) -> dict[str, tuple[int, ...]]:
    """Grouped-query attention: keys and values are narrower than the model."""
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, 512)}
    for i in range(layers):
        block = f"model.layers.{i}"
        shapes |= {
            f"{block}.input_layernorm.weight": (512,),
            f"{block}.self_attn.q_proj.weight": (512, 512),
            f"{block}.self_attn.k_proj.weight": (96, 512),
            f"{block}.self_attn.v_proj.weight": (96, 512),
            f"{block}.self_attn.o_proj.weight": (512, 512),
            f"{block}.mlp.gate_proj.weight": (inner, 512),
            f"{block}.mlp.up_proj.weight": (inner, 512),
            f"{block}.mlp.down_proj.weight": (512, inner),
        }
    return shapes | {"model.norm.weight": (512,), "lm_head.weight": (head or vocabulary, 512)}


def resnet(vocabulary: int = 0, head: int = 1000, widths: Sequence[int] = (64, 128, 256)) -> dict[str, tuple[int, ...]]:
    """Bottleneck blocks with convolutions of 1 x 1."""
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7), "bn1.weight": (64,)}
    before = 64
    for stage, width in enumerate(widths):
        for block in range(2):
            name = f"layer{stage}.{block}"
            shapes |= {
                f"{name}.conv1.weight": (width, before, 1, 1),
                f"{name}.conv2.weight": (width, width, 3, 3),
                f"{name}.conv3.weight": (4 * width, width, 1, 1),
                f"{name}.bn3.running_mean": (4 * width,),
                f"{name}.bn3.num_batches_tracked": (),
            }
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (4 * width, before, 1, 1)
            before = 4 * width
    return shapes | {"fc.weight": (head, before), "fc.bias": (head,)}


def vit(vocabulary: int = 197, head: int = 1000, layers: int = 3, inner: int = 768) -> dict[str, tuple[int, ...]]:
    """Fused query, key and value; tables of positions and of the class."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, 192),
        "pos_embed": (1, vocabulary, 192),
        "patch_embed.proj.weight": (192, 3, 16, 16),
    }
    for i in range(layers):
        shapes |= {
            f"blocks.{i}.norm1.weight": (192,),
            f"blocks.{i}.attn.qkv.weight": (576, 192),
            f"blocks.{i}.attn.proj.weight": (192, 192),
            f"blocks.{i}.mlp.fc1.weight": (inner, 192),
            f"blocks.{i}.mlp.fc2.weight": (192, inner),
        }
    return shapes | {"head.weight": (head, 192)}


def gpt2(vocabulary: int = 50_257, head: int = 50_257, layers: int = 3, inner: int = 3072) -> dict[str, tuple[int, ...]]:
    """Matrices transposed, query, key and value fused."""
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (vocabulary, 768), "wpe.weight": (1024, 768)}
    for i in range(layers):
        shapes |= {
            f"h.{i}.ln_1.weight": (768,),
            f"h.{i}.attn.c_attn.weight": (768, 2304),
            f"h.{i}.attn.c_proj.weight": (768, 768),
            f"h.{i}.mlp.c_fc.weight": (768, inner),
            f"h.{i}.mlp.c_proj.weight": (inner, 768),
        }
    return shapes | {"lm_head.weight": (head, 768)}


def mlp(vocabulary: int = 0, head: int = 10, widths: Sequence[int] = (300, 100)) -> dict[str, tuple[int, ...]]:
    sizes = [784, *widths, head]
    return {f"{i}.weight": (after, before) for i, (before, after) in enumerate(pairwise(sizes))}


KINDS: dict[str, tuple[Callable[..., dict[str, tuple[int, ...]]], set[str]]] = {
    "llama": (llama, {"model.embed_tokens.weight", "lm_head.weight"}),
    "resnet": (resnet, {"fc.weight"}),
    "vit": (vit, {"cls_token", "pos_embed", "head.weight"}),
    "gpt2": (gpt2, {"wte.weight", "wpe.weight", "lm_head.weight"}),
    "mlp": (mlp, {"2.weight"}),
}
kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_head_and_vocabulary_are_left_out_and_nothing_else(kind: str) -> None:
    build, outside = KINDS[kind]
    shapes = build()
    matrices = {name for name, shape in shapes.items() if len(shape) > 1}
    assert {tensor.name for tensor in body(tensors(shapes))} == matrices - outside


@kinds
@given(st.data())
@OFTEN
def test_no_name_and_no_order_changes_the_body_or_its_key(kind: str, data: st.DataObject) -> None:
    shapes = KINDS[kind][0]()
    given_names = data.draw(st.lists(names, min_size=len(shapes), max_size=len(shapes), unique=True))
    renamed = dict(zip(given_names, data.draw(st.permutations(list(shapes.values()))), strict=True))
    assert sorted(t.shape for t in body(tensors(renamed))) == sorted(t.shape for t in body(tensors(shapes)))
    assert key(renamed) == key(shapes)


@kinds
@given(head=st.integers(1, 200).map(lambda n: 2 * n + 6001), vocabulary=st.integers(1, 200).map(lambda n: 2 * n + 7001))
@OFTEN
def test_another_head_and_vocabulary_leave_the_key(kind: str, head: int, vocabulary: int) -> None:
    build = KINDS[kind][0]
    assert key(build(vocabulary, head)) == key(build())


@kinds
@pytest.mark.parametrize("head", [1, 2, 3, 10, 37, 101, 1000])
def test_small_heads_leave_the_key(kind: str, head: int) -> None:
    assert key(KINDS[kind][0](head=head)) == key(KINDS[kind][0]())


@kinds
@given(st.data())
@OFTEN
def test_another_shape_in_the_body_changes_the_key(kind: str, data: st.DataObject) -> None:
    shapes = KINDS[kind][0]()
    name = data.draw(st.sampled_from(sorted(t.name for t in body(tensors(shapes)))))
    place = data.draw(st.integers(0, len(shapes[name]) - 1))
    changed = {**shapes, name: tuple(size + (i == place) for i, size in enumerate(shapes[name]))}
    assert key(changed) != key(shapes)
    assert key({other: shape for other, shape in shapes.items() if other != name}) != key(shapes)


def test_width_and_depth_change_the_key() -> None:
    found = [
        llama(),
        llama(layers=4),
        llama(inner=1380),
        vit(),
        vit(layers=4),
        vit(inner=384),
        gpt2(),
        gpt2(layers=2),
        resnet(),
        mlp(),
    ]
    assert len({key(shapes) for shapes in found}) == len(found)


def test_the_key_stays_what_it_was() -> None:
    assert {kind: key(build()) for kind, (build, _) in KINDS.items()} == {
        "llama": "613cd602d27f26b6",
        "resnet": "bcc674ca3826bbdb",
        "vit": "7a9aa8ac3f7b6d4f",
        "gpt2": "ec82a8eb73f72331",
        "mlp": "60db97d8053ca82a",
    }


@pytest.mark.parametrize("shapes", [{}, {"scale": ()}, {"scale": (), "bias": (7,), "row": (1, 9), "none": (0, 4)}])
def test_scalars_alone_make_no_body(shapes: dict[str, tuple[int, ...]]) -> None:
    assert body(tensors(shapes)) == ()


def test_whole_numbers_are_no_weights() -> None:
    assert body(tensors(llama(), dtype="I8")) == ()
    assert len(body(tensors(llama(), dtype="F8_E4M3"))) == len(body(tensors(llama())))


@pytest.mark.parametrize("layers", [1, 2])
def test_a_fused_projection_belongs_to_a_shallow_body(layers: int) -> None:
    assert sum("qkv" in t.name for t in body(tensors(vit(layers=layers)))) == layers


def test_a_model_of_one_matrix_is_its_own_body() -> None:
    assert [t.name for t in body(tensors({"weight": (10, 784), "bias": (10,)}))] == ["weight"]


def test_order_follows_blocks_then_roles() -> None:
    found = [t.name for t in body(tensors({f"h.{name}.weight": (8, 8) for name in ("10.v", "10.q", "9.k", "9.o", "9.q", "x.b")}))]
    assert found == ["h.x.b.weight", "h.9.k.weight", "h.9.o.weight", "h.9.q.weight", "h.10.q.weight", "h.10.v.weight"]


def blocks(shapes: Shapes) -> list[Block]:
    return list(block_keys(body(tensors(shapes))))


def bert(vocabulary: int = 30_522, head: int = 2, layers: int = 3, inner: int = 3072) -> dict[str, tuple[int, ...]]:
    """A pooler beside the blocks has their commonest shape."""
    shapes: dict[str, tuple[int, ...]] = {"embeddings.word.weight": (vocabulary, 768), "pooler.dense.weight": (768, 768)}
    for i in range(layers):
        block = f"encoder.layer.{i}"
        shapes |= {f"{block}.attention.{part}.weight": (768, 768) for part in ("query", "key", "value", "output")}
        shapes |= {f"{block}.intermediate.weight": (inner, 768), f"{block}.output.weight": (768, inner)}
    return shapes | {"classifier.weight": (head, 768)}


STACKS = {"llama": llama, "vit": vit, "gpt2": gpt2, "bert": bert}
stacks = pytest.mark.parametrize("kind", STACKS)


@stacks
@given(st.data())
@OFTEN
def test_a_stack_has_one_block_key_whatever_its_depth_and_names(kind: str, data: st.DataObject) -> None:
    layers = data.draw(st.integers(3, 30))
    (whole,) = blocks(STACKS[kind](layers=layers))
    shapes = STACKS[kind](layers=data.draw(st.integers(3, 30)))
    prefix = data.draw(st.sampled_from(["", "vision_tower.", "qwen2.model."]))
    (cut,) = blocks({prefix + name: shape for name, shape in shapes.items()})
    plain = st.text("abcdefgh.", min_size=9, max_size=9) | st.integers(0, 10**9).map("layers.{}".format)
    named = data.draw(st.lists(plain, min_size=len(shapes), max_size=len(shapes), unique=True))
    (nameless,) = blocks(dict(zip(named, data.draw(st.permutations(list(shapes.values()))), strict=True)))
    assert whole.count == layers
    assert whole.key == cut.key == nameless.key
    assert cut.count == nameless.count


@stacks
def test_a_block_holds_its_tensors_alone(kind: str) -> None:
    shapes = STACKS[kind](layers=5)
    weights = body(tensors(shapes))
    (block,) = block_keys(weights)
    inside = {name for name, shape in shapes.items() if len(shape) > 1 and any(f".{i}." in name for i in range(5))}
    assert {weights[i].name for i in block.samples} == inside


def test_blocks_of_other_shapes_have_other_keys() -> None:
    stacked = [llama(), llama(inner=1380), vit(), vit(inner=384), gpt2(), bert()]
    assert len({block.key for shapes in stacked for block in blocks(shapes)}) == len(stacked)


def test_a_tower_in_a_larger_model_keeps_its_key_beside_the_other() -> None:
    whole = {f"language_model.{name}": shape for name, shape in llama(layers=12).items()}
    whole |= {f"vision_tower.vision_model.{name}": shape for name, shape in vit(layers=7).items()}
    whole |= {"projector.0.weight": (512, 192), "projector.2.weight": (512, 512)}
    found = {block.key: block.count for block in blocks(whole)}
    assert found == {blocks(llama())[0].key: 12, blocks(vit())[0].key: 7}


def test_stages_hold_several_kinds_of_block() -> None:
    found = blocks(resnet() | {f"layer2.{i}.{name}": shape for i in (2, 3) for name, shape in _bottleneck().items()})
    assert [block.count for block in found] == [3]
    swin = {
        f"layers.{stage}.blocks.{i}.{name}.weight": (width * wide, width * high)
        for stage, (width, depth) in enumerate([(96, 2), (192, 2), (384, 6)])
        for i in range(depth)
        for name, wide, high in (("attn.qkv", 3, 1), ("attn.proj", 1, 1), ("mlp.fc1", 4, 1), ("mlp.fc2", 1, 4))
    }
    assert [block.count for block in blocks(swin)] == [6, 2, 2], "a stage is no block"


def _bottleneck() -> dict[str, tuple[int, ...]]:
    return {"conv1.weight": (256, 1024, 1, 1), "conv2.weight": (256, 256, 3, 3), "conv3.weight": (1024, 256, 1, 1)}


@pytest.mark.parametrize("shapes", [{}, mlp(), {"weight": (10, 784)}, {"1.2.3.4.5.6.7.8.9": (30, 30), "x": (30, 40)}])
def test_where_nothing_repeats_there_is_no_block(shapes: dict[str, tuple[int, ...]]) -> None:
    assert blocks(shapes) == []


@given(st.dictionaries(names | st.just("1." * 5000), st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=30))
@OFTEN
def test_blocks_of_any_network_share_nothing(shapes: dict[str, tuple[int, ...]]) -> None:
    weights = body(tensors(shapes))
    found = block_keys(weights)
    inside = [i for block in found for i in block.samples]
    assert len(set(inside)) == len(inside) <= len(weights)
    assert all(block.count > 1 and len(block.samples) >= block.count for block in found)


def test_vectors_are_gains_and_biases_of_the_body() -> None:
    shapes = llama() | {"lm_head.bias": (32_000,), "model.layers.0.self_attn.k_proj.bias": (96,), "few": (7,), "one": ()}
    found = [t.name for t in vectors(tensors(shapes))]
    norms = [f"model.layers.{i}.input_layernorm.weight" for i in range(3)]
    assert found == ["model.layers.0.self_attn.k_proj.bias", "model.norm.weight", *norms]
    assert vectors(tensors(shapes, dtype="I8")) == ()


@pytest.mark.parametrize(
    ("down", "up"),
    [
        ("q.lora_A.weight", "q.lora_B.weight"),
        ("q.lora_A.default.weight", "q.lora_B.default.weight"),
        ("q.lora_down.weight", "q.lora_up.weight"),
        ("q_lora_A", "q_lora_B"),
    ],
)
def test_an_adapter_tells_the_shapes_that_it_changes(down: str, up: str) -> None:
    shapes: dict[str, tuple[int, ...]] = {down: (8, 300), up: (400, 8)}
    shapes |= {"x.lora_A.weight": (8, 300), "y.lora_A.weight": (8, 30), "y.lora_B.weight": (30, 4)}
    assert [(t.name, t.shape) for t in changed(shapes)] == [("q.weight", (400, 300))]
    convolved: dict[str, tuple[int, ...]] = {"c.lora_A.weight": (8, 30, 3, 3), "c.lora_B.weight": (40, 8, 1, 1)}
    assert [t.shape for t in changed(convolved)] == [(40, 30, 3, 3)]


def changed(shapes: dict[str, tuple[int, ...]]) -> tuple[Tensor, ...]:
    return changed_by_adapter(unpacked(tensors(shapes), Memory({})))


@kinds
def test_what_is_no_adapter_changes_nothing(kind: str) -> None:
    assert changed_by_adapter(tensors(KINDS[kind][0]())) == ()


def test_a_mask_is_no_weight() -> None:
    masks = {f"h.{i}.attn.bias": (1, 1, 1024, 1024) for i in range(3)}
    assert body(tensors(gpt2() | masks)) == body(tensors(gpt2()))
