"""Expressions as text, held against the trees that they are the text of.

Assumes the subset of Python that the emitters build. Promises text on one line that parses back to the same
tree, where `check` has passed.
"""

from __future__ import annotations

import ast
from typing import Any

from ..errors import InternalError

OPERATORS: dict[type[ast.AST], tuple[str, int]] = {
    ast.Or: ("or", 1),
    ast.And: ("and", 2),
    ast.Eq: ("==", 4),
    ast.NotEq: ("!=", 4),
    ast.Lt: ("<", 4),
    ast.LtE: ("<=", 4),
    ast.Gt: (">", 4),
    ast.GtE: (">=", 4),
    ast.In: ("in", 4),
    ast.Is: ("is", 4),
    ast.IsNot: ("is not", 4),
    ast.BitOr: ("|", 5),
    ast.BitAnd: ("&", 6),
    ast.Add: ("+", 8),
    ast.Sub: ("-", 8),
    ast.Mult: ("*", 9),
    ast.Div: ("/", 9),
    ast.FloorDiv: ("//", 9),
    ast.Mod: ("%", 9),
    ast.MatMult: ("@", 9),
    ast.Pow: ("**", 11),
}
NOT, UNARY, ATOM = 3, 10, 12


def text(node: ast.expr) -> str:
    """An expression on one line."""
    return _print(node)[0]


def operand(node: ast.expr, least: int) -> str:
    """An operand, in parentheses if it binds less tightly than `least`."""
    out, level = _print(node)
    return out if level >= least else f"({out})"


def _print(node: ast.expr) -> tuple[str, int]:
    """Text and binding strength, which the tree keeps: larger trees that it becomes part of ask again.

    A tree that is changed afterwards does not pass for what its text says (`check`).
    """
    if isinstance(node, ast.Name):
        return node.id, ATOM
    known: tuple[str, int] | None = getattr(node, "printed", None)
    if known is None:
        known = node.printed = _printed(node)  # type: ignore[attr-defined]
    return known


def _printed(node: ast.expr) -> tuple[str, int]:
    if isinstance(node, ast.Constant):
        return _constant(node.value)
    if isinstance(node, ast.BinOp):
        return _binary(node)
    if isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.Not):
            return f"not {operand(node.operand, NOT)}", NOT
        sign = "~" if isinstance(node.op, ast.Invert) else "-"
        is_power = isinstance(node.operand, ast.BinOp) and isinstance(node.operand.op, ast.Pow)
        return sign + operand(node.operand, ATOM if is_power else UNARY), UNARY
    if isinstance(node, ast.Compare):
        sign, level = OPERATORS[type(node.ops[0])]
        return f"{operand(node.left, level + 1)} {sign} {operand(node.comparators[0], level + 1)}", level
    if isinstance(node, ast.BoolOp):
        sign, level = OPERATORS[type(node.op)]
        return f" {sign} ".join(operand(v, level + 1) for v in node.values), level
    if isinstance(node, ast.IfExp):
        return f"{operand(node.body, 1)} if {operand(node.test, 1)} else {operand(node.orelse, 0)}", 0
    return _atom(node), ATOM


def _atom(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        value = operand(node.value, ATOM)
        return f"({value}).{node.attr}" if value.isdigit() else f"{value}.{node.attr}"
    if isinstance(node, ast.Call):
        return f"{operand(node.func, ATOM)}({', '.join(_arguments(node))})"
    if isinstance(node, ast.Subscript):
        return f"{operand(node.value, ATOM)}[{_subscript(node.slice)}]"
    if isinstance(node, ast.Tuple):
        items = [text(e) for e in node.elts]
        return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
    if isinstance(node, ast.List):
        return f"[{', '.join(text(e) for e in node.elts)}]"
    if isinstance(node, ast.Dict):
        return "{" + ", ".join(_entries(node)) + "}"
    if isinstance(node, ast.GeneratorExp):  # stands in a call alone, which is its brackets
        return f"{text(node.elt)} {' '.join(_loops(node))}"
    if isinstance(node, ast.DictComp):
        return "{" + " ".join(comprehended(node)) + "}"
    if isinstance(node, ast.JoinedStr):
        return f'f"{"".join(_part(v) for v in node.values)}"'
    if isinstance(node, ast.Starred):
        return f"*{operand(node.value, 5)}"
    raise InternalError(f"emitted code has no {type(node).__name__}")


def _loops(node: ast.GeneratorExp | ast.DictComp) -> list[str]:
    """`for name, shape in shapes.items()`, each loop of a comprehension."""
    loops = [(g.target, text(g.iter)) for g in node.generators]
    targets = [", ".join(text(e) for e in t.elts) if isinstance(t, ast.Tuple) else text(t) for t, _ in loops]
    return [f"for {target} in {values}" for target, (_, values) in zip(targets, loops, strict=True)]


def comprehended(node: ast.DictComp) -> list[str]:
    """What a dict is made of, and from what: the parts between which a line may break."""
    return [f"{text(node.key)}: {text(node.value)}", *_loops(node)]


def _part(node: ast.expr) -> str:
    """A part of a formatted string: names of parameters and variables, in which nothing is to be escaped."""
    if isinstance(node, ast.FormattedValue):
        return "{" + text(node.value) + "}"
    assert isinstance(node, ast.Constant)
    return str(node.value)


def _constant(value: object) -> tuple[str, int]:
    if isinstance(value, str):
        quoted = repr(value)
        if quoted[0] == "'" and '"' not in value:
            quoted = '"' + quoted[1:-1].replace("\\'", "'") + '"'
        return quoted, ATOM
    out = "..." if value is ... else repr(value)
    return out, UNARY if out.startswith("-") else ATOM


def _binary(node: ast.BinOp) -> tuple[str, int]:
    sign, level = OPERATORS[type(node.op)]
    if isinstance(node.op, ast.Pow):
        left, right = operand(node.left, ATOM), operand(node.right, UNARY)
        close = _is_simple(node.left) and _is_simple(node.right) and not left.startswith("(")
        return (f"{left}**{right}" if close else f"{left} ** {right}"), level
    return f"{operand(node.left, level)} {sign} {operand(node.right, level + 1)}", level


def _is_simple(node: ast.expr) -> bool:
    """Operands that the formatter sets a power close to."""
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and _is_simple(node.operand)
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) or (
            isinstance(node.value, ast.Attribute) and _is_simple(node.value)
        )
    return isinstance(node, (ast.Name, ast.Constant))


