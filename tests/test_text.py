"""The text form of graphs: what it looks like, and that it reads back as it was."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import EXAMPLES, LECTURE, example

import flowgraph.ops as ops
from flowgraph.diagram import loads
from flowgraph.errors import FlowError
from flowgraph.graph import Graph, Node, Requirement, Result, renamed
from flowgraph.ops import OPS
from flowgraph.ops.init import INITS
from flowgraph.ops.leaf import Array, WeightedSum
from flowgraph.text import parse_graph, print_graph
from flowgraph.tree import print_tree
from flowgraph.types import BOOL, INT, REAL, Dim, TensorType, TupleType, Unknown

NOR = """
diagram nor "Neither, and its opposite"
input x1, x2
node h1 : step
1 -[0.5]-> h1
x1, x2 -[-1]-> h1
f = 1.5 - h1
"""


def round_trip(graph: Graph) -> Graph:
    """The graph read back, held against the one that was printed, field by field."""
    text = print_graph(graph)
    again = parse_graph(text, ops)
    assert print_graph(again) == text
    for name in ("name", "doc", "sizes", "batch", "constants", "inputs", "targets", "params"):
        assert getattr(again, name) == getattr(graph, name), name
    assert [(r.condition, r.message, r.for_loss) for r in again.requires] == [
        (r.condition, r.message, r.for_loss) for r in graph.requires
    ]
    assert [(r.role, r.label, r.node, r.by) for r in again.results] == [
        (r.role, r.label, r.node, r.by) for r in graph.results
    ]
    for old, new in zip(graph, again, strict=True):
        assert (new.name, new.operands, new.hint) == (old.name, old.operands, old.hint)
        assert (new.op.name, str(new.type)) == (old.op.name, str(old.type))
        held = any(isinstance(value, Graph) for value in old.op.values.values())
        if not held and "_" not in str(old.type) and old.type is not None:
            assert renamed(new, span=None) == renamed(old, span=None)
            names = getattr(getattr(old.type, "elem", None), "names", ())
            assert getattr(getattr(new.type, "elem", None), "names", ()) == names
    return again


def test_what_it_looks_like() -> None:
    lines = print_graph(loads(NOR).batched()).splitlines(keepends=True)
    # Where a literal stands is the lowering's business.
    assert lines.pop(next(i for i, line in enumerate(lines) if "const(" in line)) == (
        "  %const: real = const(value=1.5)\n"
    )
    assert "".join(lines) == (
        'graph nor "Neither, and its opposite"\n'
        "  sizes N\n"
        "  batch N\n"
        "  inputs x1, x2\n"
        "  x1: real[N] = input()\n"
        "  x2: real[N] = input()\n"
        "  xi_h1: real[N] = weighted_sum(x1, x2, weights=(-1, -1), bias=0.5)\n"
        "  h1: real[N] = step(xi_h1)\n"
        "  f: real[N] = sub(%const, h1)\n"
        "  output f = f\n"
    )


def test_spans_are_comments() -> None:
    diagram = loads(NOR, "folder/nor.flow")
    text = print_graph(diagram.graph, spans=True)
    assert "  h1: real = step(xi_h1)  # folder/nor.flow:4\n" in text
    assert print_graph(parse_graph(text, ops)) == print_graph(diagram.graph)


@pytest.mark.parametrize("name", [*LECTURE, "iris"])
def test_every_stage_of_every_example_reads_back(name: str) -> None:
    diagram = example(name)
    graphs = [diagram.program.graph, diagram.graph, diagram.batched()]
    graphs += [diagram.optimised(level) for level in (0, 1)]
    if diagram.graph.results_of("loss"):
        graphs += [diagram.differentiated(level, "hvp") for level in (0, 1)]
    for graph in graphs:
        round_trip(graph)


def test_sizes_requirements_and_named_classes() -> None:
    text = """
