"""Sums as products with ones, and other reductions by the calls that numpy does fastest.

For planned numpy code. Assumes a typed graph of simple operations. numpy's products (BLAS) add up entries two
to five times as fast as its sums do, small arrays or large, and the ones are made once. A sum of squares, or
of products, over all entries is one inner product; so is one of the entries that labels pick, where a one at
each label is needed anyway; sums of sums are one sum; the larger of two lines is one comparison. Promises the
same values to rounding: entries are added in another order.

Measured, in µs, for [10, 64] and [256, 128]: sums along lines 0.85 and 8.0, as products 0.34 and 1.4;
across lines 0.81 and 5.5 against 0.32 and 1.3; all of the squares 1.07 and 6.9 against 0.39 and 1.4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar

from ..graph import Builder, Graph, Node, Result, renamed
from ..ops import OPS
from ..ops.base import Value, beside, fn
from ..types import Dim
from .base import Pass
from .rewrite import live_uses

OF_TWO = {"sum": "add", "max": "maximum", "min": "minimum"}
"""What reduces two lines by one call."""

MOST_CLASSES = 64
"""Of more, entries are picked one by one: a product would go over all of them for each."""

ADDING = ("add", "sub", "squeeze", "unsqueeze", "reshape")
"""Operations through which a sum of all entries sees."""

FINITE = (
    "add", "sub", "max", "maximum", "reshape", "unsqueeze", "squeeze", "transpose_last", "index"
)  # fmt: skip
"""Operations that give no infinite number for finite ones, as long as these are not vast."""

SCATTERED = ("transpose_last", "permute", "index", "expand", "flip")
"""What looks at an array, so that its entries may not lie side by side."""


@dataclass(frozen=True)
class Reductions(Pass):
    """Reductions by products."""

    name: ClassVar[str] = "reductions"

    def run(self, graph: Graph) -> Graph:
        return _Writer(graph).run()


class _Writer:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.out = graph.like()
        self.builder = Builder(self.out, [n.name for n in graph])
        self.uses: Counter[str] = live_uses(graph)
        self.marked = {
            n.operands[1]: n
            for n in graph
            if n.op.name == "add_at" and graph[n.operands[0]].op.name == "ones"
        }
        """By places what has a 1 at them, and else 0."""

    def run(self) -> Graph:
        for node in self.graph:
            made = self._reduced(node) if node.op.name in OF_TWO else None
            if made is None:
                self.out.add(node)
                continue
            last = self.out.pop_last()
            assert last.name == made.name
            self.out.add(renamed(last, name=node.name, hint=node.hint, span=node.span, of=node.of))
        results: list[Result] = [replace(r) for r in self.graph.results]
        return self.out.close(self.graph.inputs, self.graph.targets, self.graph.params, results)

    def _reduced(self, node: Node) -> Value | None:
        """What stands for a reduction, as the node added last; None where nothing better does."""
        source, axes = self._source(node)
        if not axes or source.type.elem.kind != "real":
            return None
        self.builder.of = node.of
        made = self._of_two(node, source, axes)
        if made is None and node.op.name == "sum":
            made = self._sum(node, source, axes)
        self.builder.of = None
        return made

    def _source(self, node: Node) -> tuple[Value, tuple[int, ...]]:
        """What is reduced, and along which axes from the end: of a sum of a sum, both at once."""
        source = self.graph[node.operands[0]]
        axes = node.op.axes(source.type.rank)
        while node.op.name == source.op.name == "sum" and self._is_passed(source):
            inner = self.graph[source.operands[0]]
            gone = source.op.axes(inner.type.rank)
            left = [a for a in range(-inner.type.rank, 0) if a not in gone]
            axes = tuple(sorted((*gone, *(left[a] for a in axes))))
            source = inner
        return Value(self.builder, source.name), axes

    def _is_passed(self, source: Node) -> bool:
        return self.uses[source.name] == 1 and not source.op.keepdims

    # -- two lines

    def _of_two(self, node: Node, source: Value, axes: Sequence[int]) -> Value | None:
        """Of a matrix of two rows one call by both of them."""
        shape = source.shape
        if len(shape) != 2 or tuple(axes) != (-2,) or shape[0] != 2:
            return None
        cut = [("slice", 0, 1), ("slice", 1, 2)] if node.op.keepdims else [0, 1]
        first, second = (fn.index(source, items=(item,)) for item in cut)
        return getattr(fn, OF_TWO[node.op.name])(first, second)

    # -- sums

    def _sum(self, node: Node, source: Value, axes: Sequence[int]) -> Value | None:
        if len(axes) == source.type.rank:
            return self._total(node, source)
        rank, shape = source.type.rank, source.shape
        count = len(axes)
        is_last = tuple(axes) == tuple(range(-count, 0))
        is_first = tuple(axes) == tuple(range(-rank, count - rank))
        if not (is_last or is_first) or (rank > 2 and self._is_scattered(source)):
            return None
        added = _product([shape[a] for a in axes])
        kept = _product([d for i, d in enumerate(shape) if i - rank not in axes])
        rows = (kept, added) if is_last else (added, kept)
        matrix = source if rank == 2 else fn.reshape(source, shape=rows)
        if rank == 2 and node.op.keepdims:
            ones = self._ones(source, (added, 1) if is_last else (1, added))
        else:
            ones = self._ones(source, (added,))
        total = matrix @ ones if is_last else ones @ matrix
        if total.shape == node.type.shape:
            return total
        return fn.reshape(total, shape=node.type.shape)

    def _total(self, node: Node, source: Value) -> Value | None:
        """The sum of all entries: an inner product of what they are products of, or with ones."""
        if node.op.keepdims:
            return None
        while self.graph[source.name].op.name == "transpose_last":
            source = Value(self.builder, self.graph[source.name].operands[0])
        terms = self._terms(source)
        if not any(self._mark(term) for _, term in terms):
            return self._inner(source)
        total: Value | None = None
        for sign, term in terms:
            part = self._inner(term)
            if part is None:
                return None
            if total is None:
                total = part if sign > 0 else -part
            else:
                total = total + part if sign > 0 else total - part
        return total

    def _inner(self, source: Value) -> Value | None:
        """The sum of all entries as one inner product."""
        marked = self._mark(source)
        if marked is not None:
            picked, places = (Value(self.builder, o) for o in self.graph[source.name].operands)
            return picked @ fn.add_at(self._ones(places, places.shape), places, size=marked.op.size)
        pair = self._factors(source)
        if pair is not None:
            left, right = (self._flat(value) for value in pair)
            return None if left is None or right is None else left @ right
        flat = self._flat(source)
        return None if flat is None else flat @ self._ones(flat, flat.shape)

    def _terms(self, source: Value) -> list[tuple[int, Value]]:
        """What is added up entry by entry, with signs, through other shapes of the same."""
        found: list[tuple[int, Value]] = []
        stack = [(1, source)]
        while stack:
            sign, value = stack.pop()
            node = self.graph[value.name]
            operands = [Value(self.builder, o) for o in node.operands]
            same = len(operands) == 1 or all(o.type == value.type for o in operands)
            if self.uses[value.name] != 1 or node.op.name not in ADDING or not same:
                found.append((sign, value))
                continue
            signs = (sign, -sign if node.op.name == "sub" else sign)
            stack += reversed(list(zip(signs, operands, strict=False)))
        return found

    def _mark(self, source: Value) -> Node | None:
        """Of entries picked at places that something marks, what does, if they are picked of few."""
        node = self.graph[source.name]
        if node.op.name != "take" or self.uses[source.name] != 1:
            return None
        found = self.marked.get(node.operands[1])
        picked, places = (self.graph[o].type for o in node.operands)
        if found is None or picked.rank != 1 or found.type != picked or places.rank != 1:
            return None
        classes = picked.shape[0].divide(places.shape[0])
        is_few = classes is not None and 0 < (classes.value or 0) <= MOST_CLASSES
        return found if is_few and self._is_finite(node.operands[0]) else None

    def _is_finite(self, name: str) -> bool:
        """Whether scores are made of products and params, with no -inf among them, which times 0 is nan."""
        seen: set[str] = set()
        stack = [name]
        while stack:
            node = self.graph[stack.pop()]
            if node.name in seen or node.op.name in ("matmul", "param"):
                continue
            if node.op.name not in FINITE:
                return False
            seen.add(node.name)
            stack.extend(node.operands)
        return True

    def _factors(self, source: Value) -> tuple[Value, Value] | None:
        """What each entry is the product of, if the products serve nothing else."""
        node = self.graph[source.name]
        if self.uses[source.name] != 1 or node.op.name not in ("mul", "square"):
            return None
        factors = [Value(self.builder, o) for o in node.operands]
        if any(f.type != node.type for f in factors):
            return None
        return factors[0], factors[-1]

    def _flat(self, value: Value) -> Value | None:
        """The entries in a row, without a copy."""
        if value.type.rank == 1:
            return value
        if self._is_scattered(value):
            return None
        return fn.reshape(value, shape=(_product(value.shape),))

    def _is_scattered(self, value: Value) -> bool:
        node = self.out[value.name]
        while node.op.name in ("reshape", "unsqueeze", "squeeze", "identity"):
            node = self.out[node.operands[0]]
        return node.op.name in SCATTERED

    def _ones(self, source: Value, shape: Sequence[Any]) -> Value:
        return beside(source, OPS["ones"](shape=tuple(Dim.of(d) for d in shape)))


def _product(shape: Sequence[object]) -> Dim:
    return prod((d for d in shape if isinstance(d, Dim)), start=Dim.of(1))
