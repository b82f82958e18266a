"""Arithmetic, comparisons, logic and choice: the operations behind the operators of Flow.

Arithmetic keeps whole numbers whole, except `/` and `^`, which work on reals; a class label
counts as a whole number, a truth value as 0 or 1. Operands broadcast by NumPy's rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from ..types import BOOL, Elem, Mismatch, TensorType, Type, Unifier
from .base import (
    ANYTHING,
    Arg,
    Elementwise,
    Interval,
    NonDifferentiable,
    Sample,
    Value,
    broadcast,
    common_elem,
    fn,
    real,
    to_common,
)
from .interval import added, hull, often, times

_PAIRS = [Sample(real(2, 3), real(3)), Sample(real(), real(4)), Sample(real(), real())]
_INTS = Sample(Arg((3,), kind="int"), Arg((3,), kind="int"))


class Binary(Elementwise, abstract=True):
    """Two operands, entry by entry."""

    group = "elementwise"
    operands = ("a", "b")
    takes = "number"
    samples = [*_PAIRS, _INTS]
    bad_samples = [Sample(real(3), real(4)), Sample(real(2, 3), real(2))]


class Add(Binary):
    """The sum; written `a + b`."""

    formula = "a + b"
    latex = "{a} + {b}"
    numpy = "a + b"
    torch = "a + b"
    example = "s = a + b"

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        return added(*given)

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [1.0, 1.0]


class Sub(Binary):
    """The difference; written `a - b`."""

    formula = "a - b"
    latex = "{a} - {b}"
    numpy = "a - b"
    torch = "a - b"
    example = "e = f - y"

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        return added(given[0], often(-1, given[1]))

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [1.0, -1.0]


class Mul(Binary):
    """The product, entry by entry; written `a * b`."""

    formula = "a b"
    latex = "{a} {b}"
    latex_of_arrays = r"{a} \odot {b}"
    numpy = "a * b"
    torch = "a * b"
    example = "s = a * b"

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        return times(*given)

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        a, b = xs
        return [b, a]


class Div(Binary):
    """The quotient, entry by entry, of reals; written `a / b`."""

    takes = "real"
    formula = "a / b"
    remedy = "keep the divisor away from 0, as in `a / (b + 1e-8)` for b of one sign"
    latex = r"\frac{{{a}}}{{{b}}}"
    numpy = "a / b"
    torch = "a / b"
    samples = [Sample(real(2, 3), real(3, low=0.5)), Sample(real(), real(2, avoid=(0.0,)))]
    example = "s = a / b"

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        b = xs[1]
        return [1.0 / b, -y / b]


class Mod(Binary):
    """The remainder of a floored division, with the sign of the divisor; written `a % b`."""

    formula = "a - b floor(a / b)"
    latex = r"{a} \;\mathrm{{mod}}\; {b}"
    numpy = "a % b"
    torch = "a % b"
    samples = [
        Sample(Arg((4,), low=0.1, high=0.9), real(low=1.0, high=2.0)),
        Sample(Arg((4,), kind="int", low=-9, high=9), Arg(kind="int", low=2, high=5)),
    ]
    example = "s = a % b"

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        a, b = xs
        return [1.0, -fn.floor(a / b)]


class Pow(Binary):
    """The power of reals; written `a ^ b`, which groups to the right.

    A negative base needs a whole exponent, else the result is not a number. The derivative
    with respect to the exponent counts as 0 where the base is not positive.
    """

    takes = "real"
    formula = "a^b"
    remedy = "keep the base of `^` above 0, as in `(x + 1e-8) ^ p`, or its exponent whole and positive"
    latex = "{{{a}}}^{{{b}}}"
    numpy = "a**b"
    torch = "a**b"
    samples = [
        Sample(real(2, 3, low=0.2), real(3)),
        Sample(real(3, low=0.2), real()),
        Sample(real(low=0.5), real(4)),
    ]
    example = "s = x ^ 2"

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        low, high = given[1]
        return (0.0, math.inf) if low == high and low % 2 == 0 else ANYTHING

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        a, b = xs
        exponent = literal(b)
        if exponent is not None:
            return [_power_slope(a, exponent), None]
        base = literal(a)
        if base is not None:
            return [None, y * math.log(base) if base > 0 else None]
        # x^0 has slope 0 even at x = 0, where 0 * x^(0 - 1) would not be a number.
        lower = fn.where(fn.equal(b, 0), 1.0, b - 1)
        positive = a > 0
        log = fn.where(positive, fn.log(fn.where(positive, a, 1.0)), 0.0)
        return [b * a**lower, y * log]


def literal(value: Value) -> float | int | None:
    """The number that a value is written as, or None where it is not a literal number."""
    op = value.builder.graph[value.name].op
    found = op.value if op.name == "const" else None
    return found if isinstance(found, (int, float)) and not isinstance(found, bool) else None


def _power_slope(a: Value, exponent: float) -> Value | float | None:
    """The derivative of a^n for a literal n, as one would write it."""
    if exponent == 0:
        return None
    if exponent == 1:
        return 1.0
    if exponent == 2:
        return 2 * a
    return exponent * a ** (exponent - 1)


class Neg(Elementwise):
    """The negative; written `-x`."""

    group = "elementwise"
    takes = "number"
    formula = "-x"
    latex = "-{x}"
    numpy = "-x"
    torch = "-x"
    samples = [Sample(real(2, 3)), Sample(Arg((3,), kind="int"))]
    example = "s = -x"

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        return often(-1, given[0])

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [-1.0]


class Maximum(Binary):
    """The larger of two, entry by entry; at a tie the derivative goes to the first."""

    formula = "max(a, b)"
    latex = r"\max({a}, {b})"
    numpy = "np.maximum(a, b)"
    torch = "torch.maximum(a, b)"
    samples = [
        Sample(real(2, 3, high=-0.1), real(3, low=0.1)),
        Sample(real(3, low=0.1), real(high=-0.1)),
        _INTS,
    ]

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        a, b = xs
        return [a >= b, a < b]


class Minimum(Binary):
    """The smaller of two, entry by entry; at a tie the derivative goes to the first."""

    formula = "min(a, b)"
    latex = r"\min({a}, {b})"
    numpy = "np.minimum(a, b)"
    torch = "torch.minimum(a, b)"
    samples = Maximum.samples

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        a, b = xs
        return [a <= b, a > b]


# ---------------------------------------------------------------------------------------
# Comparisons and logic


class Comparison(NonDifferentiable, Binary, abstract=True):
    """True or false, entry by entry; comparisons do not chain."""

    takes = "any"
    gives = "bool"
    bounds = (0.0, 1.0)


class Equal(Comparison):
    """Whether two are equal; written `a == b`."""

    formula = "a = b"
    latex = "{a} = {b}"
    numpy = "a == b"
    torch = "a == b"
    example = "s = a == b"
    samples = [_INTS, *_PAIRS, Sample(Arg((3,), kind="class", classes=3), Arg(kind="int"))]


class NotEqual(Comparison):
    """Whether two differ; written `a != b`."""

    formula = "a ≠ b"
    latex = r"{a} \neq {b}"
    numpy = "a != b"
    torch = "a != b"
    example = "s = a != b"


class Less(Comparison):
    """Whether the first is smaller; written `a < b`."""

    formula = "a < b"
    latex = "{a} < {b}"
    numpy = "a < b"
    torch = "a < b"
    example = "s = a < b"


class LessEqual(Comparison):
    """Whether the first is smaller or equal; written `a <= b`."""

    formula = "a ≤ b"
    latex = r"{a} \leq {b}"
    numpy = "a <= b"
    torch = "a <= b"
    example = "s = a <= b"


class Greater(Comparison):
    """Whether the first is larger; written `a > b`."""

    formula = "a > b"
    latex = "{a} > {b}"
    numpy = "a > b"
    torch = "a > b"
    example = "s = a > b"


class GreaterEqual(Comparison):
    """Whether the first is larger or equal; written `a >= b`."""

    formula = "a ≥ b"
    latex = r"{a} \geq {b}"
    numpy = "a >= b"
    torch = "a >= b"
    example = "s = a >= b"


def _truth(*shape: int) -> Arg:
    return Arg(shape, kind="bool")


class Logic(NonDifferentiable, Elementwise, abstract=True):
    """Of truth values."""

    group = "elementwise"
    operands: ClassVar[tuple[str, ...]] = ("a", "b")
    takes = "bool"
    gives = "bool"
    bounds = (0.0, 1.0)
    samples = [Sample(_truth(2, 3), _truth(3)), Sample(_truth(), _truth())]
    bad_samples = [Sample(real(3), _truth(3)), Sample(_truth(2), _truth(3))]


class LogicalAnd(Logic):
    """Whether both hold; written `a and b`."""

    formula = "a and b"
    latex = r"{a} \wedge {b}"
    numpy = "a & b"
    torch = "a & b"
    example = "s = x > 0 and x < 1"


class LogicalOr(Logic):
    """Whether at least one holds; written `a or b`."""

    formula = "a or b"
    latex = r"{a} \vee {b}"
    numpy = "a | b"
    torch = "a | b"
    example = "s = x < 0 or x > 1"


class LogicalNot(Logic):
    """Whether it does not hold; written `not x`."""

    operands = ("x",)
    formula = "not x"
    latex = r"\neg {x}"
    numpy = "~x"
    torch = "~x"
    samples = [Sample(_truth(2, 3))]
    bad_samples = [Sample(real(3))]
    example = "s = not x > 0"


class Where(Elementwise):
    """The second operand where the first is true, else the third, entry by entry."""

    group = "elementwise"
    operands = ("condition", "a", "b")
    formula = "a if condition else b"
    numpy = "np.where(condition, a, b)"
    into = ("np.copyto(out, b)", "np.copyto(out, a, where=condition)")
    torch = "torch.where(condition, a, b)"
    samples = [
        Sample(_truth(2, 3), real(3), real()),
        Sample(_truth(), real(3), real(3)),
        Sample(_truth(3), Arg((3,), kind="int"), Arg(kind="int")),
    ]
    bad_samples = [Sample(real(3), real(3), real(3)), Sample(_truth(3), real(4), real())]
    example = "s = where(x > 0, x, 0)"

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        return hull(given[1:])

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [None, *to_common(types[1:])]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        condition, a, b = types
        if condition.elem != BOOL:
            raise Mismatch(
                "`where` needs true or false first",
                blame=[(0, f"is {condition.elem}")],
                help="compare: `where(x > 0, a, b)`",
                code="E0303",
            )
        return TensorType(common_elem((a.elem, b.elem)), broadcast(u, self, types))

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        _, da, db = tangents
        if da is None and db is None:
            return None
        return fn.where(xs[0], 0.0 if da is None else da, 0.0 if db is None else db)

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return [None, fn.where(xs[0], cotangent, 0.0), fn.where(xs[0], 0.0, cotangent)]
