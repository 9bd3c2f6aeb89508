"""Training the network over pairs (:mod:`hub_lineage.network`) with torch, on whatever device there is."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.training import Measured
from hub_lineage.family import Matrix
from hub_lineage.network import HEADS, KINDS, Network, spread_out
from hub_lineage.trees import table

KNOTS = 48
NOTHING = -1  # no target
_FAR = 1e9
_WARM = 200  # steps over which the learning rate rises


@dataclass(frozen=True)
class Schooling:
    """How a network is trained.

    ``noise`` is added to cues and ``blind`` is the share of cues that a family doesn't see. By ``jitter`` each cue of a whole
    family is stretched and moved at random: its level tells the kind of network and the recipe, and must not be learned by
    heart. ``kinds`` weighs what kin two models are beside who is the parent; ``pairs`` is the size of a batch.
    """

    width: int = 48
    blocks: int = 4
    epochs: int = 10
    rate: float = 2e-3
    decay: float = 0.1
    dropout: float = 0.25
    noise: float = 0.15
    jitter: float = 0.4
    blind: float = 0.1
    kinds: float = 0.3
    pairs: int = 3000


class Block(nn.Module):
    """One block: triangles, attention along rows and columns, and each pair by itself."""

    def __init__(self, width: int, dropout: float) -> None:
        """Layers of one width."""
        super().__init__()
        self.before_triangles, self.sides, self.triangles = _layers(width, 4, 2)
        self.before_attention, self.queries, self.attention = _layers(width, 6, 2)
        self.before_alone, self.wide, self.alone = _layers(width, 3, 3)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pairs: Tensor, there: Tensor) -> Tensor:
        """Pairs [B, K, K, width] renewed; ``there`` [B, K] is 1 where a model is."""
        pairs = pairs + self.dropout(self._triangles(pairs, there))
        pairs = pairs + self.dropout(self._attention(pairs, there))
        wide: Tensor = self.wide(self.before_alone(pairs))
        renewed: Tensor = pairs + self.dropout(self.alone(functional.relu(wide)))
        return renewed

    def _triangles(self, pairs: Tensor, there: Tensor) -> Tensor:
        first, second, gate, other = self.sides(self.before_triangles(pairs)).chunk(4, -1)
        both = (there[:, :, None] * there[:, None, :])[..., None]
        a, b = (first * torch.sigmoid(gate) * both).chunk(2, -1)
        c, d = (second * torch.sigmoid(other) * both).chunk(2, -1)
        ways = (("ikc,jkc", a, c), ("kic,kjc", b, d), ("ikc,kjc", a, d), ("kic,jkc", b, c))
        closed = [torch.einsum(",".join(f"b{side}" for side in way.split(",")) + "->bijc", x, y) for way, x, y in ways]
        found: Tensor = self.triangles(torch.cat(closed, -1) / there.sum(1)[:, None, None, None])
        return found

    def _attention(self, pairs: Tensor, there: Tensor) -> Tensor:
        q, k, v, q2, k2, v2 = self.queries(self.before_attention(pairs)).chunk(6, -1)
        rows = _attended(q, k, v, there)
        across = [part.transpose(1, 2) for part in (q2, k2, v2)]
        columns = _attended(across[0], across[1], across[2], there).transpose(1, 2)
        found: Tensor = self.attention(torch.cat((rows, columns), -1))
        return found


def _layers(width: int, out: int, back: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    return nn.LayerNorm(width), nn.Linear(width, out * width), nn.Linear(back * width, width)


def _attended(queries: Tensor, keys: Tensor, values: Tensor, there: Tensor) -> Tensor:
    """Attention along the third axis of [B, K, K, width], in heads."""
    batch, count, _, width = queries.shape
    q, k, v = (part.reshape(batch, count, count, HEADS, -1).transpose(2, 3) for part in (queries, keys, values))
    scores = q @ k.transpose(-1, -2) / math.sqrt(width // HEADS) + ((there - 1) * _FAR)[:, None, None, None, :]
    return (scores.softmax(-1) @ v).transpose(2, 3).reshape(batch, count, count, width)


class PairNetwork(nn.Module):
    """The network in torch; its weights have the names that :class:`hub_lineage.network.Network` reads."""

    def __init__(self, cues: int, schooling: Schooling) -> None:
        """A network for so many cues."""
        super().__init__()
        width = schooling.width
        self.read = nn.Linear(2 * cues + 2, width)
        self.blocks = nn.ModuleList(Block(width, schooling.dropout) for _ in range(schooling.blocks))
        self.last = nn.LayerNorm(width)
        self.parent, self.none, self.kinds = (nn.Linear(width, out) for out in (1, 1, len(KINDS)))

    def forward(self, cues: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """From spread cues [B, K, K, cues]: scores [B, K, K], "none" on the diagonal, and of kinds [B, K, K, kinds]."""
        count = there.shape[1]
        eye = torch.eye(count, device=cues.device)
        flat = eye[None, :, :, None].expand(*cues.shape[:3], 1)
        size = (torch.log(there.sum(1)) / 3)[:, None, None, None].expand_as(flat)
        pairs = self.read(torch.cat((cues * (1 - flat), cues.transpose(1, 2) * (1 - flat), flat, size), -1))
        for block in self.blocks:
            pairs = block(pairs, there)
        pairs = self.last(pairs)
        none = self.none(torch.diagonal(pairs, dim1=1, dim2=2).transpose(1, 2))[..., 0]
        scores = self.parent(pairs)[..., 0] * (1 - eye) + torch.diag_embed(none)
        return scores + ((there - 1) * _FAR)[:, None, :], self.kinds(pairs)


@dataclass(frozen=True, eq=False)
class _Lesson:
    """One family: spread cues [K, K, cues], each child's parent or itself for none [K], kinds [K, K]; -1 where not asked."""

    cues: NDArray[np.float32]
    parent: NDArray[np.int64]
    kinds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.parent)


