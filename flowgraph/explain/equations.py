"""The nodes of a graph as equations in the names of the diagram.

Assumes a typed graph of one example in which every hint stands once (`passes.name_values`). Promises one
line for every value that the diagram or that pass names, in the order of the graph; what nobody named
stands inside the line that uses it while it is short. Formulas nest no deeper than a line is long.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..formula import Fence, Formula, Minus, Rank, Script, Symbol
from ..formula.make import derivative, name, number, shortened
from ..graph import Graph, Node
from ..mathnames import unicode_name
from ..ops.control import GIVEN
from ..ops.leaf import Array
from ..ops.notation import written

UNREAD = ("const", "size_value", "training", "key", "stream")
LEAVES = (*GIVEN, *UNREAD[2:])
LONGEST, SHORT = 60, 30
"""A value that nobody named stands inside the line that uses it while it is at most this long, or
inside all the lines that use it while it is this short."""
MOST_ENTRIES = 12
"""So many entries of an array are written out."""

Said = str | Formula


@dataclass(frozen=True)
class Equation:
    """A line: what is computed, and how. steps: how far it is indented."""

    left: Formula
    right: Formula
    node: Node | None = None
    steps: int = 0

    def text(self) -> str:
        return f"{self.left.text()} = {self.right.text()}"


@dataclass(frozen=True)
class Heading:
    """Words over equations that belong together; node: the one whose value they compute."""

    said: tuple[Said, ...]
    node: Node | None = None
    steps: int = 0


Line = Equation | Heading


@dataclass
class Names:
    """What values are called that have no name, the same in all parts of an explanation."""

    taken: set[str]
    loss: Formula = field(default_factory=lambda: name("L"))
    losses: dict[str, Formula] = field(default_factory=dict)
    made: dict[tuple[str, str], Formula] = field(default_factory=dict)
    count: int = 0
    """How many names were made up."""

    @classmethod
    def of(cls, graph: Graph) -> Names:
        """Names beside those of a graph; the loss is called as the diagram calls it, or L, or L₁ + L₂."""
        names = cls({unicode_name(n.hint) for n in graph if n.hint is not None})
        own = list(dict.fromkeys(r.node for r in graph.results_of("loss")))
        hints = [graph[node].hint for node in own]
        loss = "loss" if "L" in names.taken else "L"
        if len(own) == 1 and hints[0] is not None:
            loss = hints[0]
        names.loss = name(loss)
        for result in graph.results:
            node = graph[result.node]
            again = node.op.name == "identity" and graph[node.operands[0]].hint is not None
            if node.hint is None and result.role != "loss" and not again:
                names.made.setdefault(("", result.node), name(result.label))
        for count, (loss_node, hint) in enumerate(zip(own, hints, strict=True), 1):
            names.losses[loss_node] = name(hint or (loss if len(own) == 1 else f"{loss}_{count}"))
        return names

    def fresh(self, scope: str, node: str) -> Formula:
        """The name of a value that nobody named: v₁, v₂, ... scope: where it is."""
        if (scope, node) not in self.made:
            self.count += 1
            while unicode_name(f"v_{self.count}") in self.taken:
                self.count += 1
            self.made[scope, node] = name(f"v_{self.count}")
        return self.made[scope, node]


@dataclass
class Equations:
    """Writes the nodes of a graph as equations.

    shown: how a value is written where it is used. home: the node of the line in which an unnamed value
    stands. scope: the blocks and repeats that the graph is in; ahead: those of the forward pass where it is
    one of the backward pass. writers: what writes operations that need
    more than a formula, and says whether it did. index: what stands below every name, in a step of a
    recurrence. known: how values are written that others are the derivatives by.
    """

    graph: Graph
    names: Names
    writers: Mapping[str, Callable[[Equations, Node], bool]] = field(default_factory=dict)
    steps: int = 0
    scope: str = ""
    ahead: str = ""
    index: Formula | None = None
    known: dict[str, Formula] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    shown: dict[str, Formula] = field(default_factory=dict)
    home: dict[str, str] = field(default_factory=dict)
    titles: dict[str, Formula] = field(default_factory=dict)
    """Names given to nodes in place of their own."""

    def write(self, wanted: Iterable[str], apart: Collection[str] = ()) -> list[Line]:
        """The lines that compute these nodes, in the order of the graph; those of `apart` have one each."""
        needed = self.graph.ancestors(wanted)
        uses = dict.fromkeys(needed, 0)
        for each in needed:
            for operand in self.graph[each].operands:
                uses[operand] += 1
        for node in self.graph:
            if node.name in needed and node.name not in self.shown:
                writer = self.writers.get(node.op.name)
                if writer is None or not writer(self, node):
                    self._node(node, uses[node.name], node.name in apart)
        return self.lines

    def _node(self, node: Node, uses: int, is_apart: bool) -> None:
        if node.op.name in LEAVES:
            self.shown[node.name] = self.title(node)
            return
        value = self.expression(node)
        small = is_plain(value) or len(value.text()) <= (LONGEST if uses <= 1 else SHORT)
        if uses == 1 and not small:  # what has no other use than to be given a name stands there
            small = [user.op.name for user in self.graph.users(node.name)] == ["identity"]
        is_renamed = node.op.name == "identity" and ("", node.name) not in self.names.made
        if node.hint is None and small and (not is_apart or is_renamed) and not is_cotangent(node):
            self.shown[node.name] = value
            return
        title = self.title(node)
        if title.text() != value.text():
            self.lines.append(Equation(title, value, node, self.steps))
        self.settle(node, title)

    def settle(self, node: Node, title: Formula) -> None:
        """Note that a node has a line, and what stands inside of it."""
        self.shown[node.name] = title
        stack = list(node.operands)
        while stack:
            inner = stack.pop()
            if inner not in self.home and not isinstance(self.shown.get(inner), Symbol | None):
                self.home[inner] = node.name
                stack += self.graph[inner].operands
        self.home[node.name] = node.name

    def title(self, node: Node) -> Formula:
        """What a node is called: `xi_1` is ξ₁, the cotangent `d_W` is ∂L/∂W."""
        if node.name in self.titles:
            return self.titles[node.name]
        if not self.scope and node.name in self.names.losses:
            return self.names.losses[node.name]
        if is_cotangent(node):
            return self.cotangent(node)
        if node.hint is None and node.op.name not in LEAVES:
            return self.names.fresh(self.scope, node.name)
        return self.indexed(name(node.hint or node.name))

    def indexed(self, title: Formula) -> Formula:
        """A name with the index below it, if there is one."""
        return title if self.index is None else Script(title, below=self.index)

    def cotangent(self, node: Node) -> Formula:
        """The derivative of the loss by what a node is the cotangent of."""
        of = (node.hint or node.name)[2:]
        if of in self.known:
            return derivative(self.names.loss, self.known[of])
        if node.hint is None and of in self.shown:
            return derivative(self.names.loss, self.shown[of])
        return derivative(self.names.loss, self.indexed(name(of)))

    def expression(self, node: Node) -> Formula:
        """How a node's value is computed."""
        if node.op.name == "const":
            return array(node.op.value)
        types = [self.graph[o].type for o in node.operands]
        return written(node.op, types, [self.shown[o] for o in node.operands])


