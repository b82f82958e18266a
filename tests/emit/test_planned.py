"""`class Trainer` of -O2: the steps of -O1, whatever the diagram, the optimiser, and what is given."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from planned import (
    LARGE,
    assert_trains_alike,
    batch,
    close,
    emitted,
    same_held,
    small,
    trainable,
)  # fmt: skip
from programs import random_program
from sketches import sketch_text

from flowgraph.diagram import Diagram, loads

DOUBTFUL = {"tolerance": 1e-10}
"""Where an optimiser divides by a root of squared gradients, it magnifies the rounding of small ones."""

NETWORK = """
input x : [3]
target y : class(3)
param unused = 2.0
h = x |> linear(4) |> tanh
z = linear(h, 3) + 0 * step(unused * x)
loss cross_entropy(z, y)
"""


def network(train: str, text: str = NETWORK) -> Diagram:
    return loads(f"{text}train {train}\n", "net.flow")


def alike(diagram: Diagram, **how: Any) -> None:
    assert_trains_alike(emitted(diagram, 2), emitted(diagram, 1), diagram, **how)


EXAMPLES = [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in trainable()]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_trained_alike(name: str) -> None:
    """As they say themselves; and one step of a gradient each, of which the gradient is seen."""
    alike(small(name), counts=(5, 5, 4, 5), **DOUBTFUL)
    plain = [emitted(small(name), level, plain=True) for level in (2, 1)]
    tolerance = 1e-9 if name in LARGE else 1e-12  # long steps through many layers magnify rounding
    assert_trains_alike(plain[0], plain[1], small(name), counts=(5,), lr=1.0, tolerance=tolerance)


def test_random_programs_are_trained_alike() -> None:
    found = 0
    for seed in range(60):
        diagram = loads(random_program(random.Random(seed)), f"random_{seed}.flow")
        if "Trainer" in emitted(diagram, 1):
            found += 1
            alike(diagram, counts=(5, 1, 7, 5))
    assert found > 20


def test_random_drawings_are_trained_alike() -> None:
    found = 0
    for seed in range(60):
        diagram = loads(sketch_text(seed), f"sketch_{seed}.flow")
        if "Trainer" in emitted(diagram, 1):
            found += 1
            alike(diagram, counts=(5, 1, 7, 5))
    assert found > 2


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_many_random_programs_are_trained_alike(block: int) -> None:
    for seed in range(100 + 60 * block, 160 + 60 * block):
        diagram = loads(random_program(random.Random(seed)), f"random_{seed}.flow")
        if "Trainer" in emitted(diagram, 1):
            alike(diagram, counts=(5, 1, 7, 5))


# ---------------------------------------------------------------------------------------
# Optimisers

STATEMENTS = [
    "sgd(lr=0.1)",
    "sgd(lr=0.1, momentum=0.9)",
    "sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=0.01)",
    "sgd(lr=0.1, weight_decay=0.1)",
    "adam(lr=0.01, betas=[0.8, 0.95], eps=1e-4, weight_decay=0.1)",
    "adam(lr=0.01)",
    "adamw(lr=0.01)",
    "adamw(lr=0.01, weight_decay=0)",
    "rmsprop(lr=0.01)",
    "rmsprop(lr=0.01, alpha=0.9, eps=1e-3, momentum=0.5, weight_decay=0.1)",
    "adagrad(lr=0.1)",
    "adagrad(lr=0.1, eps=1e-3, weight_decay=0.1)",
    "sgd(lr=constant(0.1))",
    "sgd(lr=staircase(0.1, every=2, factor=0.5))",
    "sgd(lr=cosine(0.1, steps=6, final=0.01))",
    "adam(lr=warmup(warmup(staircase(0.02, every=9), steps=5), steps=4))",
    "adam(lr=0.01), clip=0.05",
    "sgd(lr=0.1), clip=0.05",
    "sgd(lr=0.1, momentum=0.5), clip=1000",
    'adamw(lr=0.01), freeze="h.*"',
    'sgd(lr=0.1), freeze="h.linear.weight, z.linear.bias", clip=0.1',
    'adam(lr=0.1, weight_decay=0.1), freeze="z.linear.bias", clip=0.1',
    'sgd(lr=0.1), freeze="z.linear.bias"',
]


@pytest.mark.parametrize("train", STATEMENTS)
def test_every_optimiser_takes_the_steps_of_level_1(train: str) -> None:
    diagram = network(train)
    alike(diagram, counts=(6,) * 12 + (1, 9), **DOUBTFUL)
    fast, plain = emitted(diagram, 2), emitted(diagram, 1)
    first, data = plain["init"](1), batch(diagram, 20)
    for settings in ({"batch": 6}, {"batch": "all"}, {"batch": 100}):
        one, other = fast["Trainer"](first, **settings), plain["Trainer"](first, **settings)
        for length in ({"steps": 7, "log": 3}, {"epochs": 2}, {"steps": 2, "log": 0}):
            close(one.run(**data, **length), other.run(**data, **length), f"{settings}, {length}", 1e-10)
            same_held(one, other, f"{settings}, {length}", 1e-10)


def test_hyperparameters_are_those_given() -> None:
    diagram = network("sgd(lr=0.1, momentum=0.9), batch=4, seed=1")
    alike(diagram, lr=0.3, momentum=0.5)
    alike(network("sgd(lr=0.1)"), lr=0.3)
    alike(network("adam(lr=0.1), clip=0.1"), lr=0.3, clip=0.01, eps=1e-3)
    alike(network('sgd(lr=0.1), freeze="h.*"'), frozen=("unused", "z.linear.weight"))


@pytest.mark.parametrize(
    "train", ["adam(lr=cosine(0.01, steps=30)), batch=6", 'sgd(lr=0.1, momentum=0.9), freeze="h.*"']
)
@pytest.mark.parametrize(("before", "after"), [(2, 2), (1, 2), (2, 1)])
def test_a_state_goes_on_at_either_level(train: str, before: int, after: int, tmp_path: Any) -> None:
    diagram = network(train)
    data, first = batch(diagram, 20), emitted(diagram, 1)["init"](0)
    whole, half = (emitted(diagram, level)["Trainer"](first) for level in (1, before))
    whole.run(**data, steps=11)
    half.run(**data, steps=4)
    np.savez(tmp_path / "state.npz", **half.state())
    other = emitted(diagram, after)["Trainer"](emitted(diagram, 1)["init"](1))
    other.load_state(np.load(tmp_path / "state.npz", allow_pickle=False))
    other.run(**data, steps=7)
    same_held(other, whole, "after 11 steps", 1e-10)


def test_a_state_is_a_copy() -> None:
    diagram = network("adam(lr=0.01)")
    trainer = emitted(diagram, 2)["Trainer"](emitted(diagram, 1)["init"](0))
    kept = trainer.state()
    before = {name: a.copy() for name, a in kept.items()}
    trainer.run(**batch(diagram, 5), steps=3)
    assert all(np.array_equal(kept[name], before[name]) for name in before)
    assert any(not np.array_equal(now, before[name]) for name, now in trainer.state().items())


@pytest.mark.parametrize("train", [s for s in STATEMENTS if "freeze" not in s])
def test_gradients_that_depend_on_no_parameter_outlast_the_updates(train: str) -> None:
    """They are computed once for a batch; an update may use their array for something else."""
    text = (
        "input x : [3]\nparam w : [3] = normal()\nparam c = 1.0\nparam v = 2.0\nloss w @ x + 2 * c + 0 * v\n"
    )
    diagram = network(train, text)
    alike(diagram, counts=(6, 6, 3), **DOUBTFUL)
    first, data = emitted(diagram, 1)["init"](0), batch(diagram, 8)
    one, other = (emitted(diagram, level)["Trainer"](first, batch="all") for level in (2, 1))
    close(one.run(**data, steps=6), other.run(**data, steps=6), "losses", 1e-10)
    same_held(one, other, "state", 1e-10)


# ---------------------------------------------------------------------------------------
# Training mode, and what is drawn

MODES = """
input x : [3]
target y : class(3)
h = x |> linear(4) |> batchnorm |> tanh |> dropout(0.3)
u = h + 0.1 * normal([4])
z = linear(u, 3)
loss cross_entropy(z, y)
train sgd(lr=0.1, momentum=0.9)
"""


@pytest.mark.parametrize(
    "settings",
    [{}, {"train": False}, {"seed": 7}, {"batch": 6}, {"batch": 20}, {"batch": 100}, {"batch": "all"}],
)
def test_draws_and_statistics_are_those_of_level_1(settings: dict[str, Any]) -> None:
    """Also which example a number is drawn for, when one batch of an epoch has them all in another order."""
    diagram = loads(MODES, "modes.flow")
    alike(diagram, counts=(5, 5, 3, 8, 5), **settings)
    fast, plain = emitted(diagram, 2), emitted(diagram, 1)
    first, data = plain["init"](1), batch(diagram, 20)
    one, other = fast["Trainer"](first, **settings), plain["Trainer"](first, **settings)
    for length in ({"steps": 7, "log": 3}, {"epochs": 2}):
        close(one.run(**data, **length), other.run(**data, **length), "losses")
        same_held(one, other, "state")


def test_statistics_that_are_given_are_copied() -> None:
    diagram = loads(MODES, "modes.flow")
    given = {name: value + 0.5 for name, value in emitted(diagram, 1)["init_buffers"]().items()}
    before = {name: value.copy() for name, value in given.items()}
    alike(diagram, buffers=given)
    assert all(np.array_equal(given[name], before[name]) for name in given)


def test_literal_arrays_are_those_of_the_graph_that_reads_them() -> None:
    """Nodes of two graphs may have one name: here a number of the outputs that of a matrix of the loss."""
    text = """
input x1, x3 : [3]
param W1 : [3] = normal()
param W2 = 0.5
node h1 : sigmoid
x3 -[W1]-> h1
x1 -[W2]-> h1
1 -[0.5]-> h1
v5 = tanh([[1, 0, 0.3], [2, 2, 0.3]] @ x3)
output h1
loss mean(v5 ^ 2)
"""
    diagram = loads(text, "net.flow")
    fast, plain = emitted(diagram, 2), emitted(diagram, 1)
    first, data = plain["init"](0), batch(diagram, 5)
    close(fast["Forward"](first)(**data), plain["forward"](first, **data), "h1")
