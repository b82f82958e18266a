"""Factors that are single numbers: one for each array, and behind the products that make it small.

Assumes a typed graph, best a differentiated one of simple operations. `2 * (rate * (e / N))` becomes
`s * e`, with s = 2 rate / N computed apart from the array; and `X @ (s * e)` becomes `s * (X @ e)` where all
that is made of `s * e` are products and sums that together have fewer entries than e. Promises the same
values to rounding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from ..graph import Builder, Graph, Node, Result, renamed
from ..ops import OPS
from ..ops.base import Value, fn
from ..ops.batch_total import BatchSum, Share
from ..ops.leaf import Const
from ..ops.product import Matmul
from ..ops.reduce import Mean, Sum
from ..ops.shape import Rearrangement
from ..types import Dim, TensorType
from .base import Pass
from .rewrite import live_uses

SHRINKING = (Matmul, Sum, Mean, BatchSum)
"""Linear operations that may make fewer entries of many."""

TYPICAL = 64
"""What a size known only with the data counts as; such as the number of examples."""

CALL = 1000
"""So many entries cost as much as a call: about 0.4 µs in numpy."""


@dataclass(frozen=True)
class Scales(Pass):
    """Scalar factors merged, and moved to where there is less to multiply."""

    name: ClassVar[str] = "scales"

    def run(self, graph: Graph) -> Graph:
        merged = _Writer(graph, {}).run()
        moved = _movable(merged)
        return _Writer(_Writer(merged, moved).run(), {}).run() if moved else merged


@dataclass(frozen=True)
class _Scale:
    """number · the factors / the divisors / an example's shares of these sizes."""

    number: float = 1
    factors: tuple[str, ...] = ()
    divisors: tuple[str, ...] = ()
    shares: tuple[Dim, ...] = ()

    def times(self, other: _Scale) -> _Scale:
        """Both, one after the other."""
        return _Scale(
            self.number * other.number,
            (*self.factors, *other.factors),
            (*self.divisors, *other.divisors),
            (*self.shares, *other.shares),
        )


def _scaled(graph: Graph, node: Node) -> tuple[_Scale, str] | None:
    """Of an array that is another times a single number, both."""
    if not isinstance(node.type, TensorType) or not node.type.shape or node.type.elem.kind != "real":
        return None
    if isinstance(node.op, Share):
        return _Scale(shares=(node.op.size,)), node.operands[0]
    if node.op.name == "neg":
        return _Scale(-1), node.operands[0]
    if node.op.name not in ("mul", "div"):
        return None
    for slot in (1, 0)[: 1 if node.op.name == "div" else 2]:
        single, other = graph[node.operands[slot]], graph[node.operands[1 - slot]]
        if single.type.shape or other.type != node.type:
            continue
        number = _number(single)
        if node.op.name == "mul":
            return (_Scale(factors=(single.name,)) if number is None else _Scale(number)), other.name
        if number != 0:
            return (_Scale(divisors=(single.name,)) if number is None else _Scale(1 / number)), other.name
    return None


def _number(node: Node) -> float | None:
    value = node.op.value if node.op.name == "const" else None
    return value if isinstance(value, (int, float)) else None


