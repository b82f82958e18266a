"""Formulas as trees, written as LaTeX and as Unicode text.

Promises parentheses where the binding of the operators asks for them and nowhere else; LaTeX that both
pdflatex (with amsmath) and matplotlib's mathtext set in math mode; text of one line. Formulas are as
deep as those who build them let them be: writing one calls itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..mathnames import latex_word

LATEX, TEXT = "latex", "text"
"""The two ways of writing a formula."""

OR, AND, NOT, RELATION, SUM, PRODUCT, POWER, ATOM = range(8)
"""How tightly a formula binds, loosest first."""

SIGNS: dict[str, tuple[int, str, str]] = {
    "or": (OR, r"\vee", "∨"),
    "and": (AND, r"\wedge", "∧"),
    "=": (RELATION, "=", "="),
    "!=": (RELATION, r"\neq", "≠"),
    "<": (RELATION, "<", "<"),
    "<=": (RELATION, r"\leq", "≤"),
    ">": (RELATION, ">", ">"),
    ">=": (RELATION, r"\geq", "≥"),
    "in": (RELATION, r"\in", "∈"),
    "+": (SUM, "+", "+"),
    "-": (SUM, "-", "−"),
    "": (PRODUCT, r"\,", " "),
    ".": (PRODUCT, r"\cdot", "·"),
    "o": (PRODUCT, r"\odot", "⊙"),
    "conv": (PRODUCT, r"\ast", "∗"),
    "mod": (PRODUCT, r"\;\mathrm{mod}\;", "mod"),
}
"""The signs between two formulas: level, LaTeX, text. "" is a product without a sign."""

BIG = {"sum": (r"\sum", "Σ"), "prod": (r"\prod", "∏"), "max": (r"\max", "max"), "min": (r"\min", "min")}
"""What stands before a formula as an operator of all its entries."""

FENCES = {
    "abs": (("|", "|"), ("|", "|")),
    "norm": ((r"\Vert ", r" \Vert"), ("‖", "‖")),
    "floor": ((r"\lfloor ", r" \rfloor"), ("⌊", "⌋")),
    "ceil": ((r"\lceil ", r" \rceil"), ("⌈", "⌉")),
    "bracket": (("[", "]"), ("[", "]")),
}
ABOVE = dict(zip("0123456789-−+()T't", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻⁺⁽⁾ᵀ′ᵗ", strict=True))
BELOW = dict(zip("0123456789-−+ijkt", "₀₁₂₃₄₅₆₇₈₉₋₋₊ᵢⱼₖₜ", strict=True))
"""The characters that there are small ones of."""


@dataclass(frozen=True)
class Formula:
    """A formula; `latex()` and `text()` write it."""

    def latex(self) -> str:
        """In LaTeX's math mode."""
        return _write(self, LATEX)

    def text(self) -> str:
        """In Unicode."""
        return _write(self, TEXT)

    __str__ = text

    def slots(self) -> list[str]:
        """The names of the places in it that are still to be filled, each once."""
        found: dict[str, None] = {}
        waiting: list[Formula] = [self]
        while waiting:
            each = waiting.pop()
            if isinstance(each, Slot):
                found[each.name] = None
            waiting += reversed(children(each))
        return list(found)


@dataclass(frozen=True)
class Symbol(Formula):
    """A letter, a name, a number or a word."""

    in_latex: str
    in_text: str
    kind: str = "name"
    """"name", "number", "derivative", "sign" as of a derivative, or "function" before parentheses."""


@dataclass(frozen=True)
class Slot(Formula):
    """A place to be filled."""

    name: str


@dataclass(frozen=True)
class Infix(Formula):
    """Two formulas with one of SIGNS between them."""

    sign: str
    left: Formula
    right: Formula


@dataclass(frozen=True)
class Minus(Formula):
    """The negative of a formula, or with `sign` "not" the opposite of a truth value."""

    value: Formula
    sign: str = "-"


@dataclass(frozen=True)
class Big(Formula):
    """One of BIG before a formula, perhaps with something below it."""

    sign: str
    value: Formula
    below: Formula | None = None


@dataclass(frozen=True)
class Fraction(Formula):
    top: Formula
    bottom: Formula


@dataclass(frozen=True)
class Script(Formula):
    """A formula with something below or above it."""

    base: Formula
    below: Formula | None = None
    above: Formula | None = None


