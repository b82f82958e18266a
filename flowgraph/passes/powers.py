"""Whole powers as products, and each product once.

numpy's power is about forty times slower than a product, from the exponent 3 on. Assumes a typed graph.
Promises the same values to rounding of as many products: x³ is x · x², whatever asks for x²; all powers of
one value that the graph needs are made in the fewest products that give them all. Negative powers are one
over the positive ones, and those of a half the root.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from ..graph import Builder, Graph, Node, renamed
from ..ops import OPS
from ..ops.base import Op
from ..types import REAL, TensorType
from .base import Pass
from .rewrite import rewrite

MOST = 16
"""The largest exponent: 2 to 16 take at most 5 products."""

HALVES: Mapping[float, tuple[str, ...]] = {0.5: ("sqrt",), -0.5: ("sqrt", "reciprocal")}

Power = tuple[str, int]
"""A value and its whole exponent."""


@dataclass(frozen=True)
class Powers(Pass):
    """Powers by multiplication."""

    name: ClassVar[str] = "powers"

    def run(self, graph: Graph) -> Graph:
        powers = powers_of(graph)
        wanted: dict[str, set[int]] = {}
        for base, exponent in powers.values():
            if abs(exponent) > 1:
                wanted.setdefault(base, set()).add(abs(exponent))
        halves = {n.name for n in graph if n.op.name == "pow" and _exponent(graph, n) in HALVES}
        if not powers and not halves:
            return graph
        chains = {base: chain(tuple(sorted(exponents))) for base, exponents in wanted.items()}
        writer = _Writer(graph, powers, chains)
        return rewrite(graph, writer.rule)


def powers_of(graph: Graph) -> dict[str, Power]:
    """The nodes that are whole powers of others: written as such, as squares, or as products of powers."""
    found: dict[str, Power] = {}
    for node in graph:
        power = _power(graph, node, found)
        if power is not None and power[0] in found and found[power[0]][1] > 0:
            base, inner = found[power[0]]
            power = (base, inner * power[1]) if abs(inner * power[1]) <= MOST else power
        if power is not None and node.type == graph[power[0]].type and node.type.elem == REAL:
            found[node.name] = power
    return found


def _power(graph: Graph, node: Node, found: Mapping[str, Power]) -> Power | None:
    if node.op.name == "square":
        return node.operands[0], 2
    if node.op.name == "mul":
        (a, m), (b, n) = (found.get(o, (o, 1)) for o in node.operands)
        return (a, m + n) if a == b and min(m, n) > 0 and m + n <= MOST else None
    exponent = _exponent(graph, node)
    if exponent is None or not float(exponent).is_integer() or not 0 < abs(exponent) <= MOST or exponent == 1:
        return None
    return node.operands[0], int(exponent)


def _exponent(graph: Graph, node: Node) -> float | None:
    """The literal number that a power is to, of what is a power."""
    if node.op.name != "pow" or not isinstance(node.type, TensorType):
        return None
    exponent = graph[node.operands[1]]
    value: Any = exponent.op.value if exponent.op.name == "const" else None
    return value if isinstance(value, (int, float)) else None


class _Writer:
    """Writes the powers of each value as they are first needed, and what is there again by its name."""

    def __init__(
        self, graph: Graph, powers: Mapping[str, Power], chains: Mapping[str, Mapping[int, tuple[int, int]]]
    ) -> None:
        self.graph, self.powers, self.chains = graph, powers, chains
        self.names = Builder(graph.like(), [n.name for n in graph]).names
        self.new: dict[str, str] = {}
        self.made: dict[Power, str] = {}

    def rule(self, out: Graph, node: Node) -> Node | str:
        """What stands for a node, as `rewrite` asks it."""
        made = self._made(out, node)
        self.new[node.name] = made if isinstance(made, str) else made.name
        return made

    def _made(self, out: Graph, node: Node) -> Node | str:
        if node.name not in self.powers:
            half = HALVES.get(_exponent(self.graph, self.graph[node.name]) or 0)
            return node if half is None else self._half(out, node, half)
        base, exponent = self.powers[node.name]
        if (base, exponent) in self.made:
            name = self.made[base, exponent]
            return name if node.hint is None else renamed(node, op=OPS["identity"](), operands=(name,))
        self.made[base, exponent] = node.name
        if exponent < 0:
            under = self.new[base] if exponent == -1 else self._positive(out, node, base, -exponent)
            return renamed(node, op=OPS["reciprocal"](), operands=(under,))
        return renamed(node, **self._product(out, node, base, exponent))

    def _positive(self, out: Graph, node: Node, base: str, exponent: int) -> str:
        """The name of a power of the base, which is added if it is not there."""
        if exponent == 1:
            return self.new[base]
        if (base, exponent) not in self.made:
            fields = self._product(out, node, base, exponent)
            name = self.made[base, exponent] = self.names.unique(f"{base}_to_{exponent}")
            out.add(Node(name, type=node.type, span=node.span, of=node.of, **fields))
        return self.made[base, exponent]

    def _product(self, out: Graph, node: Node, base: str, exponent: int) -> dict[str, Any]:
        """Operation and operands of a power, those it is made of being added."""
        one, other = self.chains[base][exponent]
        op: Op = OPS["square"]() if one == other else OPS["mul"]()
        operands = [self._positive(out, node, base, part) for part in dict.fromkeys((one, other))]
        return {"op": op, "operands": tuple(operands)}

    def _half(self, out: Graph, node: Node, steps: tuple[str, ...]) -> Node:
        operand = node.operands[0]
        for step in steps[:-1]:
            name = self.names.unique(f"{node.name}_{step}")
            out.add(Node(name, OPS[step](), (operand,), node.type, None, node.span, node.of))
            operand = name
        return renamed(node, op=OPS[steps[-1]](), operands=(operand,))


@cache
def chain(exponents: tuple[int, ...]) -> Mapping[int, tuple[int, int]]:
    """The fewest sums that give these exponents from 1: for each number on the way the two it is the sum of.

    An addition chain through all of them, found by trying longer and longer ones.
    """
    length = len(exponents)
    while True:
        found = _longer((1,), exponents, length)
        if found is not None:
            return {n: _sum_of(n, found) for n in found[1:]}
        length += 1


def _longer(start: tuple[int, ...], left: tuple[int, ...], steps: int) -> tuple[int, ...] | None:
    """A chain through the exponents that are left, in at most so many further steps."""
    if not left:
        return start
    if steps < len(left) or start[-1] * 2**steps < left[-1]:
        return None
    sums = {a + b for a in start for b in start}
    for following in sorted((n for n in sums if start[-1] < n <= left[0]), reverse=True):
        rest = left[1:] if following == left[0] else left
        found = _longer((*start, following), rest, steps - 1)
        if found is not None:
            return found
    return None


def _sum_of(number: int, chain: tuple[int, ...]) -> tuple[int, int]:
    """Two of a chain that a number is the sum of: equal ones, which is a square, if there are such."""
    pairs = [(a, number - a) for a in chain if a <= number - a and number - a in chain]
    return pairs[-1]
