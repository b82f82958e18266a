"""Which values of a graph are circles: the neurons, the layers of them, and what feeds them.

A neuron is a number g(ξ) whose excitation ξ is a weighted sum of other numbers (`terms`); a layer is a
vector of such. Circles and wires of the file are neurons wherever they stand. An equation of numbers is one
where it comes to the same. An equation of vectors is drawn as a layer of circles only where that gives a
whole picture: see `find`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ..graph import Graph, Node
from ..ops.base import Elementwise
from ..types import TensorType
from .terms import NotAffine, Source, Term, Terms, is_route, length

MOST_IN_LAYER = 12
"""A layer of more circles is elided: a ⋮ stands for those in the middle."""
FIRST, LAST = 4, 1
"""So many circles of an elided layer are drawn at its beginning and end."""
MOST_CIRCLES = 40
"""Vectors in equations are drawn as circles where there are at most so many in all."""
SCALES = ("auto", "circles", "layers")


@dataclass(frozen=True)
class Neuron:
    """A circle, or a layer of `size` of them.

    node: the value; excitation: the node of ξ. operation: of the activation, None for the identity.
    terms: the wires into it, of each entry that is drawn (one list for a single circle). is_wired: whether
    the file draws it as wires, so that weights of 1 are said too.
    """

    node: Node
    excitation: Node
    activation: Node | None
    size: int | None
    entries: tuple[int | None, ...]
    terms: tuple[tuple[Term, ...], ...]
    is_wired: bool


@dataclass
class Found:
    """The circles of a graph.

    neurons: by node. leaves: inputs and targets that are circles, with the entries drawn (None of a number).
    values: unnamed numbers that stand between, such as x², with the source that each depends on.
    absorbed: nodes that are drawn as part of a neuron.
    """

    neurons: dict[str, Neuron] = field(default_factory=dict)
    leaves: dict[str, tuple[int | None, ...]] = field(default_factory=dict)
    values: dict[str, Source] = field(default_factory=dict)
    absorbed: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        """How many circles there are, elided ones included."""
        sizes = [n.size or 1 for n in self.neurons.values()]
        return sum(sizes) + sum(len(e) for e in self.leaves.values()) + len(self.values)


def entries_shown(node: Node) -> tuple[int, ...]:
    """The entries of a vector that are drawn."""
    size = length(node) or 0
    if size <= MOST_IN_LAYER:
        return tuple(range(size))
    return (*range(FIRST), *range(size - LAST, size))


def find(
    graph: Graph,
    params: frozenset[str],
    alive: set[str],
    scale: str,
    *,
    is_top: bool,
    folded: Collection[str] = (),
) -> Found:
    """The circles of a graph.

    params: its nodes that are parameters. alive: those that are drawn; folded: those that are not, because
    there are too many, though something drawn reads them. scale: of SCALES. With "auto", vectors
    in equations are circles if the graph is the diagram's own, holds no blocks, and all its vectors are
    layers of at
    most MOST_IN_LAYER circles, MOST_CIRCLES in all.
    """
    if scale == "layers":
        return Found()
    if scale == "circles" or (is_top and not folded):
        finder = _Finder(graph, params, alive, vectors=True, folded=folded)
        if scale == "circles" or finder.is_whole():
            finder.add_targets()
            return finder.found
    return _Finder(graph, params, alive, vectors=False, folded=folded).found


class _Finder:
    def __init__(
        self,
        graph: Graph,
        params: frozenset[str],
        alive: set[str],
        *,
        vectors: bool,
        folded: Collection[str],
    ) -> None:
        self.graph, self.params, self.alive, self.vectors = graph, params, alive, vectors
        self.folded = folded
        self.terms = Terms(graph, params, entries_shown)
        self.ends = {r.node for r in graph.results}
        self.losses = {r.node for r in graph.results if r.role in ("loss", "metric")}
        self.wired_inputs = self._wired_inputs()
        self.found = Found()
        for node in graph:
            if node.name in alive and not self._is_leaf(node):
                self._look_at(node)
        self._settle_leaves()

    # -- classification

    def _look_at(self, node: Node) -> None:
        if node.name in self.found.absorbed or node.name in self.losses:
            return
        if not _is_real(node) and not (_is_number(node) and self._is_wired(node)):
            return
        size = length(node)
        if node.type.shape and (size is None or is_route(node)):
            return
        neuron = self._neuron(node, size)
        if neuron is None:
            return
        self.found.neurons[node.name] = neuron
        if neuron.activation is not None and neuron.excitation is not node:
            name = neuron.excitation.name
            if not self._stands_alone(neuron.excitation, node):
                self.found.absorbed.add(name)
                self.found.neurons.pop(name, None)

    def _neuron(self, node: Node, size: int | None) -> Neuron | None:
        """The neuron that a value is, or None."""
        if node.op.name == "weighted_sum" and not self.terms.is_source(node):
            return None  # what reaches one circle of a layer
        activation, root = self._parts(node)
        if node.hint is None and node.name not in self.ends and (activation is None or size is None):
            return None
        is_wired = self._is_wired(root)
        if size is not None and not (is_wired or self.vectors):
            return None
        entries: tuple[int | None, ...] = (None,) if size is None else entries_shown(node)
        self.terms.opened.clear()
        terms: tuple[tuple[Term, ...], ...]
        try:
            if activation is not None and root is not node and self._stands_alone(root, node):
                terms = tuple((Term(Source(root.name, e)),) for e in entries)
            else:
                terms = tuple(tuple(self.terms.of(root.name, e)) for e in entries)
        except NotAffine:
            return None
        if not is_wired and not self._is_dense(root, terms, size):
            return None
        values: dict[str, Source] = {}
        for term in (t for ts in terms for t in ts):
            if term.source is not None and not self._can_feed(term.source, is_wired, values):
                return None
        self.found.values |= values
        parts = {*self.terms.opened, *(node.operands if activation is not None else ())}
        self.found.absorbed |= {n for n in parts if n != node.name and self._is_part(n)}
        return Neuron(node, root, activation, size, entries, terms, is_wired)

    def _is_part(self, name: str) -> bool:
        """Whether a node that was taken apart is nothing but a part of sums."""
        node = self.graph[name]
        if node.op.name == "weighted_sum" and not self.terms.is_source(node):
            return True
        if not node.operands or node.hint is not None or name in self.ends:
            return False
        return not is_route(node) or all(self._is_sum(o) for o in self.graph.operands(node))

    def _is_sum(self, node: Node) -> bool:
        """Whether a number is what reaches one circle of a layer."""
        return node.op.name == "const" or (node.op.name == "weighted_sum" and not self.terms.is_source(node))

    def _parts(self, node: Node) -> tuple[Node | None, Node]:
        """The activation of a value, if it is one, and the node of its excitation."""
        is_activation = node.op.group == "activations" or isinstance(node.op, Elementwise)
        if is_activation and len(node.operands) == 1 and node.op.name not in ("neg", "cast", "weighted_sum"):
            root = self.graph[node.operands[0]]
            is_bare = root.op.name == "cast" and root.hint is None and root.name not in self.ends
            return node, self.graph[root.operands[0]] if is_bare else root
        return None, node

    def _stands_alone(self, root: Node, node: Node) -> bool:
        """Whether the operand of an activation is a circle, or a source, of its own."""
        if self.terms.is_source(root) and root.op.name not in _SUMS:
            return True
        own = (node.name, *node.operands)
        others = any(u in self.alive and u not in own for u in self.graph.nx.succ[root.name])
        named = root.hint is not None and not root.hint.startswith("xi_")
        return others or root.name in self.ends or (named and node.hint is None)

    def _is_wired(self, root: Node) -> bool:
        if root.op.name == "expand":
            root = self.graph[root.operands[0]]
            return root.op.name in ("weighted_sum", "const")
        return root.op.name == "weighted_sum"

    def _is_dense(self, root: Node, terms: Sequence[Sequence[Term]], size: int | None) -> bool:
        """Whether an equation is worth circles: a number has a source; a vector's weights are a matrix."""
        sources = [t.source for ts in terms for t in ts if t.source is not None]
        if not sources:
            return False
        return size is None or any(len(ts) > 1 for ts in terms) or root.op.name not in _SUMS

    def _can_feed(self, source: Source, is_wired: bool, values: dict[str, Source]) -> bool:
        """Whether a wire into a circle can begin at this source."""
        node = self.graph[source.node]
        if node.name in self.found.neurons or node.name in self.found.values or node.name in values:
            return True
        if node.name in self.folded:
            return True
        if source.index is not None:
            if self._is_leaf(node):
                return self.vectors or node.name in self.wired_inputs
            return is_wired
        if self._is_leaf(node):
            return True
        if node.hint is None:
            inner = self._single_source(node)
            if inner is not None and self._can_feed(inner, False, values):
                values[node.name] = inner
                return True
        return is_wired

    def _single_source(self, node: Node) -> Source | None:
        """The one number that an unnamed number is an elementwise function of."""
        found: dict[Source, None] = {}
        stack = [node.name]
        while stack:
            each = self.graph[stack.pop()]
            if each.op.name == "const":
                continue
            if each is not node and (self._is_leaf(each) or each.hint is not None):
                found[Source(each.name)] = None
            elif not isinstance(each.op, Elementwise) or each.name in self.params or not _is_number(each):
                return None
            else:
                stack += each.operands
        return next(iter(found)) if len(found) == 1 else None

    # -- leaves

    def _is_leaf(self, node: Node) -> bool:
        return not node.operands and node.op.name != "const"

    def _wired_inputs(self) -> set[str]:
        """The vectors from outside that wires of the file begin at."""
        found: set[str] = set()
        for node in self.graph:
            if node.op.name != "weighted_sum":
                continue
            for operand in self.graph.operands(node):
                for each in (operand, *self._behind(operand)):
                    if self._is_leaf(each) and each.name not in self.params and length(each) is not None:
                        found.add(each.name)
        return found

    def _behind(self, operand: Node) -> list[Node]:
        """What a term of an excitation is made of; of a list of wires, what its sources are."""
        found = self.graph.operands(operand)
        if operand.op.name == "index":
            operand = found[0]
        if operand.op.name == "wired":
            sources = self.graph[operand.operands[1]]
            return [*found, sources, *self.graph.operands(sources)]
        return found

    def _settle_leaves(self) -> None:
        """Inputs that wires begin at are circles; other numbers among inputs are, where there are circles."""
        used: dict[str, None] = {}
        for neuron in self.found.neurons.values():
            for term in (t for ts in neuron.terms for t in ts):
                if term.source is not None:
                    used[term.source.node] = None
        used |= {source.node: None for source in self.found.values.values()}
        for name in (*self.graph.inputs, *self.graph.targets):
            node = self.graph[name]
            if name in self.params or name not in self.alive:
                continue
            if _is_number(node):
                if self.found.neurons and (name in used or _is_real(node)):
                    self.found.leaves[name] = (None,)
            elif name in used and length(node) is not None:
                self.found.leaves[name] = entries_shown(node)

    def _feeds_both(self) -> bool:
        """Whether a vector is read by circles and by boxes too: its wires would cover the picture."""
        circles = {*self.found.neurons, *self.found.absorbed}
        for name in (*self.found.neurons, *self.found.leaves):
            users = [u.name for u in self.graph.users(name) if u.name in self.alive]
            if length(self.graph[name]) is not None and len({u in circles for u in users}) > 1:
                return True
        return False

    def add_targets(self) -> None:
        """Vectors that circles are compared with are circles too."""
        for name in self.graph.targets:
            node = self.graph[name]
            size = length(node)
            if name in self.alive and _is_real(node) and size is not None and size <= MOST_IN_LAYER:
                self.found.leaves[name] = entries_shown(node)

    def is_whole(self) -> bool:
        """Whether drawing vectors of equations as circles leaves no other vector to be drawn as a box."""
        if self.found.count > MOST_CIRCLES or any(n.op.subgraphs() for n in self.graph):
            return False
        if self._feeds_both():
            return False
        inside = self.graph.ancestors(self.losses) - self.graph.ancestors(self.ends - self.losses)
        for node in self.graph:
            if node.name not in self.alive or (node.name in inside and node.hint is None):
                continue
            if not isinstance(node.type, TensorType) or not node.type.shape or node.name in self.params:
                continue
            if node.op.name in ("const", "target") or is_route(node) or node.name in self.found.absorbed:
                continue
            if node.hint is None and node.name not in self.ends and node.name not in self.found.neurons:
                continue
            size = length(node)
            is_circle = node.name in self.found.neurons or node.name in self.found.leaves
            if size is None or size > MOST_IN_LAYER or not is_circle:
                return False
        return bool(self.found.neurons)


_SUMS = (
    "add",
    "sub",
    "neg",
    "mul",
    "div",
    "identity",
    "cast",
    "index",
    "sum",
    "weighted_sum",
    "expand",
    "matmul",
    "linear",
)


def _is_real(node: Node) -> bool:
    return isinstance(node.type, TensorType) and node.type.elem.kind == "real"


def _is_number(node: Node) -> bool:
    return isinstance(node.type, TensorType) and not node.type.shape
