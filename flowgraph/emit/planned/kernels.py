"""The numpy form of an operation as statements that write into an array that is there already.

Assumes forms as `ops.base` describes them, with operands and attrs in place or not. Promises statements
with the form's value, to rounding, that make no array of its size; forms that it knows none for are the
caller's to compute anew each time.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
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
    elif isinstance(form, ast.Call) and (clipped := _clipped(form, out)) is not None:
        return Kernel("each", (clipped,))
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


def _clipped(form: ast.Call, out: ast.expr) -> ast.expr | None:
    """The larger or smaller of an array and a number by `clip`, which is several times as fast.

    numpy 2.4 has no vector instructions for `maximum` with a number: 1024 x 256 take 150 µs, and 21 so.
    """
    title = ast.unparse(form.func)
    if title not in ("np.maximum", "np.minimum") or len(form.args) != 2 or form.keywords:
        return None
    numbers = [a for a in form.args if isinstance(a, ast.Constant)]
    arrays = [a for a in form.args if isinstance(a, ast.Name)]
    if len(numbers) != 1 or len(arrays) != 1:
        return None
    bounds: list[ast.expr] = [numbers[0], attribute("np.inf")]
    if title == "np.minimum":
        bounds = [ast.UnaryOp(ast.USub(), attribute("np.inf")), numbers[0]]
    return ast.Call(ast.Attribute(arrays[0], "clip", ast.Load()), bounds, [ast.keyword("out", out)])


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


POSITIONAL = {"dot": 2, "copyto": 2}
"""The operands before `out` of functions that are no ufuncs, where a call takes it by place."""
FUNCTIONS = sorted({t for t in dir(np) if isinstance(getattr(np, t), np.ufunc)} | POSITIONAL.keys())
"""Functions of numpy that statements call by variables."""
BY_NAME = ("maximum", "minimum")
"""Ufuncs that numpy wants `out` given to by its name, lest it be taken for one more operand."""


def bound_call(statement: ast.expr, name_of: Callable[[str], str]) -> ast.expr:
    """A call of a function of numpy by a variable that holds it, with `out` as its last argument.

    That is 70 of the 220 ns of a call on small arrays. name_of: gives a function's name its variable.
    """
    if not isinstance(statement, ast.Call) or not isinstance(statement.func, ast.Attribute):
        return statement
    module, title = statement.func.value, statement.func.attr
    function = getattr(np, title, None)
    if not (isinstance(module, ast.Name) and module.id == "np"):
        return statement
    count = function.nin if isinstance(function, np.ufunc) else POSITIONAL.get(title)
    outs = [k.value for k in statement.keywords if k.arg == "out"]
    if count != len(statement.args) or len(outs) != len(statement.keywords):
        return statement
    called = ast.Name(name_of(title), ast.Load())
    if title in BY_NAME:
        return ast.Call(called, statement.args, statement.keywords)
    return ast.Call(called, [*statement.args, *outs], [])


class Put(ast.NodeTransformer):
    """Puts an array in the place of `out`."""

    def __init__(self, out: ast.expr) -> None:
        self.out = out

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.out if node.id == "out" else node


__all__ = ["FUNCTIONS", "Kernel", "Put", "attribute", "bound_call", "copy_into", "kernel"]
