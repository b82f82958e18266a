"""Python syntax trees to formatted text: the printer of all emitted code.

Assumes the subset of Python that the emitters build. Promises text that parses back to the
same tree (checked for every statement) and is laid out as `ruff format` would at 88 columns,
so no emitted parenthesis can be wrong and no file needs formatting afterwards.
"""

from __future__ import annotations

import ast
from typing import Any

from ..errors import InternalError

WIDTH = 88
INDENT = "    "

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


def _inner(node: ast.expr, least: int) -> str:
    """An operand, in parentheses if it binds less tightly than `least`."""
    out, level = _print(node)
    return out if level >= least else f"({out})"


def _print(node: ast.expr) -> tuple[str, int]:
    """Text and binding strength, which the tree keeps: larger trees that it becomes part of ask again.

    A tree that is changed afterwards does not pass for what its text says (`_check`).
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
            return f"not {_inner(node.operand, NOT)}", NOT
        sign = "~" if isinstance(node.op, ast.Invert) else "-"
        is_power = isinstance(node.operand, ast.BinOp) and isinstance(node.operand.op, ast.Pow)
        return sign + _inner(node.operand, ATOM if is_power else UNARY), UNARY
    if isinstance(node, ast.Compare):
        sign, level = OPERATORS[type(node.ops[0])]
        return f"{_inner(node.left, level + 1)} {sign} {_inner(node.comparators[0], level + 1)}", level
    if isinstance(node, ast.BoolOp):
        sign, level = OPERATORS[type(node.op)]
        return f" {sign} ".join(_inner(v, level + 1) for v in node.values), level
    if isinstance(node, ast.IfExp):
        return f"{_inner(node.body, 1)} if {_inner(node.test, 1)} else {_inner(node.orelse, 0)}", 0
    return _atom(node), ATOM


def _atom(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        value = _inner(node.value, ATOM)
        return f"({value}).{node.attr}" if value.isdigit() else f"{value}.{node.attr}"
    if isinstance(node, ast.Call):
        return f"{_inner(node.func, ATOM)}({', '.join(_arguments(node))})"
    if isinstance(node, ast.Subscript):
        return f"{_inner(node.value, ATOM)}[{_subscript(node.slice)}]"
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
        return "{" + " ".join(_comprehended(node)) + "}"
    if isinstance(node, ast.JoinedStr):
        return f'f"{"".join(_part(v) for v in node.values)}"'
    if isinstance(node, ast.Starred):
        return f"*{_inner(node.value, 5)}"
    raise InternalError(f"emitted code has no {type(node).__name__}")


def _loops(node: ast.GeneratorExp | ast.DictComp) -> list[str]:
    """`for name, shape in shapes.items()`, each loop of a comprehension."""
    loops = [(g.target, text(g.iter)) for g in node.generators]
    targets = [", ".join(text(e) for e in t.elts) if isinstance(t, ast.Tuple) else text(t) for t, _ in loops]
    return [f"for {target} in {values}" for target, (_, values) in zip(targets, loops, strict=True)]


def _comprehended(node: ast.DictComp) -> list[str]:
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
        left, right = _inner(node.left, ATOM), _inner(node.right, UNARY)
        close = _is_simple(node.left) and _is_simple(node.right) and not left.startswith("(")
        return (f"{left}**{right}" if close else f"{left} ** {right}"), level
    return f"{_inner(node.left, level)} {sign} {_inner(node.right, level + 1)}", level


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
        *(f"{k.arg}={text(k.value)}" if k.arg else f"**{_inner(k.value, ATOM)}" for k in node.keywords),
    ]


def _entries(node: ast.Dict) -> list[str]:
    keys = [None if k is None else text(k) for k in node.keys]
    return [
        f"{k}: {text(v)}" if k is not None else f"**{text(v)}" for k, v in zip(keys, node.values, strict=True)
    ]


# ---------------------------------------------------------------------------------------
# Statements


def assign(target: str, value: ast.expr, *, depth: int = 1, note: str = "") -> list[str]:
    """`target = value` as lines; `note` becomes a comment where there is room for it."""
    return _noted(_lines(f"{target} = ", value, depth), note, depth)


def augment(target: str, value: ast.expr, *, by: str = "+", depth: int = 1, note: str = "") -> list[str]:
    """`target += value` as lines; by: the operator."""
    return _noted(_lines(f"{target} {by}= ", value, depth), note, depth)


def expression(value: ast.expr, *, depth: int = 1) -> list[str]:
    """An expression as a statement."""
    return _lines("", value, depth)


def returns(value: ast.expr, *, depth: int = 1) -> list[str]:
    """`return value` as lines; a tuple of several stands without parentheses where it fits."""
    if isinstance(value, ast.Tuple) and len(value.elts) > 1:
        bare = INDENT * depth + f"return {', '.join(text(e) for e in value.elts)}"
        if len(bare) <= WIDTH:
            return [bare]
    return _lines("return ", value, depth)


def signature(title: str, arguments: list[str], *, depth: int = 0) -> list[str]:
    """`def title(arguments):` as lines."""
    indent = INDENT * depth
    flat = ", ".join(arguments)
    if len(indent) + len(f"def {title}({flat}):") <= WIDTH:
        return [f"{indent}def {title}({flat}):"]
    if len(indent) + len(INDENT) + len(flat) <= WIDTH:
        return [f"{indent}def {title}(", f"{indent}{INDENT}{flat}", f"{indent}):"]
    return [f"{indent}def {title}(", *(f"{indent}{INDENT}{a}," for a in arguments), f"{indent}):"]


def fits(prefix: str, value: ast.expr, depth: int = 1) -> bool:
    """Whether the statement stands on one line."""
    return len(INDENT) * depth + len(prefix) + len(text(value)) <= WIDTH


def _noted(lines: list[str], note: str, depth: int) -> list[str]:
    if not note:
        return lines
    if len(lines) == 1 and len(lines[0]) + len(note) + 4 <= WIDTH:
        return [f"{lines[0]}  # {note}"]
    return [f"{INDENT * depth}# {note}", *lines]


def _lines(prefix: str, value: ast.expr, depth: int) -> list[str]:
    flat = text(value)
    _check(flat, value)
    indent = INDENT * depth
    if len(indent) + len(prefix) + len(flat) <= WIDTH and not _one_each(value):
        return [indent + prefix + flat]
    bracket = _bracketed(value)
    if bracket is not None:
        return _explode(indent + prefix, bracket, value, depth, "")
    terms = _terms(value)
    if len(terms) == 2 and isinstance(value, ast.BinOp) and isinstance(value.right, ast.Call):
        broken = _of_two_terms(indent + prefix, terms, value, depth)
        if broken:
            return broken
    if len(terms) > 1:
        inner = INDENT * (depth + 1)
        body = [inner + flat] if len(inner) + len(flat) <= WIDTH else [inner + t for t in terms]
        return [f"{indent}{prefix}(", *body, f"{indent})"]
    return [indent + prefix + flat]


def _of_two_terms(start: str, terms: list[str], value: ast.BinOp, depth: int) -> list[str]:
    """A sum or product whose second operand is a call, broken inside a call as the formatter does, or []."""
    last = _bracketed(value.right)
    opening = f"{start}{terms[0]} {terms[1].split(' ', 1)[0]} "
    if last is not None and len(opening) + len(last[0]) + 1 <= WIDTH:
        return _explode(opening, last, value.right, depth, "")
    first = _bracketed(value.left) if isinstance(value.left, ast.Call) else None
    if last is None or first is None or len(INDENT) * depth + 2 + len(terms[1]) > WIDTH:
        return []
    return _explode(start, first, value.left, depth, f" {terms[1]}")


def _bracketed(value: ast.expr) -> tuple[str, str, str] | None:
    """Head, opening and closing bracket of an expression that can be broken inside them."""
    if isinstance(value, ast.Call) and (value.args or value.keywords):
        return text(value.func), "(", ")"
    if isinstance(value, ast.List) and value.elts:
        return "", "[", "]"
    if isinstance(value, ast.Tuple) and value.elts:
        return "", "(", ")"
    if isinstance(value, ast.DictComp) or (isinstance(value, ast.Dict) and value.keys):
        return "", "{", "}"
    return None


def _children(value: ast.expr) -> list[tuple[str, ast.expr]]:
    if isinstance(value, ast.Call):
        named = [(f"{k.arg}=" if k.arg else "**", k.value) for k in value.keywords]
        return [*(("", a) for a in value.args), *named]
    if isinstance(value, ast.Dict):
        keys = [f"{text(k)}: " if k is not None else "**" for k in value.keys]
        return list(zip(keys, value.values, strict=True))
    assert isinstance(value, (ast.List, ast.Tuple))
    return [("", e) for e in value.elts]


def _explode(start: str, bracket: tuple[str, str, str], value: ast.expr, depth: int, tail: str) -> list[str]:
    """The contents of a bracket on lines of their own: on one if they fit, else one each."""
    head, opening, closing = bracket
    inner = INDENT * (depth + 1)
    if isinstance(value, ast.DictComp):
        parts = [inner + part for part in _comprehended(value)]
        return [start + opening, *parts, f"{INDENT * depth}{closing}{tail}"]
    children = _children(value)
    flat = ", ".join(p + text(c) for p, c in children)
    if isinstance(value, ast.Call) and not _one_each(value) and len(inner) + len(flat) <= WIDTH:
        return [f"{start}{head}{opening}", inner + flat, f"{INDENT * depth}{closing}{tail}"]
    comma = "" if isinstance(value, ast.Call) and len(children) == 1 else ","
    lines = [f"{start}{head}{opening}"]
    for prefix, child in children:
        whole = inner + prefix + text(child)
        nested = _bracketed(child)
        terms = _terms(child)
        if nested is not None and (len(whole) + 1 > WIDTH or _one_each(child)):
            lines += _explode(inner + prefix, nested, child, depth + 1, comma)
        elif len(terms) > 1 and len(whole) + len(comma) > WIDTH:
            lines += [inner + prefix + terms[0], *(inner + term for term in terms[1:])]
            lines[-1] += comma
        else:
            lines.append(whole + comma)
    lines.append(f"{INDENT * depth}{closing}{tail}")
    return lines


def _one_each(value: ast.expr) -> bool:
    """Calls that read better with one argument a line, and calls around them."""
    if not isinstance(value, ast.Call):
        return False
    named = isinstance(value.func, ast.Name) and value.func.id == "OrderedDict"
    return named or any(_one_each(a) for a in value.args)


def _terms(value: ast.expr) -> list[str]:
    """The operands of a chain of operators of one level, each but the first with its operator.

    Of a choice its three parts.
    """
    if isinstance(value, ast.IfExp):
        body, test, other = _inner(value.body, 1), _inner(value.test, 1), _inner(value.orelse, 0)
        return [body, f"if {test}", f"else {other}"]
    if not isinstance(value, ast.BinOp) or isinstance(value.op, ast.Pow):
        return [text(value)]
    level = OPERATORS[type(value.op)][1]
    out: list[str] = []
    node: ast.expr = value
    while isinstance(node, ast.BinOp) and OPERATORS[type(node.op)][1] == level:
        out.append(f"{OPERATORS[type(node.op)][0]} {_inner(node.right, level + 1)}")
        node = node.left
    out.append(_inner(node, level))
    return out[::-1]


def _check(flat: str, value: ast.expr) -> None:
    """Hold the text against its tree: printing must never change a meaning."""
    if not _is_same(ast.parse(flat, mode="eval").body, value):
        raise InternalError(f"printed expression reads differently: {flat}")


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
        elif kind is list:
            if len(a) != len(b):
                return False
            pairs += zip(a, b, strict=True)
        elif isinstance(a, ast.AST):
            pairs += [(getattr(a, field, None), getattr(b, field, None)) for field in a._fields]
        elif a is not b and repr(a) != repr(b):  # which tells 0.0 from -0.0, and nan equals itself
            return False
    return True
