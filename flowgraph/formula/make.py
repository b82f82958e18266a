"""Formulas made of names, numbers and each other, as one would write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..mathnames import latex_name, latex_word, unicode_name
from . import (
    ATOM,
    DOTS,
    LATEX,
    PRODUCT,
    SIGNS,
    TEXT,
    Formula,
    Fraction,
    Infix,
    Minus,
    Script,
    Slot,
    Symbol,
    T,
    held,
)

TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""Comparisons read from right to left."""
MOST_TERMS = 12
"""So many terms of a sum are written out."""


def name(of: str) -> Symbol:
    """A name of the diagram."""
    return Symbol(latex_name(of), unicode_name(of))


def word(text: str, kind: str = "name") -> Symbol:
    """A word set upright, such as the name of an operation."""
    latex = latex_word(text)
    return Symbol(latex.replace(r"\mathrm", r"\operatorname") if kind == "function" else latex, text, kind)


def number(value: Any, digits: int = 6) -> Formula:
    """A number; one with more digits than these is rounded to them."""
    if isinstance(value, bool):
        return word(str(value).lower())
    if value != value:
        return word("nan")
    if value < 0:
        return Minus(number(-value, digits))
    if value == float("inf"):
        return Symbol(r"\infty", "∞", "number")
    written = repr(value) if isinstance(value, int) else f"{value:.{digits}g}"
    mantissa, e, exponent = written.removesuffix(".0").partition("e")
    if not e:
        return Symbol(mantissa, mantissa, "number")
    power = Script(Symbol("10", "10", "number"), above=number(int(exponent)))
    return power if mantissa == "1" else Infix(".", Symbol(mantissa, mantissa, "number"), power)


def sizes(text: str) -> Symbol:
    """An expression of sizes, `2*T` or `1:T`, as it is."""
    latex = re.sub(r"[A-Za-z]\w*", lambda found: latex_name(found[0]), text)
    return Symbol(latex.replace("*", r"\,").replace(":", "{:}"), text, "number")


def literal(value: int | float) -> str:
    """A number as it stands in the LaTeX of a declaration, braces doubled."""
    return number(value).latex().replace("{", "{{").replace("}", "}}")


def weighted(weights: Sequence[float], bias: float | None) -> str:
    """The LaTeX of a declaration for bias + Σ weightᵢ xᵢ: all terms, or of many the first and the last."""
    count = len(weights)
    shown = list(range(count)) if count <= MOST_TERMS else [0, 1, 2, count - 1]
    text = "" if bias is None else literal(bias)
    for before, slot in zip([-1, *shown], shown, strict=False):
        text += r" + \ldots" if slot > before + 1 else ""
        weight = weights[slot]
        term = f"{{xs[{slot}]}}" if abs(weight) == 1 else f"{literal(abs(weight))} {{xs[{slot}]}}"
        text += f" {'-' if weight < 0 else '+' if text else ''} {term}"
    return text


def derivative(top: Formula, bottom: Formula) -> Symbol:
    """The derivative of a value by another: ∂L/∂W."""
    latex = f"\\frac{{\\partial {top.latex()}}}{{\\partial {held(bottom, ATOM, LATEX)}}}"
    return Symbol(latex, f"∂{top.text()}/∂{held(bottom, ATOM, TEXT)}", "derivative")


def filled(formula: Formula, given: dict[str, Formula]) -> Formula:
    """The formula with its slots filled. Raises KeyError."""
    if isinstance(formula, Slot):
        return given[formula.name]
    if isinstance(formula, Infix):
        return infix(formula.sign, filled(formula.left, given), filled(formula.right, given))
    if isinstance(formula, Script) and formula.above == T:
        base = filled(formula.base, given)
        is_twice = isinstance(base, Script) and base.above == T and base.below is None
        return base.base if is_twice and isinstance(base, Script) else Script(base, formula.below, T)
    changes: dict[str, Any] = {}
    for field, value in vars(formula).items():
        if isinstance(value, Formula):
            changes[field] = filled(value, given)
        elif isinstance(value, tuple):
            changes[field] = tuple(_filled_item(item, given) for item in value)
    return type(formula)(**(vars(formula) | changes)) if changes else formula


def _filled_item(item: Any, given: dict[str, Formula]) -> Any:
    if isinstance(item, tuple):
        return (item[0], filled(item[1], given))
    return filled(item, given)


def infix(sign: str, left: Formula, right: Formula) -> Formula:
    """Two formulas with a sign between them, as one would write it.

    A minus before a product's first factor, or after a plus, becomes that of the whole; a number stands
    first in a product, and last in a comparison.
    """
    if SIGNS[sign][0] == PRODUCT and isinstance(left, Minus) and left.sign == "-" and sign != "mod":
        return Minus(infix(sign, left.value, right))
    if sign == "+" and isinstance(right, Minus) and right.sign == "-":
        return Infix("-", left, right.value)
    if sign == "o" and (_is_number(left) or (isinstance(left, Fraction) and _is_number(left.top))):
        sign = ""  # one number, repeated
    if _is_number(right) and not _is_number(left):
        if sign == "":
            return Infix(sign, right, left)
    elif _is_number(left) and not _is_number(right) and sign in TURNED:
        return Infix(TURNED[sign], right, left)
    return Infix(sign, left, right)


def _is_number(formula: Formula) -> bool:
    return isinstance(formula, Symbol) and formula.kind == "number"


def shortened(items: Sequence[Formula], most: int) -> tuple[Formula, ...]:
    """The items, or where there are more than `most` the first three, dots and the last."""
    if len(items) <= max(most, 5):
        return tuple(items)
    return (*items[:3], DOTS, items[-1])
