"""The IR: frozen nodes, and a networkx MultiDiGraph of them.

A node is one operation applied to other nodes. Assumes of an operation only what the
protocol `Operation` says. Promises: nodes are kept in an order in which every operand comes
before its users (the order of insertion); an edge runs from operand to user and its key is
the operand's slot, so `f(x, x)` has two edges; a finished graph is never changed, passes
build new ones. A graph is closed: every outside value is one of its inputs, targets or
params, which is what lets a node hold a graph (`call`, `loop`, `scan`).

The operands of the nodes are what is kept. Who uses a value, and the networkx graph, are made
of them when they are first asked for: most graphs live from one pass to the next.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import networkx as nx

from .errors import InternalError, Span
from .naming import Namer, is_identifier
from .types import Type


class Operation(Protocol):
    """What the IR asks of an operation; `flowgraph.ops` declares them."""

    @property
    def name(self) -> str: ...

    def accepts(self, count: int) -> bool:
        """Whether it takes this number of operands."""
        ...

    def result_type(self, types: Sequence[Type]) -> Type:
        """The type of its result. Raises `types.Mismatch` where the operands do not fit."""
        ...

    def subgraphs(self) -> Sequence[Graph]:
        """The graphs that the operation holds."""
        ...


@dataclass(frozen=True, slots=True)
class Node:
    """One operation applied to operands.

    name: unique in its graph. hint: the diagram's own name for the value (`h1`, `xi_h1`),
    None for a value nobody named. type: None until types are inferred.
    """

    name: str
    op: Any
    operands: tuple[str, ...] = ()
    type: Any = None
    hint: str | None = None
    span: Span | None = None
    of: str | None = None
    """The node whose derivative rule made this one, in a graph that was differentiated."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a graph computes: role is "output", "loss" or "metric"; by is how a loss is batched."""

    role: str
    label: str
    node: str
    by: str = "mean"
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """A condition on symbolic sizes, checked when data arrive.

    condition: nested tuples of an operator and its operands, which are numbers, sizes or such
    tuples: `("==", ("%", T, 4), 0)`.
    """

    condition: Any
    message: str
    span: Span | None = None
    for_loss: bool = False
    """Whether losses and metrics need it, and outputs do not."""

    @property
    def symbols(self) -> frozenset[str]:
        """The symbolic sizes that it is about."""
        return _symbols(self.condition)


def _symbols(condition: Any) -> frozenset[str]:
    if isinstance(condition, tuple):
        return frozenset[str]().union(*map(_symbols, condition[1:]))
    return frozenset(getattr(condition, "symbols", ()))


