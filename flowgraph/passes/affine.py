"""Single numbers as sums of weighted sources: what the wires into a circle say, however they are written.

Assumes a typed graph of one example. A number's form is exact as mathematics; where a value is named, or
used by several, it stays a source of its own, so that forms never grow beyond what was drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..graph import Graph, Node
from ..types import TensorType

Weight = tuple[str, str]
"""A source and the param that weighs it: ("x1", "w"); "" for the constant 1, and for no param."""

SUMS = {"add": (1, 1), "sub": (1, -1), "neg": (-1,), "identity": (1,)}


@dataclass
class Form:
    """bias + the sum over `terms` of number · param · source."""

    bias: float = 0
    terms: dict[Weight, float] = field(default_factory=dict)

    def grow(self, other: Form, by: float) -> None:
        """Add `by` times another form."""
        self.bias += by * other.bias
        for weight, number in other.terms.items():
            self.terms[weight] = self.terms.get(weight, 0) + by * number

    def sources(self) -> Iterator[str]:
        """The sources, each once, in order."""
        return iter(dict.fromkeys(source for source, _ in self.terms if source))


class Forms:
    """The forms of a graph's single numbers. own: of a node by its operation; `of`: as others see it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.own: dict[str, Form] = {}
        self.entries: dict[tuple[str, int], str] = {}
        """The node that stands for an entry of a vector, however often that is taken from it."""
        for node in graph:
            if is_entry(node):
                self.entries.setdefault((node.operands[0], node.op.items[0]), node.name)
            form = self._own(node) if is_number(node) else None
            if form is not None:
                self.own[node.name] = form

    def of(self, name: str) -> Form:
        """What users of a number see: its form, or the number itself where it is a source."""
        node = self.graph[name]
        if name in self.own and not self.is_source(node):
            return self.own[name]
        if is_entry(node):
            name = self.entries[node.operands[0], node.op.items[0]]
        return Form(terms={(name, ""): 1})

    def is_source(self, node: Node) -> bool:
        """Whether a number that has a form stands for itself where it is used."""
        if node.op.name in ("const", "param"):
            return False
        return node.hint is not None or self.graph.use_count(node.name) != 1

    def _own(self, node: Node) -> Form | None:
        op = node.op
        if op.name == "const":
            return Form(bias=op.value) if isinstance(op.value, (int, float)) else None
        if op.name == "param":
            return Form(terms={("", node.name): 1})
        if not all(is_number(self.graph[o]) for o in node.operands):
            return None
        if op.name in SUMS:
            return self._sum(SUMS[op.name], node)
        if op.name == "weighted_sum":
            form = self._sum(op.weights, node)
            form.bias += op.bias or 0
            return form
        if op.name == "mul":
            return self._product(*(self.of(o) for o in node.operands))
        return None

    def _sum(self, weights: tuple[float, ...], node: Node) -> Form:
        form = Form()
        for weight, operand in zip(weights, node.operands, strict=True):
            form.grow(self.of(operand), weight)
        return form

    @staticmethod
    def _product(a: Form, b: Form) -> Form | None:
        """A number, or a param, times one source; None for what is no weighted source."""
        for left, right in ((a, b), (b, a)):
            if not left.terms:
                form = Form()
                form.grow(right, left.bias)
                return form
        for left, right in ((a, b), (b, a)):
            if left.bias or right.bias or len(left.terms) != 1 or len(right.terms) != 1:
                continue
            ((source, param), number), ((other, also), factor) = *left.terms.items(), *right.terms.items()
            if not source and other and not also:
                return Form(terms={(other, param): number * factor})
        return None


def is_number(node: Node) -> bool:
    """Whether a node is a single real number."""
    type = node.type
    return isinstance(type, TensorType) and not type.shape and type.elem.kind == "real"


def is_entry(node: Node) -> bool:
    """Whether a node is one number of a vector, counted from its start."""
    items: tuple[object, ...] = node.op.items if node.op.name == "index" else ()
    return len(items) == 1 and isinstance(items[0], int) and items[0] >= 0 and is_number(node)
