"""Examples as columns: the same values whatever the operation, and lines that lie side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agreement import assert_agree, operations, statements
from op_cases import BATCH_ONLY, Run, batchable, cases, items

from flowgraph.diagram import load, loads
from flowgraph.graph import Graph, Result
from flowgraph.ops.base import fn
from flowgraph.passes.base import Pipeline
from flowgraph.passes.batch import Batch
from flowgraph.passes.columns import Columns
from flowgraph.pipelines import TIDY
from flowgraph.types import TupleType

EXAMPLES = Path(__file__).parents[2] / "examples" / "lecture"

NETWORK = """
input x : [3]
target y : class(4)
h = tanh(linear(x, 5))
z = linear(h, 4)
p = softmax(z)
output p
loss cross_entropy(z, y)
"""

BIASED = """
input x : [3]
target y
param W : [2, 3] = normal()
param b : [2] = normal()
z = tanh(W @ x + b)
loss (sum(z) - y) ^ 2
"""

DEEP = """
input x : [3]
target y : [2]
param V : [4, 3] = normal()
param W : [2, 4] = normal()
loss mse(W @ (V @ x), y)
"""


def tidied(graph: Graph) -> Graph:
    return Pipeline(TIDY).run(graph)


def batched(text: str) -> Graph:
    """The batched graph of a diagram without a loss."""
    return tidied(Batch().run(loads(text).expanded))


def whole(run: Run) -> Graph:
    """A batched case as a graph with its results, tuples taken apart."""
    value = run.result
    parts = [value]
    if isinstance(value.type, TupleType):
        count = len(items(value.type))
        parts = [fn.item(value, index=i, count=count) for i in range(count)]
    graph = run.graph
    graph.batch = "N"
    leaves = {"input": [], "training": [], "key": [], "buffer": []}
    for node in graph:
        leaves.setdefault(node.op.name, []).append(node.name)
    return graph.close(leaves["input"], (), (), [Result("output", p.name, p.name) for p in parts])


def plain_cases() -> list[Any]:
    """Operations that take arrays of the batch and nothing else, with every sample."""
    kinds = ("real", "class", "bool")
    return [
        pytest.param(cls, sample, id=name)
        for cls, sample, name in cases()
        if cls.name not in BATCH_ONLY and not (cls.ambient or cls.params)
        if all(a.kind in kinds for a in sample.args)
    ]


@pytest.mark.parametrize(("cls", "sample"), plain_cases())
def test_every_operation_agrees_with_examples_as_columns(cls, sample) -> None:
    for chosen in batchable(cls, sample):
        graph = whole(Run(cls, sample, chosen))
        assert_agree(graph, Columns().run(graph))


@pytest.mark.parametrize(
    "name", ["mlp_2_3_2", "xor_learned", "softmax", "regression", "perceptron", "one_hot_error"]
)
def test_loss_and_gradients_agree(name) -> None:
    graph = load(EXAMPLES / f"{name}.flow").differentiated(1)
    turned = Columns().run(graph)
    assert_agree(graph, turned)
    assert_agree(graph, tidied(turned))


def test_it_is_right_before_differentiating_too() -> None:
    graph = loads(NETWORK).optimised(1)
    assert_agree(graph, Columns().run(graph))


def test_no_matrix_of_examples_is_left_but_views() -> None:
    graph = tidied(Columns().run(loads(NETWORK).differentiated(0)))
    rows = [
        n.op.name for n in graph if n.operands and n.type.rank == 2 and str(n.type.shape[0]) == graph.batch
    ]
    assert set(rows) == {"transpose_last"}


def test_a_bias_becomes_a_column_and_a_sum_over_examples_one_along_lines() -> None:
    graph = loads(BIASED)
    found = statements(tidied(Columns().run(graph.differentiated(1))))
    assert any("real[2, 1] = unsqueeze(b" in line for line in found)
    assert any("real[2, N] = matmul(W, " in line for line in found)
    assert any("real[2] = sum(" in line and "axis=-1" in line for line in found)


def test_the_transposed_of_a_value_is_the_value_itself() -> None:
    graph = loads(
        "input x : [3]\ntarget y : [2]\nparam W : [2, 3] = normal()\nz = tanh(W @ x)\nloss mse(z, y)"
    )
    found = tidied(Columns().run(graph.differentiated(1)))
    gradient = found[found.results_of("gradient")[0].node]
    assert gradient.op.name == "matmul"
    assert found[gradient.operands[0]].op.name == "mul"
    assert gradient.operands[1] == "x"


def test_classes_are_compared_line_by_line() -> None:
    graph = batched("input k : class(3)\noutput one_hot(k)")
    found = Columns().run(graph)
    assert_agree(graph, found)
    assert "one_hot" not in operations(found)


def test_drawn_numbers_stay_as_they_are() -> None:
    graph = batched("input x : [3]\noutput tanh(dropout(tanh(x), 0.5))")
    assert_agree(graph, Columns().run(graph))


@pytest.mark.parametrize(
    "text",
    [
        "input x : [3, 4]\noutput tanh(x)",
        "input x\noutput tanh(x)",
        "input x : [T]\nsize T\noutput tanh(x) @ x",
    ],
)
def test_other_graphs_stay_as_they_are_or_right(text) -> None:
    graph = batched(text)
    found = Columns().run(graph)
    assert_agree(graph, found)
    if "T" not in text:
        assert found is graph


def test_a_product_used_twice_is_not_computed_again() -> None:
    graph = loads(DEEP).differentiated(1)
    found = tidied(Columns().run(graph))
    assert_agree(graph, found)
    assert operations(found).count("matmul") == 5
