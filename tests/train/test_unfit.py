"""Data that only a step, or their sizes, show to be unfit: refused, and no bug of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trained import TARGETS

from flowgraph.diagram import loads
from flowgraph.errors import Diagnostic, FlowError
from flowgraph.train.report import Trained

INDEX = """
input i : int
target y
param w : [4] = ones()
f = take(w, i)
loss mse(f, y)
train sgd(lr=0.1), epochs=2, batch=2
data { i | y
       0 | 1
       1 | 3
       2 | 5
       3 | 7 }
"""
SIZES = """
size T
require T % 2 == 0, "T must be even"
input x : [T], u : [T + 1]
target y
param w = 1
loss mse(w * sum(x) + sum(u), y)
"""
both_targets = pytest.mark.parametrize("target", TARGETS)


def train(text: str, **wishes: Any) -> Trained:
    return loads(text, "net.flow").train(**wishes)


def refused(text: str, **wishes: Any) -> Diagnostic:
    """The only error."""
    with pytest.raises(FlowError) as caught:
        train(text, **wishes)
    (found,) = caught.value.diagnostics
    return found


@both_targets
@pytest.mark.parametrize("index", [4, -5])
def test_an_index_out_of_range_is_named_with_its_example(target: str, index: int) -> None:
    found = refused(INDEX.replace("2 | 5", f"{index} | 5"), target=target)
    assert found.code == "E0503" and found.path == "net.flow" and found.help
    assert f"index {index} is out of bounds" in found.message and found.message.endswith("(example 2)")


@both_targets
def test_an_index_out_of_range_among_those_for_validation(target: str, tmp_path: Path) -> None:
    """The default split keeps the rows 1 and 2 of four back."""
    whole = train(INDEX, split=0.5)
    assert whole.validation is not None and whole.validation.count == 2
    bad = INDEX.replace("1 | 3", "9 | 3")
    found = refused(bad, target=target, split=0.5, out=tmp_path / "run")
    assert found.code == "E0503" and found.message.endswith("of those for validation)")


def test_an_error_that_no_example_explains_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from flowgraph.train.numpy_learner import NumpyLearner

    def fail(self: NumpyLearner, batch: Any) -> float:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(NumpyLearner, "step", fail)
    with pytest.raises(RuntimeError, match="a bug of ours"):
        train(INDEX)


@both_targets
@pytest.mark.parametrize(
    ("length", "other", "said"),
    [(3, 4, "T must be even"), (2, 2, "`u` has size 2 where T + 1 = 3 is needed")],
)
@pytest.mark.parametrize("stream", [None, True])
def test_sizes_that_the_diagram_does_not_take(
    target: str, length: int, other: int, said: str, stream: bool | None, tmp_path: Path
) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, x=np.ones((5, length)), u=np.ones((5, other)), y=np.ones(5))
    found = refused(SIZES, data=path, target=target, stream=stream, batch=2)
    assert found.code == "E0503" and found.message == said and found.help


def test_sizes_that_it_takes(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, x=np.ones((5, 4)), u=np.ones((5, 5)), y=np.ones(5))
    assert train(SIZES, data=path, epochs=2).steps == 2


@both_targets
def test_first_values_that_float32_cannot_hold(target: str) -> None:
    text = "input x\ntarget y\nparam w = 1e300\nloss mse(w * x, y)\ndata { x | y\n 1 | 2 }\n"
    found = refused(text, target=target)
    assert found.code == "E0404" and found.message == "the first value of `w` is too large for float32"


def test_first_values_that_float64_holds() -> None:
    text = "input x\ntarget y\nparam w = 1e300\nloss mse(w * x, y)\ndata { x | y\n 0 | 2 }\n"
    assert train(text, dtype="float64").steps == 10
