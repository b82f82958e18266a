"""The `train` and `data` statements: checked here, used by the simulator and the trainers."""

from __future__ import annotations

from typing import Any

from ..errors import did_you_mean, shorten
from ..ops.base import Attr
from ..ops.optimiser import OPTIMISERS, SCHEDULES
from ..syntax import Call, DataFileStmt, DataMadeStmt, DataTableStmt, Expr, Name, TrainStmt
from .calls import attr_value, bind
from .expr import Expressions
from .program import Training
from .scope import Scope
from .static import Skip, evaluate

SETTINGS = {
    "epochs": Attr("epochs", "int"),
    "steps": Attr("steps", "int"),
    "batch": Attr("batch", "int"),
    "seed": Attr("seed", "int", 0),
    "clip": Attr("clip", "float"),
    "freeze": Attr("freeze", "str"),
    "lr": Attr("lr", "float"),
}
"""What may stand after the optimiser; `lr` only inside it."""

POSITIVE = ("epochs", "steps", "batch", "clip")


def read_training(statement: TrainStmt, scope: Scope, expressions: Expressions) -> Training:
    """The checked `train` statement. Raises Skip after reporting an error."""
    call = statement.optimiser
    cls = OPTIMISERS.get(call.func)
    if cls is None:
        cure = did_you_mean(call.func, OPTIMISERS) or f"optimisers are {', '.join(OPTIMISERS)}"
        scope.found.report(
            "E0104", f"there is no optimiser `{shorten(call.func)}`", call.func_span, "not known", help=cure
        )
        raise Skip
    plain, rate = _take_rate(call)
    attrs = bind(cls, plain, None, expressions.static, scope.found).attrs
    if rate is not None:
        attrs["lr"] = _schedule(rate, scope, expressions)
    optimiser = cls(**attrs)
    _check_ranges(optimiser, call, scope)
    settings: dict[str, Any] = {}
    for keyword in statement.settings:
        attr = SETTINGS.get(keyword.name)
        if attr is None or keyword.name == "lr":
            cure = did_you_mean(keyword.name, SETTINGS) or "settings are epochs, steps, batch, seed, clip, freeze"
            if keyword.name == "lr":
                cure = f"the rate belongs to the optimiser: `{call.func}(lr=...)`"
            scope.found.report(
                "E0402", f"`train` has no setting `{shorten(keyword.name)}`", keyword.span, "not known", help=cure
            )
            continue
        if keyword.name in settings:
            scope.found.report("E0403", f"`{keyword.name}` is given twice", keyword.span, "given again here")
            continue
        try:
            settings[keyword.name] = _setting(attr, keyword.value, scope, expressions)
        except Skip:
            continue
    if "epochs" in settings and "steps" in settings:
        scope.found.report(
            "E0403", "`train` has both epochs and steps", statement.span, "one of them is enough", help="give one"
        )
    return Training(optimiser, settings, statement.span)


def _setting(attr: Attr, expr: Expr, scope: Scope, expressions: Expressions) -> Any:
    if attr.name == "batch" and isinstance(expr, Name) and expr.name == "all":
        return "all"
    value = attr_value("train", attr, expr, expressions.static, scope.found)
    low = 0 if attr.name == "seed" else None
    bad = (attr.name in POSITIVE and value <= 0) or (low is not None and value < low)
    if bad:
        scope.found.report(
            "E0404",
            f"`{attr.name}` must be {'at least 0' if attr.name == 'seed' else 'more than 0'}",
            expr.span,
            f"this is {value}",
        )
        raise Skip
    return value


def _take_rate(call: Call) -> tuple[Call, Expr | None]:
    """The optimiser's call without an `lr=schedule(...)`, and that schedule."""
    kept, rate = [], None
    for keyword in call.keywords:
        if keyword.name == "lr" and isinstance(keyword.value, Call):
            rate = keyword.value
        else:
            kept.append(keyword)
    args = list(call.args)
    if args and isinstance(args[0], Call) and rate is None:
        rate = args.pop(0)  # type: ignore[assignment]
    return Call(call.func, tuple(args), tuple(kept), call.func_span, call.span), rate


def _schedule(expr: Expr, scope: Scope, expressions: Expressions) -> Any:
    assert isinstance(expr, Call)
    cls = SCHEDULES.get(expr.func)
    if cls is None:
        cure = did_you_mean(expr.func, SCHEDULES) or f"schedules are {', '.join(SCHEDULES)}"
        scope.found.report(
            "E0104",
            f"there is no learning-rate schedule `{shorten(expr.func)}`",
            expr.func_span,
            "not known",
            help=cure,
        )
        raise Skip
    schedule = cls(**bind(cls, expr, None, expressions.static, scope.found).attrs)
    _check_ranges(schedule, expr, scope)
    return schedule


def _check_ranges(made: Any, call: Call, scope: Scope) -> None:
    for problem in made.problems():
        scope.found.report("E0404", problem, call.span, "out of range")


def read_data(statement: Any, scope: Scope, expressions: Expressions) -> Any:
    """The `data` statement, its static parts checked."""
    assert isinstance(statement, (DataFileStmt, DataTableStmt, DataMadeStmt))
    if isinstance(statement, DataFileStmt) and statement.split is not None:
        value = evaluate(statement.split, expressions.static, scope.found)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
            scope.found.report(
                "E0404", "`split` is the share used for training, between 0 and 1", statement.split.span, "not so"
            )
            raise Skip
    return statement
