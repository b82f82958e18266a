"""The graphs behind a picture: that of the diagram, and those of the blocks in it, by path.

Assumes a typed graph of one example. The path of a graph is what stands before the names of its nodes in
`Item.node`: "" of the diagram's own, `a/b/` of that which the node `b` of the graph of node `a` holds.
Promises graphs without requests for derivatives, in which all other nodes have kept their names.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..graph import Graph, Node
from ..ops.control import Call, Holder
from ..passes.expand_grad import ExpandDerivatives, has_requests
from ..types import TensorType, TupleType


def parted(path: str) -> tuple[str, str]:
    """The path of the graph that a node is in, and the node's name there."""
    before, slash, name = path.rpartition("/")
    return before + slash, name


@dataclass
class Levels:
    """The graphs of a diagram by path. graph: the diagram's own."""

    graph: Graph
    _written: dict[str, Graph] = field(default_factory=dict)
    _plain: dict[str, Graph] = field(default_factory=dict)
    _params: dict[str, dict[str, str]] = field(default_factory=dict)

    def written(self, level: str) -> Graph:
        """The graph of a path as the picture shows it, requests for derivatives included."""
        if level not in self._written:
            above, name = parted(level.removesuffix("/"))
            self._written[level] = self.written(above)[name].op.graph if level else self.graph
        return self._written[level]

    def plain(self, level: str) -> Graph:
        """The same with derivatives computed where they were asked for."""
        if level not in self._plain:
            graph = self.written(level)
            self._plain[level] = ExpandDerivatives().run(graph) if has_requests(graph) else graph
        return self._plain[level]

    def node(self, path: str) -> Node | None:
        """A node by its path; None where the picture has made it up."""
        level, name = parted(path)
        graph = self.written(level)
        return graph[name] if name in graph else None  # noqa: SIM401 -- a graph has no get

    def param(self, path: str, hint: str) -> str | None:
        """The path of a parameter by its name, as the graph of a node knows it, or None."""
        level, _ = parted(path)
        if level not in self._params:
            graph = self.written(level)
            found = {graph[name].hint or name: level + name for name in (*graph.inputs, *graph.params)}
            self._params[level] = found
        return self._params[level].get(hint)

    def results_in(self, level: str) -> list[list[str]]:
        """For each result of a block's graph, the nodes of the graph around it that it is the value of."""
        above, name = parted(level.removesuffix("/"))
        graph = self.written(above)
        holder = graph[name]
        if not isinstance(holder.type, TupleType):
            return [[name]]
        items = [n for n in graph.users(name) if n.op.name == "item"]
        return [
            [n.name for n in items if n.op.index == index]
            for index in range(len(self.written(level).results))
        ]

    def seen_from(self, path: str, level: str) -> list[str]:
        """What a node is called in a graph further out: nodes of it; none where it has no value there.

        A value inside of a repeat or scan is another one each time, so it has none outside.
        """
        inner, name = parted(path)
        names = [name]
        while inner != level:
            above, holder = parted(inner.removesuffix("/"))
            if not inner or not isinstance(self.written(above)[holder].op, Call):
                return []
            given = self.results_in(inner)
            results = self.written(inner).results
            names = [n for r, to in zip(results, given, strict=True) if r.node in names for n in to]
            inner = above
        return names

    def ends(self, level: str) -> list[str]:
        """The nodes of a graph through which it reaches the loss."""
        if not level:
            return [r.node for r in self.graph.results_of("loss")]
        above, name = parted(level.removesuffix("/"))
        on_path = self.on_path(above)
        if name not in on_path:
            return []
        results = self.written(level).results
        if not isinstance(self.written(above)[name].op, Call):
            return [r.node for r in results]
        given = self.results_in(level)
        return [r.node for r, to in zip(results, given, strict=True) if any(n in on_path for n in to)]

    def on_path(self, level: str) -> set[str]:
        """The nodes of a graph that the loss depends on."""
        return self.written(level).ancestors(self.ends(level))


def is_real(node: Node) -> bool:
    """Whether a node is one array of real numbers, which has a gradient."""
    return isinstance(node.type, TensorType) and node.type.elem.kind == "real"


def is_holder(node: Node) -> bool:
    return isinstance(node.op, Holder)
