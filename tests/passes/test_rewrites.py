"""The simplifying passes, text in and text out, and each exact or close as its head says."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest

from flowgraph import ops
from flowgraph.graph import Graph
from flowgraph.passes.base import Pass, Pipeline
from flowgraph.passes.cancel import Cancel
from flowgraph.passes.cse import Cse
from flowgraph.passes.dce import Dce
from flowgraph.passes.fold import Fold
from flowgraph.passes.keep import Keep
from flowgraph.passes.simplify import Simplify
from flowgraph.passes.simulate import simulate
from flowgraph.passes.split_sums import SplitSums
from flowgraph.text import parse_graph, print_graph


def graph(body: str, head: str = "inputs x") -> Graph:
    """A graph of the input x : real[2, 2] and the lines given."""
    lines = textwrap.dedent(body).strip().splitlines()
    text = "\n".join(["graph g", f"  {head}", "  x: real[2, 2] = input()", *(f"  {line}" for line in lines)])
    return parse_graph(text + "\n", ops)


def lines(found: Graph) -> list[str]:
    """The nodes and results of a graph, one a line, the input left out."""
    return [
        line.strip() for line in print_graph(found).splitlines() if not line.startswith(("graph", "  inputs"))
    ][1:]


CASES: list[tuple[str, Pass, str, list[str]]] = [
    (
        "equal values are computed once",
        Cse(),
        "%a: real[2, 2] = tanh(x)\n%b: real[2, 2] = tanh(x)\ny: real[2, 2] = add(%a, %b)\noutput y = y",
        ["%a: real[2, 2] = tanh(x)", "y: real[2, 2] = add(%a, %a)", "output y = y"],
    ),
    (
        "a value with a name keeps its own statement",
        Cse(),
        "a: real[2, 2] = tanh(x)\nb: real[2, 2] = tanh(x)\noutput a = a\noutput b = b",
        ["a: real[2, 2] = tanh(x)", "b: real[2, 2] = tanh(x)", "output a = a", "output b = b"],
    ),
    (
        "what no result needs goes",
        Dce(),
        "a: real[2, 2] = tanh(x)\nb: real[2, 2] = sin(x)\noutput b = b",
        ["b: real[2, 2] = sin(x)", "output b = b"],
    ),
    (
        "numbers are computed",
        Fold(),
        '%two: real = const(value=2.5)\n%three: real = const(value=3, kind="real")\n'
        "%six: real = mul(%two, %three)\ny: real[2, 2] = mul(%six, x)\noutput y = y",
        ["%six: real = const(value=7.5)", "y: real[2, 2] = mul(%six, x)"],
    ),
    (
        "times one is nothing",
        Simplify(),
        '%one: real = const(value=1, kind="real")\n%a: real[2, 2] = mul(x, %one)\n'
        "y: real[2, 2] = tanh(%a)\noutput y = y",
        ["y: real[2, 2] = tanh(x)"],
    ),
    (
        "plus a negative is minus",
        Simplify(),
        "%a: real[2, 2] = tanh(x)\n%b: real[2, 2] = neg(%a)\ny: real[2, 2] = add(x, %b)\noutput y = y",
        ["y: real[2, 2] = sub(x, %a)"],
    ),
    (
        "plus zero stays, for the sign of zero",
        Simplify(),
        '%zero: real = const(value=0, kind="real")\ny: real[2, 2] = add(x, %zero)\noutput y = y',
        ["y: real[2, 2] = add(x, %zero)"],
    ),
    (
        "two transpositions cancel",
        Cancel(),
        "%a: real[2, 2] = transpose_last(x)\n%b: real[2, 2] = transpose_last(%a)\n"
        "y: real[2, 2] = tanh(%b)\noutput y = y",
        ["y: real[2, 2] = tanh(x)"],
    ),
    (
        "a transposed product is the product of the transposed",
        Cancel(),
        "%t: real[2, 2] = transpose_last(x)\n%a: real[2, 2] = matmul(%t, x)\n"
        "y: real[2, 2] = transpose_last(%a)\noutput y = y",
        ["y: real[2, 2] = matmul(%transpose_last, x)"],
    ),
    (
        "what is repeated inside an elementwise operation need not be",
        Cancel(),
        "%two: real = const(value=2.5)\n%a: real[2, 2] = expand(%two, shape=(2, 2))\n"
        "y: real[2, 2] = mul(x, %a)\noutput y = y",
        ["y: real[2, 2] = mul(x, %two)"],
    ),
    (
        "only the results asked for",
        Keep(("loss",)),
        "a: real = sum(x, axis=(-2, -1))\noutput a = a\nloss loss = a",
        ["loss loss = a"],
    ),
    (
        "long sums break into short ones",
        SplitSums(terms=2),
        "y: real[2, 2] = weighted_sum(x, x, x, weights=(1, -2, 3), bias=0.5)\noutput y = y",
        [
            "%weighted_sum: real[2, 2] = weighted_sum(x, x, weights=(1, -2), bias=0.5)",
            "y: real[2, 2] = weighted_sum(%weighted_sum, x, weights=(1, 3))",
        ],
    ),
]


@pytest.mark.parametrize(("step", "body", "wanted"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_pass(step: Pass, body: str, wanted: list[str]) -> None:
    before = graph(body)
    after = Pipeline((step,)).run(before)
    found = lines(after)
    missing = [line for line in wanted if line not in found]
    assert not missing, "\n".join(found)
    x = np.random.default_rng(1).normal(size=(2, 2))
    kept = {r.label for r in after.results}
    old, new = simulate(before, {"x": x}), simulate(after, {"x": x})
    for was, now in zip((r for r in before.results if r.label in kept), after.results, strict=False):
        assert np.array_equal(old[was.node], new[now.node])


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_pass_is_idempotent(case: tuple[str, Pass, str, list[str]]) -> None:
    once = case[1].run(graph(case[2]))
    assert print_graph(case[1].run(once)) == print_graph(once)
