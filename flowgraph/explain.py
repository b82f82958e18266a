"""A diagram as equations of one example, forward and backward, in its own names.

Assumes a typed graph of one example. Promises one line for every value the diagram names, in the
notation of the language (Greek letters spelt as such are shown as letters), and for the backward
pass one line for every cotangent, with the forward line whose chain rule it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

from . import syntax as s
from .errors import Source, Span
from .format_doc import Part, flat
from .graph import Graph, Node
from .lower.expr import BINARY
from .naming import pretty
from .ops.control import GIVEN
from .ops.leaf import Array
from .ops.scan import Scan
from .passes.autodiff import expand_composites
from .passes.simplify import Simplify
from .types import Dim, TensorType, describe

NOWHERE = Span(Source("", ""), 0, 0)
OPERATORS = {op: sign for sign, op in BINARY.items()}
UNREAD = ("const", "size_value", "training", "key", "stream")
LEAVES = (*GIVEN, *UNREAD[2:])
LONGEST, SHORT = 70, 30
"""A value that nobody named stands inside the line that uses it while it is at most this long, or
inside all the lines that use it while it is this short."""


@dataclass
class Equation:
    """One line: what is computed, its text, and the node it belongs to."""

    name: str
    text: str
    node: Node
    steps: tuple[str, ...] = ()
    """Of a scan, the equations of every step."""

    def __str__(self) -> str:
        return f"{self.name} = {self.text}"


@dataclass
class Equations:
    """Writes the nodes of a graph as equations."""

    graph: Graph
    lines: list[Equation] = field(default_factory=list)
    shown: dict[str, s.Expr] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    """Names given to nodes that the diagram leaves without one: L for the loss."""
    home: dict[str, str] = field(default_factory=dict)
    """The node of the line in which an unnamed value stands."""

    def write(self, wanted: Iterable[str], *, apart: bool = True) -> list[Equation]:
        """The lines that compute these nodes, in the order of the graph; apart: each has one of its own."""
        wanted = list(wanted)
        needed = self.graph.ancestors(wanted)
        uses = dict.fromkeys(needed, 0)
        for name in needed:
            for operand in self.graph[name].operands:
                uses[operand] += 1
        for node in self.graph:
            if node.name in needed:
                self._node(node, uses[node.name], apart and node.name in wanted)
        return self.lines

    def _node(self, node: Node, uses: int, is_wanted: bool) -> None:
        if node.name in self.shown:
            return
        if isinstance(node.op, Scan):
            self._scan(node)
            return
        if node.op.name == "item" and isinstance(self.graph[node.operands[0]].op, Scan):
            self.shown[node.name] = s.Name(title(node), NOWHERE)
            self.home[node.name] = node.operands[0]
            return
        if node.op.name in LEAVES:
            self.shown[node.name] = s.Name(title(node), NOWHERE)
            return
        value = self._expression(node)
        text = flat([Part(value)])
        small = len(text) <= (LONGEST if uses == 1 else SHORT) or isinstance(value, (s.Number, s.Name))
        if node.hint is None and not is_wanted and small and not title(node).startswith("∂"):
            self.shown[node.name] = value
            return
        name = self.titles.get(node.name) or title(node)
        self.lines.append(Equation(name, text, node))
        self.shown[node.name] = s.Name(name, NOWHERE)
        stack = list(node.operands)
        while stack:  # what stands inside this line has its home here
            inner = stack.pop()
            if inner not in self.home and not isinstance(self.shown[inner], s.Name):
                self.home[inner] = node.name
                stack += self.graph[inner].operands
        self.home[node.name] = node.name

    def _scan(self, node: Node) -> None:
        """The line of a recurrence, and under it those of a step."""
        op: Scan = node.op
        step = op.graph
        step = Simplify().run(expand_composites(step, step.inputs, [r.node for r in step.results]))
        inner = Equations(step)
        states, entries, shared = op.parts(step.inputs)
        firsts, sequences, given = op.parts(node.operands)
        for name, outside in zip(shared, given, strict=True):
            inner.shown[name] = self.shown[outside]
        called = {name: _argument_title(step[name], node) for name in (*states, *entries)}
        for name in (*states, *entries):
            inner.shown[name] = s.Name(f"{called[name]}_t" if name in entries else called[name], NOWHERE)
        lines = inner.write([r.node for r in step.results], apart=False)
        titles = [called[name] for name in states]
        follow = [f"next {t} = {inner.text(r.node)}" for t, r in zip(titles, step.results, strict=False)]
        starts = ", ".join(f"{t} = {self.text(o)}" for t, o in zip(titles, firsts, strict=True))
        over = ", ".join(f"{self.text(o)}" for o in sequences)
        way = " backwards" if op.reverse else ""
        users = [u for u in self.graph.users(node.name) if u.op.name == "item"]
        name = ", ".join(dict.fromkeys(title(u) for u in users)) or self.titles.get(node.name) or title(node)
        text = f"scan{way} over {over} from {starts}; at each step:"
        self.lines.append(Equation(name, text, node, (*map(str, lines), *follow)))
        self.shown[node.name] = s.Name(name, NOWHERE)
        self.home[node.name] = node.name

    def text(self, name: str) -> str:
        """How a value is written where it is used."""
        return flat([Part(self.shown[name])])

    def _expression(self, node: Node) -> s.Expr:
        op = node.op
        said = [o for o, name in zip(node.operands, _slots(op), strict=False) if name not in op.ambient]
        parts = [self.shown[o] for o in said]
        if op.name == "const":
            return _literal(op.value)
        if op.name == "weighted_sum":
            return _sum(op, parts)
        if op.name == "identity":
            return parts[0]
        if op.name in OPERATORS:
            return s.Binary(OPERATORS[op.name], parts[0], parts[1], NOWHERE, NOWHERE)
        if op.name == "neg":
            return s.Unary("-", parts[0], NOWHERE)
        if op.name == "item":
            return s.Index(parts[0], (s.Number(op.index, NOWHERE),), NOWHERE)
        if op.name == "transpose_last":
            return s.Member(parts[0], "T", NOWHERE, NOWHERE)
        if op.name == "square":
            return s.Binary("^", parts[0], s.Number(2, NOWHERE), NOWHERE, NOWHERE)
        if op.name == "share":
            return s.Binary("/", parts[0], _literal(op.size), NOWHERE, NOWHERE)
        named = [
            s.Keyword(a.name, _literal(getattr(op, a.name)), NOWHERE)
            for a in op.attrs
            if a.kind not in ("Axis", "Axes") and getattr(op, a.name) not in (a.default, None)
        ]
        return s.Call(op.name, tuple(parts), tuple(named), NOWHERE, NOWHERE)


def _slots(op: Any) -> Iterable[str]:
    """The names of operands, as many as there may be."""
    return chain((o.rstrip("?") for o in op.operands), repeat(""))


def title(node: Node) -> str:
    """A node's name as mathematics: `xi_h1` is ξ_h1, the cotangent `d_W` is ∂L/∂W."""
    name = node.hint or node.name
    if node.of is not None and name.startswith("d_"):
        return f"∂L/∂{pretty(name[2:])}"
    return pretty(name) if "." not in name else name


