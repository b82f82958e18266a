"""The passes `signs` and `pick`: text in, text out, and the same values to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from test_rewrites import graph, lines

from flowgraph.graph import verify
from flowgraph.passes.base import Pass
from flowgraph.passes.cancel import Cancel
from flowgraph.passes.pick import Pick
from flowgraph.passes.signs import Signs
from flowgraph.passes.simulate import simulate

NEG = "%n: real[2, 2] = neg(x)\n%s: real[2, 2] = sin(x)\n"
ONE = "%one: real = const(value=1.0)\n"
UNIT = ONE + "%e: real[1] = expand(%one, shape=(1,))\n%u: real[2] = pad(%e, widths=(1, 0))\n"

CASES: list[tuple[str, Pass, str, list[str]]] = [
    (
        "a sign leaves a product",
        Signs(),
        NEG + "y: real[2, 2] = mul(%n, %s)\noutput y = y",
        ["%mul: real[2, 2] = mul(x, %s)", "y: real[2, 2] = neg(%mul)"],
    ),
    (
        "two signs in a product cancel",
        Signs(),
        NEG + "%m: real[2, 2] = neg(%s)\ny: real[2, 2] = matmul(%n, %m)\noutput y = y",
        ["y: real[2, 2] = matmul(x, %s)"],
    ),
    (
        "a sign leaves a sum over an axis, and what it is added to",
        Signs(),
        "%n: real[2, 2] = neg(x)\n%s: real[2] = sum(%n, axis=-1)\n%t: real[2] = sum(x, axis=-1)\n"
        "y: real[2] = add(%s, %t)\noutput y = y",
        [
            "%sum: real[2] = sum(x, axis=-1)",
            "%t: real[2] = sum(x, axis=-1)",
            "y: real[2] = sub(%t, %sum)",
        ],
    ),
    (
        "taking away a negative adds",
        Signs(),
        NEG + "y: real[2, 2] = sub(%s, %n)\noutput y = y",
        ["y: real[2, 2] = add(%s, x)"],
    ),
    (
        "a value of two users keeps its sign",
        Signs(),
        NEG + "y: real[2, 2] = mul(%n, %s)\noutput y = y\noutput z = %n",
        ["y: real[2, 2] = mul(%n, %s)"],
    ),
    (
        "a value with a name keeps its sign",
        Signs(),
        "n: real[2, 2] = neg(x)\ny: real[2, 2] = mul(n, x)\noutput y = y",
        ["y: real[2, 2] = mul(n, x)"],
    ),
    (
        "a row is picked",
        Pick(),
        UNIT + "y: real[2] = matmul(%u, x)\noutput y = y",
        ["y: real[2] = index(x, items=(1,))"],
    ),
    (
        "a column is picked",
        Pick(),
        UNIT + "y: real[2] = matmul(x, %u)\noutput y = y",
        ['y: real[2] = index(x, items=(("slice", none, none), 1))'],
    ),
    (
        "a row of the transposed is a column",
        Pick(),
        UNIT + "%t: real[2, 2] = transpose_last(x)\ny: real[2] = matmul(%u, %t)\noutput y = y",
        ['y: real[2] = index(x, items=(("slice", none, none), 1))'],
    ),
    (
        "a vector of another number is none to pick by",
        Pick(),
        "%c: real = const(value=2.0)\n%e: real[1] = expand(%c, shape=(1,))\n"
        "%u: real[2] = pad(%e, widths=(1, 0))\ny: real[2] = matmul(%u, x)\noutput y = y",
        ["y: real[2] = matmul(%u, x)"],
    ),
    (
        "repetitions and borders that add nothing go",
        Pick(),
        "%p: real[2, 2] = pad(x, widths=(0, 0, 0, 0))\n%e: real[2, 2] = expand(%p, shape=(2, 2))\n"
        "y: real[2, 2] = tanh(%e)\noutput y = y",
        ["y: real[2, 2] = tanh(x)"],
    ),
    (
        "the transposed of a sum of products is a sum of products",
        Cancel(),
        "%a: real[2, 2] = matmul(x, x)\n%t: real[2, 2] = transpose_last(x)\n%b: real[2, 2] = matmul(%t, x)\n"
        "%s: real[2, 2] = add(%a, %b)\ny: real[2, 2] = transpose_last(%s)\noutput y = y",
        [
            "%transpose_last: real[2, 2] = transpose_last(%a)",
            "%transpose_last_2: real[2, 2] = transpose_last(%b)",
            "y: real[2, 2] = add(%transpose_last, %transpose_last_2)",
        ],
    ),
]


@pytest.mark.parametrize(("name", "step", "body", "wanted"), CASES, ids=[c[0] for c in CASES])
def test_rewritten(name: str, step: Pass, body: str, wanted: list[str]) -> None:
    before = graph(body)
    after = step.run(before)
    verify(after)
    found = lines(after)
    assert [line for line in wanted if line not in found] == []
    x = np.array([[0.5, -2.0], [3.0, 1 / 3]])
    for old, new in zip(before.results, after.results, strict=True):
        expected = simulate(before, {"x": x})[old.node]
        np.testing.assert_array_equal(simulate(after, {"x": x})[new.node], expected)
