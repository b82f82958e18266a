"""A syntax error before it is put into words: where the parser stopped, and what it had read.

Assumes tokens with `type`, `value`, `start_pos` and `end_pos`. Holds what the modules that explain
mistakes share: the forms of statements, and tokens in words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import Diagnostics, Source, Span, shorten
from .exprs import CONSTANTS

FORMS = {
    "diagram": 'diagram xor "what it computes"',
    "use": 'use "blocks.flow" as lib',
    "size": "size D = 784, H = 128",
    "const": "const eps = 1e-5",
    "require": 'require D > 0, "D must be positive"',
    "input": "input x : [3], k : int",
    "target": "target y : class(3)",
    "param": "param W : [4, 3] = glorot()",
    "node": "node h1, h2 : step",
    "layer": "layer enc = linear(3, 4)",
    "output": "output p = softmax(z), h",
    "loss": "loss cross_entropy(z, y)",
    "metric": "metric accuracy(z, y)",
    "train": "train sgd(lr=0.1), epochs=20, batch=64",
    "wires": 'wires W from "edges.csv"',
    "data": "data { x1 x2 | y; 0 1 | 1 }",
    "block": "block f(x : [d]) -> [d] { return x }",
    "repeat": "repeat 12 as h { u = f(u) }",
    "return": "return a, b",
}

# Two characters that belong together in another language, and what is meant here.
PAIRS = {
    "**": "a power is written `a^b`",
    "//": "`//` is not an operator; a whole quotient is `floor(a / b)`, a comment begins with `#`",
    ":=": "an equation is written with `=`",
    "=>": "at least is written `>=`, an arrow `->`",
    "=<": "at most is written `<=`",
    "<>": "unequal is written `!=`",
    "<-": "an arrow points from the source to the destination: `x -> h`",
    "++": "add one by `a + 1`",
    "&&": "write `and`",
    "||": "write `or`",
    "!=": "",
    "+=": "write the equation in full: `a = a + b`",
    "-=": "write the equation in full: `a = a - b`",
    "*=": "write the equation in full: `a = a * b`",
    "/=": "write the equation in full: `a = a / b`",
    "==": "an equation is written with one `=`",
    "--": "an arrow is written `->`",
    "~>": "an arrow is written `->`",
}


class Bracket(NamedTuple):
    """An open bracket: what closes it, where it stands, and the parser's depth once it is read."""

    closer: str
    start: int
    depth: int
    in_table: bool


class Mistake(NamedTuple):
    """The place where the parser cannot go on.

    `kind` is the type of the token found there, or empty for a character that begins no token;
    `last` the token before it, if any; `accepts` the types of all tokens that could stand there;
    `begin` the offset at which the statement begins.
    """

    source: Source
    kind: str
    start: int
    end: int
    last: Any
    accepts: frozenset[str]
    brackets: tuple[Bracket, ...]
    begin: int

    @property
    def span(self) -> Span:
        return Span(self.source, self.start, self.end)

    @property
    def value(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def last_span(self) -> Span | None:
        if self.last is None:
            return None
        return Span(self.source, self.last.start_pos, self.last.end_pos)

    @property
    def last_kind(self) -> str:
        return "NL" if self.last is None else str(self.last.type)

    @property
    def last_is_first(self) -> bool:
        """Whether the token before is the first of its statement."""
        return self.last is not None and self.last.start_pos == self.begin

    @property
    def touches(self) -> bool:
        """Whether nothing stands between the token before and this one."""
        return self.last is not None and self.last.end_pos == self.start

    @property
    def first_word(self) -> str:
        """The word that the statement begins with, or nothing."""
        return word_at(self.source.text, self.begin)


Rule = Callable[[Mistake, Diagnostics], bool]


def word_at(text: str, at: int) -> str:
    end = at
    while end < len(text) and end < at + 80 and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return text[at:end]


def form_of(m: Mistake) -> str:
    form = FORMS.get(m.first_word)
    return f"such a statement reads `{form}`" if form else ""


def last_text(m: Mistake) -> str:
    return f"`{shorten(m.last.value, 30)}`"


def described(kind: str, value: str) -> str:
    """A token in words."""
    shown = f"`{shorten(value, 30)}`"
    if kind in ("NL", "$END"):
        return "the end of the line"
    if kind == "STRING":
        return f"the string `{shorten(value, 30)}`"
    if kind in ("NUMBER", "SIGNED"):
        return f"the number {shown}"
    if kind == "NAME" and value not in CONSTANTS:
        return f"the name {shown}"
    return shown
