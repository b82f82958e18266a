"""The tokens of a line in the text form of graphs.

Assumes nothing of graphs. Promises that whatever does not read as expected is refused with a
FlowError (E0004) that shows the line.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import NoReturn, TypeVar

from ..errors import Source, Span, fail

T = TypeVar("T")

TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<number>-?(?:inf\b|[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?(?![A-Za-z0-9_.])))
    |(?P<name>[A-Za-z][A-Za-z0-9_.]*)
    |(?P<unknown>_[0-9]+)
    |(?P<comment>\#.*)
    |(?P<sign>[%(){}\[\],:=?*+@-]))""",
    re.VERBOSE,
)


class Tokens:
    """The tokens of the current line and the place reached in them."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.tokens: list[tuple[str, str]] = []
        self.at = 0
        self.span = Span(source, 0, 0)

    def start(self, line: str, offset: int) -> None:
        """Go on with a line, which stands at this offset of the text."""
        self.span = Span(self.source, offset, offset + len(line))
        self.tokens, self.at = self.scan(line), 0

    def scan(self, line: str) -> list[tuple[str, str]]:
        tokens, at = [], 0
        line = line.rstrip()
        while at < len(line):
            match = TOKEN.match(line, at)
            if match is None:
                self.refuse(f"`{line[at:].strip()[:20]}` cannot be read")
            kind = str(match.lastgroup)
            if kind != "comment":
                tokens.append((kind, match.group(kind)))
            at = match.end()
        return tokens

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "the end of the line")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.at += 1
        return token

    def accept(self, sign: str) -> bool:
        """Take a sign if it comes next."""
        if self.peek() != ("sign", sign):
            return False
        self.at += 1
        return True

    def sign(self, sign: str) -> None:
        if not self.accept(sign):
            self.refuse(f"`{sign}` is missing before {self.peek()[1]}")

    def name(self) -> str:
        kind, text = self.take()
        return text if kind == "name" else self.refuse(f"a name is missing before {text}")

    def word(self, word: str) -> bool:
        if self.name() != word:
            self.refuse(f"`{word}` is missing")
        return True

    def string(self) -> str:
        kind, text = self.take()
        if kind != "string":
            self.refuse(f"a string is missing before {text}")
        try:
            return str(json.loads(text))
        except ValueError:
            return self.refuse("a string holds an unknown escape")

    def label(self) -> str:
        return self.string() if self.peek()[0] == "string" else self.name()

    def reference(self) -> str:
        self.accept("%")
        return self.name()

    def number(self) -> int:
        return self.whole(self.take()[1])

    def whole(self, text: str) -> int:
        number = self.literal(text)
        return number if isinstance(number, int) else self.refuse(f"`{text}` is not whole")

    def literal(self, text: str) -> int | float:
        if text.lstrip("-") == "inf":
            return -math.inf if text.startswith("-") else math.inf
        try:
            return int(text) if text.lstrip("-").isdigit() else float(text)
        except ValueError:
            return self.refuse(f"`{text[:20]}` is no number")

    def constant(self) -> tuple[str, int]:
        name = self.name()
        self.sign("=")
        return name, self.number()

    def listed(self, item: Callable[[], T]) -> list[T]:
        """Items with commas between them."""
        items = [item()]
        while self.accept(","):
            items.append(item())
        return items

    def until(self, closing: str, item: Callable[[], T]) -> list[T]:
        """Items with commas between them, up to a closing bracket."""
        items: list[T] = []
        while not self.accept(closing):
            items.append(item())
            if self.peek() != ("sign", closing):
                self.sign(",")
        return items

    def refuse(self, message: str) -> NoReturn:
        raise fail("E0004", f"not the text of a graph: {message}", self.span)