size T, D = 4
require T % 2 == 0, "T must be \\"even\\""
input x : [T, D], k : class("a", "b # c")
target y : class(3)
param W : [3, _] = glorot()
z = W @ mean(x, axis=0)
loss cross_entropy(z, y) by sum
loss reg = 0.1 * sum(W ^ 2)
output z, take(z, k)
"""
    diagram = loads(text)
    for graph in (diagram.program.graph, diagram.graph, diagram.batched()):
        again = round_trip(graph)
        assert again.requires[0].message == 'T must be "even"'
    assert "W: ? = param(type: real[3, _1], init=glorot())" in print_graph(diagram.program.graph)
    assert 'k: class("a", "b # c") = input()' in print_graph(diagram.graph)


def test_unknown_sizes_keep_their_identity() -> None:
    shared, other = Unknown(), Unknown()
    graph = Graph("g")
    for name, size in (("a", shared), ("b", shared), ("c", other)):
        type = TensorType(REAL, (size,))
        graph.add(Node(name, OPS["param"](type=type, init=INITS["zeros"]()), (), None, name))
    again = parse_graph(print_graph(graph.close([], [], ["a", "b", "c"], [])), ops)
    a, b, c = (again[n].op.type.shape[0] for n in "abc")
    assert a is b and a is not c


def held_graph(depth: int) -> Graph:
    """A call of a call of ... a graph, `depth` deep."""
    graph = Graph("inner", doc="the innermost")
    graph.add(Node("x", OPS["input"](type=TensorType(REAL)), (), TensorType(REAL), "x"))
    graph.close(["x"], [], [], [Result("output", "y", "x")])
    for level in range(depth):
        outer = Graph(f"level_{level}")
        outer.add(Node("x", OPS["input"](type=TensorType(REAL)), (), TensorType(REAL), "x"))
        outer.add(Node("y", OPS["call"](graph=graph), ("x",), TensorType(REAL), None if level % 2 else "y"))
        graph = outer.close(["x"], [], [], [Result("output", "y", "y")])
    return graph


def test_graphs_inside_graphs_stand_indented() -> None:
    assert print_graph(held_graph(1)) == (
        "graph level_0\n"
        "  inputs x\n"
        "  x: real = input()\n"
        "  y: real = call(x, graph=@1)\n"
        '    @1 graph inner "the innermost"\n'
        "      inputs x\n"
        "      x: real = input()\n"
        "      output y = x\n"
        "  output y = y\n"
    )
    round_trip(held_graph(3))


def test_nesting_is_bounded_by_memory_alone() -> None:
    text = print_graph(held_graph(1200))
    assert print_graph(parse_graph(text, ops)) == text


T = Dim.symbol("T")
ATTRS = [
    Node("a", OPS["const"](value=float("inf")), (), TensorType(REAL)),
    Node("b", OPS["const"](value=-float("inf")), (), TensorType(REAL)),
    Node("c", OPS["const"](value=True), (), TensorType(BOOL)),
    Node("d", OPS["const"](value=1e-300), (), TensorType(REAL)),
    Node("e", OPS["const"](value=-(10**18)), (), TensorType(INT)),
    Node("f", OPS["const"](value=Array([[1, 2.5], [-3, 4e9]])), (), TensorType(REAL, (Dim.of(2), Dim.of(2)))),
    Node("g", OPS["const"](value=3, kind="real"), (), TensorType(REAL), "name of its own"),
    Node("h", OPS["zeros"](shape=(T * 2 - 1, Dim.of(3))), (), None, "hint"),
    Node("i", WeightedSum(weights=(1, -0.5), bias=None, shape=(Dim.of(3),)), ("h", "h"), None, "i"),
    Node("j", OPS["index"](items=(0, ("slice", None, Dim.symbol("none")), -1)), ("f",), None, "j"),
    Node("k", OPS["param"](type=None, init=INITS["given"](value=Array([1, 2]))), (), None, "lin.weight"),
    Node("l", OPS["param"](type=None, init=INITS["constant"](value=0.5)), (), None, 'quo"te\n'),
    Node("m", OPS["einsum"](subscripts="ij,j->i"), ("f", "h"), None, None),
    Node("n", OPS["tanh"](), ("h",), TupleType((TensorType(REAL), TensorType(INT, (T,)))), None),
]  # fmt: skip


def test_every_kind_of_attr() -> None:
    graph = Graph("graph", doc='a "quoted"\nline # not a comment', sizes=["T", "none"], constants=[("D", 3)])
    made = [n for n in ATTRS if n.op.name in OPS]
    for node in made:
        graph.add(node)
    graph.requires = (Requirement((">=", Dim.symbol("T"), 2), "at least 2"),)
    params = [n.name for n in made if n.op.name == "param"]
    again = round_trip(graph.close([], [], params, [Result("output", "a b", "h")]))
    assert again["e"].op.value == -(10**18) and type(again["e"].op.value) is int
    assert type(again["c"].op.value) is bool
    assert isinstance(again["i"].op.shape[0], Dim)
    assert isinstance(again["j"].op.items[1][2], Dim)
    assert np.array_equal(again["f"].op.value.data, [[1, 2.5], [-3, 4e9]])


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Graphs of elementwise operations with odd names, hints, sizes and literals."""
    names = st.from_regex(r"[a-z][a-z0-9_]{0,3}", fullmatch=True)
    graph = Graph(draw(names), doc=draw(st.text(max_size=8)), sizes=["T"])
    size = Dim.symbol("T") * draw(st.integers(-2, 3)) + draw(st.integers(-3, 3))
    type = TensorType(REAL, (size,))
    count = draw(st.integers(1, 8))
    made: list[str] = []
    for name in draw(st.lists(names, min_size=count, max_size=count, unique=True)):
        hint = draw(st.sampled_from([None, name, "h", "a.b"]) | st.text(max_size=5))
        kind = draw(st.sampled_from(["input", "const", "add", "tanh", "sum"]))
        if not made or kind in ("input", "const"):
            number = draw(st.floats(allow_nan=False) | st.integers(-(10**18), 10**18) | st.booleans())
            op = OPS["const"](value=number) if kind == "const" else OPS["input"](type=type)
            operands: tuple[str, ...] = ()
        elif kind == "sum":
            op, operands = (
                OPS["sum"](axis=draw(st.none() | st.integers(-3, 3))),
                (draw(st.sampled_from(made)),),
            )
        else:
            op = OPS[kind]()
            operands = tuple(draw(st.sampled_from(made)) for _ in range(2 if kind == "add" else 1))
        graph.add(Node(name, op, operands, draw(st.sampled_from([None, type])), hint))
        made.append(name)
    inputs = [n.name for n in graph if n.op.name == "input"]
    results = [
        Result(
            "loss",
            draw(st.text(max_size=4)),
            draw(st.sampled_from(made)),
            draw(st.sampled_from(["mean", "sum"])),
        )
    ]
    return graph.close(inputs, [], [], results)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_random_graphs_read_back(graph: Graph) -> None:
    round_trip(graph)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no graph"),
        ("x: real = input()\n", "a line outside of any graph"),
        ("graph g\n  y: real = tanh(x)\n", "`x` is not defined above"),
        ("graph g\n  y: real = tahn(x)\n", "there is no operation `tahn`"),
        ("graph g\n  x: real = input()\n  x: real = input()\n", "`x` is defined twice"),
        ("graph g\n  x: rael = input()\n", "there is no type `rael`"),
        ("graph g\n  c: real = const(value=)\n", "`)` is no value"),
        ("graph g\n  c: real = const(worth=1)\n", "has no attr `worth`"),
        ("graph g\n  c: real = const()\n", "`const` needs value"),
        ("graph g\n  c: real = const(value=1) of a 2\n", "`2` is too much"),
        ("graph g\n  c: real = const(value=1\n", "is missing"),
        ("graph g\n  output y = y\n", "`y` is not in the graph"),
        ("graph g\n  input x\n", "`input` begins no line"),
        ("graph g\n  & = 3\n", "cannot be read"),
        ("graph g\n  p: real = param(init=magic())\n", "there is no initialiser `magic`"),
        ("graph g\n  y: real = call(graph=@1)\n", "there is no graph @1"),
        ("graph g\n    @1 graph h\n", "belongs to no node"),
        ("graph g\n  c: real = const(value=" + "(" * 300 + ")" * 300 + ")\n", "nested too deeply"),
    ],
)  # fmt: skip
def test_what_is_no_graph_is_refused(text: str, message: str) -> None:
    with pytest.raises(FlowError) as caught:
        parse_graph(text, ops)
    (error,) = caught.value.diagnostics
    assert error.code == "E0004" and message in error.message


