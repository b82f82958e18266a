"""Expressions known at compile time: sizes, consts, attrs, literal weights.

Promises values that are int, float, bool, str, `Dim` (a symbolic size, or a known one with the
place it comes from), nested lists of numbers, or a condition on symbolic sizes: nested tuples
of an operator and its operands, as `graph.Requirement` has them. Everything else is a reported
error and `Skip`. No value grows without bound.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from ..errors import Diagnostics, Span, shorten
from ..syntax import Binary, Expr, ListExpr, Name, Number, String, Unary
from ..types import MAX_RANK, Dim
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

LOGIC: dict[str, Callable[..., Any]] = {
    "not": lambda a: ("not", a) if isinstance(a, tuple) else not a,
    "and": lambda a, b: _joined("and", a, b),
    "or": lambda a, b: _joined("or", a, b),
}

ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}

MAX_WHOLE = 10**18
"""Whole numbers at compile time stay below this, so that no expression can grow without bound."""
MAX_TERMS, MAX_DEGREE = 64, 16
"""How large a polynomial over symbolic sizes may become."""

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


def shown(value: Any) -> str:
    """A static value in the words of the language, for a label: `3.5`, `true`, `a list`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'the string "{shorten(value, 30)}"'
    if isinstance(value, tuple):
        return "a condition on a symbolic size"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "none" if value is None else shorten(str(value), 30)


FRACTION = (
    "a symbolic size goes with whole numbers only",
    "a fraction is involved",
    "sizes are exact: use whole numbers, or compute with the size in an equation",
)


class _Refused(Exception):
    """An operator has no value here; carries the words."""

    def __init__(self, message: str, label: str, help: str, code: str = "E0213") -> None:
        self.message, self.label, self.help, self.code = message, label, help, code
        super().__init__(message)


def _too_large(label: str = "too large") -> _Refused:
    help = "whole numbers go up to 10^18, others to about 1.8e308"
    return _Refused("the number becomes too large", label, help, "E0901")


def _arithmetic(op: str, values: list[Any], span: Span, found: Diagnostics) -> Any:
    """One operator on static values, bounded in size. Raises Skip after reporting an error."""
    values = [_plain(v) for v in values]
    try:
        result = _bounded(_apply(op, values))
        if _is_endless(result) and not any(_is_endless(v) for v in values):
            raise _too_large()
        return result
    except ZeroDivisionError:
        problem = _Refused("division by zero", "the divisor is 0", "change the numbers it is made of")
    except OverflowError:
        problem = _too_large()
    except _Refused as refused:
        problem = refused
    found.report(problem.code, problem.message, span, problem.label, help=problem.help)
    raise Skip


def _plain(value: Any) -> Any:
    """A known size as the number it is."""
    return value.value if isinstance(value, Dim) and value.value is not None else value


def _bounded(result: Any) -> Any:
    if isinstance(result, Dim):
        degree = max((len(mono) for mono, _ in result.terms), default=0)
        large = any(abs(factor) > MAX_WHOLE for _, factor in result.terms)
        if len(result.terms) > MAX_TERMS or degree > MAX_DEGREE or large:
            raise _too_large("too many products of symbolic sizes")
    elif isinstance(result, int) and abs(result) > MAX_WHOLE:
        raise _too_large()
    elif isinstance(result, float) and math.isnan(result):
        raise _Refused("the result is not a number", "undefined, as inf - inf is", "avoid `inf` here")
    return result


def _is_endless(value: Any) -> bool:
    return isinstance(value, float) and math.isinf(value)


def _is_condition(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, tuple) and value[0] != "%")


def _apply(op: str, values: list[Any]) -> Any:
    """The value of an operator. Raises _Refused, ZeroDivisionError, OverflowError."""
    if any(isinstance(v, (list, str)) for v in values):
        kind = "a list" if any(isinstance(v, list) for v in values) else "a string"
        help = "arithmetic on arrays belongs into an equation"
        raise _Refused(f"`{op}` works on single numbers at compile time", f"{kind} is involved", help)
    if op in LOGIC:
        if not all(_is_condition(v) for v in values):
            raise _Refused(f"`{op}` needs true or false", "a number is involved", "compare first: `D > 0`")
        return LOGIC[op](*values)
    if any(isinstance(v, tuple) for v in values) and not _is_remainder_test(op, values):
        help = "a condition can be joined to others by `and`, `or` and `not`"
        raise _Refused(f"`{op}` cannot be applied to a condition on symbolic sizes", "here", help)
    values = [int(v) if isinstance(v, bool) else v for v in values]
    if len(values) == 1:
        return -values[0]
    return _binary(op, *values)


def _is_remainder_test(op: str, values: list[Any]) -> bool:
    """Whether this compares `T % 4` with a number."""
    return op in COMPARE and all(not isinstance(v, tuple) or v[0] == "%" for v in values)


def _binary(op: str, left: Any, right: Any) -> Any:
    symbolic = any(isinstance(v, (Dim, tuple)) for v in (left, right))
    if op in COMPARE:
        return (op, left, right) if symbolic else COMPARE[op](left, right)
    if op in ARITHMETIC:
        if symbolic and (isinstance(left, float) or isinstance(right, float)):
            raise _Refused(*FRACTION)
        return ARITHMETIC[op](left, right)
    if op == "/":
        return _divide(left, right)
    if op == "%":
        if right == 0:
            raise ZeroDivisionError
        if symbolic and (isinstance(left, float) or isinstance(right, float)):
            raise _Refused(*FRACTION)
        return ("%", left, right) if symbolic else left % right
    if op == "^":
        return _power(left, right)
    raise _Refused(f"`{op}` has no meaning on single numbers", "here", "write `*` for a product")


