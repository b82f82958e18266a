"""Expressions as text with places where lines may break, and the choice of those places.

Assumes a syntax tree as `parse` makes it. Promises that the text of an expression parses back to
an equal tree, with no more parentheses than the precedence of its operators asks for; that the
result depends on the tree alone; linear time; and no recursion, for expressions nest without limit.

A document is a list of pieces: strings, `Open` and `Close` around a group, and `Break` where a line
may end. A group that fits on its line is set flat; in one that does not, every hard break ends the
line, and a soft one does where what follows it would not fit (as in Oppen, "Prettyprinting", 1980).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from .. import syntax as s

WIDTH = 88
INDENT = 4

# Binding of the operators, loosest first (design 1.5); `^` and unary minus see `_binary`, `_pieces`.
PIPE, OR, AND, NOT, COMPARE, SUM, PRODUCT, SIGN, POWER, PRIMARY = range(10)
_LEVELS = {
    "or": OR,
    "and": AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), COMPARE),
    **dict.fromkeys(("+", "-"), SUM),
    **dict.fromkeys(("*", "/", "%", "@"), PRODUCT),
    "^": POWER,
}


class Open(NamedTuple):
    """Begins a group, whose broken lines are indented once more than the line it begins in."""


class Close(NamedTuple):
    """Ends a group."""


class Break(NamedTuple):
    """A place where the line may end; `flat` stands there if it does not, `broken` if it does."""

    flat: str
    hard: bool = True
    dedent: bool = False
    broken: str = ""


class Part(NamedTuple):
    """An expression still to be turned into pieces, in parentheses if it binds less than `level`."""

    node: s.Expr | s.Keyword | s.Slice | s.Wildcard | s.TypeExpr
    level: int = PIPE


Piece: TypeAlias = str | Open | Close | Break | Part

COMMA = (",", Break(" ", hard=False))
_OPEN, _CLOSE = Open(), Close()


# ---------------------------------------------------------------------------------------
# Pieces


def joined(items: Iterable[Sequence[Piece]]) -> list[Piece]:
    """Items separated by commas outside brackets, as a group."""
    out: list[Piece] = [_OPEN]
    for number, item in enumerate(items):
        if number:
            out += COMMA
        out += item
    out.append(_CLOSE)
    return out


def bracketed(
    opener: str, items: Sequence[Sequence[Piece]], closer: str, *, fill: bool = False
) -> list[Piece]:
    """Items separated by commas in brackets: one a line if they do not fit, or filling lines."""
    if not items:
        return [opener + closer]
    out: list[Piece] = [opener, _OPEN, Break("")]
    for number, item in enumerate(items):
        if number:
            out += (",", Break(" ", hard=not fill))
        out += item
    out += (Break("", dedent=True, broken=","), _CLOSE, closer)
    return out


def enclosed(opener: str, inner: Sequence[Piece], closer: str) -> list[Piece]:
    """One thing in brackets, where no comma may follow it."""
    return [opener, _OPEN, Break(""), *inner, Break("", dedent=True), _CLOSE, closer]


def quoted(text: str) -> str:
    """A string literal."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t")):
        text = text.replace(plain, escaped)
    return f'"{text}"'


def number(value: int | float) -> str:
    """The shortest literal that reads back as the same number."""
    mantissa, e, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa


def callee(call: s.Call, *, bare: bool) -> list[Piece]:
    """A call; with `bare`, one without arguments is its name alone."""
    if bare and not call.args and not call.keywords:
        return [call.func]
    return [call.func, *bracketed("(", [[Part(item)] for item in (*call.args, *call.keywords)], ")")]


def typed(kind: s.TypeExpr) -> list[Piece]:
    """The type of an input, target or parameter of a block."""
    out: list[Piece] = []
    if kind.kind == "class":
        inner = kind.names if kind.classes is None else (kind.classes,)
        out += ["class", *bracketed("(", [[Part(item)] for item in inner], ")")]
    elif kind.kind != "real" or not kind.shape:
        out.append(kind.kind)
    return out + shape(kind.shape) if kind.shape else out


def shape(dims: Sequence[s.Expr | s.Wildcard]) -> list[Piece]:
    """A shape in square brackets."""
    return bracketed("[", [[Part(dim)] for dim in dims], "]")


def _level(node: object) -> int:
    """How tightly an expression binds."""
    if isinstance(node, s.Binary):
        return _LEVELS[node.op]
    if isinstance(node, s.Unary):
        return NOT if node.op == "not" else SIGN
    if isinstance(node, s.Pipe):
        return PIPE
    if isinstance(node, s.Number) and node.value < 0:
        return SIGN
    return PRIMARY