class Graph:
    """A closed graph: inputs, targets and params in, results out."""

    def __init__(
        self,
        name: str = "graph",
        *,
        doc: str = "",
        sizes: Iterable[str] = (),
        batch: str | None = None,
        requires: Iterable[Requirement] = (),
        constants: Iterable[tuple[str, int]] = (),
    ) -> None:
        self.name = name
        self.doc = doc
        self.sizes = tuple(sizes)
        self.batch = batch
        """The symbolic size of the batch axis, once there is one."""
        self.requires = tuple(requires)
        self.constants = tuple(constants)
        """The sizes that are numbers, by name."""
        self.is_verified = False
        """Whether a pipeline has held it against the promises of the IR."""
        self.inputs: tuple[str, ...] = ()
        self.targets: tuple[str, ...] = ()
        self.params: tuple[str, ...] = ()
        self.results: tuple[Result, ...] = ()
        self._nodes: dict[str, Node] = {}
        self._slots: dict[str, dict[str, int]] | None = None
        """Of each value that is used its users, in order, each with how many slots it fills of theirs."""
        self._asked: tuple[tuple[Result, ...], Counter[str]] | None = None
        """The results, and how many of them each value is."""
        self._nx: nx.MultiDiGraph | None = None
        self._buffers: tuple[str, ...] | None = None
        self._holds: bool | None = None

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    def operands(self, node: Node) -> list[Node]:
        return [self._nodes[name] for name in node.operands]

    @property
    def nx(self) -> nx.MultiDiGraph:
        """The nodes as a frozen networkx graph, in order, each with its `node`; made when first asked for."""
        if self._nx is None:
            self._nx = nx.MultiDiGraph()
            self._nx.add_nodes_from((name, {"node": node}) for name, node in self._nodes.items())
            self._nx.add_edges_from(
                (operand, node.name, slot) for node in self for slot, operand in enumerate(node.operands)
            )
            nx.freeze(self._nx)
        return self._nx

    def users(self, name: str) -> list[Node]:
        """The nodes that use a value, each once, in order of insertion."""
        return [self._nodes[user] for user in self._users().get(name, ())]

    @property
    def buffers(self) -> tuple[str, ...]:
        """The arrays that layers keep up by themselves."""
        if self._buffers is None:
            self._buffers = tuple(node.name for node in self if node.op.name == "buffer")
        return self._buffers

    @property
    def holds_graphs(self) -> bool:
        """Whether there are nodes that hold graphs."""
        if self._holds is None:
            self._holds = any(node.op.subgraphs() for node in self)
        return self._holds

    def use_count(self, name: str) -> int:
        """How many operand slots and results a value fills."""
        if self._asked is None or self._asked[0] is not self.results:
            self._asked = (self.results, Counter(r.node for r in self.results))
        users = self._users().get(name)
        return (sum(users.values()) if users else 0) + self._asked[1][name]

    def _users(self) -> dict[str, dict[str, int]]:
        if self._slots is None:
            self._slots = {}
            for node in self:
                self._note(node, self._slots)
        return self._slots

    def _note(self, node: Node, slots: dict[str, dict[str, int]]) -> None:
        """Note a node with the values that it uses."""
        for operand in node.operands:
            users = slots.setdefault(operand, {})
            users[node.name] = users.get(node.name, 0) + 1

    def results_of(self, role: str) -> list[Result]:
        return [r for r in self.results if r.role == role]

    def ancestors(self, names: Iterable[str]) -> set[str]:
        """These nodes and all they depend on."""
        seen: set[str] = set()
        stack = list(names)
        while stack:
            name = stack.pop()
            if name not in seen:
                seen.add(name)
                stack.extend(self._nodes[name].operands)
        return seen

    def depends_on(self, roots: Iterable[str]) -> set[str]:
        """The nodes whose value depends on one of the roots, roots included."""
        found = set(roots)
        for node in self:
            if any(name in found for name in node.operands):
                found.add(node.name)
        return found

    def like(self, **changes: Any) -> Graph:
        """An empty graph with this one's name, sizes and requirements."""
        kept = {k: getattr(self, k) for k in ("doc", "sizes", "batch", "requires", "constants")}
        return Graph(changes.pop("name", self.name), **(kept | changes))

    def add(self, node: Node) -> None:
        """Append a node whose operands are all there."""
        if node.name in self._nodes:
            raise InternalError(f"node {node.name} is defined twice")
        for operand in node.operands:
            if operand not in self._nodes:
                raise InternalError(f"node {node.name} uses {operand} before its definition")
        self._nodes[node.name] = node
        self._nx = self._buffers = self._holds = None
        if self._slots is not None:
            self._note(node, self._slots)

    @property
    def last(self) -> str:
        """The name of the node added last."""
        return next(reversed(self._nodes))

    def pop_last(self) -> Node:
        """Take back the node just added, which nothing uses yet; for builders only."""
        name, node = self._nodes.popitem()
        self._nx = self._buffers = self._holds = None
        if self._slots is not None:
            for operand in set(node.operands):
                del self._slots[operand][name]
        return node

    def set_hint(self, name: str, hint: str) -> None:
        """Give a node of an unfinished graph a name of the diagram's; for builders only."""
        node = renamed(self._nodes[name], hint=hint)
        self._nodes[name] = node
        self._nx = None

    def close(
        self,
        inputs: Iterable[str],
        targets: Iterable[str],
        params: Iterable[str],
        results: Iterable[Result],
    ) -> Graph:
        """Say what goes in and what comes out; returns the graph, now finished."""
        self.inputs, self.targets, self.params = tuple(inputs), tuple(targets), tuple(params)
        self.results = tuple(results)
        return self


def with_subgraphs(graph: Graph) -> list[Graph]:
    """A graph and all that its nodes hold, from outside in."""
    found = [graph]
    for each in found:
        found += [inner for node in each for inner in node.op.subgraphs()]
    return found


