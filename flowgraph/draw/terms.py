"""What reaches a circle: the wires that an excitation is the sum of, read off a graph.

Assumes a typed graph. A value is taken apart through sums, differences, signs, products with numbers and
parameters, and products with matrices, down to its sources: values with a name, inputs, and unnamed values
that are no sums. Promises the terms in the order written; raises NotAffine where a value is no such sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph import Graph, Node
from ..ops.leaf import Array
from ..types import TensorType


class NotAffine(Exception):
    """The value is not a sum of weighted sources."""


@dataclass(frozen=True)
class Source:
    """A number that a wire begins at: a node, or an entry of a vector."""

    node: str
    index: int | None = None


@dataclass(frozen=True)
class Term:
    """A wire: number · parameter entry · source. Without a source it comes from the constant 1.

    param: the node of the parameter, "" for none, and index the entry of it. said: whether the weight was
    written, even if it is 1.
    """

    source: Source | None
    number: float = 1.0
    param: str = ""
    index: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Part:
    """A value still to be taken apart: a node, an entry of it, and the number before it."""

    node: str
    entry: int | None
    number: float


class Terms:
    """Reads terms off one graph.

    shown: of a vector, the entries that are drawn; the others are left out. params: the nodes that are
    parameters (in a block's graph they are inputs).
    """

    def __init__(
        self, graph: Graph, params: frozenset[str], shown: Callable[[Node], Sequence[int]] | None = None
    ) -> None:
        self.graph, self.params = graph, params
        self.shown = shown or (lambda node: range(length(node) or 0))
        self.opened: dict[str, None] = {}
        """The nodes that were taken apart since this was last emptied."""

    def of(self, name: str, entry: int | None = None) -> list[Term]:
        """The terms of a value, or of an entry of a vector. Raises NotAffine."""
        found: list[Term] = []
        stack = list(reversed(list(self._inside(_Part(name, entry, 1.0)))))
        while stack:
            part = stack.pop()
            if isinstance(part, Term):
                found.append(part)
                continue
            if self.is_source(self.graph[part.node]):
                found.append(Term(Source(part.node, part.entry), part.number))
                continue
            stack += reversed(list(self._inside(part)))
        return found

    def is_source(self, node: Node) -> bool:
        """Whether a value is where wires begin, not a sum to be looked into."""
        if node.name in self.params or node.op.name == "const" or is_route(node):
            return False
        if node.op.name == "weighted_sum":
            users = self.graph.users(node.name)
            if users and all(u.op.name == "stack" for u in users):
                return False  # what reaches one circle of a layer
        return node.hint is not None or node.op.name not in _READERS

    def _inside(self, part: _Part) -> Iterator[_Part | Term]:
        """What a value is the sum of."""
        node = self.graph[part.node]
        self.opened[node.name] = None
        if node.name in self.params:
            index = () if part.entry is None else (part.entry,)
            yield Term(None, part.number, node.name, index)
            return
        reader = _READERS.get(node.op.name)
        if reader is None:
            raise NotAffine
        yield from reader(self, node, part)

    # -- readers, one for each operation that can stand in a sum

    def _sum(self, node: Node, part: _Part) -> Iterator[_Part | Term]:
        sign = -1.0 if node.op.name == "sub" else 1.0
        for slot, operand in enumerate(node.operands):
            yield self._operand(operand, part.entry, part.number * (sign if slot else 1.0))

    def _weighted(self, node: Node, part: _Part) -> Iterator[_Part | Term]:
        if node.op.bias is not None:
            yield Term(None, part.number * node.op.bias)
        for weight, operand in zip(node.op.weights, node.operands, strict=True):
            yield self._operand(operand, part.entry, part.number * weight)

    def _same(self, node: Node, part: _Part) -> Iterator[_Part | Term]:
        sign = -1.0 if node.op.name == "neg" else 1.0
        yield self._operand(node.operands[0], part.entry, part.number * sign)

    def _const(self, node: Node, part: _Part) -> Iterator[_Part | Term]:
        yield Term(None, part.number * _number(node, part.entry))

    def _divided(self, node: Node, part: _Part) -> Iterator[_Part | Term]:
        by = self.graph[node.operands[1]]
        if by.op.name != "const" or not _number(by, part.entry):
            raise NotAffine
        yield self._operand(node.operands[0], part.entry, part.number / _number(by, part.entry))

    def _product(self, node: Node, part: _Part) -> Iterator[_Part | Term]:
        a, b = (self.graph[o] for o in node.operands)
        for weight, other in ((a, b), (b, a)):
            if weight.op.name == "const":
                yield self._operand(other.name, part.entry, part.number * _number(weight, part.entry))
                return
        for weight, other in ((a, b), (b, a)):
            if weight.name in self.params and other.name not in self.params:
                index = () if not _shape(weight) else (self._entry(weight, part.entry),)
                yield self._through(other, part.entry, part.number, weight.name, index)
                return
        raise NotAffine

    def _matmul(self, node: Node, part: _Part) -> Iterator[_Part | Term]:
        matrix, vector = (self.graph[o] for o in node.operands)
        if length(vector) is None:
            matrix, vector = vector, matrix
        rank = len(_shape(matrix))
        if length(vector) is None or rank not in (1, 2):
            raise NotAffine
        if rank == 1 and not (matrix.name in self.params or matrix.op.name == "const"):
            matrix, vector = vector, matrix
        flip = rank == 2 and self.graph[node.operands[0]].name == vector.name
        if matrix.op.name == "transpose_last":
            matrix, flip = self.graph[matrix.operands[0]], not flip
        for i in self.shown(vector):
            index = (i,) if rank == 1 else ((i, part.entry) if flip else (part.entry, i))
            yield from self._weight(matrix, vector, i, index, part.number)

    def _linear(self, node: Node, part: _Part) -> Iterator[_Part | Term]:
        vector, matrix = (self.graph[o] for o in node.operands[:2])
        if length(vector) is None or part.entry is None:
            raise NotAffine
        for operand in node.operands[2:]:
            yield self._operand(operand, part.entry, part.number)
        for i in self.shown(vector):
            yield from self._weight(matrix, vector, i, (part.entry, i), part.number)

    def _weight(
        self, matrix: Node, vector: Node, i: int, index: tuple[Any, ...], number: float
    ) -> Iterator[_Part | Term]:
        """The wire from entry i of a vector with an entry of a matrix as its weight."""
        if matrix.op.name == "const":
            weight = float(matrix.op.value.data[index])
            if weight:
                yield self._operand(vector.name, i, number * weight)
        elif matrix.name in self.params:
            yield self._through(vector, i, number, matrix.name, index)
        else:
            raise NotAffine

    def _listed(self, node: Node, part: _Part) -> Iterator[_Part | Term]:
        """The wires of a table that end in one circle. Raises NotAffine where layers are elided."""
        param, places = self._table(self.graph[node.operands[0]])
        sources = self.graph[node.operands[1]]
        layers = self.graph.operands(sources) if is_route(sources) else [sources]
        if any(len(self.shown(layer)) < (length(layer) or 0) for layer in layers):
            raise NotAffine
        for wire in np.flatnonzero(node.op.target.data == (part.entry or 0)).tolist():
            index = (int(places[wire]),)
            yield self._through(sources, int(node.op.source.data[wire]), part.number, param, index)

    def _table(self, weights: Node) -> tuple[str, np.ndarray]:
        """The parameter that some weights are a part of, and their places in it. Raises NotAffine."""
        places = np.arange(length(weights) or 0)
        while weights.name not in self.params:
            self.opened[weights.name] = None
            if weights.op.name == "item":
                split = self.graph[weights.operands[0]]
                places = places + sum(int(size.value or 0) for size in split.op.parts[: weights.op.index])
                self.opened[split.name] = None
                weights = self.graph[split.operands[0]]
            elif weights.op.name == "rearrange":
                places = weights.op.order.data[places]
                weights = self.graph[weights.operands[0]]
            else:
                raise NotAffine
        return weights.name, places

    def _unknown(self, node: Node, part: _Part) -> Iterator[_Part | Term]:
        """A layer that a table feeds in parts."""
        raise NotAffine
        yield

    def _total(self, node: Node, part: _Part) -> Iterator[_Part | Term]:
        """The sum over a layer, which a wire with one number for a whole layer makes."""
        vector = self.graph[node.operands[0]]
        if length(vector) is None or node.op.keepdims:
            raise NotAffine
        for i in self.shown(vector):
            yield self._operand(vector.name, i, part.number)

    def _entry_of(self, node: Node, part: _Part) -> Iterator[_Part | Term]:
        vector, items = self.graph[node.operands[0]], node.op.items
        size = length(vector)
        if size is None or len(items) != 1 or not isinstance(items[0], int):
            raise NotAffine
        yield self._operand(vector.name, items[0] % size, part.number)

    def _stacked(self, node: Node, part: _Part) -> Iterator[_Part | Term]:
        if part.entry is None or any(_shape(self.graph[o]) for o in node.operands):
            raise NotAffine
        yield self._operand(node.operands[part.entry], None, part.number)

    def _joined(self, node: Node, part: _Part) -> Iterator[_Part | Term]:
        entry = part.entry
        for operand in node.operands:
            size = length(self.graph[operand])
            if entry is None or size is None:
                raise NotAffine
            if entry < size:
                yield self._operand(operand, entry, part.number)
                return
            entry -= size
        raise NotAffine

    # -- helpers

    def _operand(self, name: str, entry: int | None, number: float) -> _Part:
        """An operand of an elementwise operation: a number stands for all entries of a vector."""
        node = self.graph[name]
        if not isinstance(node.type, TensorType):
            raise NotAffine
        return _Part(name, self._entry(node, entry), number)

    def _entry(self, node: Node, entry: int | None) -> int | None:
        shape = _shape(node)
        if not shape:
            return None
        if entry is None or length(node) is None:
            raise NotAffine
        return 0 if length(node) == 1 else entry

    def _through(
        self, other: Node, entry: int | None, number: float, param: str, index: tuple[Any, ...]
    ) -> Term:
        """The wire from a value that a parameter is the weight of; the value may be routed or negative."""
        terms = [Term(Source(other.name, self._entry(other, entry)), number)]
        if not self.is_source(other):
            terms = self.of(other.name, self._entry(other, entry))
        if len(terms) != 1 or terms[0].param:
            raise NotAffine
        return Term(
            terms[0].source, number * (1.0 if self.is_source(other) else terms[0].number), param, index
        )


_READERS: dict[str, Callable[[Terms, Node, _Part], Iterator[_Part | Term]]] = {
    "add": Terms._sum,
    "sub": Terms._sum,
    "weighted_sum": Terms._weighted,
    "neg": Terms._same,
    "identity": Terms._same,
    "cast": Terms._same,
    "expand": Terms._same,
    "const": Terms._const,
    "div": Terms._divided,
    "mul": Terms._product,
    "matmul": Terms._matmul,
    "wired": Terms._listed,
    "rearrange": Terms._unknown,
    "linear": Terms._linear,
    "sum": Terms._total,
    "index": Terms._entry_of,
    "stack": Terms._stacked,
    "concat": Terms._joined,
}


def table_parts(graph: Graph, params: frozenset[str]) -> frozenset[str]:
    """The nodes that part the weights of a table of wires by the layers they end in."""
    of: dict[str, str] = {}
    """The param that each is a part of."""
    for node in graph:
        if node.op.name in ("rearrange", "split", "item") and node.hint is None:
            source = node.operands[0]
            if source in params or source in of:
                of[node.name] = of.get(source, source)
    others = {
        param
        for name, param in of.items()
        for user in graph.users(name)
        if user.name not in of and (user.op.name != "wired" or user.operands[0] != name)
    }
    return frozenset(name for name, param in of.items() if param not in others)


def is_route(node: Node) -> bool:
    """Whether a vector is nothing but other values side by side: its circles are theirs."""
    return node.op.name in ("stack", "concat") and length(node) is not None


def length(node: Node) -> int | None:
    """The number of entries of a vector of known size, else None."""
    shape = _shape(node)
    return shape[0].value if len(shape) == 1 else None


def _shape(node: Node) -> tuple[Any, ...]:
    return node.type.shape if isinstance(node.type, TensorType) else (None, None)


def _number(node: Node, entry: int | None) -> float:
    """The number of a literal, or of an entry of a literal vector. Raises NotAffine."""
    value = node.op.value
    if not isinstance(value, Array):
        return float(value)
    if value.data.ndim == 0:
        return float(value.data)
    if value.data.ndim != 1 or entry is None:
        raise NotAffine
    return float(np.asarray(value.data)[entry if len(value.data) > 1 else 0])
