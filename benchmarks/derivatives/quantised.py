"""Quantised copies of small language and vision models in every format: is the source first, and is it said so?

``rows()`` gives the figures. Among the candidates are all siblings, children, parents and other roots of the architecture.
Beside that stands how often a relative is named where the source isn't known, and whether casts of the source are told from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.derivatives import models, prints, rounding
from benchmarks.derivatives.models import Made
from benchmarks.derivatives.processes import spread
from benchmarks.derivatives.recipes import Split
from benchmarks.derivatives.recipes import quantised as sources
from benchmarks.results_file import Figure
from hub_lineage.derivation import LEAST, cast, quantised
from hub_lineage.derivation.nouns import Derivation
from hub_lineage.types import Model

UNPACKED: Final = ("Q8_0", "Q4_0", "Q4_K", "Q6_K", "NF4", "FP8")
"""Formats whose copies are also unpacked again and stored as plain numbers."""
UNPACKED_TO: Final = {"AWQ-4": "F16", "GPTQ-4": "F16", "NF4 nested": "BF16", "FP8 by row": "BF16"}
"""Formats whose scales are usually stored with few digits, which the values that readers unpack then have as well."""
CASTS: Final = {"F32": ("F16", "BF16"), "F16": (), "BF16": ()}
_SUPER = 256
_STORAGES = ("F16", "BF16")

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer: of which format, whether it is right, and what was named with what odds where anything was.

    ``question`` is ``known`` where the source is a candidate, ``absent`` where it isn't, ``precision`` where its casts are too.
    """

    source: str
    format: str
    question: str
    right: bool
    named: str = ""
    odds: float = 0.0


def rows(split: Split = "reporting") -> list[Figure]:
    """``quant.source_first`` format by format, what is claimed where the source isn't known, and precisions told."""
    models.models(split)
    asked = [one for answers in spread(_asked, sources(split)) for one in answers]
    return [_first(asked), _absent(asked), _precision(asked)]


def _first(asked: Sequence[Asked]) -> Figure:
    known = [one for one in asked if one.question == "known"]
    sure = [one.right and one.odds >= LEAST for one in known]
    wrong = [f"{one.source} {one.format}: {one.named or 'none'}" for one in known if not one.right]
    note = (
        f"{len(known)} copies; right with odds of {LEAST} and more: {np.mean(sure):.4f}; wrong: {', '.join(wrong[:12]) or 'none'}"
    )
    return Figure("quant.source_first", _share(known), "of copies", ">= .98", _by_format(known), note)


def _absent(asked: Sequence[Asked]) -> Figure:
    absent = [one for one in asked if one.question == "absent"]
    told = [one for one in absent if not one.right]
    names = ", ".join(f"{one.source} {one.format}: {one.named}" for one in told)
    claimed = {format_: 1 - share for format_, share in _by_format(absent).items() if share < 1}
    any_odds = sum(one.named != "" for one in absent)
    note = f"source not known: a relative named with odds of {LEAST} in {len(told)} of {len(absent)}, with any in {any_odds}"
    note += f" ({names})" if told else ""
    return Figure("quant.absent_false", 1 - _share(absent), "of copies", "<= .02", claimed, note)


def _precision(asked: Sequence[Asked]) -> Figure:
    told = [one for one in asked if one.question == "precision"]
    doubted = sum(one.question == "doubted precision" for one in asked)
    note = (
        f"of {len(told) + doubted} copies of float32 models and their casts, each known in three precisions, {doubted} left open"
    )
    return Figure("quant.precision", _share(told), "of copies", "", _by_format(told), note)


def _share(asked: Sequence[Asked]) -> float:
    return float(np.mean([one.right for one in asked]))


def _by_format(asked: Sequence[Asked]) -> dict[str, float]:
    formats = dict.fromkeys(one.format for one in asked)
    return {format_: _share([one for one in asked if one.format == format_]) for format_ in formats}


def _asked(name: str) -> list[Asked]:
    """All that is asked of the copies of one source."""
    made = models.model(name)
    known = [prints.model(one) for one in models.models(models.split_of(made)) if one.net == made.net]
    others = [one for one in known if one.id != made.id]
    found = []
    for number, (format_, held) in enumerate(copies(made)):
        child = _packed(made, format_, held)
        found.append(_known(made, format_, child, known, format_.partition(" ")[0]))
        if number % 2 == len(name) % 2:  # half of them, since each question takes as long as the other
            found.append(_unknown(made, format_, child, others))
        found += _plain(made, format_, held, known, others)
    casts = [asked for dtype in CASTS[made.dtype] for asked in _cast(made, dtype, known, others)]
    return [*found, *casts, *(_precisions(made, known) if made.parent is None else ())]


def _cast(made: Made, dtype: str, known: Sequence[Model], others: Sequence[Model]) -> Iterator[Asked]:
    """The same of the weights in a coarser dtype, as files of GGUF often hold them."""
    child = prints.child(f"{made.id} {dtype}", prints.weights(made), dtype=dtype)
    found = cast.explain(child, known)
    right = found is not None and _names(found, made.id) and found.method == dtype
    yield _told(made, f"cast {dtype}", "known", found, right=right)
    found = cast.explain(child, others)
    yield _told(made, f"cast {dtype}", "absent", found, right=found is None or found.probability < LEAST)


