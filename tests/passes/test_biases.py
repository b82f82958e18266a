"""Biases as a column of the weights: the same values and gradients, and every param under its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from agreement import by_name, gradients, laid_out, operations, results, values_of

from flowgraph import ops
from flowgraph.diagram import load, loads
from flowgraph.graph import Graph, verify
from flowgraph.passes.autodiff import Vjp
from flowgraph.passes.base import Pass, Pipeline
from flowgraph.passes.biases import Biases
from flowgraph.passes.columns import Columns
from flowgraph.passes.dce import Dce
from flowgraph.passes.keep import Keep
from flowgraph.passes.packing import held
from flowgraph.passes.simplify import Simplify
from flowgraph.passes.slices import Slices
from flowgraph.pipelines import TIDY, pipeline
from flowgraph.text import parse_graph, print_graph

EXAMPLES = Path(__file__).parents[2] / "examples" / "lecture"

NETWORK = """
input x : [3]
target y : class(4)
h = tanh(linear(x, 5))
z = linear(h, 4)
output z
loss cross_entropy(z, y)
"""

WRITTEN = """
input x : [3]
target y : [2]
param V : [3, 4] = normal()
param v : [4] = normal()
param W : [2, 4] = normal()
param b : [2] = normal()
h = tanh(x @ V + v)
z = b + W @ h
loss mse(z, y)
"""
"""Matrices on either side, and the bias before or after the product."""

TIED = """
input x : [4]
param W : [4, 4] = normal()
param b : [4] = normal()
param c : [4] = normal()
h = tanh(W @ x + b)
loss sum((W.T @ tanh(W @ h + c) + W @ x - x) ^ 2)
"""

WIRES = """
input x1, x2
target y
node h1, h2 : tanh
node f
1, x1, x2 -> h1, h2
1, h1, h2 -> f
loss (f - y) ^ 2
"""

MIXED = """
graph mixed
  sizes N
  batch N
  inputs x
  params W, v
  x: real[N, 2] = input()
  W: real[2, 2] = param(init=none, parts=("a", "b", "c", "d"))
  v: real[2] = param(init=none)
  %turned: real[2, 2] = transpose_last(W)
  %product: real[N, 2] = matmul(x, %turned)
  z: real[N, 2] = add(%product, v)
  output z = z
"""
"""Wires in an array, and a bias that is a param of its own."""


def batched(text: str) -> Graph:
    return pipeline(1, packed=True).run(loads(text).expanded)


def differentiated(graph: Graph, *before: Pass) -> Graph:
    steps = (*before, Keep(("loss",)), Vjp(), *TIDY, Slices(), Dce(), Columns(), *TIDY)
    return Pipeline(steps).run(graph)


def assert_same_gradients(graph: Graph) -> None:
    merged = Biases().run(graph)
    verify(merged, typed=True)
    assert len(merged.params) < len(graph.params)
    values = values_of(graph)
    again = laid_out(merged, values, by_name(graph, values))
    for want, got in zip(results(graph, values), results(merged, again), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    one, other = differentiated(graph), differentiated(graph, Biases())
    want, got = gradients(one, values), gradients(other, again)
    assert want.keys() == got.keys()
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("text", [NETWORK, WRITTEN, TIED, WIRES])
def test_values_and_gradients_agree_by_name(text) -> None:
    assert_same_gradients(batched(text))


@pytest.mark.parametrize("name", ["mlp_2_3_2", "xor_learned", "softmax", "regression", "perceptron"])
def test_examples_agree(name) -> None:
    assert_same_gradients(pipeline(1, packed=True).run(load(EXAMPLES / f"{name}.flow").expanded))


def test_two_products_forward_and_three_backward_and_no_sum_over_the_batch() -> None:
    found = Pipeline((*TIDY,)).run(differentiated(batched(NETWORK), Biases()))
    assert operations(found).count("matmul") == 5
    by_layer = {n.op.name for n in found if n.of is not None}
    assert not by_layer & {"sum", "add"}


def test_the_param_says_what_it_holds() -> None:
    graph = Biases().run(batched(NETWORK))
    assert [graph[p].hint for p in graph.params] == ["h.linear.weight_and_bias", "z.weight_and_bias"]
    assert held(graph[graph.params[0]]) == [
        ("h.linear.weight", (slice(None), slice(None, -1))),
        ("h.linear.bias", (slice(None), -1)),
    ]
    assert print_graph(parse_graph(print_graph(graph), ops)) == print_graph(graph)


def test_wires_in_arrays_are_entries_of_the_new_one() -> None:
    graph = Biases().run(batched(WIRES))
    names = [name for p in graph.params for name, _ in held(graph[p])]
    assert sorted(names) == sorted(str(loads(WIRES).graph[p].hint) for p in loads(WIRES).graph.params)
    assert all(graph[p].op.parts and not graph[p].op.holds for p in graph.params)


def test_an_array_may_hold_entries_and_a_slice() -> None:
    graph = parse_graph(MIXED, ops)
    (param,) = Biases().run(graph).params
    found = held(Biases().run(graph)[param])
    assert found == [("a", (0, 0)), ("b", (0, 1)), ("c", (1, 0)), ("d", (1, 1)), ("v", (slice(None), -1))]


def test_what_is_read_of_a_product_is_all_that_is_computed() -> None:
    found = differentiated(batched(NETWORK), Biases())
    sizes = {tuple(map(str, n.type.shape)) for n in found if n.op.name == "matmul"}
    assert ("5", "N") in sizes
    assert ("6", "N") not in sizes


@pytest.mark.parametrize(
    "text",
    [
        "input x : [100]\nz = linear(x, 50)\noutput z",
        "input x : [65]\nz = linear(x, 2)\noutput z",
        "input x : [5, 3]\nz = linear(x, 2)\noutput z",
        "input x : [3]\nz = linear(x, 2, bias=false)\noutput z",
        "input x : [3]\nparam b : [2] = normal()\nparam W : [2, 3] = normal()\noutput W @ x + b, b",
        "input x : [3]\nparam b : [2] = normal()\nparam W : [2, 3] = normal()\np = W @ x\noutput p, p + b",
        "input x : [3]\nparam b = normal()\nparam W : [2, 3] = normal()\noutput W @ x + b",
    ],
    ids=["large", "wide input", "rows", "no bias", "bias used", "product used", "one bias for all"],
)
def test_other_layers_stay_as_they_are(text) -> None:
    graph = batched(text)
    assert Biases().run(graph) is graph


def test_a_hidden_layer_may_be_wider_than_an_input() -> None:
    graph = batched("input x : [65]\nz = linear(tanh(x), 2)\noutput z")
    assert len(Biases().run(graph).params) == 1


def test_two_layers_that_read_one_value_read_one_with_ones() -> None:
    text = "input x : [3]\nloss sum(linear(x, 2)) + sum(tanh(linear(x, 4)))"
    assert operations(Biases().run(batched(text))).count("concat") == 1


def test_slices_leave_a_product_that_is_used_twice() -> None:
    text = "input x : [3]\nparam W : [3, 3] = normal()\np = W @ x\nq = tanh(x)\noutput p[0] * q[0] + p[1]"
    graph = Simplify().run(batched(text))
    found = Slices().run(graph)
    assert operations(found) == operations(graph)
