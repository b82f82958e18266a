"""Expressions of a special form: dotted names, and lists of nothing but numbers."""

from __future__ import annotations

from typing import Any

from ..syntax import Expr, ListExpr, Member, Name, Number, Unary
from .walk import Steps, walk

MAX_PARTS = 64
"""Names of parameters have fewer parts, so that a longer chain of members is none."""


def dotted(expr: Expr) -> str | None:
    """`enc.q.weight` of nested members, or None."""
    parts: list[str] = []
    while isinstance(expr, Member) and len(parts) < MAX_PARTS:
        parts.append(expr.name)
        expr = expr.value
    return ".".join([expr.name, *reversed(parts)]) if isinstance(expr, Name) else None


def head_of(expr: Expr) -> Name | None:
    """The name that a chain of members begins with."""
    while isinstance(expr, Member):
        expr = expr.value
    return expr if isinstance(expr, Name) else None


def literal_list(expr: Expr) -> Any:
    """A (nested, rectangular) list of literal numbers as Python lists; None for anything else."""

    def steps(e: Expr) -> Steps:
        if isinstance(e, Number):
            return e.value
        if isinstance(e, Unary) and e.op == "-" and isinstance(e.operand, Number):
            return -e.operand.value
        if not isinstance(e, ListExpr) or not e.items:
            return None
        items: list[Any] = []
        for item in e.items:
            value = yield steps(item)
            if value is None or (items and _shape(value) != _shape(items[0])):
                return None
            items.append(value)
        return items

    return walk(steps(expr))


def _shape(value: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0]
    return tuple(shape)
