"""Python syntax trees to formatted text: the printer of all emitted code.

Assumes the subset of Python that the emitters build. Promises text that parses back to the
same tree (checked for every statement) and is laid out as `ruff format` would at 88 columns,
so no emitted parenthesis can be wrong and no file needs formatting afterwards.
"""

from __future__ import annotations

import ast

from .expressions import OPERATORS, check, comprehended, operand, text

__all__ = ["INDENT", "WIDTH", "assign", "augment", "expression", "fits", "returns", "signature", "text"]

WIDTH = 88
INDENT = "    "


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
    check(value)
    indent = INDENT * depth
    if len(indent) + len(prefix) + len(flat) <= WIDTH and not _one_each(value):
        return [indent + prefix + flat]
    if prefix and _stands_alone(value, len(indent) + len(prefix)):
        return [f"{indent}{prefix}(", f"{indent}{INDENT}{flat}", f"{indent})"]
    if isinstance(value, ast.Subscript) and isinstance(value.value, (ast.Name, ast.Attribute)):
        head = text(value.value)
        return [f"{indent}{prefix}{head}[", f"{indent}{INDENT}{flat[len(head) + 1 : -1]}", f"{indent}]"]
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


def _stands_alone(value: ast.expr, before: int) -> bool:
    """Whether a value goes to a line of its own: a name, or a call for whose opening there is no room."""
    if isinstance(value, ast.Name | ast.Attribute):
        return True
    return isinstance(value, ast.Call) and before + len(text(value.func)) + 1 > WIDTH


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
        parts = [inner + part for part in comprehended(value)]
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
        body, test, other = operand(value.body, 1), operand(value.test, 1), operand(value.orelse, 0)
        return [body, f"if {test}", f"else {other}"]
    if not isinstance(value, ast.BinOp) or isinstance(value.op, ast.Pow):
        return [text(value)]
    level = OPERATORS[type(value.op)][1]
    out: list[str] = []
    node: ast.expr = value
    while isinstance(node, ast.BinOp) and OPERATORS[type(node.op)][1] == level:
        out.append(f"{OPERATORS[type(node.op)][0]} {operand(node.right, level + 1)}")
        node = node.left
    out.append(operand(node, level))
    return out[::-1]
