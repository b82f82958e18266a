"""The numpy form of an operation as statements that write into an array that is there already.

Assumes forms as `ops.base` describes them, with operands and attrs in place or not. Promises statements
with the form's value, to rounding, that make no array of its size; forms that it knows none for are the
caller's to compute anew each time.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..template import attribute, call

BINARY: dict[type[ast.AST], str] = {
    ast.Add: "np.add",
    ast.Sub: "np.subtract",
    ast.Mult: "np.multiply",
    ast.Div: "np.divide",
    ast.Pow: "np.power",
    ast.Mod: "np.remainder",
    ast.BitAnd: "np.logical_and",
    ast.BitOr: "np.logical_or",
}
UNARY: dict[type[ast.AST], str] = {ast.USub: "np.negative", ast.Invert: "np.logical_not"}
COMPARED: dict[type[ast.AST], str] = {
    ast.Eq: "np.equal",
    ast.NotEq: "np.not_equal",
    ast.Lt: "np.less",
    ast.LtE: "np.less_equal",
    ast.Gt: "np.greater",
    ast.GtE: "np.greater_equal",
}
REDUCED = {
    "np.sum": "np.add.reduce",
    "np.prod": "np.multiply.reduce",
    "np.max": "np.maximum.reduce",
    "np.min": "np.minimum.reduce",
}
"""numpy's functions along axes, and the ufuncs' methods that they come to, without their detours."""


@dataclass(frozen=True)
class Kernel:
    """How a form is written into an array.

    kind: "each" (entry by entry: what is read may be what is written), "reduce", "matmul" or "copy".
    """

    kind: str
    statements: tuple[ast.expr, ...]

    @property
    def in_place(self) -> bool:
        """Whether the result may take the place of an operand of its shape."""
        return self.kind == "each"


def kernel(form: ast.expr, out: ast.expr) -> Kernel | None:
    """The form written into `out`, or None where it has to make an array of its own."""
    if isinstance(form, ast.BinOp):
        if isinstance(form.op, ast.MatMult):
            return Kernel("matmul", (_into("np.matmul", [form.left, form.right], out),))
        title = BINARY.get(type(form.op))
        operands = [form.left, form.right]
    elif isinstance(form, ast.UnaryOp):
        title, operands = UNARY.get(type(form.op)), [form.operand]
    elif isinstance(form, ast.Compare):
        title, operands = COMPARED[type(form.ops[0])], [form.left, form.comparators[0]]
    elif isinstance(form, ast.Call) and not any(isinstance(a, ast.Starred) for a in form.args):
        return _of_call(form, out)
    else:
        return None
    if title is None or not all(map(_is_given, operands)):
        return None
    return Kernel("each", (_into(title, operands, out),))


def _of_call(form: ast.Call, out: ast.expr) -> Kernel | None:
    title = ast.unparse(form.func)
    if title in REDUCED:
        return _reduction(title, form, out)
    first, _, function = title.partition(".")
    made = getattr(np, function, None) if first == "np" else None
    if title == "np.clip" and all(map(_is_given, form.args)):
        return Kernel("each", (_into(title, form.args, out),))
    if not isinstance(made, np.ufunc) or form.keywords or not all(map(_is_given, form.args)):
        return None
    return Kernel("each", (_into(title, form.args, out),))


def _reduction(title: str, form: ast.Call, out: ast.expr) -> Kernel | None:
    keywords = {k.arg: k.value for k in form.keywords}
    if not all(map(_is_given, form.args)) or len(form.args) != 1 or keywords.keys() - {"axis", "keepdims"}:
        return None
    made = _into(REDUCED[title], form.args, out)
    given = {"axis": ast.Constant(None), **keywords}
    made.keywords = [*(ast.keyword(k, v) for k, v in given.items()), *made.keywords]
    return Kernel("reduce", (made,))


def _into(title: str, operands: Sequence[ast.expr], out: ast.expr) -> ast.Call:
    made = call(title, *operands)
    made.keywords = [ast.keyword("out", out)]
    return made


def _is_given(node: ast.expr) -> bool:
    """Whether an operand is there already: a variable, a number, or what costs nothing."""
    if isinstance(node, ast.UnaryOp):
        return _is_given(node.operand) and isinstance(node.operand, ast.Constant)
    if isinstance(node, ast.Call):  # a size as it counts, max(n, 1)
        return isinstance(node.func, ast.Name) and node.func.id == "max" and all(map(_is_given, node.args))
    return isinstance(node, (ast.Name, ast.Constant, ast.Attribute))


def copy_into(value: ast.expr, out: ast.expr) -> ast.expr:
    """`np.copyto(out, value)`."""
    return call("np.copyto", out, value)


__all__ = ["Kernel", "attribute", "copy_into", "kernel"]
