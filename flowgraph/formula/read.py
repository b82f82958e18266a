r"""Formulas read from LaTeX: how the declaration of an operation says what its result looks like.

Assumes the text of a declaration, in which `{x}` stands for the operand or setting x and braces of LaTeX
are doubled, as in Python's `format`. Known are the signs of `formula`, fractions, roots, scripts, fences,
`\sum` and its like, indices in brackets after a place, and functions with their arguments in parentheses.
Raises ValueError for anything else, which is a mistake of the author of an operation.
"""

from __future__ import annotations

import re
from functools import cache
from string import Formatter

from ..mathnames import GREEK
from . import (
    BIG,
    DOTS,
    PRODUCT,
    SIGNS,
    Apply,
    Big,
    Fence,
    Formula,
    Fraction,
    Index,
    Infix,
    Minus,
    Rank,
    Root,
    Script,
    Slot,
    Symbol,
)
from .make import sizes

TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[0-9]+(?:\.[0-9]+)?|\S")
SPACES = (r"\,", r"\;", r"\ ", r"\quad")
WORDS = (r"\mathrm", r"\operatorname", r"\mathcal")
FUNCTIONS = {
    r"\ln": "ln", r"\log": "log", r"\exp": "exp", r"\sin": "sin", r"\cos": "cos", r"\tan": "tan",
    r"\arcsin": "arcsin", r"\arccos": "arccos", r"\arctan": "arctan", r"\sinh": "sinh", r"\cosh": "cosh",
    r"\tanh": "tanh",
}  # fmt: skip
SYMBOLS = {r"\partial": "∂", r"\infty": "∞", r"\dots": "…"}
INFIX = {latex.replace(r"\;", ""): sign for sign, (_, latex, _) in SIGNS.items() if sign} | {r"*": "conv"}
OPENERS = {"|": ("abs", "|"), r"\Vert": ("norm", r"\Vert"), r"\|": ("norm", r"\|"),
           r"\lfloor": ("floor", r"\rfloor"), r"\lceil": ("ceil", r"\rceil")}  # fmt: skip
BIGS = {latex: sign for sign, (latex, _) in BIG.items()}


@cache
def read(template: str) -> Formula:
    """The formula of a template, with a slot for each `{x}`. Raises ValueError."""
    tokens: list[str] = []
    for literal, field, _, _ in Formatter().parse(template):
        tokens += TOKEN.findall(literal)
        if field is not None:
            tokens.append(f"<{field}>" if field else "<>")
    reader = _Reader(_words(tokens), template)
    found = reader.expression(0)
    if reader.at < len(reader.tokens):
        raise reader.wrong()
    return found


def _words(tokens: list[str]) -> list[str]:
    r"""The tokens without spaces, and with `\mathrm { w o r d }` as one."""
    out: list[str] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if token in SPACES or token in (r"\left", r"\right"):
            continue
        if token in WORDS:
            end = tokens.index("}", at)
            out.append(token + "{" + "".join(tokens[at + 1 : end]) + "}")
            at = end + 1
        else:
            out.append(token)
    return out


