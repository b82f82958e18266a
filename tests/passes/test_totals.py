"""Sums, factors and comparisons in fewer passes, and one-hot arrays that are not made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from op_cases import rng

import flowgraph
from flowgraph.graph import Builder, Graph, Result, renamed, verify
from flowgraph.ops import OPS
from flowgraph.ops.base import Value, fn
from flowgraph.ops.sample import Arg, klass, real
from flowgraph.passes.base import Pipeline
from flowgraph.passes.cse import Cse
from flowgraph.passes.dce import Dce
from flowgraph.passes.inside import Inside
from flowgraph.passes.labels import FEW_CLASSES, Labels
from flowgraph.passes.simpler import Simpler
from flowgraph.passes.simulate import mode_values, simulate
from flowgraph.passes.totals import Totals
from flowgraph.pipelines import TIDY
from flowgraph.types import Dim

ALL = Pipeline(tuple(map(Inside, (Labels(few=2), Simpler(), *TIDY, Totals(), Cse(), Dce()))))


def built(make: Any, *args: Arg) -> Graph:
    """A graph of the inputs x0, x1, ... and what is made of them."""
    graph = Graph("g")
    builder = Builder(graph)
    names = [builder.apply(OPS["input"](type=arg.type), (), name=f"x{i}") for i, arg in enumerate(args)]
    made = make(*(Value(builder, name) for name in names))
    return graph.close(names, (), (), [Result("output", "y", made.name)])


def ops(graph: Graph) -> list[str]:
    return [n.op.name for n in Dce().run(Cse().run(graph)) if n.operands]


def same(before: Graph, after: Graph, args: list[Arg]) -> bool:
    verify(after, typed=True)
    values = dict(zip(before.inputs, (arg.draw(rng("totals")) for arg in args), strict=True))
    want, got = (simulate(g, values)[g.results[0].node] for g in (before, after))
    return bool(np.shape(want) == np.shape(got) and np.allclose(got, want, rtol=1e-13, atol=1e-13))


CASES = [
    (
        "a mean of squares is an inner product",
        lambda x: fn.share(fn.sum(fn.share(fn.sum(fn.square(x), axis=-1), size=3)), size=4),
        [real(4, 3)],
        ["reshape", "matmul", "share", "share", "mul", "mul"],
    ),
    (
        "a sum of products is an inner product",
        lambda a, b: fn.sum(a * b),
        [real(3), real(3)],
        ["matmul"],
    ),
    (
        "products that broadcast are summed as they are",
        lambda a, b: fn.sum(a * b),
        [real(2, 3), real(3)],
        ["mul", "sum"],
    ),
    (
        "a sum along an axis stays one",
        lambda x: fn.sum(fn.square(x), axis=0),
        [real(2, 3)],
        ["square", "sum"],
    ),
    (
        "sums of sums are one",
        lambda x: fn.sum(fn.sum(x, axis=1), axis=0),
        [real(2, 3, 4)],
        ["sum"],
    ),
    (
        "a sign comes out of a sum",
        lambda x: fn.sum(-x, axis=0),
        [real(2, 3)],
        ["sum", "neg"],
    ),
    (
        "what multiplies every term comes out of a sum",
        lambda x: fn.sum(3 * x, axis=0),
        [real(2, 3)],
        ["sum", "mul"],
    ),
    (
        "a share is a product with a number",
        lambda x: fn.share(2 * x, size=5),
        [real(2, 3)],
        ["share", "mul", "mul"],
    ),
    (
        "quotients by numbers are one product",
        lambda x: x / 3 / 7,
        [real(2, 3)],
        ["mul"],
    ),
]


@pytest.mark.parametrize(("make", "args", "left"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_fewer_passes_give_the_same(make, args, left):
    graph = built(make, *args)
    made = Totals().run(graph)
    assert sorted(ops(made)) == sorted(left)
    assert same(graph, made, args)


def test_what_else_is_used_is_computed_as_before():
    def twice(x):
        squares = fn.square(x)
        return fn.sum(squares) + fn.sum(squares, axis=0)

    graph = built(twice, real(2, 3))
    assert ops(Totals().run(graph)) == ["square", "sum", "sum", "add"]


def test_a_named_value_keeps_its_name():
    graph = built(lambda x: fn.share(x, size=3), real(2))
    out = graph.like()
    for node in graph:
        out.add(renamed(node, hint="h") if node.op.name == "share" else node)
    made = Totals().run(out.close(graph.inputs, (), (), graph.results))
    assert [(n.name, n.op.name) for n in made if n.hint == "h"] == [("share", "mul")]


# ---------------------------------------------------------------------------------------
# Labels


MANY = FEW_CLASSES + 1


@pytest.mark.parametrize(
    ("classes", "left"), [(FEW_CLASSES, ["one_hot", "sub"]), (MANY, ["subtract_one_hot"])]
)
def test_of_many_classes_no_one_hot_array_is_made(classes, left):
    args = [real(4, classes), klass(classes, 4)]
    graph = built(lambda p, y: p - fn.one_hot(y), *args)
    made = Labels().run(graph)
    assert ops(made) == left
    values = dict(zip(graph.inputs, (arg.draw(rng("labels")) for arg in args), strict=True))
    want, got = (simulate(g, values)[g.results[0].node] for g in (graph, made))
    assert np.array_equal(want, got)


def test_how_many_are_few_can_be_said():
    graph = built(lambda p, y: p - fn.one_hot(y), real(4, 3), klass(3, 4))
    assert ops(Labels(few=2).run(graph)) == ["subtract_one_hot"]


@pytest.mark.parametrize("make", [lambda p, y: fn.one_hot(y) - p, lambda p, y: p + fn.one_hot(y)])
def test_other_uses_of_a_one_hot_array_stay(make):
    graph = built(make, real(4, MANY), klass(MANY, 4))
    assert ops(Labels().run(graph)) == ops(graph)


# ---------------------------------------------------------------------------------------
# All together


EXAMPLES = [
    *("lecture/mlp_2_3_2", "lecture/xor_learned", "lecture/cubic", "lecture/softmax", "lecture/perceptron"),
    *("digits/digits", "models/transformer_classifier", "models/gru_chars", "models/word2vec"),
    "models/lenet",
]


@pytest.mark.parametrize("path", EXAMPLES)
def test_gradients_of_real_networks_stay_the_same(path):
    graph = flowgraph.load(Path(__file__).parents[2] / f"examples/{path}.flow").written(1, "loss_and_grad")
    made = ALL.run(graph)
    verify(made, typed=True)
    generator = rng(path)
    sizes = {name: 3 + i for i, name in enumerate(graph.sizes)}
    values = {n.name: _drawn(n, sizes, generator) for n in graph if n.op.name in ("input", "target", "param")}
    values |= mode_values(graph, train=True, rng=generator)
    want, got = simulate(graph, values), simulate(made, values)
    for one, other in zip(graph.results, made.results, strict=True):
        a, b = np.asarray(want[one.node]), np.asarray(got[other.node])
        assert a.shape == b.shape and np.allclose(b, a, rtol=1e-12, atol=1e-12 * np.max(np.abs(a)))


def _drawn(node: Any, sizes: dict[str, int], generator: np.random.Generator) -> np.ndarray:
    shape = tuple(Dim.of(d).at(sizes) for d in node.type.shape)
    if node.type.elem.kind == "class":
        return generator.integers(0, Dim.of(node.type.elem.classes).at(sizes), shape)
    return generator.normal(0, 0.3, shape)