def _sum(op: Any, parts: list[s.Expr]) -> s.Expr:
    total: s.Expr | None = None if op.bias is None else _literal(op.bias)
    for weight, part in zip(op.weights, parts, strict=True):
        size = abs(weight)
        term = part if size == 1 else s.Binary("*", _literal(size), part, NOWHERE, NOWHERE)
        if total is None:
            total = term if weight > 0 else s.Unary("-", term, NOWHERE)
        else:
            total = s.Binary("+" if weight > 0 else "-", total, term, NOWHERE, NOWHERE)
    return total if total is not None else _literal(0)


def _literal(value: Any) -> s.Expr:
    if isinstance(value, Array):
        value = value.data.tolist()
    if isinstance(value, (list, tuple)):
        return s.ListExpr(tuple(_literal(v) for v in value), NOWHERE)
    if isinstance(value, Dim):
        return s.Name(str(value), NOWHERE) if value.value is None else s.Number(value.value, NOWHERE)
    if isinstance(value, (bool, str)):
        return s.Name(str(value).lower(), NOWHERE) if isinstance(value, bool) else s.String(value, NOWHERE)
    if value < 0:
        return s.Unary("-", s.Number(-value, NOWHERE), NOWHERE)
    return s.Number(value, NOWHERE)


# ---------------------------------------------------------------------------------------
# The text


def explain(forward: Graph, backward: Graph | None = None, *, saved: bool = False) -> str:
    """The equations of a graph, and of its backward pass where that graph is given.

    backward: the same graph with its gradient. saved: also list what the forward pass keeps.
    """
    params = forward.params
    forward = Simplify().run(expand_composites(forward, params, [r.node for r in forward.results]))
    parts = [_forward(forward)]
    if backward is not None:
        equations = Equations(backward, titles=_loss_titles(backward))
        results = [r.node for r in backward.results_of("gradient")]
        losses = [r.node for r in backward.results_of("loss")]
        lines = equations.write([*losses, *results])
        parts.append(_backward(backward, equations, lines))
        if saved:
            parts.append(_saved(backward, equations, lines))
    return "\n".join(parts)