def test_syntax_prints_as_a_tree() -> None:
    diagram = loads("input x\nh = leaky_relu(x, -0.5)\n")
    assert print_tree(diagram.file) == (
        "File\n"
        "  InputStmt\n"
        "    items: Declared name=x\n"
        "  EquationStmt\n"
        "    targets: Name name=h\n"
        "    value: Call func=leaky_relu\n"
        "      args: Name name=x\n"
        "      args: Unary op=-\n"
        "        operand: Number value=0.5\n"
    )


def test_a_long_chain_prints_without_recursion() -> None:
    text = print_tree(loads("input x\ny = " + " + ".join(["x"] * 5000) + "\n").file)
    assert text.count("Name name=x") == 5000


def test_no_hash_seed_shows() -> None:
    script = (
        "import flowgraph, sys\n"
        "d = flowgraph.load(sys.argv[1])\n"
        "for stage in ('ast', 'graph', 'typed', 'batched', 'optimised', 'code'):\n"
        "    print(d.stage(stage, target='torch'), d.stage(stage, level=0))\n"
    )
    found = set()
    for seed in ("0", "1", "2"):
        command = [sys.executable, "-c", script, str(EXAMPLES["perceptron"])]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        found.add(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    assert len(found) == 1 and len(found.pop()) > 5000
