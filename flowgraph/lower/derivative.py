"""What a derivative may be taken with respect to: a name of something that varies.

Assumes a call of `grad` or `jvp` whose arguments are counted. Promises that its second is an
input, a target, a param or a node by its name, or an error with the cure (E0405).
"""

from __future__ import annotations

from ..errors import shorten
from ..syntax import Expr, Index, Member, Name, Number
from .scope import Scope, article
from .static import CONSTANTS, Skip


def check_variable(scope: Scope, request: str, expr: Expr) -> None:
    """Report E0405 and raise Skip unless the expression names something that can vary.

    A name that means nothing is left to whoever looks it up.
    """
    if isinstance(expr, Name):
        symbol = scope.symbols.get(expr.name)
        if expr.name in CONSTANTS:
            _refuse(scope, request, expr, "a constant", "it never varies: name an input, a param or a node")
        elif symbol is not None and symbol.kind in ("size", "const"):
            symbol.used = True
            cure = "it never varies: declare it as a `param` or an `input`, or name something else"
            _refuse(scope, request, expr, f"{article(symbol.kind)}", cure)
        return
    if isinstance(expr, Member) and expr.name != "T":
        if isinstance(expr.value, (Name, Member)):
            return  # `h.xi`, `enc.weight`: whether there is such a member is found where it is read
    elif isinstance(expr, Member):
        cure = (
            "transpose the result: `grad(y, W).T`" if request == "grad" else "give the direction untransposed"
        )
        _refuse(scope, request, expr, "an expression", cure)
    elif isinstance(expr, Index):
        cure = "index the result: `grad(y, x)[0]`"
        if request == "jvp":
            cure = "name the whole, and give a direction that is 0 in its other entries"
        _refuse(scope, request, expr, "a part of something", cure)
    elif isinstance(expr, Number):
        _refuse(scope, request, expr, "a number", "it never varies: name an input, a param or a node")
    cure = "name it in an equation, `u = ...`, make the first argument from `u`, and use `u` here"
    _refuse(scope, request, expr, "an expression", cure)


def _refuse(scope: Scope, request: str, expr: Expr, what: str, cure: str) -> None:
    text = shorten(" ".join(expr.span.text.split()), 40)
    scope.found.report(
        "E0405",
        f"`{request}` is taken with respect to a name",
        expr.span,
        f"`{text}` is {what}",
        help=cure,
    )
    raise Skip
