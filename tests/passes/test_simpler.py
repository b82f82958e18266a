"""Operations taken apart until each is one pass over its arrays: the same values, and nothing left over."""

from __future__ import annotations

import ast
import copy
import math
from typing import Any

import numpy as np
import pytest
from op_cases import BATCH_ONLY, Run, batchable, cases, close, draw, rng

from flowgraph.errors import Source, Span
from flowgraph.graph import Builder, Graph, Node, Result, verify
from flowgraph.ops import OPS
from flowgraph.ops.base import Value, fn, items_of
from flowgraph.ops.sample import Arg, Sample, klass, real
from flowgraph.passes.base import Pipeline
from flowgraph.passes.cse import Cse
from flowgraph.passes.dce import Dce
from flowgraph.passes.simpler import Simpler
from flowgraph.passes.simplify import Simplify
from flowgraph.types import Dim, TupleType

N = Dim.symbol("N")
TIDY = (Simpler(), Simplify(), Cse(), Simplify(), Dce())
ALL = [pytest.param(cls, sample, name, id=name) for cls, sample, name in cases() if sample.args]

SEVERAL_PASSES = {
    "conv": "a product over windows, block by block",
    "conv_input": "the same, transposed",
    "conv_weight": "the same, for the kernel",
    "windows": "windows copied side by side",
    "sum_windows": "windows added in place",
    "max_pool": "an extreme over windows",
    "avg_pool": "a sum over windows",
    "erf": "a series, summed term by term",
    "erfc": "a series, summed term by term",
    "rotary": "tables of angles, made in double precision",
    "batch_standardize": "what it does depends on whether the call trains",
    "batchnorm": "the same, of a single example",
    "outside_training": "refuses a call that trains",
    "dropout_mask": "a random draw",
    "normal": "a random draw",
    "uniform": "a random draw",
    "accuracy": "a metric, computed where results are reported",
    "top_k": "a metric, computed where results are reported",
    "wired": "the sparse products of a drawing, which choose their own form",
    "wire_products": "the same, for the weights",
    "take_along": "along another axis than the last, or several places in a line",
    "pack": "several values at once, which are there already",
    "unbind": "several views at once, which only torch code has",
}
"""The operations that stay although their numpy form goes over arrays more than once, and why."""


def simple(run: Run) -> Run:
    """The same case by simpler operations."""
    inputs = [n.name for n in run.graph if n.op.name == "input"]
    whole = copy.copy(run.graph).close(inputs, (), (), [Result("output", "y", run.result.name)])
    out = copy.copy(run)
    out.graph = Pipeline(TIDY).run(whole)
    verify(out.graph, typed=True)
    out.result = Value(out.builder, out.graph.results[0].node)
    return out


@pytest.mark.parametrize(("cls", "sample", "name"), ALL)
def test_simpler_operations_give_the_same_value(cls, sample, name):
    run = Run(cls, sample)
    arrays = draw(sample, rng(name))
    assert close(simple(run).value(arrays), run.value(arrays))


@pytest.mark.parametrize("size", [3, 0])
@pytest.mark.parametrize(("cls", "sample", "name"), [c for c in ALL if c.values[0].name not in BATCH_ONLY])
def test_over_a_batch_they_give_the_same_value(cls, sample, name, size):
    if not batchable(cls, sample):
        return
    batched = batchable(cls, sample)[0]
    run = Run(cls, sample, batched)
    arrays = draw(sample, rng(name), dict.fromkeys(batched, size))
    assert close(simple(run).value(arrays), run.value(arrays))


@pytest.mark.parametrize(("cls", "sample", "name"), ALL)
def test_single_precision_stays_single(cls, sample, name):
    run = Run(cls, sample)
    arrays = [a.astype(np.float32) if a.dtype == np.float64 else a for a in draw(sample, rng(name))]
    got, want = (r.value(arrays, dtype=np.float32) for r in (simple(run), run))
    several = isinstance(run.result.type, TupleType)
    for one, other in zip(got if several else [got], want if several else [want], strict=True):
        assert np.asarray(one).dtype == np.asarray(other).dtype
        scale = np.max(np.abs(other), initial=1) if np.asarray(other).dtype == np.float32 else 1
        assert np.allclose(one, other, rtol=1e-5, atol=8 * np.finfo(np.float32).eps * scale)


