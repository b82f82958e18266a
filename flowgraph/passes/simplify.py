"""Identities that hold exactly in floating point: x·1, x/1, x − 0, x^1, −(−x), x + (−y), x + x, and
c·(d·x) = (c·d)·x where c or d is a power of two (barring overflow and subnormal numbers); arrays filled
with one number are made in the shape that they are repeated to.

`x + 0` is not among them (it turns −0 into 0), nor is `x · 0` (nan and inf stay nan).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ..graph import Graph, Node, renamed
from ..ops import OPS
from ..ops.creator import Filled, Zeros
from ..ops.leaf import Const
from ..types import REAL, TensorType
from .base import Pass
from .rewrite import fresh, rewrite

NEUTRAL = {"mul": (1, (0, 1)), "div": (1, (1,)), "sub": (0, (1,)), "pow": (1, (1,))}
"""The number that leaves the other operand as it is, and the slots it may stand in."""


@dataclass(frozen=True)
class Simplify(Pass):
    """Algebraic identities."""

    name: ClassVar[str] = "simplify"

    def run(self, graph: Graph) -> Graph:
        return rewrite(graph, _simplify)


def _simplify(out: Graph, node: Node) -> Node | str:
    if node.op.name == "stream" and out[node.operands[0]].op.name == "stream":
        around = out[node.operands[0]]
        return renamed(
            node, op=around.op.with_attrs(path=(*around.op.path, *node.op.path)), operands=around.operands
        )
    if node.op.name == "item" and out[node.operands[0]].op.name == "pack":
        return _part(out, node)
    if node.op.name in ("expand", "zeros_like"):
        return _filled(out, node)
    stands_for = _same_as(out, node)
    if stands_for is not None and out[stands_for].type == node.type:
        if node.hint is None:
            return stands_for
        return renamed(node, op=OPS["identity"](), operands=(stands_for,))
    if node.op.name == "mul":
        return _merged(out, node)
    if node.op.name == "add":
        left, right = (out[o] for o in node.operands)
        if left.name == right.name and node.type.elem.kind == "real":
            return _twice(out, node)
        if right.op.name == "neg" and right.hint is None:
            return renamed(node, op=OPS["sub"](), operands=(left.name, right.operands[0]))
    return node


def _part(out: Graph, node: Node) -> Node | str:
    """One of several values that were packed: itself, under the name that the diagram gives it."""
    part = out[out[node.operands[0]].operands[node.op.index]]
    if node.hint is None:
        return part.name
    if part.hint is None and part.operands:
        out.set_hint(part.name, node.hint)
        return part.name
    return renamed(node, op=OPS["identity"](), operands=(part.name,))


def _filled(out: Graph, node: Node) -> Node:
    """An array of one number repeated in every entry, made in its full shape at once."""
    given = out[node.operands[0]]
    source = given.op
    if source.name == "zeros_like":
        if node.op.name == "zeros_like":
            return renamed(node, operands=given.operands)
        source = Zeros(shape=())
    if not isinstance(source, Filled):
        return node
    kind = source if node.op.name == "expand" else Zeros(shape=())
    return renamed(node, op=kind.with_attrs(shape=node.type.shape), operands=())


def _merged(out: Graph, node: Node) -> Node | str:
    """`c * (d * x)` as one product, where one of the numbers is a power of two."""
    for slot in (0, 1):
        outer, inner = out[node.operands[slot]], out[node.operands[1 - slot]]
        if _number(outer) is None or inner.op.name != "mul" or inner.hint is not None:
            continue
        for place in (0, 1):
            second, other = out[inner.operands[place]], out[inner.operands[1 - place]]
            c, d = _number(outer), _number(second)
            if c is None or d is None or other.type != node.type or not (_is_power(c) or _is_power(d)):
                continue
            product = c * d
            if product == 1:
                return (
                    other.name
                    if node.hint is None
                    else renamed(node, op=OPS["identity"](), operands=(other.name,))
                )
            op = Const(value=int(product) if float(product).is_integer() else product).as_kind("real")
            name = fresh(out, f"{node.name}_factor")
            out.add(Node(name, op, (), outer.type, None, node.span, node.of))
            return renamed(node, operands=(name, other.name))
    return node


def _twice(out: Graph, node: Node) -> Node:
    """`x + x` as `2 * x`."""
    name = fresh(out, f"{node.name}_two")
    two = Const(value=2).as_kind("real")
    out.add(Node(name, two, (), TensorType(REAL), None, node.span, node.of))
    return renamed(node, op=OPS["mul"](), operands=(name, node.operands[0]))


def _number(node: Node) -> float | int | None:
    """The number that a node is, if it is a single literal one."""
    value = node.op.value if node.op.name == "const" else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _is_power(value: float) -> bool:
    return value != 0 and abs(math.frexp(value)[0]) == 0.5


def _same_as(out: Graph, node: Node) -> str | None:
    """The operand whose value the node has, if there is one."""
    if node.op.name == "identity":
        return node.operands[0] if node.hint is None else None
    if node.op.name == "neg" and out[node.operands[0]].op.name == "neg":
        return out[node.operands[0]].operands[0]
    if node.op.name == "weighted_sum" and node.op.weights == (1,) and node.op.bias is None:
        return node.operands[0]
    if node.op.name in NEUTRAL:
        neutral, slots = NEUTRAL[node.op.name]
        for slot in slots:
            other = out[node.operands[slot]]
            if _number(other) == neutral:
                return node.operands[1 - slot]
    return None
