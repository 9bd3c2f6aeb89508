"""Files of PyTorch by byte ranges (``.bin``, ``.pt``, ``.pth``, ``.ckpt``), never unpickled.

Read in this order: ``described`` (what a pickle comes to), ``pickled`` (its opcodes), ``zipped`` and ``legacy`` (the two
containers), ``states`` (which mapping is the model's), ``strided`` (tensors that don't lie row by row).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from hub_lineage.errors import BadWeights, NoWeights
from hub_lineage.read import weights
from hub_lineage.read.pytorch import states
from hub_lineage.read.pytorch.described import Malformed, View
from hub_lineage.read.pytorch.legacy import Legacy
from hub_lineage.read.pytorch.strided import Strided, is_contiguous
from hub_lineage.read.pytorch.window import Window
from hub_lineage.read.pytorch.zipped import SIGNATURE, Zipped
from hub_lineage.read.weights import REFETCH, WeightSet
from hub_lineage.types import RepoFile, Source, Tensor

ENDINGS = (".bin", ".pt", ".pth", ".ckpt")
MOST_REPEATED = 1 << 20
"""Values of a tensor that has more of them than its storage, which repeats some."""
_OTHERS = re.compile(
    r"(training_)?args|.*optim(izer)?(_states?)?([_.-].*)?|(lr_)?scheduler.*|scaler|(rng|random)_states?.*|openvino_.*|ggml[_.-].*",
    re.IGNORECASE,
)
"""Names, without their endings, of files beside a model that hold no weights torch could load."""


def weight_set(files: Sequence[RepoFile]) -> WeightSet | None:
    """The files of a repository with PyTorch's endings that together hold its model; None where there are none.

    Optimisers, schedules, arguments and states of random numbers are passed over by name. Of files that differ in their
    endings alone one is taken.

    Raises:
        BadWeights: a shard of the set is missing.
    """
    kept: dict[str, RepoFile] = {}
    for ending in ENDINGS:
        for file in files:
            stem = file.path.removesuffix(ending)
            if stem != file.path and not _OTHERS.fullmatch(stem.rpartition("/")[2]):
                kept.setdefault(stem, file)
    others = [file for file in files if not file.path.endswith(ENDINGS)]  # which tell what kind of folder it is
    return weights.weight_set([*kept.values(), *others], ENDINGS) if kept else None


def read_index(source: Source, chosen: WeightSet) -> tuple[Tensor, ...]:
    """All tensors of the model in those files, by a read of both ends of each and seldom another; no weights are read.

    A tensor that has two names, as a tied head has, stands under the first, as the libraries write it to safetensors.

    Raises:
        BadWeights: a file isn't torch's, is truncated or contradicts itself, or a name stands in two.
        NoWeights: there is no tensor in them.
    """
    windows = [Window(source, file) for file in chosen.files]
    ends = iter(source.read([span for window in windows for span in window.first]))
    for window in windows:
        for span, data in zip(window.first, islice(ends, len(window.first)), strict=True):
            window.know(span.start, data)
    tensors: dict[str, Tensor] = {}
    for window in windows:
        for tensor in _tensors(window):
            if tensor.name in tensors:
                raise BadWeights(f"The tensor {tensor.name[:80]!r} stands in two files.", REFETCH)
            tensors[tensor.name] = tensor
    if not tensors:
        raise NoWeights(f"{chosen.files[0].path} holds no tensors.", "Name the file or folder that holds the model's weights.")
    return tuple(tensors.values())


def _tensors(window: Window) -> list[Tensor]:
    """The tensors of one file, each place once."""
    container = Zipped(window) if window.head().startswith(SIGNATURE) else Legacy(window)
    try:
        views = states.state(container.root)
    except Malformed as error:
        raise window.broken(f"can't be read: {error}") from error
    places = container.locate({view.storage.key: view.storage for view in views.values()}.values())
    found: dict[tuple[View, str], Tensor] = {}
    for name, view in views.items():
        tensor = _tensor(window, name, view, places[view.storage.key])
        found.setdefault((view, "" if tensor.elements else name), tensor)
    return list(found.values())


def _tensor(window: Window, name: str, view: View, place: tuple[int, int]) -> Tensor:
    """Where a tensor lies in its file, checked against its storage."""
    size, shape = view.itemsize, view.shape
    start = place[0] + view.storage.base + view.offset * size
    last = 0 if 0 in shape else 1 + sum((n - 1) * stride for n, stride in zip(shape, view.strides, strict=True))
    stop = start + last * size
    tensor = Tensor(name, view.dtype, shape, window.file.path, start, stop)
    if stop > place[1]:
        raise window.broken(f"has a tensor {name[:80]!r} that ends beyond its storage")
    if tensor.elements > max(view.storage.size // size, MOST_REPEATED):
        raise window.broken(f"has a tensor {name[:80]!r} of more values than its storage")
    if is_contiguous(shape, view.strides):
        return tensor
    packing = Strided(window.file.path, start, size, shape, tuple(stride * size for stride in view.strides))
    return Tensor(name, view.dtype, shape, window.file.path, start, stop, packing)
