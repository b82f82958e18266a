"""The memory that -O2 plans: nothing is read before it is written, or after; and nothing more is made."""

from __future__ import annotations

import gc
import inspect
import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from op_cases import Run, cases, draw, rng
from planned import (
    LARGE,
    PATHS,
    assert_trains_alike,
    batch,
    close,
    emitted,
    poisoned,
    poisoned_text,
    same_held,
    small,
    trainable,
)
from programs import random_program
from running import execute
from sketches import sketch_text

from flowgraph.diagram import Diagram, loads
from flowgraph.ops.scan import Scan
from flowgraph.ops.shape import Rearrangement
from flowgraph.pipelines import OPTIMISATIONS

# ---------------------------------------------------------------------------------------
# Poisoned


def assert_poison_changes_nothing(diagram: Diagram, without: tuple[str, ...] = ()) -> None:
    """Of a Trainer and of Forward, over several batches of two sizes, the whole data among them."""
    spoilt, plain = poisoned(diagram, without), emitted(diagram, 1)
    with np.errstate(all="ignore"):
        if "Trainer" in plain:
            assert_trains_alike(spoilt, plain, diagram, counts=(5, 5, 4, 5), tolerance=1e-10)
            first = plain["init"](0)
            one, other = (module["Trainer"](first, **whole(module)) for module in (spoilt, plain))
            data = batch(diagram, 6)
            close(one.run(**data, steps=5, log=2), other.run(**data, steps=5, log=2), "losses", 1e-10)
            same_held(one, other, "state", 1e-10)
        if "Forward" in spoilt:
            assert_forward_alike(spoilt, plain, diagram)


def whole(module: Any) -> dict[str, Any]:
    return {"batch": "all"} if "batch" in inspect.signature(module["Trainer"]).parameters else {}


def assert_forward_alike(spoilt: Any, plain: Any, diagram: Diagram) -> None:
    first = plain["init"](0)
    modes: dict[str, Any] = {"buffers": plain["init_buffers"]()} if "BUFFERS" in plain else {}
    forward = spoilt["Forward"](first, **modes)
    draws = "rng" in inspect.signature(forward.__call__).parameters
    for count in (5, 1, 5):
        data = batch(diagram, count, targets=False)
        drawn = [{"rng": np.random.default_rng(count)} if draws else {} for _ in range(2)]
        got, want = forward(**data, **drawn[0]), plain["forward"](first, **data, **modes, **drawn[1])
        pairs = zip(got, want, strict=True) if isinstance(want, tuple) else [(got, want)]
        for ours, theirs in pairs:
            close(ours, theirs, f"outputs of {count}")


EXAMPLES = [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in PATHS]


@pytest.mark.parametrize("name", EXAMPLES)
def test_poison_changes_nothing_in_examples(name: str) -> None:
    assert_poison_changes_nothing(small(name))


def test_poison_changes_nothing_in_random_programs() -> None:
    for seed in range(200, 250):
        assert_poison_changes_nothing(loads(random_program(random.Random(seed)), f"random_{seed}.flow"))


def test_poison_changes_nothing_in_random_drawings() -> None:
    for seed in range(200, 240):
        assert_poison_changes_nothing(loads(sketch_text(seed), f"sketch_{seed}.flow"))


@pytest.mark.parametrize("name", ["mlp_2_3_2", "cubic", "vae"])
def test_poison_changes_nothing_where_optimisations_are_left_out(name: str) -> None:
    chance = random.Random(0)
    for _ in range(6):
        without = tuple(o for o in OPTIMISATIONS if chance.random() < 0.5)
        assert_poison_changes_nothing(small(name), without)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_poison_changes_nothing_in_many_random_programs(block: int) -> None:
    for seed in range(300 + 40 * block, 340 + 40 * block):
        chance = random.Random(seed)
        without = tuple(o for o in OPTIMISATIONS if chance.random() < 0.2)
        assert_poison_changes_nothing(loads(random_program(chance), f"random_{seed}.flow"), without)


def test_poison_is_given() -> None:
    """Arrays are spoilt, and a plan that frees one of them too early is found out."""
    text = poisoned_text(small("digits"))
    assert text.count(".fill(np.nan)") > 5
    assert text.count("spoilt_empty(") > 5
    lines = text.splitlines()
    place = next(i for i, line in enumerate(lines) if "exp(" in line and "_minus_max" in line)
    early = [*lines[: place + 1], "            z_minus_max.fill(np.nan)", *lines[place + 1 :]]
    module: dict[str, Any] = {"__name__": "emitted"}
    exec("\n".join(early), module)
    trainer = module["Trainer"](module["init"](0))
    assert np.isnan(trainer.step(**batch(small("digits"), 4)))


