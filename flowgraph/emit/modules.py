"""Calls and loops as torch modules: which nodes become submodules, each holding its own parameters.

Assumes a typed graph over batches whose `call` and `loop` nodes say under which path the parameters
made in them lie. Promises a graph in which such a node holds a graph with those parameters as its
own, and takes values only; and for every path the class that its module is of. Where a path would
need two classes, or a loop's rounds differ in more than parameters, there is no such graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..graph import Graph, Node, renamed
from ..naming import CODE_NAMES, Namer, class_name
from ..ops.ambient import OF_KEY, Key
from ..text import print_graph
from ..types import KEY
from .tables import Tables

HOLDERS = ("call", "loop")


@dataclass
class Modules:
    """classes: the name of each class, by the text of its graph; graphs: that graph by the class's
    name, inner ones first."""

    names: Namer
    tables: Tables
    reserved: frozenset[str] = frozenset()
    """What no argument may be called."""
    classes: dict[str, str] = field(default_factory=dict)
    graphs: dict[str, Graph] = field(default_factory=dict)

    texts: dict[int, tuple[Graph, str]] = field(default_factory=dict)
    """Of graphs by identity."""

    def class_of(self, node: Node) -> str:
        """The class that the module of a call or loop is of."""
        return self.classes[self.text(node.op.graph)]

    def text(self, graph: Graph) -> str:
        """The text of a graph, which is asked for several times."""
        if id(graph) not in self.texts:
            self.texts[id(graph)] = graph, print_graph(graph)  # who keeps the graph keeps its identity
        return self.texts[id(graph)][1]


class CannotHold(Exception):
    """The graph cannot be written with submodules."""


def has_modules(graph: Graph) -> bool:
    """Whether there is anything to be written as a submodule."""
    return any(node.op.name in HOLDERS for node in graph)


def with_modules(graph: Graph, modules: Modules) -> Graph:
    """The graph whose calls and loops hold their own parameters; their classes are added to `modules`.

    Raises CannotHold.
    """
    out = graph.like()
    paths: dict[str, str] = {}
    for node in graph:
        if node.op.name not in HOLDERS:
            out.add(node)
            continue
        made = _owning(graph, node, modules)
        text = modules.text(made.op.graph)
        if paths.setdefault(node.op.path, text) != text or not node.op.path:
            raise CannotHold
        out.add(made)
    return out.close(graph.inputs, graph.targets, graph.params, graph.results)


def _owning(graph: Graph, node: Node, modules: Modules) -> Node:
    """The node with its parameters moved into the graph that it holds."""
    inner: Graph = node.op.graph
    feeds = node.op.feeds()
    own: dict[str, Node] = {}
    kept: list[int] = []
    for name, slots in zip(inner.inputs, feeds, strict=True):
        params = [graph[node.operands[slot]] for slot in slots]
        if inner[name].type.elem == KEY:
            own[name] = renamed(inner[name], op=Key(type=OF_KEY))  # PyTorch draws from its own generator
        elif params[0].op.name == "training" or _is_own(node, str(inner[name].hint), params):
            own[name] = params[0]
        elif len(slots) > 1:
            raise CannotHold
        else:
            kept.append(slots[0])
    held = with_modules(_with_params(inner, own, modules.reserved), modules)
    text = modules.text(held)
    if text not in modules.classes:
        title = class_name(f"{held.name}_round" if node.op.name == "loop" else held.name)
        modules.classes[text] = modules.names.unique(title, apart="")
        modules.graphs[modules.classes[text]] = held
    op = node.op.with_attrs(graph=held)
    return renamed(node, op=op, operands=tuple(node.operands[slot] for slot in kept))


def _is_own(node: Node, inside: str, params: Sequence[Node]) -> bool:
    """Whether an input of the graph is a parameter that the node makes, in each round."""
    if any(p.op.name not in ("param", "buffer") for p in params):
        return False
    if node.op.name == "call":
        return str(params[0].hint) == f"{node.op.path}.{inside}"
    names = [f"{node.op.path}.{index}.{inside}" for index in range(node.op.count)]
    return [str(p.hint) for p in params] == names


def _with_params(inner: Graph, own: dict[str, Node], reserved: frozenset[str]) -> Graph:
    """The graph with some inputs as its own parameters, and names for the others that code can use."""
    out = inner.like()
    namer = Namer([*CODE_NAMES, *reserved])
    for node in inner:
        if node.name in own:
            out.add(renamed(node, op=own[node.name].op))
        elif node.op.name == "input":
            out.add(renamed(node, hint=namer.variable(str(node.hint or node.name))))
        else:
            out.add(node)
    inputs = [name for name in inner.inputs if name not in own]
    params = [name for name, node in own.items() if node.op.name == "param"]
    return out.close(inputs, (), params, inner.results)
