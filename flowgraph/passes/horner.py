"""Polynomials with literal coefficients by Horner's rule, where that saves products.

Assumes a typed graph whose powers are products (see `powers`). A sum of literal multiples of powers of one
value, all of which serve nothing else, is computed from the highest power inwards: 1 + 2 x + 3 x² + 4 x³ as
1 + x (2 + x (3 + x · 4)). Promises the same values to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ..graph import Builder, Graph, Node, renamed
from ..ops.base import Value, fn
from ..types import TensorType
from .base import Pass
from .powers import chain
from .rewrite import live_uses

MOST = 16
"""The highest degree."""

PRODUCTS = ("mul", "square")
"""What counts as a product; sums are as many either way."""


@dataclass(frozen=True)
class Horner(Pass):
    """Polynomials from the inside out."""

    name: ClassVar[str] = "horner"

    def run(self, graph: Graph) -> Graph:
        chosen = _chosen(graph)
        return _written(graph, chosen) if chosen else graph


@dataclass(frozen=True)
class _Polynomial:
    """Coefficients by exponent. base: "" for a number; inside: the nodes that it is made of."""

    base: str
    terms: Mapping[int, float]
    inside: frozenset[str] = field(default=frozenset())

    @property
    def is_monomial(self) -> bool:
        return len(self.terms) == 1

    def plus(self, other: _Polynomial, sign: int) -> _Polynomial:
        terms = dict(self.terms)
        for exponent, number in other.terms.items():
            terms[exponent] = terms.get(exponent, 0) + sign * number
        return _Polynomial(self.base or other.base, terms, self.inside | other.inside)

    def times(self, other: _Polynomial) -> _Polynomial:
        terms = {m + n: a * b for m, a in self.terms.items() for n, b in other.terms.items()}
        return _Polynomial(self.base or other.base, terms, self.inside | other.inside)


def _chosen(graph: Graph) -> dict[str, _Polynomial]:
    """The nodes that are polynomials which Horner's rule shortens, and are no part of a larger one."""
    uses = live_uses(graph)
    known: dict[str, _Polynomial] = {}
    found: dict[str, _Polynomial] = {}
    for node in graph:
        made = _made(graph, node, known, uses)
        if made is None:
            continue
        known[node.name] = replace(made, inside=made.inside | {node.name})
        for operand in node.operands:
            found.pop(operand, None)
        if uses[node.name] and _saves(graph, known[node.name]):
            found[node.name] = known[node.name]
    return found


def _made(
    graph: Graph, node: Node, known: Mapping[str, _Polynomial], uses: Mapping[str, int]
) -> _Polynomial | None:
    """The polynomial that a node is of those its operands are, or of themselves."""
    if node.op.name not in ("add", "sub", "neg", *PRODUCTS) or not isinstance(node.type, TensorType):
        return None
    if node.type.elem.kind != "real":
        return None
    parts = [_part(graph, o, known, uses, node) for o in node.operands]
    if len({p.base for p in parts if p.base}) != 1 or any(
        graph[p.base].type != node.type for p in parts if p.base
    ):
        return None
    if node.op.name == "neg":
        return _Polynomial("", {0: -1}).times(parts[0])
    if node.op.name in ("add", "sub"):
        return parts[0].plus(parts[1], 1 if node.op.name == "add" else -1)
    left, right = parts[0], parts[-1]
    if not (left.is_monomial and right.is_monomial) and left.base and right.base:
        return None  # products of sums have more terms than factors
    product = left.times(right)
    return product if max(product.terms) <= MOST else None


def _part(
    graph: Graph, name: str, known: Mapping[str, _Polynomial], uses: Mapping[str, int], node: Node
) -> _Polynomial:
    """What an operand is to a polynomial: a number, a polynomial that nothing else uses, or its base."""
    value = graph[name].op.value if graph[name].op.name == "const" else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _Polynomial("", {0: value})
    own = known.get(name)
    if own is not None and graph[name].hint is None:
        within = uses[name] == list(node.operands).count(name)
        if within or _is_power(own):
            return own
    return _Polynomial(name, {1: 1})


def _is_power(polynomial: _Polynomial) -> bool:
    return polynomial.is_monomial and next(iter(polynomial.terms.values())) == 1


def _saves(graph: Graph, polynomial: _Polynomial) -> bool:
    """Whether there are fewer products by Horner's rule, all that it replaces serving nothing else."""
    terms = {e: n for e, n in polynomial.terms.items() if n}
    if len(terms) < 2 or max(terms) < 2:
        return False
    uses = live_uses_outside(graph, polynomial)
    if uses:
        return False
    before = sum(graph[name].op.name in PRODUCTS for name in polynomial.inside)
    return _products(terms) < before


def live_uses_outside(graph: Graph, polynomial: _Polynomial) -> bool:
    """Whether a part of a polynomial is used by what is no part of it."""
    whole = max(polynomial.inside, key=lambda name: len(graph.ancestors([name]) & polynomial.inside))
    results = {r.node for r in graph.results}
    return any(
        name in results or any(user.name not in polynomial.inside for user in graph.users(name))
        for name in polynomial.inside
        if name != whole
    )


def _steps(terms: Mapping[int, float]) -> Iterator[tuple[int, float]]:
    """From the highest power inwards: by which power to multiply, and what to add then."""
    exponents = sorted(terms, reverse=True)
    for high, low in zip(exponents, [*exponents[1:], 0], strict=True):
        if high:
            yield high - low, terms.get(low, 0) if low != high else 0


def _products(terms: Mapping[int, float]) -> int:
    """The number of products by Horner's rule."""
    gaps = [gap for gap, _ in _steps(terms)]
    powers = len(chain(tuple(sorted({g for g in gaps if g > 1})))) if any(g > 1 for g in gaps) else 0
    return len(gaps) - (terms[max(terms)] == 1) + powers