class _Reader:
    """Reads tokens from left to right, tighter signs first."""

    def __init__(self, tokens: list[str], template: str) -> None:
        self.tokens, self.template, self.at = tokens, template, 0

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def wrong(self) -> ValueError:
        return ValueError(f"{self.next or 'the end'} is not understood in the LaTeX {self.template!r}")

    def take(self, wanted: str = "") -> str:
        token = self.next
        if not token or (wanted and token != wanted):
            raise self.wrong()
        self.at += 1
        return token

    def expression(self, least: int) -> Formula:
        """A formula of signs that bind at least so tightly."""
        if self.next == "-":
            self.take()
            left: Formula = Minus(self.expression(PRODUCT))
        elif self.next == r"\neg":
            self.take()
            left = Minus(self.expression(PRODUCT), "not")
        else:
            left = self.factor()
        while True:
            sign = "/" if self.next == "/" else INFIX.get(self.next)
            level = PRODUCT if sign == "/" else SIGNS[sign][0] if sign else PRODUCT
            if sign is None and (not self.starts() or least > PRODUCT):
                return left
            if sign is not None and level < least:
                return left
            if sign is not None:
                self.take()
            right = self.expression(level + 1) if sign is not None else self.factor()
            left = Fraction(left, right) if sign == "/" else Infix(sign or "", left, right)

    def starts(self) -> bool:
        """Whether what comes next is a factor."""
        closers = (")", "]", "}", ",", "|", r"\Vert", r"\|", r"\rfloor", r"\rceil", "", "^", "_")
        return self.next not in closers and self.next not in INFIX

    def factor(self) -> Formula:
        """One formula, with what stands below and above it."""
        found = self.scripts(self.atom())
        is_function = isinstance(_base(found), Symbol) and _base(found).kind == "function"  # type: ignore[attr-defined]
        if is_function and self.next == "(":
            self.take()
            arguments = self.items(")")
            return self.scripts(Apply(found, arguments))
        return found

    def scripts(self, base: Formula) -> Formula:
        if self.next == "[":
            self.take()
            base = Index(base, self.indices())
        below = above = None
        while self.next in ("_", "^") and self.next:
            if self.take() == "_":
                below = self.group()
            else:
                above = self.group()
        return base if below is above is None else Script(base, below, above)

    def indices(self) -> tuple[Formula, ...]:
        """What stands in the brackets after an array: places to fill, numbers, sizes, and `a:b`."""
        items: list[Formula] = []
        said = ""
        while True:
            token = self.take()
            if token.startswith("<"):
                items.append(Slot(token[1:-1]))
            elif token not in (",", "]"):
                said += token
                continue
            elif said:
                items.append(sizes(said))
                said = ""
            if token == "]":
                return tuple(items)

    def group(self) -> Formula:
        r"""What stands in braces, or one token."""
        if self.next != "{":
            return self.atom()
        self.take()
        items = self.items("}")
        return items[0] if len(items) == 1 else Rank(items)

    def items(self, closer: str) -> tuple[Formula, ...]:
        """Formulas between commas, up to what closes them."""
        if self.next == closer:
            self.take()
            return ()
        found = [self.expression(0)]
        while self.next == ",":
            self.take()
            found.append(self.expression(0))
        self.take(closer)
        return tuple(found)

    def atom(self) -> Formula:
        token = self.take()
        if token.startswith("<") and len(token) > 1:
            return Slot(token[1:-1])
        if token in BIGS:
            return self.big(token)
        if token == r"\frac":
            return Fraction(self.group(), self.group())
        if token == r"\sqrt":
            return Root(self.group())
        if token == "(":
            inner = self.expression(0)
            self.take(")")
            return inner
        if token == "{":
            self.at -= 1
            return self.group()
        if token == "[":
            items = self.items("]")
            return Fence("bracket", items[0] if len(items) == 1 else Rank(items))
        if token in OPENERS:
            kind, closer = OPENERS[token]
            inner = self.expression(0)
            self.take(closer)
            return Fence(kind, inner)
        return self.symbol(token)

    def big(self, token: str) -> Formula:
        r"""`\sum x`; `\max(a, b)` is a function."""
        sign = BIGS[token]
        if sign in ("max", "min") and self.next == "(":
            return Symbol(token, sign, "function")
        below = None
        if self.next == "_":
            self.take()
            below = self.group()
        return Big(sign, self.expression(PRODUCT), below)

    def symbol(self, token: str) -> Formula:
        head, _, inside = token.partition("{")
        if head in WORDS:
            text = inside[:-1]
            return Symbol(token, text.replace("\\", ""), "function" if self.next in ("(", "_") else "name")
        if token in FUNCTIONS:
            return Symbol(token, FUNCTIONS[token], "function")
        if token.startswith("\\"):
            text = GREEK.get(token[1:]) or SYMBOLS.get(token, "")
            if token == r"\ldots":
                return DOTS
            if not text:
                self.at -= 1
                raise self.wrong()
            kind = "sign" if token == r"\partial" else "function" if self.next == "(" else "name"
            return Symbol(token, text, kind)
        if token[0].isdigit():
            return Symbol(token, token, "number")
        if token.isalpha():
            return Symbol(token, token, "function" if self.next == "(" else "name")
        self.at -= 1
        raise self.wrong()


def _base(formula: Formula) -> Formula:
    return formula.base if isinstance(formula, Script) else formula
