"""The `train` and `data` statements: checked here, used by the simulator and the trainers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from ..errors import Span, shorten
from ..ops.declared import Attr
from ..ops.optimiser import OPTIMISERS, SCHEDULES
from ..syntax import Call, DataFileStmt, DataMadeStmt, DataTableStmt, Expr, Keyword, Name, Number, TrainStmt
from .calls import attr_value, bind
from .constants import names_in
from .expr import Expressions
from .program import Training
from .scope import Scope
from .static import Skip, evaluate, shown

SETTINGS = {
    "epochs": Attr("epochs", "int"),
    "steps": Attr("steps", "int"),
    "batch": Attr("batch", "int"),
    "seed": Attr("seed", "int", 0),
    "clip": Attr("clip", "float"),
    "freeze": Attr("freeze", "str"),
}
"""What may stand after the optimiser."""

LEAST = {"epochs": 1, "steps": 1, "batch": 1, "seed": 0}
"""The least value of the settings that are whole numbers."""

MOST = {"epochs": 10**15, "steps": 10**15, "batch": 10**15}
"""The greatest: no run takes as many steps, and times and rates of more would overflow."""


def read_training(statement: TrainStmt, scope: Scope, expressions: Expressions) -> Training:
    """The checked `train` statement. Raises Skip after reporting every error of it."""
    optimiser = None
    with contextlib.suppress(Skip):
        optimiser = _Rule(scope, expressions).read(statement.optimiser)
    settings = _settings(statement, scope, expressions)
    if optimiser is None:
        raise Skip
    return Training(optimiser, settings, statement.span)


# ---------------------------------------------------------------------------------------
# The optimiser and its learning rate


class _Rule:
    """Reads optimisers and schedules, which may hold a schedule as their `lr`."""

    def __init__(self, scope: Scope, expressions: Expressions) -> None:
        self.scope = scope
        self.static = expressions.static

    def read(self, call: Call) -> Any:
        """The optimiser. Raises Skip after reporting an error."""
        calls = [call]
        while (inner := _rate(calls[-1])) is not None:  # `sgd(lr=warmup(cosine(...), ...))`
            calls.append(inner)
        made: Any = None
        failed = False
        for depth, each in reversed(list(enumerate(calls))):
            table, what = (SCHEDULES, "learning-rate schedule") if depth else (OPTIMISERS, "optimiser")
            try:
                made = self._made(table, what, each, made)
            except Skip:
                made, failed = 1, True  # any rate will do to check the rest
        if failed:
            raise Skip
        return made

    def _made(self, table: Mapping[str, Any], what: str, call: Call, rate: Any) -> Any:
        cls = table.get(call.func)
        if cls is None:
            known = f"{what}s are {', '.join(table)}"
            self.scope.found.report(
                "E0104",
                f"there is no {what} `{shorten(call.func)}`",
                call.func_span,
                "not known",
                help=self.scope.found.closest(call.func, table) or known,
            )
            raise Skip
        if rate is not None and any(a.name == "lr" and a.kind == "Any" for a in cls.attrs):
            attrs = bind(cls, _with_rate(call), None, self.static, self.scope.found).attrs | {"lr": rate}
        else:
            attrs = bind(cls, call, None, self.static, self.scope.found).attrs
        made = cls(**attrs)
        problems = made.problems()
        if rate is None and not _is_number(made.lr):
            problems.append(
                f"`lr` of `{call.func}` must be a number or a schedule, and it is {shown(made.lr)}"
            )
        for problem in problems:
            self.scope.found.report(
                "E0404",
                problem,
                _setting_span(call, problem),
                "out of range",
                help=f"change it; `{call.func}` takes {', '.join(f'`{a.name}`' for a in cls.attrs)}",
            )
        if problems:
            raise Skip
        return made


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _rate(call: Call) -> Call | None:
    """The schedule that a call is given as its learning rate."""
    given = [k.value for k in call.keywords if k.name == "lr"] or list(call.args[:1])
    return given[0] if given and isinstance(given[0], Call) else None


def _with_rate(call: Call) -> Call:
    """The call with a number in place of the schedule, which is read apart."""

    def plain(expr: Expr) -> Expr:
        return Number(1, expr.span)

    named = any(k.name == "lr" for k in call.keywords)
    keywords = tuple(Keyword(k.name, plain(k.value), k.span) if k.name == "lr" else k for k in call.keywords)
    args = call.args if named else (plain(call.args[0]), *call.args[1:])
    return Call(call.func, args, keywords, call.func_span, call.span)


def _setting_span(call: Call, problem: str) -> Span:
    """The place of the setting that a problem names first, else of the whole call."""
    name = re.match(r"`(\w+)`", problem)
    places = {k.name: k.span for k in call.keywords}
    return places.get(name.group(1), call.span) if name else call.span


# ---------------------------------------------------------------------------------------
# The settings of the run


def _settings(statement: TrainStmt, scope: Scope, expressions: Expressions) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    places: dict[str, Span] = {}
    for keyword in statement.settings:
        if keyword.name in places:
            scope.found.report(
                "E0403",
                f"`{keyword.name}` is given twice",
                keyword.span,
                "given again here",
                labels=[(places[keyword.name], "first given here")],
                help="remove one of them",
            )
            continue
        places[keyword.name] = keyword.span
        try:
            settings[keyword.name] = _setting(keyword, statement.optimiser, scope, expressions)
        except Skip:
            scope.skipped = True
    if "epochs" in settings and "steps" in settings:
        scope.found.report(
            "E0403",
            "`train` has both epochs and steps",
            places["steps"],
            "a second length of the run",
            labels=[(places["epochs"], "the first")],
            help="give one of them",
        )
    return settings


def check_frozen(training: Training, statement: TrainStmt, scope: Scope) -> None:
    """Report patterns of `freeze` that no parameter's name matches (E0404)."""
    for pattern in training.freeze:
        if any(fnmatchcase(name, pattern) for name in scope.params):
            continue
        place = next(k.value.span for k in statement.settings if k.name == "freeze")
        names = ", ".join(f"`{n}`" for n in list(scope.params)[:8]) + (
            ", ..." if len(scope.params) > 8 else ""
        )
        scope.found.report(
            "E0404",
            f"`freeze` names no parameter: nothing matches `{shorten(pattern)}`",
            place,
            "matches nothing",
            help=scope.found.closest(pattern, scope.params) or f"the parameters are {names or 'none'}",
        )


