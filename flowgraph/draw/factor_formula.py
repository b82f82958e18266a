"""Formulas of local factors: derivatives as graphs, and as labels of one line.

Assumes typed graphs whose operations declare their derivatives; knows no single one of them. Promises
formulas of operations that a reader would write, with the weight of a wire as its number, or by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from ..graph import Builder, Graph, Node, Result, rebuild
from ..ops import OPS
from ..ops.base import Elementwise, Op
from ..passes.autodiff import Vjp
from ..passes.base import Pipeline
from ..passes.dce import Dce
from ..passes.fold import Fold
from ..passes.keep import Keep
from ..pipelines import TIDY, within
from ..types import REAL, TensorType
from . import names
from .circles import SIZE, WIDEST
from .digits import short
from .gradient import Pulled, pulled
from .measure import measure
from .names import Tex
from .picture import Weight, Wire
from .wording import ATOM, SAME, SIGNS, SUM, Said, Wording

LONGEST, LONGEST_SLOPE = 26, 12
"""Letters of a formula beside a wire, and of that of an activation's derivative."""
HOLE = "@"
"""Stands for the gradient that a formula is applied to; no label has it."""
TRANSPOSED = r"^{\top }"
LEAVES = ("input", "target", "param")
TIDIED = (Keep(("gradient",)), Dce(), *within(Fold(), *TIDY))


def weight_of(wire: Wire) -> Said:
    """The weight of a wire as it is known: a number, or the parameters it is the sum of."""
    if wire.weight is not None:
        return Said(short(wire.weight), ATOM if wire.weight >= 0 else SUM, 1)
    if not wire.terms:
        return Said("1", ATOM, 1)
    tex = ""
    for term in wire.terms:
        said = _term(term)
        tex += said if not tex or said.startswith("-") else f"+{said}"
    return Said(tex, ATOM if len(wire.terms) == 1 else SUM, len(tex))


def _term(term: Weight) -> Tex:
    if not term.param:
        return short(term.number)
    name = names.entry(term.param, *term.index) if term.index else names.name(term.param)
    if measure(name, SIZE).width > WIDEST:
        name = names.entry("w", *term.index) if term.index else "w"
    sign = {1.0: "", -1.0: "-"}.get(term.number)
    return f"{sign}{name}" if sign is not None else f"{short(term.number)}\\,{name}"


def product(weight: Said, slope: Said) -> Tex:
    """The slope of the activation times the weight: a number first, a name last."""
    if slope.tex == "1":
        return weight.tex
    held = slope.tex if slope.level >= ATOM else f"({slope.tex})"
    if weight.tex in ("1", "-1"):
        return slope.tex if weight.tex == "1" else f"-{held}"
    if weight.tex.lstrip("-")[:1].isdigit():
        return f"{weight.tex}\\,{held}"
    if weight.level < ATOM:
        return f"{held}\\,({weight.tex})"
    if weight.tex.startswith("-"):
        return f"-{held}\\,{weight.tex[1:]}"
    return f"{held}\\,{weight.tex}"


@lru_cache(maxsize=256)
def slope_graph(op: Op) -> tuple[Graph, str, str]:
    """The derivative of a function of a number, as a graph; its nodes x and y = op(x)."""
    graph, x, y = _function(op)
    return Pipeline((Vjp((x,)), *TIDIED)).run(graph), x, y


@lru_cache(maxsize=256)
def is_flat(op: Op) -> bool:
    """Whether the derivative is 0 wherever there is one."""
    graph, x, y = _function(op)
    return not pulled(graph, [y], [x]).live


def _function(op: Op) -> tuple[Graph, str, str]:
    """A function of a number as a graph; its nodes x and y = op(x)."""
    graph = Graph("function")
    builder = Builder(graph)
    x = builder.apply(OPS["input"](type=TensorType(REAL, ())), ())
    y = builder.apply(op, [x])
    return graph.close([x], [], [], [Result("loss", "loss", y)]), x, y


def tidied_gradient(graph: Graph, target: str, found: Pulled, variable: str) -> Graph:
    """The derivative of a node by one variable: along 1 of a number, else along a direction to be given.

    graph: computes the node, its only loss. found: its derivatives.
    """
    if not graph[target].type.shape:
        return Pipeline((Vjp((variable,)), *TIDIED)).run(graph)
    results = [r for r in found.graph.results if r.node == found.wrt[variable]][:1]
    return Pipeline(TIDIED).run(rebuild(found.graph, found.graph, results))


def written(graph: Graph, known: Mapping[str, Said]) -> Said | None:
    """The only result of a graph as a formula; None where that takes operations that nobody would write."""
    wording = Wording(graph)
    result = graph.results[0].node
    needed = _needed(graph, result, known)
    for node in graph:
        if node.name not in needed:
            continue
        if node.name in known:
            wording.said[node.name] = known[node.name]
        elif node.op.name in LEAVES or not _is_written(node):
            return None
        else:
            wording.fold(node.name)
            if wording.said[node.name].length > 2 * LONGEST:
                return None
    return wording.said[result]


def _needed(graph: Graph, result: str, known: Mapping[str, Said]) -> set[str]:
    """What a formula of the result is made of, given what has a name."""
    found: set[str] = set()
    stack = [result]
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack += () if name in known else graph[name].operands
    return found


def _is_written(node: Node) -> bool:
    """Whether an operation is one that formulas show."""
    op = node.op
    if isinstance(node.type, TensorType) and node.type.elem.kind == "bool":
        return False  # a slope that is another one on either side of a point
    plain = op.name in SIGNS or op.name in ("const", "neg", "square", "identity", "transpose_last", "cast")
    return plain or (bool(op.group) and not op.params and isinstance(node.type, TensorType))


def without_hole(tex: Tex, is_by_entry: bool) -> Tex:
    """A factor without the gradient it is applied to, "" where that is not at one of its ends.

    What stands to the right of the gradient is the matrix of derivatives; to the left of it, its transpose.
    """
    if tex == HOLE:
        return "1"
    left, right = rf"{HOLE}\,", rf"\,{HOLE}"
    if tex.startswith(left):
        tex = tex.removeprefix(left)
    elif tex.endswith(right) and (is_by_entry or tex.endswith(TRANSPOSED + right)):
        tex = tex.removesuffix(right)
        tex = tex if is_by_entry else tex.removesuffix(TRANSPOSED)
    return "" if HOLE in tex else tex


def is_by_entry(node: Node) -> bool:
    """Whether an entry of a node's value depends on the same entry of its operands' alone."""
    same = isinstance(node.op, Elementwise) or node.op.name in SAME
    return not node.operands or same or not node.type.shape