def _joined(op: str, left: Any, right: Any) -> Any:
    """`and` or `or`, of which a side may be a condition that only data decide."""
    deciding = op == "or"  # the truth value that settles the whole by itself
    for value, other in ((left, right), (right, left)):
        if isinstance(value, bool):
            return deciding if value is deciding else other
    return (op, left, right)


def _divide(left: Any, right: Any) -> Any:
    """Whole numbers divide to a whole number where it comes out, else to a fraction."""
    if isinstance(left, Dim) or isinstance(right, Dim):
        if isinstance(right, float) or isinstance(left, float):
            raise _Refused(*FRACTION)
        if right == 0:
            raise ZeroDivisionError
        quotient = Dim.of(left).divide(right)
        if quotient is None:
            help = "sizes are exact: declare the smaller size and multiply, `size U` and `[2 * U]`"
            raise _Refused("the quotient is not whole for every value of the size", "not always whole", help)
        return quotient
    if isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right
    return left / right


def _power(left: Any, right: Any) -> Any:
    if isinstance(left, Dim) or isinstance(right, Dim):
        if not isinstance(right, int) or not 0 <= right <= MAX_DEGREE:
            help = f"powers of a symbolic size go from 0 to {MAX_DEGREE}"
            raise _Refused("a symbolic size takes small whole powers only", "here", help)
        product: Any = 1
        for _ in range(right):
            product = _bounded(product * left)
        return product
    if isinstance(left, int) and isinstance(right, int) and right >= 0:
        if abs(left) > 1 and right > 64:
            raise _too_large()
        return left**right
    result = left**right
    if isinstance(result, complex):
        raise _Refused("a root of a negative number", "not a real number", "all numbers are real")
    return result


def in_range(value: Any) -> Any:
    """A literal number as arrays can hold it: whole numbers beyond 64 bits become reals."""
    is_wide = isinstance(value, int) and not -(2**63) <= value < 2**63
    return float(value) if is_wide else value


def rectangular(value: Any, span: Span, found: Diagnostics) -> list[Any]:
    """Nested lists of numbers that form an array, their numbers in range.

    Raises Skip after reporting E0404.
    """
    problem = _list_problem(value)
    if problem:
        found.report(
            "E0404", problem, span, "not an array", help="write rows of equal length, of numbers only"
        )
        raise Skip
    return _in_range(value)


def _list_problem(value: Any) -> str:
    """Why nested lists form no array, or ""."""
    level, rank = [value], 0
    while isinstance(level[0], list):
        rank += 1
        if rank > MAX_RANK:
            return f"the lists are nested more than {MAX_RANK} deep"
        lengths = {len(v) for v in level if isinstance(v, list)}
        if 0 in lengths:
            return "a list cannot be empty"
        if len(lengths) > 1:
            return (
                f"the lists are not all of one length: one has {min(lengths)} entries, another {max(lengths)}"
            )
        if not all(isinstance(v, list) for v in level):
            return "a list holds numbers beside lists"
        level = [item for v in level for item in v]
    if any(isinstance(v, list) for v in level):
        return "a list holds numbers beside lists"
    if not all(isinstance(v, (int, float, Dim)) for v in level):
        return "a list holds something other than numbers"
    if any(isinstance(v, Dim) and v.value is None for v in level):
        return "a list holds a symbolic size, whose value is not known yet"
    return ""


def _in_range(value: Any) -> Any:
    """The lists with plain numbers; the depth is at most MAX_RANK."""
    return [_in_range(v) for v in value] if isinstance(value, list) else in_range(_plain(value))


def whole(value: Any, span: Span, found: Diagnostics, *, least: int = 0, what: str = "a size") -> Dim:
    """A static value as a size, with the place it comes from if it has one.

    Raises Skip after reporting E0302 or E0901 unless it is whole, at least `least` and not huge. least: -1
    where an operation takes that for a size that follows, which few do and no message need mention.
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_WHOLE:
        value = int(value)
    if isinstance(value, Dim) and value.value is not None:
        if value.value >= least:
            return value
        value = value.value
    if isinstance(value, Dim):
        if any(factor > 0 for _, factor in value.terms):
            return value
        found.report(
            "E0302",
            f"{what} must be at least {max(least, 0)}",
            span,
            f"this is {value}, which is negative",
            help="change the numbers it is made of",
        )
        raise Skip
    if isinstance(value, bool) or not isinstance(value, int):
        help = "write a whole number"
        if isinstance(value, float):
            help = "sizes are exact: change the numbers so that it comes out whole"
        found.report("E0302", f"{what} must be a whole number", span, f"this is {shown(value)}", help=help)
        raise Skip
    if value < least:
        found.report(
            "E0302",
            f"{what} must be at least {max(least, 0)}",
            span,
            f"this is {value}",
            help="change the numbers it is made of",
        )
        raise Skip
    if value > MAX_WHOLE:
        found.report(
            "E0901", f"{what} is too large", span, f"this is {shown(value)}", help="sizes go up to 10^18"
        )
        raise Skip
    return Dim.of(value)
