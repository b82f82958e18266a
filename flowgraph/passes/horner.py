"""Polynomials with literal coefficients by Horner's rule, where that saves products.

Assumes a typed graph whose powers are products (see `powers`). A sum of literal multiples of powers of one
value, which serve nothing else, is computed from the highest power inwards: 1 + 2 x + 3 x² + 4 x³ as
((4 x + 3) x + 2) x + 1. Promises the same values to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ..graph import Builder, Graph, Node, renamed
from ..ops.base import Value, fn
from .base import Pass
from .powers import Power, chain, powers_of
from .rewrite import live_uses

MOST_TERMS = 64
"""Longer sums are no polynomials that anyone writes."""


@dataclass(frozen=True)
class Horner(Pass):
    """Polynomials from the inside out."""

    name: ClassVar[str] = "horner"

    def run(self, graph: Graph) -> Graph:
        found = _Finder(graph).found()
        return _written(graph, found) if found else graph


@dataclass
class _Polynomial:
    """Coefficients by exponent. sums: the nodes it is added up in; products: those that it multiplies in."""

    base: str = ""
    terms: dict[int, float] = field(default_factory=dict)
    sums: set[str] = field(default_factory=set)
    products: set[str] = field(default_factory=set)

    def add(self, exponent: int, number: float) -> None:
        self.terms[exponent] = self.terms.get(exponent, 0) + number


class _Finder:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.uses = live_uses(graph)
        self.powers: dict[str, Power] = powers_of(graph)

    def found(self) -> dict[str, _Polynomial]:
        """By its last sum each polynomial that is shorter by Horner's rule."""
        chosen = {}
        inside: set[str] = set()
        for node in reversed(list(self.graph)):
            if node.op.name not in ("add", "sub") or node.name in inside or not self.uses[node.name]:
                continue
            made = self._polynomial(node)
            if made is None:
                continue
            inside |= made.sums
            if self._is_alone(made) and _count(made.terms) < len(made.products):
                chosen[node.name] = made
        return chosen

    def _polynomial(self, root: Node) -> _Polynomial | None:
        """What a sum is, seen through to the powers of one value; None where there are several."""
        made = _Polynomial()
        stack: list[tuple[str, float]] = [(root.name, 1)]
        while stack:
            name, factor = stack.pop()
            node = self.graph[name]
            if len(made.sums) > MOST_TERMS:
                return None
            number = self._number(name)
            if number is not None:
                made.add(0, factor * number)
                continue
            further = self._further(node) if name == root.name or self._is_within(node) else None
            if further is not None:
                (made.products if node.op.name == "mul" else made.sums).add(name)
                stack += [(operand, factor * each) for operand, each in further]
                continue
            base, exponent = self.powers.get(name, (name, 1))
            if exponent < 0 or self.graph[base].type != root.type or made.base not in ("", base):
                return None
            made.base = base
            made.add(exponent, factor)
            self._add_products(made, name)
        return made if made.base else None

    def _is_within(self, node: Node) -> bool:
        return self.uses[node.name] == 1 and node.hint is None and node.name not in self.powers

    def _further(self, node: Node) -> list[tuple[str, float]] | None:
        """What a node adds up, and times which number."""
        if node.op.name in ("add", "sub"):
            return [(node.operands[0], 1), (node.operands[1], 1 if node.op.name == "add" else -1)]
        if node.op.name == "neg":
            return [(node.operands[0], -1)]
        if node.op.name == "mul":
            for number, other in (node.operands, node.operands[::-1]):
                known = self._number(number)
                if known is not None:
                    return [(other, known)]
        return None

    def _number(self, name: str) -> float | None:
        node = self.graph[name]
        value = node.op.value if node.op.name == "const" else None
        return value if isinstance(value, (int, float)) else None

    def _add_products(self, made: _Polynomial, name: str) -> None:
        """Note the products that a power is made by."""
        stack = [name]
        while stack:
            each = stack.pop()
            if each in self.powers and each != made.base and each not in made.products:
                made.products.add(each)
                stack += self.graph[each].operands

    def _is_alone(self, made: _Polynomial) -> bool:
        """Whether nothing but the polynomial uses its powers, and nobody named them."""
        within = made.sums | made.products
        results = {r.node for r in self.graph.results}
        return all(
            self.graph[name].hint is None
            and name not in results
            and all(user.name in within or not self.uses[user.name] for user in self.graph.users(name))
            for name in made.products
        )


def _steps(terms: Mapping[int, float]) -> list[tuple[int, float]]:
    """From the highest power inwards: by which power to multiply, and what to add then."""
    exponents = [e for e in sorted(terms, reverse=True) if terms[e]]
    ends = [*exponents[1:], 0] if exponents[-1] else exponents[1:]
    return [
        (high - low, terms[low] if low in exponents[1:] else 0)
        for high, low in zip(exponents, ends, strict=False)
    ]


def _count(terms: Mapping[int, float]) -> int:
    """The number of products by Horner's rule; more than there ever are where there is no polynomial."""
    exponents = [e for e, number in terms.items() if number]
    if not exponents or max(exponents) < 2:
        return len(terms) + max(terms)
    gaps = [gap for gap, _ in _steps(terms)]
    made = len(chain(tuple(sorted({g for g in gaps if g > 1}))))
    return len(gaps) - (terms[max(exponents)] == 1) + made


def _written(graph: Graph, found: Mapping[str, _Polynomial]) -> Graph:
    out = graph.like()
    builder = Builder(out, [n.name for n in graph])
    for node in graph:
        if node.name not in found:
            out.add(node)
            continue
        builder.of = node.of
        made = _horner(Value(builder, found[node.name].base), found[node.name].terms)
        builder.of = None
        last = out.pop_last()
        assert last.name == made.name
        out.add(renamed(last, name=node.name, hint=node.hint, span=node.span))
    return out.close(graph.inputs, graph.targets, graph.params, graph.results)


def _horner(x: Value, terms: Mapping[int, float]) -> Value:
    steps = _steps(terms)
    powers: dict[int, Value] = {1: x}
    for exponent, (a, b) in chain(tuple(sorted({g for g, _ in steps if g > 1}))).items():
        powers[exponent] = fn.square(powers[a]) if a == b else powers[a] * powers[b]
    leading = terms[max(e for e, number in terms.items() if number)]
    total: Value | None = None
    for gap, number in steps:
        if total is None:
            total = powers[gap] if leading == 1 else leading * powers[gap]
        else:
            total = total * powers[gap]
        if number:
            total = total + number
    assert total is not None
    return total
