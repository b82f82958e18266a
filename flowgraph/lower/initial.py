"""Initial values of params: an initialiser, a number or a nested list.

Promises the type a `param` statement declares, its `_` unknown or filled in from a list, and
the initialiser that makes its first values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import Diagnostics, shorten
from ..ops.init import INITS
from ..ops.leaf import Array
from ..syntax import Call, Expr, ListExpr, ParamStmt, Wildcard
from ..types import REAL, Dim, Origin, Size, TensorType, Unknown, shape_text
from .calls import bind
from .scope import Scope
from .static import Lookup, Skip, evaluate, in_range, rectangular, shown


class Initial:
    """Reads the initial values of one scope's params."""

    def __init__(self, scope: Scope, lookup: Lookup) -> None:
        self.found: Diagnostics = scope.found
        self.lookup = lookup

    def read(self, statement: ParamStmt, size: Callable[[Expr], Size]) -> tuple[TensorType, Any]:
        """The type and the initialiser of a param; `size` evaluates a size.

        Raises Skip after reporting an error.
        """
        if statement.init is None:
            name = shorten(statement.name)
            written = name if statement.shape is None else f"{name} : {_written(statement)}"
            self.found.report(
                "E0208",
                f"the param `{name}` has no initial value",
                statement.name_span,
                "nothing to start from",
                help=f"write `param {written} = normal(0.1)`, another initialiser, or a number",
            )
            raise Skip
        init, listed = self._initialiser(statement.init)
        declared: Any = None
        if statement.shape is not None:
            declared = tuple(
                Unknown(Origin("`_`", s.span)) if isinstance(s, Wildcard) else size(s)
                for s in statement.shape
            )
        if declared is not None and listed is not None:
            self._check_list(declared, listed, statement)
        shape: tuple[Size, ...] = listed or declared or ()
        self._check_fit(init, shape, statement)
        return TensorType(REAL, shape), init

    def _initialiser(self, expr: Expr) -> tuple[Any, tuple[Dim, ...] | None]:
        """The initialiser, and the shape where the initial value is a list."""
        if isinstance(expr, Call):
            if expr.func not in public_inits():
                self.found.report(
                    "E0104",
                    f"there is no initialiser `{shorten(expr.func)}`",
                    expr.func_span,
                    "not known",
                    help=self.found.closest(expr.func, public_inits()) or _known(),
                )
                raise Skip
            cls: Any = INITS[expr.func]
            return cls(**bind(cls, expr, None, self.lookup, self.found).attrs), None
        value = evaluate(expr, self.lookup, self.found)
        if isinstance(value, list):
            array = Array(rectangular(value, expr.span, self.found))
            spans = _list_spans(expr, array.data.ndim)
            shape = tuple(Dim.of(n, Origin("", s)) for n, s in zip(array.data.shape, spans, strict=True))
            return INITS["given"](value=array), shape
        if isinstance(value, Dim) and value.value is not None:
            value = value.value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return INITS["constant"](value=in_range(value)), None
        self.found.report(
            "E0208",
            "an initial value is an initialiser, a number or a nested list",
            expr.span,
            f"this is {shown(value)}",
            help=_known(),
        )
        raise Skip

    def _check_list(self, declared: tuple[Size, ...], listed: tuple[Dim, ...], statement: ParamStmt) -> None:
        """Report a list that does not have the declared shape."""
        pairs = zip(declared, listed, strict=False)
        if len(declared) == len(listed) and all(isinstance(d, Unknown) or d == n for d, n in pairs):
            return
        assert statement.init is not None
        self.found.report(
            "E0310",
            "the initial value does not have the declared shape",
            statement.init.span,
            f"this list is {shape_text(listed)}",
            labels=[(statement.name_span, f"declared as {shape_text(declared)}")],
            help="make the list and the declared shape agree, or write `_` for a size that the list gives",
        )
        raise Skip

    def _check_fit(self, init: Any, shape: tuple[Size, ...], statement: ParamStmt) -> None:
        """Report an initialiser that cannot fill an array of this shape."""
        problem = init.misfit(shape)
        if not problem:
            return
        assert statement.init is not None
        self.found.report(
            "E0404",
            problem,
            statement.init.span,
            "cannot fill this param",
            labels=[(statement.name_span, f"`{shorten(statement.name)}` is {_described(shape)}")],
            help="`normal(0.1)` and `uniform(-1, 1)` fill arrays of any shape",
        )
        raise Skip


def public_inits() -> list[str]:
    """The initialisers that users may write."""
    return [name for name, cls in INITS.items() if cls.public]


def _known() -> str:
    return f"initialisers are {', '.join(public_inits())}"


def _described(shape: tuple[Size, ...]) -> str:
    return shape_text(shape) if shape else "a single number"


def _written(statement: ParamStmt) -> str:
    assert statement.shape is not None
    return f"[{', '.join(shorten(' '.join(s.span.text.split()), 20) for s in statement.shape)}]"


def _list_spans(expr: Expr, rank: int) -> list[Any]:
    """A place for each axis of a nested list: the list itself, its first row, ..."""
    spans = []
    for _ in range(rank):
        spans.append(expr.span)
        expr = expr.items[0] if isinstance(expr, ListExpr) and expr.items else expr
    return spans