@dataclass(frozen=True)
class Root(Formula):
    value: Formula


@dataclass(frozen=True)
class Fence(Formula):
    """A formula between two of FENCES."""

    kind: str
    value: Formula


@dataclass(frozen=True)
class Apply(Formula):
    """A function of arguments; settings follow them, by name."""

    function: Formula
    arguments: tuple[Formula, ...]
    settings: tuple[tuple[str, Formula], ...] = ()


@dataclass(frozen=True)
class Index(Formula):
    """An entry, or entries, of an array."""

    base: Formula
    items: tuple[Formula, ...]


@dataclass(frozen=True)
class Rank(Formula):
    """Formulas with commas between them: several indices."""

    items: tuple[Formula, ...]


DOTS = Symbol(r"\ldots", "…")
T = Symbol("T", "T")


def children(formula: Formula) -> list[Formula]:
    """The formulas that one is made of directly."""
    found: list[Formula] = []
    for value in vars(formula).values():
        if isinstance(value, Formula):
            found.append(value)
        elif isinstance(value, tuple):
            found += [item[1] if isinstance(item, tuple) else item for item in value]
    return found


# ---------------------------------------------------------------------------------------
# Writing


def level(formula: Formula, style: str) -> int:
    """How tightly a formula binds."""
    match formula:
        case Infix("", Symbol(_, _, "sign")):
            return POWER  # the top or bottom of a derivative
        case Infix(sign):
            return SIGNS[sign][0]
        case Minus(_, "not"):
            return NOT
        case Minus():
            return SUM
        case Big() | Fraction():
            return PRODUCT
        case Script(_, _, None):
            return ATOM
        case Script():
            return POWER
        case Symbol(_, _, "derivative"):
            return PRODUCT
    return ATOM


def held(formula: Formula, least: int, style: str) -> str:
    """A formula, in parentheses if it binds less than `least`."""
    written = _write(formula, style)
    return _fenced(written, "(", ")", style) if level(formula, style) < least else written


def _fenced(written: str, left: str, right: str, style: str) -> str:
    if style == LATEX and any(tall in written for tall in (r"\frac", r"\sum", r"\prod")):
        return f"\\left{left.strip()} {written} \\right{right.strip()}"
    return f"{left}{written}{right}"


def _write(formula: Formula, style: str) -> str:
    match formula:
        case Symbol(latex, text):
            return latex if style == LATEX else text
        case Slot(name):
            return latex_word(name) if style == LATEX else name
        case Infix():
            return _infix(formula, style)
        case Minus(value, "not"):
            return (r"\neg " if style == LATEX else "¬") + held(value, NOT, style)
        case Minus(value):
            return ("-" if style == LATEX else "−") + held(value, PRODUCT, style)
        case Big():
            return _big(formula, style)
        case Fraction(top, bottom) if style == LATEX:
            return f"\\frac{{{_write(top, style)}}}{{{_write(bottom, style)}}}"
        case Fraction(top, bottom):
            tight = all(_is(f, "number") for f in (top, bottom)) or all(_is_partial(f) for f in (top, bottom))
            sign = "/" if tight else " / "
            return f"{held(top, PRODUCT, style)}{sign}{held(bottom, POWER, style)}"
        case Script():
            return _script(formula, style)
        case Root(value):
            return f"\\sqrt{{{_write(value, style)}}}" if style == LATEX else f"√{held(value, ATOM, style)}"
        case Fence(kind, value):
            left, right = FENCES[kind][0 if style == LATEX else 1]
            return _fenced(_write(value, style), left, right, style)
        case Apply(function, arguments, settings):
            given = [_write(a, style) for a in arguments]
            given += [f"{_setting(key, style)}{_write(value, style)}" for key, value in settings]
            return held(function, POWER, style) + _fenced(_joined(given, style), "(", ")", style)
        case Index(base, items):
            return f"{held(base, ATOM, style)}[{_joined([_write(i, style) for i in items], style)}]"
        case Rank(items):
            return _joined([_write(i, style) for i in items], style)
    raise TypeError(f"not a formula: {formula!r}")


def _joined(parts: Sequence[str], style: str) -> str:
    return (r",\, " if style == LATEX else ", ").join(parts)


def _setting(key: str, style: str) -> str:
    return f"{latex_word(key)} = " if style == LATEX else f"{key}="