@pytest.mark.parametrize(("cls", "sample", "name"), [pytest.param(*case, id=case[2]) for case in cases()])
def test_operations_say_whether_their_results_may_be_operands(cls: Any, sample: Any, name: str) -> None:
    """What shares memory and does not say so would be overwritten with the operand."""
    run = Run(cls, sample)
    node = run.graph[run.result.name]
    known = run.values(draw(sample, rng(name)))
    types = [run.graph[o].type for o in node.operands]
    op = node.op
    form = op.form("numpy", types)
    said = isinstance(op, Rearrangement | Scan) or op.shares or op.subgraphs() or op.into_form(types)
    said = said or op.name in ("identity", "item") or (isinstance(form, str) and form.isidentifier())
    value = known[run.result.name]
    if said or isinstance(value, tuple):
        return
    for operand in node.operands:
        if isinstance(value, np.ndarray) and isinstance(known[operand], np.ndarray):
            assert not np.shares_memory(value, known[operand]), f"set `shares` of `{op.name}`"


# ---------------------------------------------------------------------------------------
# What is done for large arrays alone


@pytest.fixture(params=[8, 1000])
def everything_is_large(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients are taken from their parameters at once; updates and runs of calls go piece by piece."""
    monkeypatch.setattr("flowgraph.emit.planned.write.APPLIED", 1)
    monkeypatch.setattr("flowgraph.emit.planned.trainer.BLOCK", 8)
    monkeypatch.setattr("flowgraph.emit.planned.chains.LARGE", 1)
    monkeypatch.setattr("flowgraph.emit.planned.chains.PIECE", request.param)


def assert_large_alike(diagram: Diagram, counts: tuple[int, ...] = (5, 5, 1, 4)) -> None:
    fast = execute(diagram.compile(level=2, dtype="float64"))
    assert_trains_alike(fast, emitted(diagram, 1), diagram, counts=counts, tolerance=1e-10)


@pytest.mark.usefixtures("everything_is_large")
@pytest.mark.parametrize(
    "train", ["", "train sgd(lr=0.1)\n", "train adam(lr=0.1)\n", 'train sgd(), freeze="h.*"\n']
)
def test_what_is_done_for_large_arrays_changes_nothing(train: str) -> None:
    text = (
        "input x : [3]\ntarget y : [3]\nparam c = 1.0\nparam unused = 2.0\nh = x |> linear(4) |> softplus\n"
    )
    loss = "f = h |> linear(3) |> tanh |> linear(3)\nloss mse(f, y) + c * sum(x) + 0 * step(unused * f[0])\n"
    assert_large_alike(loads(text + loss + train, "net.flow"), counts=(5, 5, 0, 5))


@pytest.mark.usefixtures("everything_is_large")
def test_what_is_done_for_large_arrays_changes_no_example() -> None:
    for name in trainable():
        if name not in LARGE:
            assert_large_alike(small(name), (5, 5, 4))


@pytest.mark.usefixtures("everything_is_large")
def test_what_is_done_for_large_arrays_changes_no_random_program() -> None:
    for seed in range(700, 740):
        diagram = loads(random_program(random.Random(seed)), f"random_{seed}.flow")
        if "Trainer" in emitted(diagram, 1):
            assert_large_alike(diagram)


# ---------------------------------------------------------------------------------------
# Nothing is allocated

MANY = 20_000
"""Examples of a batch: an array of one number for each has 80 kB in single precision."""
SMALL_CHANGE = 12_000
"""Bytes of views, tuples and numbers. The largest network has 17 kB of weights in its first layer."""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["xor_learned", "mlp_2_3_2", "digits"])
def test_a_step_makes_no_array(name: str, dtype: str) -> None:
    module = emitted(small(name), 2, dtype=dtype)
    data = batch(small(name), MANY)
    data = {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in data.items()}
    trainer = module["Trainer"](module["init"](0), batch="all")
    takes: list[Callable[[], Any]] = [
        lambda: trainer.step(**data),
        lambda: trainer.step(**data, loss=False),
        lambda: trainer.run(**data, steps=5),
    ]
    for take in takes:
        take()
        assert peak(lambda take=take: [take() for _ in range(4)]) < SMALL_CHANGE


def test_peaks_are_seen() -> None:
    assert peak(lambda: np.ones(MANY, "f4") * 2) > 2 * 4 * MANY


def peak(work: Callable[[], Any]) -> int:
    """The most bytes at a time that were allocated more than before; numpy registers its arrays."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
