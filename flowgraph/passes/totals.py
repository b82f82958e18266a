"""Sums, shares and factors in fewer passes over their arrays.

For planned code, last of all: `Cancel` would write some of it back. Assumes a typed graph, differentiated.
Promises the same values to rounding, and that only what nothing else uses goes: what every term of a sum
is multiplied by is taken out of the sum; a sum of sums is one sum; the sum of all products of two arrays
is their inner product; and all numbers that an array is
multiplied by or divided by become one, which depends on sizes alone and is computed once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from ..graph import Builder, Graph, Node, renamed
from ..ops import OPS
from ..ops.arithmetic import literal
from ..ops.base import Value, constant, fn
from ..ops.shape import product
from .base import Pass
from .rewrite import live_uses

NUMBERS = ("const", "size_value")
"""Leaves that are the same for all data of a size."""


@dataclass(frozen=True)
class Totals(Pass):
    """One pass where there were several."""

    name: ClassVar[str] = "totals"

    def run(self, graph: Graph) -> Graph:
        return _Totals(graph).run()


class _Totals:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.out = graph.like()
        self.builder = Builder(self.out, [n.name for n in graph])
        self.uses: Counter[str] = live_uses(graph)
        self.new: dict[str, str] = {}

    def run(self) -> Graph:
        for node in self.graph:
            node = renamed(node, operands=tuple(self.new[o] for o in node.operands))
            self.new[node.name] = self._settled(node, self._better(node))
        results = [replace(r, node=self.new[r.node]) for r in self.graph.results]
        return self.out.close(self.graph.inputs, self.graph.targets, self.graph.params, results)

    def _settled(self, node: Node, made: Value | None) -> str:
        """The name of the node, whose value was made anew, or of what was made before."""
        if made is None:
            self.out.add(node)
            return node.name
        if self.out.last != made.name or self.out[made.name].hint is not None:
            return made.name if node.hint is None else self._settled(node, fn.identity(made))
        last = self.out.pop_last()
        self.out.add(renamed(last, name=node.name, hint=node.hint))
        self.uses[node.name] = self.uses[node.name] or self.uses[last.name]
        return node.name

    def _better(self, node: Node) -> Value | None:
        self.builder.of = node.of
        if node.type is None or getattr(node.type, "elem", None) is None or node.type.elem.kind != "real":
            return None
        if node.op.name == "sum":
            return self._sum(node)
        if node.op.name in ("mul", "div", "share"):
            return self._product(node)
        return None

    # -- sums

    def _sum(self, node: Node) -> Value | None:
        """Of a sum: factors come out of it, an inner sum joins it, products become an inner product."""
        inner = self._only_here(node.operands[0])
        if inner is None or inner.type.elem.kind != "real":
            return None
        value = Value(self.builder, inner.operands[0])
        if inner.op.name in ("neg", "share"):
            return self._again(inner, [self._summed(node, value)])
        if inner.op.name == "mul" and self._number(inner) is not None:
            number, other = self._number(inner) or ("", "")
            return self._summed(node, Value(self.builder, other)) * Value(self.builder, number)
        if inner.op.name == "sum" and not inner.op.keepdims and not node.op.keepdims:
            both = self.out[fn.sum(value, axis=_axes_of_both(node, inner, value)).name]
            return self._sum(both) or Value(self.builder, both.name)
        if node.type.rank == 0 and inner.op.name in ("square", "mul"):
            a, b = (Value(self.builder, o) for o in (*inner.operands, *inner.operands)[:2])
            if a.type.elem.kind == b.type.elem.kind == "real" and a.shape == b.shape == inner.type.shape:
                return _flat(a) @ _flat(b)
        return None

    def _summed(self, node: Node, value: Value) -> Value:
        """The same sum of another value, taken on."""
        made = self._again(node, [value])
        self.uses[made.name] = 1
        better = self._sum(self.out[made.name])
        return made if better is None else better

    def _again(self, node: Node, operands: Sequence[Value]) -> Value:
        return Value(self.builder, self.builder.apply(node.op, [v.name for v in operands]))

    # -- factors

    def _product(self, node: Node) -> Value | None:
        """Of a product or quotient with a number: with the numbers of the product that it multiplies."""
        found = self._scaled(node)
        if found is None:
            return None
        number, other = found
        inner = self._only_here(other.name)
        deeper = self._scaled(inner) if inner is not None else None
        if deeper is None and node.op.name == "mul":
            return None
        if deeper is not None:
            other = deeper[1]
            number = _times(number, deeper[0])
        return other * number

    def _scaled(self, node: Node) -> tuple[Value, Value] | None:
        """The number that a node multiplies another value by, and that value."""
        if node.op.name == "share":
            other = Value(self.builder, node.operands[0])
            if self._is_number(other.name):
                return None
            one = Value(self.builder, self.builder.apply(OPS["const"](value=1.0), ()))
            return self._again(node, [one]), other
        if node.op.name == "div" and self._is_number(node.operands[1]):
            if self._is_number(node.operands[0]):
                return None
            divisor, other = Value(self.builder, node.operands[1]), Value(self.builder, node.operands[0])
            known = literal(divisor)
            return constant(self.builder, 1 / known) if known else 1.0 / divisor, other
        found = self._number(node) if node.op.name == "mul" else None
        return None if found is None else (Value(self.builder, found[0]), Value(self.builder, found[1]))

    def _number(self, node: Node) -> tuple[str, str] | None:
        """The number of a product, and what it multiplies, which is none."""
        for number, other in (node.operands, node.operands[::-1]):
            if self._is_number(number) and not self._is_number(other) and self.out[other].type == node.type:
                return number, other
        return None

    def _is_number(self, name: str) -> bool:
        """Whether a value is a single number that no data tell."""
        node = self.out[name]
        if node.type.shape or node.type.elem.kind != "real":
            return False
        if node.op.name in ("share", "mul", "div"):
            return all(map(self._is_number, node.operands))
        return node.op.name in NUMBERS

    def _only_here(self, name: str) -> Node | None:
        """An unnamed value that nothing else uses."""
        node = self.out[name]
        may_go = node.hint is None or node.of is not None
        return node if may_go and self.uses[name] <= 1 and node.operands else None


def _times(a: Value, b: Value) -> Value:
    """The product of two numbers, worked out if both are written."""
    known = literal(a), literal(b)
    return a * b if None in known else constant(a.builder, float(known[0] or 0) * float(known[1] or 0))


def _axes_of_both(node: Node, inner: Node, value: Value) -> tuple[int, ...]:
    """The axes of a value that two sums go over, one after the other."""
    rank = value.type.rank
    first = {a % rank for a in inner.op.axes(rank)}
    left = [a for a in range(rank) if a not in first]
    second = {left[a] for a in node.op.axes(len(left))}
    return tuple(sorted(first | second))


def _flat(value: Value) -> Value:
    return value if value.type.rank == 1 else fn.reshape(value, shape=(product(value.shape),))
