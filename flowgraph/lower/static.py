"""Expressions known at compile time: sizes, consts, attrs, literal weights.

Promises values that are int, float, bool, str, `Dim` (a symbolic size) or nested lists of
numbers; everything else is a reported error and `Skip`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from ..errors import Diagnostics, Span, shorten
from ..syntax import Binary, Expr, ListExpr, Name, Number, String, Unary
from ..types import Dim
from .walk import Steps, walk


class Skip(Exception):
    """An error was reported; give up on this statement and go on with the next."""


CONSTANTS: dict[str, Any] = {"pi": math.pi, "inf": math.inf, "true": True, "false": False}

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

MAX_WHOLE = 10**18
"""Whole numbers at compile time stay below this, so that no expression can grow without bound."""

Lookup = Callable[[Name], Any]
"""Gives the static value of a name, or reports and raises Skip."""


def evaluate(expr: Expr, lookup: Lookup, found: Diagnostics) -> Any:
    """The value of an expression at compile time. Raises Skip after reporting an error."""
    return walk(_value(expr, lookup, found))


def _value(expr: Expr, lookup: Lookup, found: Diagnostics) -> Steps:
    if isinstance(expr, (Number, String)):
        return expr.value
    if isinstance(expr, Name):
        return CONSTANTS[expr.name] if expr.name in CONSTANTS else lookup(expr)
    if isinstance(expr, Unary):
        value = yield _value(expr.operand, lookup, found)
        return _arithmetic(expr.op, [value], expr.span, found)
    if isinstance(expr, Binary):
        left = yield _value(expr.left, lookup, found)
        right = yield _value(expr.right, lookup, found)
        return _arithmetic(expr.op, [left, right], expr.span, found)
    if isinstance(expr, ListExpr):
        items = []
        for item in expr.items:
            items.append((yield _value(item, lookup, found)))
        return items
    found.report(
        "E0211",
        "a number known at compile time is needed here",
        expr.span,
        "depends on data, or is a call",
        help="use numbers, sizes, scalar consts and arithmetic on them",
    )
    raise Skip


def _arithmetic(op: str, values: list[Any], span: Span, found: Diagnostics) -> Any:
    """One operator on static values."""
    if any(isinstance(v, (list, str)) for v in values):
        found.report("E0211", f"`{op}` works on single numbers at compile time", span, "not single numbers")
        raise Skip
    try:
        result = _apply(op, values)
    except ZeroDivisionError:
        found.report("E0211", "division by zero", span, "the divisor is 0")
        raise Skip from None
    except OverflowError:
        result = None
    if isinstance(result, _Refused):
        found.report("E0302", result.message, span, result.label, help=result.help)
        raise Skip
    if result is None or (isinstance(result, int) and abs(result) > MAX_WHOLE):
        found.report("E0901", "the number becomes too large", span, help="whole numbers go up to 10^18")
        raise Skip
    return result


class _Refused:
    def __init__(self, message: str, label: str, help: str = "") -> None:
        self.message, self.label, self.help = message, label, help


def _apply(op: str, values: list[Any]) -> Any:
    if op in ("not", "and", "or"):
        if not all(isinstance(v, bool) for v in values):
            return _Refused(f"`{op}` needs true or false", "a number", "compare first: `D > 0`")
        return {"not": lambda a: not a, "and": lambda a, b: a and b, "or": lambda a, b: a or b}[op](*values)
    values = [int(v) if isinstance(v, bool) else v for v in values]
    if op == "-" and len(values) == 1:
        return -values[0]
    left, right = values
    if op in COMPARE:
        if isinstance(left, Dim) or isinstance(right, Dim):
            return (op, left, right)
        return COMPARE[op](left, right)
    if op in ("+", "-", "*"):
        return {"+": operator.add, "-": operator.sub, "*": operator.mul}[op](left, right)
    if op == "/":
        return _divide(left, right)
    if op == "%":
        if isinstance(left, Dim) or isinstance(right, Dim):
            return ("%", left, right)
        return left % right
    if op == "^":
        return _power(left, right)
    return _Refused(f"`{op}` has no meaning on numbers known at compile time", "here")


def _divide(left: Any, right: Any) -> Any:
    """Whole numbers divide to a whole number where it comes out, else to a fraction."""
    if isinstance(left, Dim) or isinstance(right, Dim):
        if isinstance(right, float) or isinstance(left, float):
            return _Refused("a symbolic size times a fraction", "not whole")
        quotient = Dim.of(left).divide(right)
        if quotient is None:
            return _Refused("the quotient is not whole for every value of the size", "does not come out whole")
        return quotient
    if isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right
    return left / right


def _power(left: Any, right: Any) -> Any:
    if isinstance(left, Dim) or isinstance(right, Dim):
        return _Refused("a symbolic size cannot be raised to a power", "here", "multiply it with itself")
    if isinstance(left, int) and isinstance(right, int) and right >= 0:
        if abs(left) > 1 and right > 64:
            return None
        return left**right
    result = left**right
    return _Refused("a root of a negative number", "not real") if isinstance(result, complex) else result


def whole(value: Any, span: Span, found: Diagnostics, *, least: int = 0, what: str = "a size") -> Dim:
    """A static value as a size. Reports E0302 and raises Skip unless it is whole and not less."""
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_WHOLE:
        value = int(value)
    if isinstance(value, Dim) and (value.value is None or value.value >= least):
        return value  # with the place it comes from
    if isinstance(value, Dim):
        value = value.value
    if isinstance(value, bool) or not isinstance(value, int):
        shown = shorten(str(value))
        found.report("E0302", f"{what} must be a whole number", span, f"this is {shown}")
        raise Skip
    if value < least:
        found.report("E0302", f"{what} must be at least {least}", span, f"this is {value}")
        raise Skip
    return Dim.of(value)