def is_cotangent(node: Node) -> bool:
    """Whether a node is the derivative of the loss by another."""
    return node.of is not None and (node.hint or node.name).startswith("d_")


def is_plain(value: Formula) -> bool:
    """Whether a formula is a name or a number."""
    return isinstance(value, Symbol) or (isinstance(value, Minus) and isinstance(value.value, Symbol))


def array(value: Any) -> Formula:
    """A literal, or an array of numbers; of a long one the shape, the first entries and the last."""
    if isinstance(value, Array):
        value = value.data
    if getattr(value, "shape", ()) == ():
        return number(value.item() if hasattr(value, "item") else value)
    if value.size <= MOST_ENTRIES:
        return _nested(value.tolist())
    entries = shortened([number(v) for v in value.ravel()[[0, 1, 2, *[-1] * 3]].tolist()], 0)
    shape = "×".join(map(str, value.shape))
    latex = r" \times ".join(map(str, value.shape))
    return Fence("bracket", Rank((Symbol(rf"{latex}\colon", f"{shape}:", "number"), *entries)))


def _nested(value: Any) -> Formula:
    """Entries in nested brackets; arrays have few axes, so this may call itself."""
    if isinstance(value, list):
        return Fence("bracket", Rank(tuple(map(_nested, value))))
    return number(value)