def rebuild(graph: Graph, nodes: Iterable[Node], results: Iterable[Result] | None = None) -> Graph:
    """The graph with other nodes between the same inputs and results; itself where they are its own."""
    out = graph.like()
    for node in nodes:
        out.add(node)
    return closed_like(out, graph, results)


def closed_like(out: Graph, graph: Graph, results: Iterable[Result] | None = None) -> Graph:
    """Finish a graph with the inputs of the one it was made of: that one itself where nothing is new."""
    results = graph.results if results is None else tuple(results)
    is_same = len(out) == len(graph) and all(map(operator.is_, out, graph)) and results == graph.results
    return graph if is_same else out.close(graph.inputs, graph.targets, graph.params, results)


class Builder:
    """Appends typed nodes to a graph under construction.

    `apply` infers the type of what it adds, so it works on typed operands only.
    """

    def __init__(self, graph: Graph, reserved: Iterable[str] = ()) -> None:
        self.graph = graph
        self.names = Namer(reserved)
        self.of: str | None = None
        """Noted on every node that is made: the node whose derivative is being taken."""

    def keep(self, node: Node) -> str:
        """Append a node as it is; its name must be free."""
        self.names.unique(node.name)
        self.graph.add(node)
        return node.name

    def apply(
        self,
        op: Operation,
        operands: Sequence[str],
        *,
        hint: str | None = None,
        span: Span | None = None,
        name: str | None = None,
    ) -> str:
        """Append `op` applied to operands; returns the new node's name."""
        types = [self.graph[o].type for o in operands]
        type = op.result_type(types)
        unique = self.names.unique(name or hint or op.name)
        self.graph.add(Node(unique, op, tuple(operands), type, hint, span, self.of))
        return unique


def verify(graph: Graph, *, typed: bool | None = None, before: Graph | None = None) -> None:
    """Check every promise of the IR. Raises InternalError, since a user cannot break one.

    typed: whether every node must carry the type that its operation gives; None asks it of
    the nodes that carry one. before: a graph that was verified in the same way; an operation
    that the node of a name had there already, on operands of the same types, is not asked again.
    """
    seen: set[str] = set()
    known = {} if before is None else before._nodes
    for node in graph:
        _verify_node(graph, node, seen, typed, known)
        seen.add(node.name)
    for role, names in (
        ("input", graph.inputs),
        ("target", graph.targets),
        ("param", graph.params),
    ):
        for name in names:
            if name not in graph or graph[name].op.name != role:
                raise InternalError(f"graph {graph.name}: {name} is listed as {role} but is none")
    for result in graph.results:
        if result.node not in graph:
            raise InternalError(f"graph {graph.name}: result {result.label} has no node")


def _verify_node(
    graph: Graph, node: Node, seen: set[str], typed: bool | None, known: dict[str, Node]
) -> None:
    """Check one node; written as plain loops, since every pass pays for it at every node."""
    name, op, operands = node.name, node.op, node.operands
    for operand in operands:
        if operand not in seen:
            raise _broken(graph, node, "an operand comes after its user or is missing")
    old = known.get(name)
    if old is not None and old.op is op and old.type is node.type and len(old.operands) == len(operands):
        for operand, same in zip(operands, old.operands, strict=True):
            type, had = graph._nodes[operand].type, known[same].type
            if type is not had and type != had:
                break
        else:
            return
    if not (is_identifier(name) or is_identifier(name.replace(".", "_"))):
        raise _broken(graph, node, "not a name")
    if not op.accepts(len(operands)):
        raise _broken(graph, node, f"{op.name} does not take {len(operands)} operands")
    for inner in op.subgraphs():
        if not (known and inner.is_verified):
            verify(inner, typed=typed)
            inner.is_verified = True
    if node.type is None:
        if typed:
            raise _broken(graph, node, "has no type")
        return
    types = [graph[o].type for o in operands]
    if None not in types and op.result_type(types) != node.type:
        raise _broken(graph, node, f"carries {node.type}, not {op.result_type(types)}")


def _broken(graph: Graph, node: Node, what: str) -> InternalError:
    return InternalError(f"graph {graph.name}, node {node.name}: {what}")


def renamed(node: Node, **changes: Any) -> Node:
    """A node with some fields changed; as `dataclasses.replace`, in half of its time."""
    fields = {name: getattr(node, name) for name in Node.__slots__}
    fields.update(changes)
    return Node(**fields)
