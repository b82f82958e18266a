"""Numbers that stand for structure: two values have the same number exactly if they are built alike.

Assumes typed graphs. A key is a tuple of plain values and of the numbers of parts, interned in one table
for both diagrams, so that equality is exact, costs nothing and depends on no hash seed. Whole numbers and
floats of the same value are the same; symbolic sizes go by the names they have in the new diagram.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from ..graph import Graph, Node, with_subgraphs
from ..ops.leaf import Array
from ..types import Dim, TensorType, TupleType

NAMING = ("path", "pull", "shared", "keeps")
"""Settings that say how parameters are called and operands are laid out, and nothing of what is computed."""


class Keys:
    """Interns keys. renamed: the symbolic sizes of the old diagram, by what they are called in the new
    one."""

    def __init__(self, renamed: Mapping[str, str] | None = None) -> None:
        self.renamed = renamed or {}
        self._numbers: dict[Hashable, int] = {}
        self._graphs: dict[int, tuple[Graph, int, int]] = {}
        self._operations: dict[tuple[int, bool], tuple[Node, Hashable]] = {}

    def number(self, key: Hashable) -> int:
        """The number of a key."""
        return self._numbers.setdefault(key, len(self._numbers))

    # -- values

    def size(self, size: Any, is_old: bool) -> Hashable:
        """A size, as text in the names of the new diagram where it is symbolic."""
        if not isinstance(size, Dim) or size.value is not None:
            return getattr(size, "value", size)
        names = self.renamed if is_old else {}
        terms = (("*".join(sorted(names.get(n, n) for n in mono)), factor) for mono, factor in size.terms)
        return ("size", *sorted(terms))

    def type(self, type: Any, is_old: bool) -> Hashable:
        """A type, the names of classes among it."""
        if isinstance(type, TupleType):
            return ("types", *(self.type(t, is_old) for t in type.items))
        if not isinstance(type, TensorType):
            return None
        elem = type.elem
        classes = self.size(elem.classes, is_old)
        return (elem.kind, classes, elem.names, tuple(self.size(d, is_old) for d in type.shape))

    def value(self, value: Any, is_old: bool, graphs: Callable[[Graph], Hashable] | None = None) -> Hashable:
        """A setting's value; graphs: what stands for a graph."""
        if isinstance(value, bool) or value is None or isinstance(value, str):
            return ("word", value)
        if isinstance(value, float):
            whole = value.is_integer()
            return int(value) if whole else ("nan",) if value != value else value
        if isinstance(value, int):
            return value
        if isinstance(value, Dim):
            return self.size(value, is_old)
        if isinstance(value, (tuple, list)):
            return ("list", *(self.value(v, is_old, graphs) for v in value))
        if isinstance(value, Array):
            return (
                "array",
                value.data.shape,
                tuple(self.value(v, is_old) for v in value.data.ravel().tolist()),
            )
        if isinstance(value, Graph):
            return ("graph", self.shape_of(value, is_old) if graphs is None else graphs(value))
        if isinstance(value, (TensorType, TupleType)):
            return ("type", self.type(value, is_old))
        if isinstance(value, dict):
            return ("table", *((k, self.value(v, is_old, graphs)) for k, v in sorted(value.items())))
        return (value.name, *(self.value(v, is_old, graphs) for v in value.values.values()))

    def operation(
        self, node: Node, is_old: bool, graphs: Callable[[Graph], Hashable] | None = None
    ) -> Hashable:
        """An operation with its settings; a literal by its number and element type."""
        if graphs is not None and node.op.subgraphs():
            return self._operation(node, is_old, graphs)
        known = self._operations.get((id(node), is_old))
        if known is None:
            known = (node, self._operation(node, is_old, None))  # kept, for another may get its id
            self._operations[id(node), is_old] = known
        return known[1]

    def _operation(self, node: Node, is_old: bool, graphs: Callable[[Graph], Hashable] | None) -> Hashable:
        op = node.op
        if op.name == "const":
            return ("const", node.type.elem.kind, self.value(op.value, is_old))
        if op.name in ("param", "buffer"):
            return (op.name, self.type(node.type, is_old), self.value(op.init, is_old))
        settings = ((k, v) for k, v in op.values.items() if k not in NAMING)
        return (op.name, *(self.value(v, is_old, graphs) for _, v in settings))

    # -- graphs

    def shape_of(self, graph: Graph, is_old: bool) -> int:
        """What a held graph computes, whatever its values are called."""
        return self._both(graph, is_old)[0]

    def spelling_of(self, graph: Graph, is_old: bool) -> int:
        """The same, and what everything in it is called."""
        return self._both(graph, is_old)[1]

    def _both(self, graph: Graph, is_old: bool) -> tuple[int, int]:
        if id(graph) not in self._graphs:
            for each in reversed(with_subgraphs(graph)):  # blocks may hold blocks to any depth
                if id(each) not in self._graphs:
                    self._graphs[id(each)] = (each, *self._numbers_of(each, is_old))
        return self._graphs[id(graph)][1:]

    def _numbers_of(self, graph: Graph, is_old: bool) -> tuple[int, int]:
        """Both numbers of a graph whose inner graphs have theirs."""
        shapes: dict[str, int] = {}
        lines: list[Hashable] = [graph.name, graph.inputs]
        places = {name: place for place, name in enumerate(graph.inputs)}
        for node in graph:
            type = self.type(node.type, is_old)
            place = places.get(node.name)
            said: Hashable = ("input", place, type)
            if place is None:
                said = self.operation(node, is_old, lambda g: self.shape_of(g, is_old))
            shapes[node.name] = self.number((said, *(shapes[o] for o in node.operands)))
            spelt = self.operation(node, is_old, lambda g: self.spelling_of(g, is_old))
            lines.append((node.name, node.hint, type, spelt, node.operands))
        results = tuple((r.role, shapes[r.node], r.by) for r in graph.results)
        shape = self.number(("shape", len(graph.inputs), results))
        lines += [(r.role, r.label, r.node) for r in graph.results]
        return shape, self.number(("spelling", *lines))