def fit(families: Sequence[Measured], schooling: Schooling, seed: int, device: str | None = None) -> Network:
    """A network trained on measured families; a running mean of its weights is kept, in half precision as it is stored."""
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    device = device or ("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    names = tuple(families[0].cues)
    knots = quantiles(families, names)
    lessons = [_lesson(family, names, knots) for family in families]
    net = PairNetwork(len(names), schooling).to(device)
    mean = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=schooling.rate, weight_decay=schooling.decay)
    total = schooling.epochs * len(list(_batches(lessons, schooling.pairs, generator)))
    step = 0
    for _ in range(schooling.epochs):
        for batch in _batches(lessons, schooling.pairs, generator):
            rate = schooling.rate * min(1.0, step / _WARM) * (1 + math.cos(math.pi * min(step / total, 1.0))) / 2
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.zero_grad()
            _loss(net, batch, schooling, device).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            step += 1
            with torch.no_grad():
                for kept, now in zip(mean.parameters(), net.parameters(), strict=True):
                    kept.lerp_(now, 1 - min(0.998, step / (step + 50)))
    return Network(names, knots, {name: value.cpu().half().float().numpy() for name, value in mean.state_dict().items()})


def quantiles(families: Sequence[Measured], names: tuple[str, ...]) -> tuple[Matrix, ...]:
    """The quantiles of each cue over pairs of two models, each once."""
    rows = np.concatenate([table(family.cues, names)[~np.eye(len(family), dtype=bool).ravel()] for family in families])
    return tuple(np.unique(np.quantile(rows[:, k], np.linspace(0, 1, KNOTS))) for k in range(len(names)))


def _lesson(family: Measured, names: tuple[str, ...], knots: Sequence[Matrix]) -> _Lesson:
    parent = np.where(family.label.any(axis=1), family.label.argmax(axis=1), np.arange(len(family)))
    parent[family.merged] = NOTHING
    return _Lesson(spread_out(family.cues, names, knots), parent, family.kinds)


def _batches(lessons: Sequence[_Lesson], pairs: int, generator: np.random.Generator) -> Iterator[list[_Lesson]]:
    """Families of about one size together, in random order."""
    order = sorted(generator.permutation(len(lessons)), key=lambda k: len(lessons[k]) + generator.integers(3))
    batches: list[list[_Lesson]] = [[]]
    for lesson in (lessons[k] for k in order):
        widest = max(len(lesson), *(len(other) for other in batches[-1])) if batches[-1] else len(lesson)
        if batches[-1] and (len(batches[-1]) + 1) * widest**2 > pairs:
            batches.append([])
        batches[-1].append(lesson)
    yield from (batches[k] for k in generator.permutation(len(batches)))


def _loss(net: PairNetwork, batch: Sequence[_Lesson], schooling: Schooling, device: str) -> Tensor:
    """Cross entropy of the parent, or none, of each child, and of kinds, each child weighing as much as any other."""
    cues, there, parent, kinds = (torch.from_numpy(part).to(device) for part in _padded(batch))
    whole = (len(cues), 1, 1, cues.shape[-1])
    stretched, moved = (schooling.jitter * torch.randn(whole, device=device) for _ in range(2))
    cues = cues * stretched.exp() + moved + schooling.noise * torch.randn_like(cues)
    cues = cues * (torch.rand(whole, device=device) >= schooling.blind)
    scores, told = net(cues, there)
    loss = functional.cross_entropy(scores.flatten(0, 1), parent.flatten(), ignore_index=NOTHING)
    each = functional.cross_entropy(told.flatten(0, 2), kinds.flatten(), ignore_index=NOTHING, reduction="none")
    weight = (kinds != NOTHING) / there.sum(1)[:, None, None]
    among: Tensor = (each.view_as(weight) * weight).sum() / weight.sum().clamp(min=1e-6)
    return loss + schooling.kinds * among


def _padded(batch: Sequence[_Lesson]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Cues, who is there, parents and kinds, filled up to the largest family."""
    most, names = max(map(len, batch)), batch[0].cues.shape[-1]
    cues = np.zeros((len(batch), most, most, names), dtype=np.float32)
    there = np.zeros((len(batch), most), dtype=np.float32)
    parent = np.full((len(batch), most), NOTHING, dtype=np.int64)
    kinds = np.full((len(batch), most, most), NOTHING, dtype=np.int64)
    for row, lesson in enumerate(batch):
        count = len(lesson)
        cues[row, :count, :count], there[row, :count] = lesson.cues, 1.0
        parent[row, :count], kinds[row, :count, :count] = lesson.parent, lesson.kinds
    return cues, there, parent, kinds