def _subscript(node: ast.expr) -> str:
    if isinstance(node, ast.Tuple) and node.elts:
        items = [_slice(e) if isinstance(e, ast.Slice) else text(e) for e in node.elts]
        return ", ".join(items) + ("," if len(items) == 1 else "")
    return _slice(node) if isinstance(node, ast.Slice) else text(node)


def _slice(node: ast.Slice) -> str:
    ends = [None if e is None else text(e) for e in (node.lower, node.upper)]
    roomy = any(e is not None and not _is_plain(e) for e in (node.lower, node.upper))
    if not roomy:
        return f"{ends[0] or ''}:{ends[1] or ''}"
    return f"{ends[0]} : {ends[1]}".strip() if all(ends) else f"{ends[0]} :" if ends[0] else f": {ends[1]}"


def _is_plain(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _is_plain(node.operand)
    return isinstance(node, (ast.Name, ast.Constant))


def _arguments(node: ast.Call) -> list[str]:
    return [
        *(text(a) for a in node.args),
        *(f"{k.arg}={text(k.value)}" if k.arg else f"**{operand(k.value, ATOM)}" for k in node.keywords),
    ]


def _entries(node: ast.Dict) -> list[str]:
    keys = [None if k is None else text(k) for k in node.keys]
    return [
        f"{k}: {text(v)}" if k is not None else f"**{text(v)}" for k, v in zip(keys, node.values, strict=True)
    ]


LONG, RUN = 4000, 64
"""Texts longer than this are held against their trees in parts: lists of more than so many entries by such
runs of them, for the tree that Python makes of a text is many times as large."""


def check(value: ast.expr) -> None:
    """Hold the text of a tree against it: printing must never change a meaning."""
    left = [value]
    while left:
        part = left.pop()
        if len(text(part)) > LONG:
            part = _outline(part, left)
        flat = text(part)
        if not _is_same(ast.parse(flat, mode="eval").body, part):
            raise InternalError(f"printed expression reads differently: {flat}")


def _outline(node: ast.expr, runs: list[ast.expr]) -> ast.expr:
    """A tree in which a name stands for every long list; takes the runs of their entries."""
    if len(text(node)) <= LONG:
        return node
    if isinstance(node, ast.Call):
        keywords = [ast.keyword(k.arg, _outline(k.value, runs)) for k in node.keywords]
        return ast.Call(node.func, [_outline(a, runs) for a in node.args], keywords)
    if not isinstance(node, (ast.List, ast.Tuple, ast.Dict)):
        return node
    count = len(node.values if isinstance(node, ast.Dict) else node.elts)
    if count > RUN:
        runs += [_entries_of(node, slice(at, at + RUN)) for at in range(0, count, RUN)]
        return ast.Name("_", ast.Load())
    if isinstance(node, ast.Dict):
        return ast.Dict(node.keys, [_outline(v, runs) for v in node.values])
    return type(node)([_outline(e, runs) for e in node.elts], ast.Load())


def _entries_of(node: ast.List | ast.Tuple | ast.Dict, run: slice) -> ast.expr:
    """A list of some entries of a list."""
    if isinstance(node, ast.Dict):
        return ast.Dict(node.keys[run], node.values[run])
    return type(node)(node.elts[run], ast.Load())


def _is_same(a: Any, b: Any) -> bool:
    """Whether two trees are the same but for their places in a text."""
    pairs = [(a, b)]
    while pairs:
        a, b = pairs.pop()
        kind = type(a)
        if kind is not type(b):
            return False
        if kind is ast.Name:
            if a.id != b.id:
                return False
        elif kind is ast.Attribute:
            if a.attr != b.attr:
                return False
            pairs.append((a.value, b.value))
        elif kind is list:
            if len(a) != len(b):
                return False
            pairs += zip(a, b, strict=True)
        elif isinstance(a, ast.AST):
            for field in a._fields:
                pairs.append((getattr(a, field, None), getattr(b, field, None)))
        elif a is not b and repr(a) != repr(b):  # which tells 0.0 from -0.0, and nan equals itself
            return False
    return True