def _forward(graph: Graph) -> str:
    results = [r.node for r in graph.results]
    lines = [line for e in Equations(graph, titles=_loss_titles(graph)).write(results) for line in _lines(e)]
    params = [
        f"  {title(graph[p])}  {describe(graph[p].type)}" for p in graph.params if graph[p].hint is not None
    ]
    out = ["Forward, for one example:", *(f"  {line}" for line in lines)]
    if params:
        out += ["", "Parameters:", *params]
    losses = graph.results_of("loss")
    if losses:
        titles = _loss_titles(graph)
        terms = [f"{'mean' if r.by == 'mean' else 'sum'}({titles[r.node]})" for r in losses]
        out += ["", f"Over the batch: {' + '.join(terms)}"]
    return "\n".join(out) + "\n"


def _argument_title(node: Node, scan: Node) -> str:
    """What a scan's step calls a state or an entry; in a backward pass it may be a cotangent."""
    name = node.hint or node.name
    if scan.of is not None and name.startswith("d_"):
        return f"∂L/∂{pretty(name[2:]) if '.' not in name else name[2:]}"
    return title(node)


def _lines(equation: Equation) -> list[str]:
    return [str(equation), *(f"    {step}" for step in equation.steps)]


def _loss_titles(graph: Graph) -> dict[str, str]:
    """What the losses are called: their own names, or L, L₂, ..."""
    out: dict[str, str] = {}
    for number, result in enumerate(graph.results_of("loss"), 1):
        hint = graph[result.node].hint
        out[result.node] = pretty(hint or ("L" if number == 1 else f"L{number}"))
    return out


def _backward(graph: Graph, equations: Equations, lines: list[Equation]) -> str:
    forward = {e.node.name: e for e in lines if e.node.of is None}
    made = [e for e in lines if e.node.of is not None]
    width = max((len(str(e)) for e in made if not e.steps), default=0)
    out = ["Backward, L being the loss of this example:"]
    for each in made:
        home = equations.home.get(each.node.of or "", each.node.of or "")
        source = forward.get(home)
        said = source is not None and not each.steps
        out.append(f"  {each!s:<{width}}   from {source}" if said else f"  {each}")
        out += [f"  {line}" for line in _lines(each)[1:]]
    out += ["", "Gradients:"]
    for result in graph.results_of("gradient"):
        shape = describe(graph[label_node(graph, result.label)].type)
        name, text = f"∂L/∂{pretty(result.label)}", flat([Part(equations.shown[result.node])])
        out.append(f"  {name}   {shape}" if name == text else f"  {name} = {text}   {shape}")
    return "\n".join(out) + "\n"


def label_node(graph: Graph, label: str) -> str:
    """The node of the parameter of this name."""
    return next(p for p in graph.params if graph[p].hint == label)


def _saved(graph: Graph, equations: Equations, lines: list[Equation]) -> str:
    """What the backward lines read of the forward pass."""
    readers: dict[str, list[str]] = {}
    for each in lines:
        if each.node.of is None:
            continue
        for name in _read(graph, equations, each.node):
            readers.setdefault(name, []).append(each.name)
    out = ["Kept by the forward pass for the backward pass:"]
    for name, users in readers.items():
        node = graph[name]
        kind = f", {node.op.name}" if node.op.name in LEAVES else ""
        type = describe(node.type) if isinstance(node.type, TensorType) else str(node.type)
        out.append(f"  {title(node)}  ({type}{kind})  for {', '.join(dict.fromkeys(users))}")
    if len(out) == 1:
        out.append("  nothing")
    return "\n".join(out) + "\n"


def _read(graph: Graph, equations: Equations, node: Node) -> list[str]:
    """The forward values with a line of their own, and leaves, that a backward line reads."""
    found: Mapping[str, None] = {}
    found = dict(found)
    stack = list(reversed(node.operands))
    while stack:
        name = stack.pop()
        inner = graph[name]
        if inner.op.name in UNREAD:
            continue
        if isinstance(equations.shown[name], s.Name):
            if inner.of is None:
                found[name] = None
            continue
        stack += reversed(inner.operands)
    return list(found)