class _Writer:
    """Writes the graph again with one factor for each array; `moved` are those to leave to what is made of
    them."""

    def __init__(self, graph: Graph, moved: dict[str, list[str]]) -> None:
        self.graph, self.moved = graph, moved
        self.out = graph.like()
        self.builder = Builder(self.out, [n.name for n in graph])
        self.uses: Counter[str] = live_uses(graph)
        self.scales: dict[str, tuple[_Scale, str]] = {}
        """By the name that an array has in the graph given: its factor, and what is multiplied by it."""
        self.singles: dict[_Scale, Value] = {}
        self.new: dict[str, str] = {}

    def run(self) -> Graph:
        behind: dict[str, _Scale] = {}
        for node in self.graph:
            self.builder.of = node.of
            if node.name in self.moved:
                scale, core = self.scale_of(node)
                self.new[node.name] = self.new[core]
                for product in self.moved[node.name]:
                    behind[product] = behind.get(product, _Scale()).times(scale)
                continue
            moved = renamed(node, operands=tuple(self.new[o] for o in node.operands))
            self.new[node.name] = node.name
            if node.name in behind:
                name = self.builder.apply(node.op, moved.operands, name=f"{node.name}_unscaled")
                self._times(moved, behind[node.name], name)
            else:
                self._node(node, moved)
        self.builder.of = None
        results: list[Result] = [replace(r, node=self.new[r.node]) for r in self.graph.results]
        return self.out.close(self.graph.inputs, self.graph.targets, self.graph.params, results)

    def scale_of(self, node: Node) -> tuple[_Scale, str]:
        found = _scaled(self.graph, node)
        assert found is not None
        return found

    def _node(self, node: Node, moved: Node) -> None:
        own = _scaled(self.graph, node)
        if own is None:
            self.out.add(moved)
            return
        scale, core = own
        inner = self.scales.get(core) if self.uses[core] == 1 else None
        if inner is None:
            self.scales[node.name] = own
            self.out.add(moved)
            return
        self.scales[node.name] = scale.times(inner[0]), inner[1]
        self._times(moved, self.scales[node.name][0], self.new[inner[1]])

    def _times(self, node: Node, scale: _Scale, core: str) -> None:
        """Add the node as a factor times something."""
        scale = replace(scale, factors=tuple(self.new[f] for f in scale.factors))
        scale = replace(scale, divisors=tuple(self.new[d] for d in scale.divisors))
        if scale == _Scale():
            self.out.add(renamed(node, op=OPS["identity"](), operands=(core,)))
        elif scale == _Scale(-1):
            self.out.add(renamed(node, op=OPS["neg"](), operands=(core,)))
        else:
            single = self._single(scale)
            self.out.add(renamed(node, op=OPS["mul"](), operands=(single.name, core)))

    def _single(self, scale: _Scale) -> Value:
        """The factor as a value of its own."""
        if scale in self.singles:
            return self.singles[scale]
        factors = [Value(self.builder, f) for f in scale.factors]
        number = int(scale.number) if float(scale.number).is_integer() else scale.number
        if number != 1 or not factors:
            factors.insert(
                0, Value(self.builder, self.builder.apply(Const(value=number).as_kind("real"), ()))
            )
        total = factors[0]
        for factor in factors[1:]:
            total = total * factor
        for divisor in scale.divisors:
            total = total / Value(self.builder, divisor)
        for size in scale.shares:
            total = fn.share(total, size=size)
        self.singles[scale] = total
        return total


# ---------------------------------------------------------------------------------------
# Which factors move


def _movable(graph: Graph) -> dict[str, list[str]]:
    """The scaled arrays whose factor is better left to what is made of them, and that."""
    results = {r.node for r in graph.results}
    live = graph.ancestors(results)
    found = {}
    for node in graph:
        if node.name not in live or _scaled(graph, node) is None:
            continue
        products = _products(graph, node.name, results, live)
        if products is None:
            continue
        left = sum(_entries(graph[p]) for p in products)
        if left + CALL * (len(products) - 1) < _entries(node):
            found[node.name] = products
    return found


def _products(graph: Graph, name: str, results: set[str], live: set[str]) -> list[str] | None:
    """The products and sums that are made of an array, other looks at it included; None if more is."""
    if name in results:
        return None
    found: list[str] = []
    for user in graph.users(name):
        if user.name not in live:
            continue
        if isinstance(user.op, Rearrangement):
            further = _products(graph, user.name, results, live)
            if further is None:
                return None
            found += further
        elif isinstance(user.op, SHRINKING) and list(user.operands).count(name) == 1:
            found.append(user.name)
        else:
            return None
    return found if len(set(found)) == len(found) else None


def _entries(node: Node) -> int:
    """The number of entries, symbolic sizes being typical."""
    return _count([Dim.of(d) for d in node.type.shape])


def _count(shape: Sequence[Dim]) -> int:
    total = 1
    for size in shape:
        total *= size.at(dict.fromkeys(size.symbols, TYPICAL))
    return total