def _packed(made: Made, format_: str, held: Weights) -> Model:
    """A copy as its reader gives it: under the word of its packing, in the dtype that its scales are stored in."""
    dtype, before = UNPACKED_TO.get(format_, "F32"), prints.weights(made)
    packed = [name for name in prints.matrices(made) if not np.array_equal(held[name], before[name])]
    return prints.child(f"{made.id} {format_}", held, dtype=dtype, packed=packed, word=format_.partition(" ")[0])


def _plain(made: Made, format_: str, held: Weights, known: Sequence[Model], others: Sequence[Model]) -> Iterator[Asked]:
    """The same of copies that were unpacked again, without a word of their packing, in one storage each."""
    if format_ in UNPACKED:
        dtype = _STORAGES[(UNPACKED.index(format_) + len(made.id)) % 2]
        plain = prints.child(f"{made.id} {format_} {dtype}", held, dtype=dtype)
        yield _known(made, f"unpacked {format_} {dtype}", plain, known)
        yield _unknown(made, f"unpacked {format_} {dtype}", plain, others)


def _known(made: Made, format_: str, child: Model, known: Sequence[Model], word: str | None = None) -> Asked:
    found = quantised.explain(child, known)
    right = _names(found, made.id) and (word is None or (found is not None and found.method == word))
    return _told(made, format_, "known", found, right=right)


def _unknown(made: Made, format_: str, child: Model, others: Sequence[Model]) -> Asked:
    found = quantised.explain(child, others)
    return _told(made, format_, "absent", found, right=found is None or found.probability < LEAST)


def _told(made: Made, format_: str, question: str, found: Derivation | None, *, right: bool) -> Asked:
    named, odds = (found.parents[0].id, found.probability) if found is not None else ("", 0.0)
    return Asked(made.id, format_, question, right, named, odds)


def _names(found: Derivation | None, source: str) -> bool:
    return found is not None and found.relation == "quantized" and found.parents[0].id == source


def _precisions(made: Made, known: Sequence[Model]) -> Iterator[Asked]:
    """Whether a float32 model and its casts are told apart by what was rounded from each of them."""
    whole = prints.weights(made)
    there = [prints.child(f"{made.id} as {dtype}", whole, dtype=dtype) for dtype in ("F32", *CASTS[made.dtype])]
    beside = [one for one in known if one.id != made.id and one.id.startswith(made.id)]
    for place, source in enumerate(there):
        stored = {name: prints.stored(value, source.fingerprint.dtype) for name, value in whole.items()}
        for number, (format_, held) in enumerate(_rounded(made, stored)):
            if number % (2 * len(there)) == place:  # each of half of the formats for one of the three
                found = quantised.explain(_packed(made, format_, held), [*there, *beside])
                told = _told(made, format_, "precision", found, right=_names(found, source.id))
                doubted = found is None or "would look no different" in found.summary
                yield replace(told, source=source.id, question="doubted precision" if doubted else "precision")


def copies(made: Made) -> Iterator[tuple[str, Weights]]:
    """All weights of a model with the matrices of its blocks rounded, format by format."""
    whole, chosen = prints.weights(made), prints.matrices(made)
    yield from _rounded(made, whole)
    fed = inputs(made)
    linear = [name for name in chosen if name in fed]
    if 2 * len(linear) > len(chosen):  # this format leaves kernels and embeddings as they are
        yield "GPTQ-4", whole | {name: rounding.gptq(whole[name], fed[name]) for name in linear}


def _rounded(made: Made, whole: prints.Weights) -> Iterator[tuple[str, Weights]]:
    """Those formats that need nothing but the weights."""
    chosen = prints.matrices(made)
    for format_, rounded in rounding.ROUNDINGS.items():
        if format_ not in rounding.IN_SUPER_BLOCKS or all(whole[name].size % _SUPER == 0 for name in chosen):
            held = {name: rounded(whole[name].reshape(len(whole[name]), -1)).reshape(whole[name].shape) for name in chosen}
            yield format_, whole | held


def inputs(made: Made) -> dict[str, NDArray[np.float32]]:
    """What each linear layer is fed on random inputs, by the name that its weight is stored under, shapes [N, in]."""
    import torch  # noqa: PLC0415 - seconds of import

    net = models.load(made)
    stored = {value.tobytes(): name for name, value in prints.weights(made).items()}  # names in memory may be others
    seen: dict[str, NDArray[np.float32]] = {}

    def watch(name: str) -> Any:
        def hook(_: Any, arguments: tuple[Any, ...]) -> None:
            seen[name] = arguments[0].detach().reshape(-1, arguments[0].shape[-1]).numpy()

        return hook

    for part in net.modules():
        if type(part).__name__ == "Linear":
            part.register_forward_pre_hook(watch(stored[part.weight.detach().numpy().tobytes()]))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        if made.kind == "language":
            net(input_ids=torch.randint(256, (8, 64), generator=generator))
        else:
            side = net.config.image_size if hasattr(net.config, "image_size") else 28
            net(pixel_values=torch.rand((32, 1, side, side), generator=generator))
    return seen
