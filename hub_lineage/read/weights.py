"""What readers of all formats share: the files that hold a model, shards and all, and which of several sets is taken."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from hub_lineage.errors import BadWeights
from hub_lineage.types import RepoFile

REFETCH = "Fetch the file again, or ask its author to upload it anew."
"""What to do about a broken file."""
PREFERRED = ("model", "pytorch_model", "diffusion_pytorch_model", "adapter_model")
"""Customary names of weights without their endings, the likeliest first."""
DENOISERS = ("transformer", "unet", "prior")
"""The component of a diffusers pipeline that makes the picture, which is what is trained on."""
_PIPELINE = "model_index.json"
_SHARD = re.compile(r"^(?P<stem>.*)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})$")


class WeightSet(NamedTuple):
    """The files that together hold one model; ``stem`` is their path without ending and shard number."""

    stem: str
    files: tuple[RepoFile, ...]


def weight_set(files: Sequence[RepoFile], endings: Sequence[str]) -> WeightSet | None:
    """The files with one of some endings (``.safetensors``) that together hold a model; None where there are none.

    A complete set of shards counts as one model, apart from a single file or another set of shards under the same name.
    Of several sets the one under a customary name is taken, the topmost and largest first; in a pipeline of diffusers the
    denoiser before all else, in one of sentence-transformers the first module.

    Raises:
        BadWeights: a shard of the set is missing.
    """
    groups: dict[tuple[str, int], list[tuple[int, RepoFile]]] = {}
    for file in files:
        ending = next((ending for ending in endings if file.path.endswith(ending)), None)
        if ending is not None:
            stem = file.path.removesuffix(ending)
            shard = _SHARD.match(stem)
            key, number = ((shard["stem"], int(shard["count"])), int(shard["number"])) if shard else ((stem, 0), 0)
            groups.setdefault(key, []).append((number, file))
    if not groups:
        return None
    pipelines = _pipelines(files)
    best = min(
        groups, key=lambda key: (*_place(key[0], pipelines), *_name(key[0]), -sum(file.size for _, file in groups[key]), key)
    )
    chosen = sorted(groups[best], key=lambda part: part[1].path)
    _check_complete({number for number, _ in chosen}, best[1], len(files))
    return WeightSet(best[0], tuple(file for _, file in chosen))


def is_before(one: WeightSet, other: WeightSet, files: Sequence[RepoFile]) -> bool:
    """Whether one set is surely what a repository holds, rather than another that is read with less effort.

    It must have a customary name and stand nearer the top, as the model itself does beside weights of a later module.
    """
    pipelines = _pipelines(files)
    return _name(one.stem)[0] < len(PREFERRED) and _place(one.stem, pipelines) < _place(other.stem, pipelines)


def _pipelines(files: Sequence[RepoFile]) -> frozenset[str]:
    """The folders of diffusers pipelines."""
    return frozenset(file.path.rpartition("/")[0] for file in files if file.path.rpartition("/")[2] == _PIPELINE)


def _place(stem: str, pipelines: frozenset[str]) -> tuple[int, int, int]:
    """Where weights lie, the likeliest place first."""
    folder = stem.rpartition("/")[0]
    above, _, component = folder.rpartition("/")
    piped = folder and above in pipelines and component in DENOISERS
    rank = DENOISERS.index(component) if piped else len(DENOISERS)
    return rank, folder.count("/") + 1 if folder else 0, 0 if component.startswith("0_") else 1


def _name(stem: str) -> tuple[int, int]:
    """What they are called, the likeliest name first, and without a variant before one."""
    name, *variants = stem.rpartition("/")[2].split(".")
    known = PREFERRED.index(name) if name in PREFERRED else len(PREFERRED)
    return known, len(variants) + ("non_ema" in variants)


def _check_complete(present: set[int], count: int, files: int) -> None:
    if count == 0:
        return
    missing = sorted(set(range(1, count + 1)) - present) if count <= files + 1000 else [files + 1]
    if missing:
        raise BadWeights(
            f"Shard {missing[0]} of {count} is missing.", "Wait until the upload is complete, or ask its author for the rest."
        )