def _infix(formula: Infix, style: str) -> str:
    own, latex, text = SIGNS[formula.sign]
    left = held(formula.left, own + _apart(formula.sign, formula.left, style, is_left=True), style)
    right = held(formula.right, own + _apart(formula.sign, formula.right, style, is_left=False), style)
    if formula.sign == "":
        return left + _between(formula, right, style) + right
    return f"{left} {latex if style == LATEX else text} {right}"


def _apart(sign: str, operand: Formula, style: str, *, is_left: bool) -> int:
    """1 where an operand that binds as tightly as its sign still needs parentheses, else 0.

    Sums may be grouped either way, and so may products of one kind; what follows `-` may not, nor may
    products entry by entry be mixed with those of matrices.
    """
    own = SIGNS[sign][0]
    inner = operand.sign if isinstance(operand, Infix) else None
    if own == RELATION:
        return 1
    if own != PRODUCT:
        return 0 if is_left or (sign != "-" and inner is not None) or inner == sign == "+" else 1
    if isinstance(operand, Big) or _is(operand, "derivative"):
        return int(is_left and isinstance(operand, Big))
    if isinstance(operand, Fraction) and style == LATEX:
        return 0
    if inner is not None and {sign, inner} == {"", "o"}:
        return int(not _is(_first(operand), "number"))
    return 0 if is_left or inner == sign else 1


def _between(formula: Infix, right: str, style: str) -> str:
    """What stands between the factors of a product: a dot where there would be doubt without one."""
    first, second = _last(formula.left), _first(formula.right)
    called = right.startswith(("(", r"\left(")) and not _is(first, "number")
    mixed = isinstance(first, Fraction) and not (style == LATEX or isinstance(formula.right, Big))
    doubtful = called or mixed or _is(second, "number") or (style == TEXT and _is(first, "derivative"))
    if _is(first, "sign"):
        return " " if style == LATEX else ""
    if doubtful:
        return r" \cdot " if style == LATEX else " · "
    return r"\, " if style == LATEX else " "


def _is(formula: Formula, kind: str) -> bool:
    return isinstance(formula, Symbol) and formula.kind == kind


def _is_partial(formula: Formula) -> bool:
    return isinstance(formula, Infix) and _is(formula.left, "sign")


def _last(formula: Formula) -> Formula:
    """The factor that a product ends with."""
    while isinstance(formula, Infix) and SIGNS[formula.sign][0] == PRODUCT:
        formula = formula.right
    return formula


def _first(formula: Formula) -> Formula:
    """The factor that a product begins with."""
    while True:
        if isinstance(formula, Infix) and SIGNS[formula.sign][0] == PRODUCT:
            formula = formula.left
        elif isinstance(formula, Script):
            formula = formula.base
        elif isinstance(formula, Fraction):
            formula = formula.top
        else:
            return formula


def _big(formula: Big, style: str) -> str:
    sign = BIG[formula.sign][0 if style == LATEX else 1]
    if formula.below is not None:
        sign += _below(formula.below, style)
    return f"{sign} {held(formula.value, PRODUCT, style)}"


def _script(formula: Script, style: str) -> str:
    base = held(formula.base, ATOM, style)
    if style == TEXT:
        below = "" if formula.below is None else _below(formula.below, style)
        return base + below + ("" if formula.above is None else _small(formula.above, ABOVE, "^"))
    if isinstance(formula.base, Symbol | Script) and level(formula.base, style) == ATOM:
        # There may be something below or above it already.
        clash = (formula.below is not None and "_" in base) or (formula.above is not None and "^" in base)
        base = f"{{{base}}}" if clash else base
    below = "" if formula.below is None else _below(formula.below, style)
    above = "" if formula.above is None else f"^{{{_write(formula.above, style)}}}"
    return base + below + above


def _below(formula: Formula, style: str) -> str:
    return f"_{{{_write(formula, style)}}}" if style == LATEX else _small(formula, BELOW, "_")


def _small(formula: Formula, table: dict[str, str], sign: str) -> str:
    """A formula in small characters, or where there are none after a sign."""
    written = _write(formula, TEXT)
    if all(c in table or c == " " for c in written):
        return "".join(table[c] for c in written if c != " ")
    return sign + (written if level(formula, TEXT) == ATOM else f"({written})")
