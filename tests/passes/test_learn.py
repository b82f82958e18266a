"""Warnings of what cannot learn: each fires where it should, and stays silent where it should."""

from __future__ import annotations

import math

import numpy as np
import pytest
from running import EXAMPLES, example

from flowgraph.diagram import loads
from flowgraph.errors import Diagnostic
from flowgraph.graph import Builder, Graph, Node, Result
from flowgraph.ops import OPS
from flowgraph.ops.base import Value, fn
from flowgraph.passes.learn import intervals
from flowgraph.passes.simulate import simulate
from flowgraph.types import REAL, Dim, TensorType


def warnings(text: str) -> list[Diagnostic]:
    return [w for w in loads(text, "case.flow").warnings if w.code.startswith("W03")]


def only(text: str) -> Diagnostic:
    [found] = warnings(text)
    return found


def marked(found: Diagnostic) -> list[str]:
    """The texts that a diagnostic points at, the main one first."""
    assert found.span is not None
    return [found.span.text, *(label.span.text for label in found.labels)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_silent(name: str) -> None:
    assert example(name).warnings == ()


# ---------------------------------------------------------------------------------------
# Blocked


BLOCKING = {
    "step": "step(w * x)",
    "sign": "sign(w * x)",
    "floor": "floor(w * x)",
    "ceil": "ceil(w * x)",
    "round": "round(w * x)",
    "stop_gradient": "stop_gradient(w * x)",
    "greater": "where(w * x > 0, 1.0, 2.0)",
}


@pytest.mark.parametrize("name", BLOCKING)
def test_each_blocks(name: str) -> None:
    found = only(f"input x\ntarget y\nparam w = 1\nf = {BLOCKING[name]}\nloss mse(f, y)\n")
    assert found.code == "W0301"
    assert found.message == f"the param `w` can never learn: every path to the loss goes through `{name}`"
    assert "w" in marked(found)
    assert found.help


@pytest.mark.parametrize("name", BLOCKING)
def test_a_path_around_is_enough(name: str) -> None:
    assert not warnings(f"input x\ntarget y\nparam w = 1\nf = w + {BLOCKING[name]}\nloss mse(f, y)\n")


@pytest.mark.parametrize("name", BLOCKING)
def test_a_param_after_it_learns(name: str) -> None:
    text = f"input x\ntarget y\nparam v = 1\nf = v * {BLOCKING[name].replace('w *', '2 *')}\nloss mse(f, y)\n"
    assert not warnings(text)


def test_without_a_loss_nothing_is_meant_to_learn() -> None:
    assert not warnings("input x\nparam w = 1\nf = step(w * x)\n")


def test_argmax_blocks_through_what_is_built_on_it() -> None:
    found = only(
        "input x : [2]\ntarget y : [3]\nparam W : [3, 2] = glorot()\n"
        "f = one_hot(argmax(W @ x), 3)\nloss mse(f, y)\n"
    )
    assert marked(found) == ["argmax(W @ x)", "W"]
    assert "softmax" in found.help


def test_a_metric_as_loss_blocks() -> None:
    found = only("input x : [2]\ntarget y : class(3)\nz = linear(x, 3)\nloss 1 - accuracy(z, y)\n")
    assert "`z.weight` and `z.bias`" in found.message and "`accuracy`" in found.message


def test_circles_and_wires_are_named() -> None:
    found = only(
        "input x1, x2\ntarget y\nnode h1, h2 : step\nnode f\nx1, x2 -> h1, h2\n1 -> h1, h2\n"
        "h1, h2 -> f\nloss mse(f, y)\n"
    )
    assert marked(found) == ["h1", "h2", "x1, x2 -> h1, h2", "1 -> h1, h2"]
    assert "`w_x1_h1`" in found.message


def test_the_first_on_each_path_is_named() -> None:
    """Behind a step, another one blocks nothing more."""
    found = only("input x\ntarget y\nparam w = 1\nh = step(w * x)\nf = sign(h + x)\nloss mse(f, y)\n")
    assert marked(found) == ["step(w * x)", "w"]
    both = only("input x\ntarget y\nparam w = 1\nf = step(w * x) + sign(w - x)\nloss mse(f, y)\n")
    assert "through `step` or `sign`" in both.message


def test_what_blocks_differently_is_said_apart() -> None:
    text = "input x\ntarget y\nparam w = 1\nparam v = 1\nf = step(w * x) + round(v * x)\nloss mse(f, y)\n"
    assert [w.message.split("`")[1] for w in warnings(text)] == ["w", "v"]


def test_one_loss_of_several_is_enough() -> None:
    assert not warnings(
        "input x\ntarget y\nparam w = 1\nf = step(w * x)\nloss mse(f, y)\nloss penalty = w ^ 2\n"
    )


def test_frozen_params_are_not_to_learn() -> None:
    text = "input x\ntarget y\nparam w_a = 1\nparam v = 1\nf = v * step(w_a * x)\nloss mse(f, y)\n"
    assert only(text).code == "W0301"
    assert not warnings(text + 'train sgd(lr=0.1), steps=1, batch=all, freeze="w_*"\n')


def test_a_derivative_in_the_loss_is_looked_through() -> None:
    """The slope of relu is a step: a loss over it alone teaches nothing that sets it off."""
    found = warnings(
        "input x\ntarget y\nparam w = 1\nparam b = 0\nu = relu(w * x + b)\nloss (grad(u, x) - y)^2\n"
    )
    assert [(w.code, w.message.split("`")[1]) for w in found] == [("W0301", "b")]


# ---------------------------------------------------------------------------------------
# Aside


def test_a_param_that_only_an_output_uses() -> None:
    found = only(
        "input x\ntarget y\nparam a = 1\nparam b = 1\nf = a * x\ng = b * x\noutput f, g\nloss mse(f, y)\n"
    )
    assert found.code == "W0302"
    assert marked(found) == ["b"]


def test_a_param_that_nothing_uses_is_said_once() -> None:
    diagram = loads("input x\ntarget y\nparam a = 1\nparam b = 1\nf = a * x\nloss mse(f, y)\n")
    assert [w.code for w in diagram.warnings] == ["W0102"]


# ---------------------------------------------------------------------------------------
# Dead


DEAD = {
    "a number": "relu(-1 + 0 * x)",
    "an inhibited circle": "relu(-1 - sigmoid(w * x))",
    "a negative square": "relu(-(w * x) ^ 2)",
    "steps that are not enough": "relu(step(w * x) + step(x) - 2)",
    "a softmax": "relu(softmax([w * x, x])[0] - 1)",
    "an absolute value": "relu(-abs(w * x))",
    "a product with a list": "relu([-1, -2] @ [sigmoid(w * x), 0.5])",
    "a sum of clipped": "relu(clip(w * x, -2, -1))",
    "beyond the end of relu6": "relu6(7 + exp(w * x))",
    "beyond the end of hard_tanh": "hard_tanh(2 + relu(w * x))",
    "beyond the end of hard_sigmoid": "hard_sigmoid(-4 - sigmoid(w * x))",
    "beyond the end of hard_swish": "hard_swish(-3 - cosh(w * x))",
    "beyond the end of clip": "clip(3 + square(w * x), 0, 1)",
}
ALIVE = {
    "a circle": "relu(w * x)",
    "one that may just open": "relu(sigmoid(w * x) - 0.999)",
    "steps that are enough": "relu(step(w * x) + step(x) - 1.5)",
    "a sum that may be positive": "relu(w * x - sigmoid(x))",
    "inside relu6": "relu6(5 + exp(w * x))",
    "inside hard_tanh": "hard_tanh(0.5 + relu(w * x))",
    "on the edge of clip": "clip(1 - square(w * x), 1, 2)",
    "a smooth one": "softplus(-100 - exp(w * x))",
}


@pytest.mark.parametrize("name", DEAD)
def test_dead_by_constants(name: str) -> None:
    found = warnings(f"input x\ntarget y\nparam w = 1\nf = {DEAD[name]}\nloss mse(f + w * x, y)\n")
    assert [w.code for w in found] == ["W0303"]
    assert "`f` is always the same" in found[0].message


@pytest.mark.parametrize("name", ALIVE)
def test_alive(name: str) -> None:
    assert not warnings(f"input x\ntarget y\nparam w = 1\nf = {ALIVE[name]}\nloss mse(f + w * x, y)\n")


def test_a_dead_circle_of_wires() -> None:
    found = only(
        "input x\ntarget y\nnode h, f : sigmoid\nnode r : relu\nx -> h\n1 -[-1]-> r\nh -[-2]-> r\n"
        "r, x -> f\nloss mse(f, y)\n"
    )
    assert found.label == "`relu` of what is between -3 and -1"


REAL3 = TensorType(REAL, (Dim.of(3),))
RANGED = [
    name
    for name, cls in OPS.items()
    if len(cls.operands) == 1 and cls.samples and cls.group in ("activations", "elementwise", "shape")
]


@pytest.mark.parametrize("name", RANGED)
def test_values_lie_where_their_interval_says(name: str) -> None:
    """On the samples, and on what clip lets through, so that the operand's interval is finite."""
    for low, high in ((-2.0, 2.0), (0.25, 0.5)):
        for sample in OPS[name].samples:
            if any(a.kind != "real" for a in sample.args) or len(sample.args) != 1:
                continue
            graph = Graph("case")
            builder = Builder(graph)
            type = sample.args[0].type
            builder.keep(Node("x", OPS["input"](type=type), (), type, "x"))
            kept = fn.clip(Value(builder, "x"), low=low, high=high)
            from flowgraph.ops.base import apply

            result = apply(OPS[name](**sample.attrs), kept)
            graph.close(["x"], [], [], [Result("output", "y", result.name)])
            shape = [d.value for d in type.shape]
            x = np.random.default_rng(0).uniform(low, high, shape)
            lower, upper = intervals(graph)[result.name]
            value = simulate(graph, {"x": x})[result.name]
            parts = value if isinstance(value, list | tuple) else [value]
            for part in parts:
                part = np.asarray(part, dtype=float)
                part = part[np.isfinite(part)]
                assert np.all((part >= lower - 1e-12) & (part <= upper + 1e-12)), (lower, upper, part)


def test_intervals_of_what_is_made_of_several() -> None:
    diagram = loads(
        "input x : [2], k : class(3)\nparam w = 1.0\n"
        "s = sigmoid(x)\na = s[0] + s[1]\nb = a - 2 * s[0]\nc = a * b\nd = -a\n"
        "e = [s[0], 3.0]\ng = concat(s, [-1.0])\nh = one_hot(k)\nm = [[1, -2], [3, 4]] @ s\n"
        "n = where(x[0] > 0, s[0], 5.0)\np = w * s[0]\n"
        "output a, b, c, d, e, g, h, m, n, p\n"
    )
    lies = intervals(diagram.graph)
    found = {r.label: lies[r.node] for r in diagram.graph.results}
    inf = math.inf
    assert found == {
        "a": (0, 2), "b": (-2, 2), "c": (-4, 4), "d": (-2, 0), "e": (0, 3), "g": (-1, 1),
        "h": (0, 1), "m": (-4, 8), "n": (0, 5), "p": (-inf, inf),
    }  # fmt: skip


# ---------------------------------------------------------------------------------------
# Losses that are given something else


TWICE = {
    "cross_entropy(softmax(z), k)": "softmax",
    "cross_entropy(z |> softmax, k)": "softmax",
    "nll(softmax(z), k)": "softmax",
    "kl_div(softmax(z), q)": "softmax",
    "bce_with_logits(sigmoid(z), q)": "sigmoid",
}
ONCE = (
    "cross_entropy(z, k)",
    "cross_entropy(2 * softmax(z), k)",
    "nll(log_softmax(z), k)",
    "kl_div(log_softmax(z), q)",
    "bce(sigmoid(z), q)",
    "bce_with_logits(z, q)",
    "mse(softmax(z), q)",
    "mse(sigmoid(z), one_hot(k))",
)
HEAD = """\
input x : [2]
target k : class(3)
target q : [3]
z = linear(x, 3)
metric mae(z, q)
metric accuracy(z, k)
"""


@pytest.mark.parametrize("loss", TWICE)
def test_applied_twice(loss: str) -> None:
    found = only(f"{HEAD}loss {loss}\n")
    assert found.code == "W0304"
    assert found.message == f"`{loss.split('(')[0]}` is given the output of `{TWICE[loss]}`"
    assert found.help


def test_applied_twice_by_a_name() -> None:
    found = only(f"{HEAD}p = softmax(z)\noutput p\nloss cross_entropy(p, k)\n")
    assert marked(found) == ["cross_entropy(p, k)", "softmax(z)"]


@pytest.mark.parametrize("loss", ONCE)
def test_applied_once(loss: str) -> None:
    assert not warnings(f"{HEAD}loss {loss}\n")


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "hinge"])
def test_a_class_is_no_number(name: str) -> None:
    text = f"input x : [2]\ntarget k : class(3)\nf = linear(x, 1)[0]\nloss {name}(f, k)\n"
    found = only(text)
    assert found.code == "W0305"
    assert marked(found)[1] == "k"
    assert not warnings(text.replace("class(3)", "int"))
    assert not warnings(text.replace(" : class(3)", ""))


def test_a_class_in_a_metric_is_not_learnt_from() -> None:
    text = "input x : [2]\ntarget k : class(3)\nz = linear(x, 3)\nloss cross_entropy(z, k)\n"
    assert not warnings(f"{text}metric mae(z[0], k)\n")