def _setting(keyword: Keyword, optimiser: Call, scope: Scope, expressions: Expressions) -> Any:
    attr = SETTINGS.get(keyword.name)
    if attr is None:
        cure = scope.found.closest(keyword.name, SETTINGS) or f"settings are {', '.join(SETTINGS)}"
        cls = OPTIMISERS.get(optimiser.func)
        if cls is not None and any(a.name == keyword.name for a in cls.attrs):
            cure = f"it belongs to the optimiser: `{optimiser.func}({keyword.name}=...)`"
        scope.found.report(
            "E0402", f"`train` has no setting `{shorten(keyword.name)}`", keyword.span, "not known", help=cure
        )
        raise Skip
    expr = keyword.value
    if attr.name == "batch" and isinstance(expr, Name) and expr.name == "all":
        return "all"
    value = attr_value("train", attr, expr, expressions.static, scope.found)
    bound = "more than 0" if attr.name == "clip" and not value > 0 else ""
    if attr.name in LEAST:
        bound = out_of_range(attr.name, value)
    if bound:
        scope.found.report(
            "E0404",
            f"`{attr.name}` must be {bound}",
            expr.span,
            f"this is {shorten(shown(value))}",
            help="give another number" + (", or `batch=all`" if attr.name == "batch" else ""),
        )
        raise Skip
    return value


def out_of_range(name: str, value: int) -> str:
    """Which values a setting that is a whole number may have, "" where this is one of them."""
    if value < LEAST[name]:
        return f"at least {LEAST[name]}"
    return f"at most {MOST[name]}" if value > MOST.get(name, value) else ""


# ---------------------------------------------------------------------------------------
# Data


def read_data(statement: Any, scope: Scope, expressions: Expressions) -> Any:
    """The `data` statement, the share of its `split` checked.

    Raises Skip after reporting an error. What the data hold is checked by `flowgraph.data`.
    """
    assert isinstance(statement, (DataFileStmt, DataTableStmt, DataMadeStmt))
    if isinstance(statement, DataFileStmt) and statement.split is not None:
        value = evaluate(statement.split, expressions.static, scope.found)
        if not _is_number(value) or not 0 < value < 1:
            scope.found.report(
                "E0404",
                "the share of the data that is for training must lie between 0 and 1",
                statement.split.span,
                f"this is {shown(value)}",
                help='for example `data "digits.csv" split 0.8`',
            )
            raise Skip
    if isinstance(statement, DataMadeStmt):
        for expr in (statement.count, *(e.value for e in statement.equations)):
            for name in names_in(expr):
                if name in scope.symbols and scope.symbols[name].kind in ("size", "const"):
                    scope.symbols[name].used = True
    return statement
