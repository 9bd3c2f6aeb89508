"""Builds a zoo: plans it, trains it generation by generation on two cores, stores it, and writes what is true of it."""

from __future__ import annotations

import ast
import hashlib
import json
import math
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.zoo.data import fashion_present
from benchmarks.zoo.derived import State, merged, noised, pruned
from benchmarks.zoo.family import Planned
from benchmarks.zoo.nets import VARIANTS, in_body
from benchmarks.zoo.plan import plan
from benchmarks.zoo.summary import summarise
from benchmarks.zoo.train import Job, Trained, padded, scores, train

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
SPLITS = ("train", "validation", "test")
HEAVY = ("llama", "resnet", "restorer", "vit", "cnn_bn", "cnn", "mlp")  # started first, so that the cores end together


def breed(folder: Path | str, *, size: str = "full", seed: int = 0, workers: int = 2) -> Path:
    """Builds the zoo into ``folder`` unless it is there already; the folder is a function of size, seed and this code alone."""
    folder = Path(folder)
    scheme = _scheme(size, seed)
    if (folder / "summary.json").exists() and json.loads((folder / "summary.json").read_text())["scheme"] == scheme:
        return folder
    if not fashion_present():
        print(
            "Fashion-MNIST is absent (sh benchmarks/zoo/install_data.sh brings it): the test split uses more of MNIST.",
            file=sys.stderr,
        )
    (folder / "models").mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").unlink(missing_ok=True)
    started = time.monotonic()
    rows = train_all(folder, plan(size, seed), workers)
    Random(seed).shuffle(rows)
    (folder / "truth.json").write_text(json.dumps(rows, indent=1) + "\n")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = {"seconds": round(time.monotonic() - started, 1), "cpu_seconds": round(used.ru_utime + used.ru_stime, 1)}
    summary = {"scheme": scheme, "size": size, "seed": seed, **summarise(rows), **spent}
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    return folder


def _scheme(size: str, seed: int) -> str:
    """Changes with all that determines the models: plan, code (not its comments and layout), the data at hand, torch."""
    digest = hashlib.sha256(f"{plan(size, seed)} {seed} {fashion_present()} {torch.__version__}".encode())
    for name in ("data", "nets", "train", "derived", "breeding"):
        tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:16]


def train_all(folder: Path, models: list[Planned], workers: int) -> list[dict[str, Any]]:
    """Trains planned models into ``folder/models``, an architecture a process, and returns their rows of truth."""
    groups: dict[str, list[Planned]] = defaultdict(list)
    for model in models:
        groups[model.variant].append(model)
    order = sorted(groups, key=lambda name: (SPLITS.index(VARIANTS[name].split), HEAVY.index(VARIANTS[name].kind), name))
    rows: list[dict[str, Any]] = []
    started = time.monotonic()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_train_variant, folder, groups[name]) for name in order]
        for done in as_completed(futures):
            rows += done.result()
            print(
                f"{len(rows):4d} of {len(models)} models, {time.monotonic() - started:5.0f} s, {rows[-1]['architecture']}",
                file=sys.stderr,
            )
    return sorted(rows, key=lambda row: str(row["id"]))


def _train_variant(folder: Path, models: list[Planned]) -> list[dict[str, Any]]:
    """Trains all families of one architecture, a generation at a time, and returns their rows of truth."""
    variant = VARIANTS[models[0].variant]
    torch.manual_seed(0)
    net = variant.make()
    stored: dict[str, State] = {}
    rows = []
    for batch in _rounds(models):
        by_id = {model.id: model for model in batch}
        by_size: dict[int, list[Job]] = defaultdict(list)
        for model in batch:
            by_size[model.recipe.batch].append(_job(model, stored))
        for jobs in by_size.values():
            for done in [*train(net, [job for job in jobs if job.recipe.steps]), *_untrained(net, jobs, by_id, stored)]:
                model = by_id[done.id]
                stored[model.id] = _rounded(done.state, model)
                save_file(stored[model.id], folder / "models" / f"{model.id}.safetensors")
                rows.append(_row(model, done, stored))
    return rows


def _rounds(models: list[Planned]) -> list[list[Planned]]:
    """Models in rounds, each made of what earlier rounds made; where all are trained, a round is a generation."""
    place: dict[str, int] = {}
    rounds: list[list[Planned]] = []
    for model in models:  # sources come before what is made of them
        place[model.id] = max((place[source] + 1 for source in model.made_from), default=0)
        rounds += [[] for _ in range(place[model.id] + 1 - len(rounds))]
        rounds[place[model.id]].append(model)
    return rounds