def _pieces(node: object) -> list[Piece]:
    """One level of an expression."""
    match node:
        case s.Number(value):
            return [number(value)]
        case s.String(value):
            return [quoted(value)]
        case s.Name(name):
            return [name]
        case s.Wildcard():
            return ["_"]
        case s.Unary("not", operand):
            return ["not ", Part(operand, NOT)]
        case s.Unary(op, operand):
            return [op, Part(operand, SIGN)]
        case s.Binary():
            return _binary(node)
        case s.Keyword(name, value):
            return [f"{name}=", Part(value)]
        case s.Call():
            return callee(node, bare=False)
        case s.Pipe():
            return _pipe(node)
        case s.Member(value, name):
            return [Part(value, PRIMARY), f".{name}"]
        case s.Slice(start, stop):
            return [*([Part(start)] if start else []), ":", *([Part(stop)] if stop else [])]
        case s.Index(value, items):
            return [Part(value, PRIMARY), *bracketed("[", [[Part(item)] for item in items], "]")]
        case s.ListExpr(items):
            simple = all(isinstance(item, (s.Number, s.Name, s.Unary)) for item in items)
            return bracketed("[", [[Part(item)] for item in items], "]", fill=simple)
        case s.TypeExpr():
            return typed(node)
    raise TypeError(f"not an expression: {type(node).__name__}")


def _binary(node: s.Binary) -> list[Piece]:
    """Operators of one level in a row, with breaks after them; `^` stays together."""
    level = _LEVELS[node.op]
    if node.op == "^":
        # It groups to the right, and its exponent may carry a sign: 2^-1.
        return [Part(node.left, PRIMARY), "^", Part(node.right, SIGN)]
    rest: list[tuple[str, s.Expr]] = [(node.op, node.right)]
    first = node.left
    while level != COMPARE and isinstance(first, s.Binary) and _LEVELS[first.op] == level:
        rest.append((first.op, first.right))
        first = first.left
    out: list[Piece] = [_OPEN, Part(first, level + 1)]
    for op, right in reversed(rest):
        out += (f" {op}", Break(" ", hard=False), Part(right, level + 1))
    out.append(_CLOSE)
    return out


def _pipe(node: s.Pipe) -> list[Piece]:
    """A chain of `|>`: each on a line of its own if they do not fit on one."""
    calls = [node.call]
    value = node.value
    while isinstance(value, s.Pipe):
        calls.append(value.call)
        value = value.value
    out: list[Piece] = [_OPEN, Part(value, OR)]
    for call in reversed(calls):
        out += (Break(" "), "|> ", *callee(call, bare=True))
    out.append(_CLOSE)
    return out


def _expand(pieces: Sequence[Piece]) -> list[str | Open | Close | Break]:
    """The pieces with every expression in them written out."""
    out: list[str | Open | Close | Break] = []
    waiting = list(reversed(pieces))
    while waiting:
        piece = waiting.pop()
        if not isinstance(piece, Part):
            out.append(piece)
            continue
        inner = _pieces(piece.node)
        if _level(piece.node) < piece.level:
            inner = enclosed("(", inner, ")")
        waiting += reversed(inner)
    return out


# ---------------------------------------------------------------------------------------
# Lines


def flat(pieces: Sequence[Piece]) -> str:
    """The text of a document on one line, however long."""
    texts = (p.flat if isinstance(p, Break) else p for p in _expand(pieces))
    return "".join(text for text in texts if isinstance(text, str))


def layout(pieces: Sequence[Piece], indent: int = 0) -> str:
    """The text of a document that begins at column `indent`, broken to fit in `WIDTH` columns.

    The first line comes without its indentation, the others with theirs.
    """
    plain = _expand([_OPEN, *pieces, _CLOSE])
    before, ends, next_break = _measure(plain)
    out: list[str] = []
    column = line_indent = indent
    groups: list[tuple[bool, int]] = []
    for at, piece in enumerate(plain):
        if isinstance(piece, str):
            out.append(piece)
            column += len(piece)
        elif isinstance(piece, Open):
            outer_flat = bool(groups) and not groups[-1][0]
            # What follows the group up to the next break has to fit on its line, too.
            width = before[next_break[ends[at]]] - before[at]
            broken = not outer_flat and column + width > WIDTH
            groups.append((broken, line_indent))
        elif isinstance(piece, Close):
            groups.pop()
        else:
            broken, base = groups[-1]
            following = before[ends[at]] - before[at + 1]
            if broken and (piece.hard or column + len(piece.flat) + following > WIDTH):
                line_indent = base if piece.dedent else base + INDENT
                out.append(f"{piece.broken}\n{' ' * line_indent}")
                column = line_indent
            else:
                out.append(piece.flat)
                column += len(piece.flat)
    return "".join(out)


def _measure(pieces: Sequence[str | Open | Close | Break]) -> tuple[list[int], list[int], list[int]]:
    """What `layout` looks up: for each place the flat width before it, for each `Open` its `Close`
    and for each `Break` the end of what follows it in its line, for each place the next break.
    """
    count = len(pieces)
    before = [0] * (count + 1)
    for at, piece in enumerate(pieces):
        text = piece.flat if isinstance(piece, Break) else piece
        before[at + 1] = before[at] + (len(text) if isinstance(text, str) else 0)
    ends, next_break = [count] * count, [count] * (count + 1)
    # Read backwards: per open group, where the group or what follows the last break seen ends.
    following: list[int] = []
    closes: list[int] = []
    for at in range(count - 1, -1, -1):
        piece = pieces[at]
        next_break[at] = at if isinstance(piece, Break) else next_break[at + 1]
        if isinstance(piece, Close):
            closes.append(at)
            following.append(next_break[at])
        elif isinstance(piece, Open):
            ends[at] = closes.pop()
            following.pop()
        elif isinstance(piece, Break):
            ends[at] = following[-1]
            following[-1] = at
    return before, ends, next_break