FAR = np.array([-1e4, -800.0, -100.0, -88.0, -20.0, -1e-7, 0.0, 1e-7, 1.0, 20.0, 88.0, 100.0, 800.0, 1e4])
BOUNDED = [
    *("sigmoid", "silu", "mish", "softplus", "softsign", "elu", "selu", "leaky_relu", "hard_sigmoid"),
    *("hard_swish", "gelu", "softmax", "log_softmax", "logsumexp", "standardize", "norm", "std"),
]


CANCELLING = {
    "gelu": "the complement of the error function magnifies the rounding of its argument in the tail",
    "standardize": "what is far less than the largest entry is rounded as that is",
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("title", BOUNDED)
def test_far_from_zero_they_are_finite_and_right(title, dtype):
    run = Run(OPS[title], Sample(real(len(FAR))))
    arrays = [FAR.astype(dtype)]
    with np.errstate(over="ignore", under="ignore"):
        got, want = (r.value(arrays, dtype=dtype) for r in (simple(run), run))
    several = isinstance(run.result.type, TupleType)
    for one, other in zip(got if several else [got], want if several else [want], strict=True):
        assert np.all(np.isfinite(one))
        least = np.finfo(dtype).eps * np.max(np.abs(other)) if title in CANCELLING else np.finfo(dtype).tiny
        assert np.allclose(one, other, rtol=200 * np.finfo(dtype).eps, atol=least)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("title", ["cross_entropy", "bce_with_logits", "mse", "huber", "hinge"])
def test_losses_of_far_scores_are_finite_and_right(title, dtype):
    target = klass(len(FAR)) if title == "cross_entropy" else real(len(FAR), low=0, high=1)
    run = Run(OPS[title], Sample(real(len(FAR)), target))
    for label in range(len(FAR)):
        y = np.array(label) if title == "cross_entropy" else np.full(len(FAR), label % 2, dtype)
        with np.errstate(over="ignore", under="ignore"):
            got, want = (r.value([FAR.astype(dtype), y], dtype=dtype) for r in (simple(run), run))
        assert np.isfinite(got) and np.allclose(got, want, rtol=20 * np.finfo(dtype).eps, atol=0)


# ---------------------------------------------------------------------------------------
# What is left


def single(form: Any) -> bool:
    """Whether a form is a value, a view, or one operator, function or reduction of values."""
    return isinstance(form, str) and _is_single(ast.parse(form, mode="eval").body)


def _is_single(form: ast.expr) -> bool:
    if isinstance(form, ast.BinOp):
        return _is_value(form.left) and _is_value(form.right)
    if isinstance(form, ast.UnaryOp):
        return _is_value(form.operand)
    if isinstance(form, ast.Compare):
        return _is_value(form.left) and all(map(_is_value, form.comparators))
    if isinstance(form, ast.Call):
        title = ast.unparse(form.func).removeprefix("np.")
        if title in VIEWS:
            return True
        is_function = isinstance(getattr(np, title, None), np.ufunc) or title in (
            *REDUCTIONS,
            "clip",
            "round",
        )
        return is_function and all(map(_is_value, form.args))
    return _is_value(form)


REDUCTIONS = ("sum", "max", "min", "prod", "abs")
VIEWS = ("reshape", "squeeze", "transpose", "swapaxes", "flip", "broadcast_to")
MADE_ONCE = ("zeros_like",)
"""Functions that make a constant."""


def _is_value(form: ast.expr) -> bool:
    if isinstance(form, ast.Call):
        return ast.unparse(form.func) == "max" and all(map(_is_value, form.args))
    if isinstance(form, (ast.Subscript, ast.Attribute)):
        return _is_value(form.value)
    return isinstance(form, (ast.Name, ast.Constant))


@pytest.mark.parametrize(("cls", "sample", "name"), ALL)
def test_what_is_left_passes_over_its_arrays_once(cls, sample, name):
    graph = simple(Run(cls, sample)).graph
    for node in graph:
        types = [graph[o].type for o in node.operands]
        if not node.operands or node.op.into_form(types) or node.op.name in (*SEVERAL_PASSES, *MADE_ONCE):
            continue
        assert single(node.op.form("numpy", types)), f"{node.op.name} is left"


def test_every_exception_is_one():
    left = set()
    for cls, sample, _ in cases():
        for node, types in _nodes(simple(Run(cls, sample)).graph) if sample.args else ():
            if not node.op.into_form(types) and not single(node.op.form("numpy", types)):
                left.add(node.op.name)
    assert left - set(MADE_ONCE) == set(SEVERAL_PASSES)


def _nodes(graph: Graph) -> list[tuple[Node, list[Any]]]:
    return [(n, [graph[o].type for o in n.operands]) for n in graph if n.operands]


# ---------------------------------------------------------------------------------------
# What is kept


def built(make: Any, *args: Arg) -> Graph:
    """A graph of inputs and what is made of them."""
    graph = Graph("g")
    builder = Builder(graph)
    names = [builder.apply(OPS["input"](type=arg.type), (), hint=f"x{i}") for i, arg in enumerate(args)]
    made = make(*(Value(builder, name) for name in names))
    return graph.close(names, (), (), [Result("output", "y", made.name)])


def test_the_value_replaced_keeps_name_hint_place_and_origin():
    graph = built(lambda x: fn.tanh(x), real(3))
    place = Span(Source("", "h = sigmoid(x)"), 0, 1)
    out = graph.like()
    out.add(graph["x0"])
    out.add(Node("h", OPS["sigmoid"](), ("x0",), graph["x0"].type, "h", place, "x0"))
    made = Simpler().run(out.close(["x0"], (), (), [Result("output", "h", "h")]))
    last = made["h"]
    assert (last.op.name, last.hint, last.span, last.of) == ("reciprocal", "h", place, "x0")
    assert all(n.span == place and n.of == "x0" and n.hint is None for n in made if n.name not in ("x0", "h"))


def test_a_graph_of_simple_operations_is_left_alone():
    graph = built(lambda x: fn.tanh(x) + 1, real(3))
    assert Simpler().run(graph) is graph


def test_both_results_of_standardize_are_read():
    graph = built(lambda x: math.prod(items_of(fn.standardize(x), "standard", "scale")[::-1]), real(2, 4))
    made = Pipeline(TIDY).run(graph)
    assert not {"standardize", "item", "pack"} & {n.op.name for n in made}
    x = rng("standardize").normal(size=(2, 4))
    standard, scale = OPS["standardize"]().evaluate([x], [graph["x0"].type], {})
    run = copy.copy(Run(OPS["standardize"], Sample(real(2, 4))))
    run.graph, run.result = made, Value(run.builder, made.results[0].node)
    assert close(run.value([x]), standard * scale)


def test_cross_entropy_and_its_gradient_share_what_they_compute():
    def both(z, y):
        loss = fn.cross_entropy(z, y)
        return fn.sum(loss) + fn.sum(fn.softmax(z) - fn.one_hot(y))

    made = Pipeline(TIDY).run(built(both, real(4, 3), klass(3, 4)))
    count = [n.op.name for n in made].count
    assert [count(name) for name in ("max", "exp", "log", "flat_place", "div")] == [1, 1, 1, 1, 1]


def test_gelu_and_its_derivative_share_what_they_compute():
    def both(x):
        return fn.gelu(x, tanh=True) * OPS["gelu"](tanh=True).partials(x, x)[0]

    made = Pipeline(TIDY).run(built(both, real(4, 3)))
    count = [n.op.name for n in made].count
    assert (count("exp"), count("reciprocal")) == (1, 1)


def test_one_exponential_is_all_a_sigmoid_takes():
    made = Pipeline(TIDY).run(built(lambda x: fn.sigmoid(x), real(3)))
    assert [n.op.name for n in made if n.operands] == ["neg", "exp", "add", "reciprocal"]


def test_a_causal_mask_is_a_constant_that_is_added():
    made = Pipeline(TIDY).run(built(lambda s: fn.attention_weights(s, causal=True), real(2, 3, 3)))
    assert [n.op.name for n in made if n.operands] == ["add", "max", "sub", "exp", "sum", "div"]


def test_a_row_that_may_look_at_nothing_stays_zero():
    run = Run(OPS["attention_weights"], Sample(real(2, 3), Arg((2, 3), kind="bool")))
    mask = np.array([[True, False, True], [False, False, False]])
    got = simple(run).value([rng("nothing").normal(size=(2, 3)), mask])
    assert got[1].tolist() == [0, 0, 0] and np.sum(got[0]) == pytest.approx(1)


@pytest.mark.parametrize("row", [[-np.inf, -np.inf], [-np.inf, 2.0], [np.inf, 1.0]])
def test_infinite_entries_of_logsumexp_count_as_before(row):
    run = Run(OPS["logsumexp"], Sample(real(2)))
    with np.errstate(over="ignore", invalid="ignore"):
        assert simple(run).value([np.array(row)]) == run.value([np.array(row)])
