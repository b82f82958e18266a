"""What a box says: the operation's name, or an equation that unnamed values fold into.

Assumes a typed graph. Promises labels of one line (`names.Tex`) with parentheses only where they are
needed. Settings and parameters are left out: the first stand among the facts, the others beside the box.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from ..graph import Graph, Node
from ..lower.expr import BINARY
from ..ops.leaf import Array
from . import names
from .names import Tex

LONGEST = 36
"""Letters of an equation in a box; a longer one gives way to the operation's name."""
LONG, SHORT = 70, 20
"""A value that nobody named folds into the box that uses it while it is at most this long, or into all that
use it while it is this short."""
SIGNS = {op: sign for sign, op in BINARY.items()}
OR, AND, RELATION, SUM, PRODUCT, POWER, ATOM = range(7)
LEVELS = {
    "or": OR, "and": AND, "+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "@": PRODUCT, "%": PRODUCT,
    "^": POWER,
}  # fmt: skip
SPELLED = {
    "*": r"\,", "@": r"\,", "%": r"\ \mathrm{mod}\ ", "==": "=", "!=": r"\ne", "<=": r"\le ", ">=": r"\ge ",
    "or": r"\ \mathrm{or}\ ", "and": r"\ \mathrm{and}\ ",
}  # fmt: skip
SAME = ("identity", "cast", "expand", "item", "pack")
"""Operations that say nothing of their own."""
MOST_ENTRIES = 4
"""Literal arrays of more entries are written by their shape."""


class Said(NamedTuple):
    """A written value: its label, how tightly it binds, and its number of letters."""

    tex: Tex
    level: int
    length: int


class Wording:
    """Writes the values of one graph; they are given in its order. same: those written as their operand."""

    def __init__(self, graph: Graph, same: Collection[str] = ()) -> None:
        self.graph, self.same = graph, same
        self.said: dict[str, Said] = {}

    def stand(self, name: str) -> None:
        """From here on a value is written by its name, or as a dot where it has none."""
        hint = self.graph[name].hint
        self.said[name] = (
            Said(r"\cdot ", ATOM, 1) if hint is None else Said(names.name(hint), ATOM, len(hint))
        )

    def fold(self, name: str) -> int:
        """From here on a value is written as what it is; returns its number of letters."""
        self.said[name] = self._value(self.graph[name])
        return self.said[name].length

    def length(self, name: str) -> int:
        """The number of letters of a value as what it is."""
        return self._value(self.graph[name]).length

    def text(self, name: str) -> str:
        """A value as what it is, in Unicode; a very long one is cut."""
        said = self._value(self.graph[name])
        return names.plain(said.tex) if said.length <= 4 * LONG else f"{self.graph[name].op.name}(…)"

    def box(self, node: Node, members: Collection[str]) -> Tex:
        """The second line of a box."""
        plain = node.op.name not in SIGNS and node.op.name not in (
            *SAME,
            "neg",
            "square",
            "index",
            "transpose_last",
        )
        said = self._value(node)
        bare = len(members) == 1 and all(self.graph[o].hint is None for o in node.operands)
        if (plain and len(members) == 1) or bare or said.length > LONGEST:
            return names.word(node.op.name)
        return said.tex

    # -- values

    def _value(self, node: Node) -> Said:
        op = node.op
        if op.name == "const":
            return _literal(op.value)
        if op.name == "weighted_sum":
            return self._sum(node)
        slots = [o.rstrip("?") for o in op.operands]
        apart = {*op.params, *op.ambient}
        parts = [
            self.said[o] for n, o in enumerate(node.operands) if n >= len(slots) or slots[n] not in apart
        ]  # fmt: skip
        if (op.name in SAME or node.name in self.same) and parts:
            return parts[0]
        if op.name in SIGNS:
            return _infix(SIGNS[op.name], parts[0], parts[1])
        if op.name == "wired":
            return _infix("@", parts[0], parts[1])
        if op.name == "neg":
            return Said(f"-{_held(parts[0], PRODUCT)}", SUM, parts[0].length + 1)
        if op.name == "square":
            return Said(f"{_held(parts[0], ATOM)}^{{2}}", POWER, parts[0].length + 1)
        if op.name == "transpose_last":
            return Said(f"{_held(parts[0], ATOM)}^{{\\top }}", ATOM, parts[0].length + 1)
        if op.name == "index":
            return _indexed(parts[0], op.items)
        inside = ",".join(p.tex for p in parts)
        length = len(op.name) + 2 + sum(p.length + 1 for p in parts)
        if not parts:
            return Said(names.word(op.name), ATOM, len(op.name))
        return Said(f"{names.word(op.name)}({inside})", ATOM, length)

    def _sum(self, node: Node) -> Said:
        tex, length = "", 0
        if node.op.bias is not None:
            tex = names.number(node.op.bias)
            length = len(tex)
        for weight, operand in zip(node.op.weights, node.operands, strict=True):
            part = self.said[operand]
            size = "" if abs(weight) == 1 else names.number(abs(weight)) + r"\,"
            sign = "-" if weight < 0 else "+" if tex else ""
            tex += f"{sign}{size}{_held(part, PRODUCT)}"
            length += part.length + 2
        return Said(tex, SUM, length)


def _held(said: Said, level: int) -> Tex:
    return said.tex if said.level >= level else f"({said.tex})"


def _infix(sign: str, a: Said, b: Said) -> Said:
    level = LEVELS.get(sign, RELATION)
    length = a.length + b.length + 1
    if sign == "^":
        return Said(f"{_held(a, ATOM)}^{{{b.tex}}}", POWER, length)
    if sign == "*" and b.tex[:1].isdigit():
        a, b = b, a
    right = level if sign in ("+", "*", "and", "or") else level + 1
    return Said(f"{_held(a, level)}{SPELLED.get(sign, sign)}{_held(b, right)}", level, length)


def _indexed(value: Said, items: Any) -> Said:
    said = ",".join(_item(i) for i in items)
    return Said(f"{_held(value, ATOM)}[{said}]", ATOM, value.length + len(said) + 2)


def _item(item: Any) -> str:
    if isinstance(item, tuple):
        return ":".join("" if end is None else str(end) for end in item[1:])
    return str(item)


def _literal(value: Any) -> Said:
    if not isinstance(value, Array):
        if isinstance(value, bool):
            return Said(names.word(str(value).lower()), ATOM, 5)
        tex = names.number(float(value), 6)
        return Said(tex, ATOM if value >= 0 else SUM, len(tex))
    data = value.data
    if data.ndim == 1 and data.size <= MOST_ENTRIES:
        tex = f"[{','.join(names.number(float(v)) for v in data)}]"
        return Said(tex, ATOM, len(tex))
    tex = names.word(f"[{' × '.join(map(str, data.shape))}]")
    return Said(tex, ATOM, len(tex))