def _job(model: Planned, stored: dict[str, State]) -> Job:
    teacher = None if model.distilled_from is None else stored[model.distilled_from]
    return Job(model.id, _start(model, stored), model.task, model.recipe, model.seed, teacher, model.pruned > 0)


def _untrained(net: nn.Module, jobs: list[Job], models: dict[str, Planned], stored: dict[str, State]) -> Iterator[Trained]:
    """The models that are made without training, with the scores of their (first) source and their own."""
    for job in jobs:
        if not job.recipe.steps:
            source = padded(net, stored[models[job.id].made_from[0]])
            yield Trained(job.id, job.start, scores(net, source, job.task), scores(net, padded(net, job.start), job.task))


def _start(model: Planned, stored: dict[str, State]) -> State:
    """The tensors a model starts from: its parent's as stored, or a fresh initialisation from its seed."""
    if model.merged_from:
        return merged([(stored[source], coefficient) for source, coefficient in model.merged_from])
    torch.manual_seed(model.seed)
    fresh = {name: value.clone() for name, value in VARIANTS[model.variant].make().state_dict().items()}
    if model.parent is None:
        return {name: _head_rows(name, value, model) for name, value in fresh.items()}
    parent = {name: value.float() if value.is_floating_point() else value for name, value in stored[model.parent].items()}
    if model.head_replaced:
        parent |= {name: _head_rows(name, value, model) for name, value in fresh.items() if not in_body(name)}
    if model.pruned:
        return pruned(parent, model.pruned)
    return noised(parent, model.noise, model.seed) if model.noise else parent


def _head_rows(name: str, value: Tensor, model: Planned) -> Tensor:
    return value if in_body(name) or model.task.problem != "classify" else value[: model.task.outputs].clone()


def _rounded(state: State, model: Planned) -> State:
    """A state as stored: F16 stars keep vectors in F32, as published restoration networks do."""
    dtype = DTYPES[model.dtype]
    vectors = torch.float32 if model.dtype == "F16" and model.regime in ("star", "published") else dtype
    return {
        name: value.to(dtype if value.ndim > 1 else vectors).contiguous() if value.is_floating_point() else value
        for name, value in state.items()
    }


def cosine(left: State, right: State) -> float:
    """Cosine pooled over the body's tensors of two dimensions or more, each pair scaled to equal root mean square."""
    dot, count = 0.0, 0
    for name, value in left.items():
        if value.ndim < 2 or not in_body(name):
            continue
        a, b = value.double().flatten(), right[name].double().flatten()
        scale = a.norm() * b.norm()
        dot += float(a @ b / scale) * len(a)
        count += len(a)
    return dot / count if math.isfinite(dot) else 0.0  # a tensor that training brought to nought points nowhere


def _row(model: Planned, done: Trained, stored: dict[str, State]) -> dict[str, Any]:
    variant = VARIANTS[model.variant]
    recipe = asdict(model.recipe) | {"task": model.task.describe(), "head_replaced": model.head_replaced}
    recipe |= {key: value for key, value in (("pruned", model.pruned), ("noise", model.noise)) if value}
    return {
        "id": model.id,
        "file": f"models/{model.id}.safetensors",
        "parent": model.parent,
        "root": model.root,
        "family": model.family,
        "generation": model.generation,
        "split": variant.split,
        "kind": variant.kind,
        "architecture": variant.name,
        "regime": model.regime,
        "dtype": model.dtype,
        "hidden": model.hidden,
        "recipe": recipe,
        "seed": model.seed,
        "twin_of_seed": model.twin_of_seed,
        "recipe_group": model.recipe_group,
        "checkpoint_of": model.checkpoint_of,
        "merged_from": [list(source) for source in model.merged_from] or None,
        "distilled_from": model.distilled_from,
        "made_by": model.made_by,
        "cosine_to_parent": None if model.parent is None else round(cosine(stored[model.parent], stored[model.id]), 7),
        "score": {
            "measure": "accuracy" if model.task.problem == "classify" else "loss",
            "before": round(done.before, 5),
            "after": round(done.after, 5),
        },
        "parameters": sum(value.numel() for value in stored[model.id].values()),
    }
