"""The one text form of graphs: a line for every node, which reads back as an equal graph.

    graph xor "XOR by two hidden step units"
      inputs x1, x2
      x1: real = input()
      %const: real = const(value=0.5)
      %sub: real = sub(%const, x1)
      h1: real = step(%sub)
      output h1 = h1

A line gives a node's name, its type (`?` where it is not inferred yet), its operation, the
operands, and the attrs that differ from their defaults. `%` marks a value that nobody named,
`h_2{h}` one that the diagram calls `h`; `of z` ends the lines of a backward pass that belong to
the forward node `z`. Graphs that a node holds stand indented under it, as
`@1`, `@2`, ... of its attrs. The unknown sizes of a graph not yet inferred are `_1`, `_2`, ...

Assumes of operations and initialisers only that they have `name` and `values`. Promises the
same text for the same graph, whatever the hash seed, and `parse_graph(print_graph(g))` equal
to `g` but for spans and the origins of sizes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import InternalError
from ..graph import Graph, Node
from ..types import Dim, TupleType, Unknown

INDENT = "  "
WORDS = {"none": None, "true": True, "false": False, "inf": math.inf, "nan": math.nan}
"""Values that are written as words."""

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.]*\Z")


def print_graph(graph: Graph, *, spans: bool = False) -> str:
    """The text of a graph; `spans` adds each node's file and line as a comment."""
    printer = _Printer(spans)
    lines: list[str] = []
    stack = [printer.graph(graph, 0, "")]
    while stack:
        item = next(stack[-1], None)
        if item is None:
            stack.pop()
        elif isinstance(item, str):
            lines.append(item)
        else:
            stack.append(item)
    return "\n".join(lines) + "\n"


def parse_graph(text: str, ops: Any) -> Graph:
    """The graph of a text. Raises FlowError (E0004) where it is not one.

    ops: the package of operations, `flowgraph.ops`.
    """
    from .parse import read_graph

    return read_graph(text, ops)


class _Printer:
    """Prints one graph and those inside it; unknown sizes are numbered as they appear."""

    def __init__(self, spans: bool) -> None:
        self.spans = spans
        self.unknown: dict[Unknown, int] = {}

    def graph(self, graph: Graph, depth: int, mark: str) -> Iterator[Any]:
        """The lines of a graph, and for each graph inside it an iterator of its lines."""
        pad = INDENT * depth
        doc = f" {_quoted(graph.doc)}" if graph.doc else ""
        yield f"{pad}{mark}graph {_label(graph.name)}{doc}"
        yield from (f"{pad}{INDENT}{line}" for line in self.head(graph))
        for node in graph:
            inner: list[Graph] = []
            yield f"{pad}{INDENT}{self.node(graph, node, inner)}"
            for number, held in enumerate(inner, 1):
                yield self.graph(held, depth + 2, f"@{number} ")
        for result in graph.results:
            by = f" by {result.by}" if result.by != "mean" else ""
            reference = _reference(graph[result.node])
            yield f"{pad}{INDENT}{result.role} {_label(result.label)} = {reference}{by}"

    def head(self, graph: Graph) -> Iterator[str]:
        if graph.sizes:
            yield f"sizes {', '.join(graph.sizes)}"
        if graph.batch is not None:
            yield f"batch {graph.batch}"
        if graph.constants:
            yield f"constants {', '.join(f'{n} = {v}' for n, v in graph.constants)}"
        for requirement in graph.requires:
            word = "require_for_loss" if requirement.for_loss else "require"
            yield f"{word} {self.value(requirement.condition, [])}, {_quoted(requirement.message)}"
        for word in ("inputs", "targets", "params"):
            if names := getattr(graph, word):
                yield f"{word} {', '.join(_reference(graph[n]) for n in names)}"

    def node(self, graph: Graph, node: Node, inner: list[Graph]) -> str:
        hint = f"{{{_label(node.hint)}}}" if node.hint is not None and node.hint != node.name else ""
        arguments = [_reference(graph[o]) for o in node.operands]
        type_text = self.type(node.type)
        for attr in type(node.op).attrs:
            value = getattr(node.op, attr.name)
            if attr.name == "type":
                if self.type(value) != type_text:
                    arguments.append(f"type: {self.type(value)}")
            elif attr.required or not _same(value, attr.default):
                arguments.append(f"{attr.name}={self.value(value, inner, holds_sizes(attr))}")
        said = f"{_reference(node)}{hint}: {type_text} = {node.op.name}({', '.join(arguments)})"
        if node.of is not None:
            said += f" of {node.of}"
        if self.spans and node.span is not None:
            said += f"  # {' '.join(node.span.source.path.split())}:{node.span.line}"
        return said

    def type(self, type: Any) -> str:
        if type is None:
            return "?"
        if isinstance(type, TupleType):
            return f"({', '.join(self.type(t) for t in type.items)})"
        elem = type.elem
        kind = elem.kind
        if elem.names:
            kind = f"class({', '.join(_quoted(n) for n in elem.names)})"
        elif elem.kind == "class":
            kind = f"class({self.size(elem.classes)})"
        shape = f"[{', '.join(self.size(d) for d in type.shape)}]" if type.shape else ""
        return kind + shape

    def size(self, size: Any) -> str:
        if isinstance(size, Unknown):
            return f"_{self.unknown.setdefault(size, len(self.unknown) + 1)}"
        return str(size)

    def value(self, value: Any, inner: list[Graph], sized: bool = False) -> str:
        """An attr's value; graphs go to `inner` and are written as their number there.

        sized: whether the attr holds sizes, so that a number need not be marked as one.
        """
        if value is None or isinstance(value, bool):
            return next(word for word, meant in WORDS.items() if meant is value)
        if isinstance(value, float) and math.isnan(value):
            return "nan"
        if isinstance(value, (int, float)):
            return repr(value)
        if isinstance(value, str):
            return _quoted(value)
        if isinstance(value, Unknown):
            return self.size(value)
        if isinstance(value, Dim):
            plain = sized if value.value is not None else not any(s in WORDS for s in value.symbols)
            return str(value) if plain else f"{{{value}}}"
        if isinstance(value, Graph):
            inner.append(value)
            return f"@{len(inner)}"
        if isinstance(value, tuple):
            items = [self.value(v, inner, sized) for v in value]
            return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
        if hasattr(value, "data"):
            return self.array(value.data.tolist(), value.data.shape)
        said = ", ".join(f"{k}={self.value(v, inner)}" for k, v in value.values.items())
        return f"{value.name}({said})"

    def array(self, items: Any, shape: Sequence[int]) -> str:
        if not shape:
            raise InternalError("an array without axes in a graph: it should be a number")
        inner = [self.array(i, shape[1:]) if len(shape) > 1 else self.value(i, []) for i in items]
        return f"[{', '.join(inner)}]"


def holds_sizes(attr: Any) -> bool:
    """Whether the values of an attr are sizes, by its kind."""
    return attr.kind.removesuffix(" | None") in ("Size", "Shape")


def _same(value: Any, default: Any) -> bool:
    """Whether an attr has its default: 1, 1.0 and true are three things."""
    return type(value) is type(default) and repr(value) == repr(default)


def _reference(node: Node) -> str:
    return node.name if node.hint is not None else f"%{node.name}"


def _label(text: str) -> str:
    return text if PLAIN.match(text) else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text)
