"""What the tests of -O2 share: examples at sizes that are quick, and the same training twice."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pytest
from running import FILES, execute

from flowgraph.diagram import Diagram, load
from flowgraph.emit.planned.body import PlannedBody
from flowgraph.emit.planned.homes import Plan
from flowgraph.emit.planned.phases import Phase
from flowgraph.emit.planned.rooms import Tenant
from flowgraph.graph import Node
from flowgraph.lower.program import DEFAULT_TRAINING
from flowgraph.types import Dim

SMALL: dict[str, dict[str, int]] = {
    "autoencoder": {"C": 2, "CODE": 3},
    "bert": {"V": 13, "P": 8, "L": 2, "H": 2, "D": 8, "F": 12},
    "burgers": {"INSIDE": 5, "START": 3, "SIDES": 4},
    "gpt2": {"V": 13, "P": 8, "L": 2, "H": 2, "D": 8},
    "gru_chars": {"V": 7, "D": 6},
    "llama": {"V": 13, "L": 2, "H": 4, "G": 2, "D": 16, "F": 12},
    "lstm_chars": {"V": 7, "D": 6, "L": 2},
    "residual": {"S": 8, "W": 2},
    "resnet18": {"S": 64, "W": 2, "K": 5},
    "transformer_classifier": {"L": 2, "H": 2, "D": 8, "F": 12},
    "unet": {"H": 16, "V": 16, "W": 2},
    "vae": {"H": 6, "Z": 2},
    "vgg": {"S": 32, "W": 2, "F": 6, "K": 5},
}
"""Sizes of the large examples here."""

LARGE = ("autoencoder", "lenet", "residual", "resnet18", "unet", "vgg", "bert", "gpt2", "llama")
"""Those that take a second or more to compile or to train."""

PATHS = {p.stem: p for p in FILES}
SIZE = 4
"""What comes with the data where a diagram leaves it open."""

Arrays = dict[str, np.ndarray]
Module = Mapping[str, Any]


@functools.cache
def small(name: str) -> Diagram:
    """An example by the stem of its file, at a size that is quick."""
    return load(PATHS[name], settings=SMALL.get(name, {}))


@functools.cache
def trainable() -> tuple[str, ...]:
    """The examples that have something to train."""
    return tuple(name for name in PATHS if can_train(small(name)))


def can_train(diagram: Diagram) -> bool:
    return bool(diagram.graph.results_of("loss") and diagram.graph.params)


@functools.lru_cache(maxsize=128)
def emitted(
    diagram: Diagram,
    level: int,
    without: tuple[str, ...] = (),
    *,
    dtype: str = "float64",
    plain: bool = False,
) -> Module:
    """The executed module. plain: trained by `sgd()` and not as the diagram says."""
    training = DEFAULT_TRAINING if plain else None
    return execute(diagram.compile(level=level, dtype=dtype, without=without, training=training))


def batch(diagram: Diagram, count: int, seed: int = 0, *, size: int = SIZE, targets: bool = True) -> Arrays:
    """Random examples by the diagram's names."""
    graph = diagram.expanded
    rng = np.random.default_rng([seed, count])
    sizes = dict.fromkeys(graph.sizes, size)
    found = {}
    for name in (*graph.inputs, *(graph.targets if targets else ())):
        type = graph[name].type
        shape = (count, *(Dim.of(d).at(sizes) for d in type.shape))
        if type.elem.kind == "real":
            value = rng.normal(size=shape)
        elif type.elem.kind == "bool":
            value = rng.integers(0, 2, shape).astype(bool)
        else:
            top = Dim.of(type.elem.classes).at(sizes) if type.elem.kind == "class" else 3
            value = rng.integers(0, top, shape)
        found[str(graph[name].hint)] = value
    return found


