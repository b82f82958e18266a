"""`--emit plan`: what it says of memory is what a Trainer holds."""

import re
import tracemalloc

import numpy as np
import pytest

from flowgraph import load, loads
from flowgraph.execute import execute

WIDE = """
input x : [300]
target y : class(10)
h = tanh(linear(x, 200))
z = linear(h, 10)
loss cross_entropy(z, y)
train {train}, steps=5, batch=96
"""


def held() -> int:
    """The bytes of all numpy arrays."""
    domain = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    return sum(t.size for t in tracemalloc.take_snapshot().filter_traces((domain,)).traces)


def peak_said(text: str) -> int:
    return int(re.search(r"peak memory: ([\d,]+) bytes", text)[1].replace(",", ""))


def peak_measured(diagram, arrays) -> int:
    module = execute(diagram.compile("numpy", level=2))
    params = module["init"](0)
    tracemalloc.start()
    try:
        before = held()
        trainer = module["Trainer"](params)
        for _ in range(3):
            trainer.step(**arrays)
        return held() - before
    finally:
        tracemalloc.stop()


TRAINS = ["sgd(lr=0.1)", "sgd(lr=0.1, momentum=0.9)", "adam()", "rmsprop(), clip=1.0"]


@pytest.mark.parametrize("train", TRAINS)
def test_the_peak_is_what_a_trainer_holds(train):
    diagram = loads(WIDE.format(train=train))
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(96, 300)).astype(np.float32), "y": rng.integers(0, 10, 96)}
    said = peak_said(diagram.stage("plan"))
    assert peak_measured(diagram, arrays) == pytest.approx(said, rel=0.05)


def test_the_peak_of_the_cubic_is_what_its_trainer_holds():
    diagram = load("examples/lecture/cubic.flow")
    x = np.linspace(-np.pi, np.pi, 2000, dtype=np.float32)
    assert peak_measured(diagram, {"x": x, "y": np.sin(x)}) == pytest.approx(
        peak_said(diagram.stage("plan")), rel=0.05
    )


def test_rooms_are_shared():
    diagram = loads(WIDE.format(train="sgd(lr=0.1)"))
    alone = execute(diagram.compile("numpy", level=2, without=("reuse",)))
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(96, 300)).astype(np.float32), "y": rng.integers(0, 10, 96)}
    shared = peak_measured(diagram, arrays)
    tracemalloc.start()
    before = held()
    trainer = alone["Trainer"](alone["init"](0))
    trainer.step(**arrays)
    without = held() - before
    tracemalloc.stop()
    assert shared < 0.9 * without


def test_the_plan_says_when_what_is_computed():
    text = load("examples/lecture/cubic.flow").stage("plan")
    once = text.index("once for every batch:")
    assert once < text.index("in every step:") < text.index("in steps whose loss is wanted:")
    assert "stack" in text[once : text.index("in every step:")]


def test_without_a_loss_the_plan_is_that_of_forward():
    assert "xor: Forward at N = 4" in load("examples/lecture/xor.flow").stage("plan")