def close(got: Any, want: Any, what: str, tolerance: float = 1e-12) -> None:
    """Assert that arrays agree, relative to the largest entry wanted."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, what
    scale = max(1.0, float(np.max(np.abs(want), initial=0.0, where=np.isfinite(want))))
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * scale, err_msg=what)


def held(trainer: Any) -> Arrays:
    """Copies of all that a trainer holds by name: parameters, statistics, the state of its optimiser."""
    return {name: np.array(a) for name, a in trainer.state().items()}


def same_held(got: Any, want: Any, what: str, tolerance: float = 1e-12) -> None:
    """Assert that two trainers hold the same under the same names."""
    ours, theirs = held(got), held(want)
    assert list(ours) == list(theirs), what
    for name, value in theirs.items():
        close(ours[name], value, f"{what}: {name}", tolerance)


def assert_trains_alike(
    got: Module,
    want: Module,
    diagram: Diagram,
    *,
    counts: Collection[int] = (5, 5, 5),
    seed: int = 0,
    size: int = SIZE,
    tolerance: float = 1e-12,
    **settings: Any,
) -> None:
    """Steps on batches of these numbers of examples, and then a run: the same losses, parameters,
    statistics and states."""
    first = want["init"](seed)
    one, other = got["Trainer"](first, **settings), want["Trainer"](first, **settings)
    with np.errstate(all="ignore"):
        for step, count in enumerate(counts):
            given = batch(diagram, count, seed + step, size=size)
            loss = other.step(**given)
            what = f"step {step + 1} of {count} examples"
            close(one.step(**given), loss, f"loss of {what}", tolerance)
            same_held(one, other, what, tolerance)
        given = batch(diagram, 5, seed + len(counts), size=size)
        losses = other.run(**given, steps=3, log=2)
        close(one.run(**given, steps=3, log=2), losses, "losses of a run", tolerance)
        same_held(one, other, "a run", tolerance)


def poisoned_text(diagram: Diagram, without: Collection[str] = ()) -> str:
    """-O2 in float64, where every array is spoilt before its first use, and again after the last use of each
    value that lies in it: what is read too early or too late is nan, or a label out of range.

    Of the arrays, those are left alone after a step that a later one reads.
    """
    pending: list[str] = []
    real = PlannedBody._write_node

    def write(body: PlannedBody, node: Node) -> None:
        plan = body.plan_
        phase = plan.phase[node.name]
        if phase != Phase.LOSS:
            body.phases[Phase.STEP] += pending
            pending.clear()
        real(body, node)
        place = plan.order.index(node)
        heirs = {_room_of(plan, t) for t in plan.tenants.values() if t.first == place}
        spent = [t for t in plan.tenants.values() if t.last == place and t.kind in SPOILT]
        spent = [t for t in spent if t.first == place or _room_of(plan, t) not in heirs]
        lines = [f"            {body.titles[t.name]}.fill({SPOILT[t.kind]})" for t in spent]
        if phase == Phase.LOSS:
            pending.extend(lines)
        elif phase != Phase.SETUP:
            body.phases[phase] += lines

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PlannedBody, "_write_node", write)
        text = diagram.compile(level=2, dtype="float64", without=without)
    assert not pending, "the loss is the last that a step computes"
    return text.replace("np.empty", "spoilt_empty") + SPOILT_ARRAYS


def poisoned(diagram: Diagram, without: Collection[str] = ()) -> Module:
    """The module of this text."""
    return execute(poisoned_text(diagram, without))


SPOILT = {"real": "np.nan", "int": "-(2**62)", "class": "-(2**62)"}
"""What arrays are filled with, by what they hold."""

SPOILT_ARRAYS = """

def spoilt_empty(shape, dtype):
    return np.full(shape, {"f": np.nan, "i": -(2**62), "b": True}[np.dtype(dtype).kind], dtype)


def spoilt_empty_like(array):
    return np.full_like(array, np.nan)
"""


def _room_of(plan: Plan, tenant: Tenant) -> int:
    return next(i for i, room in enumerate(plan.rooms) if tenant in room.tenants)
