"""Sizes and consts: the values known at compile time, in whatever order they are written.

Assumes that every name of the file that is declared has its symbol, so that a use of another
kind of thing can be named. Promises a value for every size and const whose definition has no
error, with `--set` taken into account, in time linear in the file and without recursion.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import takewhile
from operator import ne
from typing import Any

from ..errors import Diagnostics, Span, shorten
from ..syntax import (
    Binary,
    Call,
    ConstStmt,
    Expr,
    Index,
    ListExpr,
    Member,
    Name,
    Pipe,
    SizeItem,
    Slice,
    Unary,
)
from ..types import Dim, Origin
from .scope import Scope, article
from .static import CONSTANTS, Skip, evaluate, rectangular, shown, whole

Definition = SizeItem | ConstStmt


class Constants:
    """The sizes and consts of a scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.found: Diagnostics = scope.found
        self.definitions: dict[str, Definition] = {}

    def settle(self) -> None:
        """Give every size and const its value; `definitions` holds them by name."""
        self._check_settings()
        for name in self._in_order():
            symbol = self.scope.symbols[name]
            if symbol.poisoned:
                continue
            try:
                symbol.value = self._static_value(self.definitions[name])
            except Skip:
                symbol.poisoned = True

    def look_up(self, name: Name) -> Any:
        """A name's value at compile time. Raises Skip after reporting an error."""
        return static_value(self.scope, name)

    # -- order

    def _in_order(self) -> list[str]:
        """All names, those that a definition uses before it; names in a ring are poisoned."""
        order: list[str] = []
        done: set[str] = set()
        for root in self.definitions:
            if root in done:
                continue
            path: dict[str, Iterator[str]] = {root: self._uses(root)}
            while path:
                name, rest = next(reversed(path.items()))
                step = next((n for n in rest if n not in done), None)
                if step is None:
                    path.pop(name)
                    done.add(name)
                    order.append(name)
                elif step not in path:
                    path[step] = self._uses(step)
                elif not self.scope.symbols[step].poisoned:
                    since = list(takewhile(partial(ne, step), reversed(path)))
                    self._report_ring([step, *reversed(since)])
        return order

    def _uses(self, name: str) -> Iterator[str]:
        """The sizes and consts that a definition names."""
        item = self.definitions[name]
        if name in self.scope.settings or item.value is None:
            return iter(())
        return iter([n for n in names_in(item.value) if n in self.definitions])

    def _report_ring(self, ring: Sequence[str]) -> None:
        first = min(ring, key=lambda n: self.scope.symbols[n].span.start)
        at = ring.index(first)
        turned = [*ring[at:], *ring[:at], first]
        if len(turned) > 9:
            turned = [*turned[:4], "...", *turned[-4:]]
        self.found.report(
            "E0201",
            "sizes depend on each other in a ring",
            self.scope.symbols[first].span,
            " -> ".join(n if n == "..." else f"`{shorten(n, 30)}`" for n in turned),
            help="give one of them a number",
        )
        for name in ring:
            self.scope.symbols[name].poisoned = True

    # -- values

    def _static_value(self, item: Definition) -> Any:
        if item.name in self.scope.settings:
            return self._set_value(item, self.scope.settings[item.name])
        if isinstance(item, ConstStmt):
            return self._const(item)
        if item.value is None:
            self.scope.sizes.append(item.name)
            return Dim.symbol(item.name, Origin(f"`size {item.name}`", item.name_span))
        size = whole(evaluate(item.value, self.look_up, self.found), item.value.span, self.found)
        return _named(item, size, "")

    def _const(self, item: ConstStmt) -> Any:
        value = evaluate(item.value, self.look_up, self.found)
        if isinstance(value, list):
            return rectangular(value, item.value.span, self.found)
        if isinstance(value, (str, tuple)):
            self.found.report(
                "E0211",
                "a const is a number or a nested list of numbers",
                item.value.span,
                f"this is {shown(value)}",
                help="a condition belongs into `require`, a text into no constant",
            )
            raise Skip
        return value

    def _set_value(self, item: Definition, given: Any) -> Any:
        """The value that --set gives; the file's own is not looked at."""
        what = "size" if isinstance(item, SizeItem) else "const"
        if isinstance(item, ConstStmt) and isinstance(item.value, ListExpr):
            self._refuse_setting(item, "is an array", "--set changes single numbers only: change the file")
        if isinstance(given, float) and given.is_integer() and what == "size":
            given = int(given)
        if what == "size" and not (
            isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= 10**18
        ):
            self._refuse_setting(
                item, f"cannot be {shown(given)}", "a size is a whole number from 0 to 10^18"
            )
        if not isinstance(given, (int, float)):
            self._refuse_setting(item, f"cannot be {shown(given)}", "a const is a number")
        return _named(item, Dim.of(given), " by --set") if isinstance(item, SizeItem) else given

    def _refuse_setting(self, item: Definition, why: str, help: str) -> None:
        message = f"--set {shorten(item.name)}: it {why}"
        self.found.report("E0704", message, item.name_span, "declared here", help=help)
        raise Skip

    def _check_settings(self) -> None:
        for name in self.scope.settings:
            if name in self.definitions:
                self.scope.symbols[name].used = True
                continue
            known = ", ".join(f"`{shorten(n, 30)}`" for n in list(self.definitions)[:20]) or "none"
            self.found.report(
                "E0704",
                f"--set {shorten(name)}: there is no such size or const",
                help=self.found.closest(name, self.definitions) or f"the file's sizes and consts: {known}",
                path=self.scope.path,
            )


def _named(item: SizeItem, size: Dim, note: str) -> Dim:
    return size.with_origin(Origin(f"`size {item.name} = {size}`{note}", item.name_span))


def static_value(scope: Scope, name: Name, label: str = "") -> Any:
    """A name's value at compile time. Reports E0211 and raises Skip where it has none.

    label: what is said at the name, where its kind and place would not help.
    """
    symbol = scope.look_up(name.name, name.span)
    if symbol.kind in ("size", "const"):
        return symbol.value
    scope.found.report(
        "E0211",
        f"`{shorten(name.name)}` is not known at compile time",
        name.span,
        label or f"this is {article(symbol.kind)}",
        labels=() if label else [(symbol.span, "made here")],
        help="use numbers, sizes and scalar consts here",
    )
    raise Skip


def names_in(expr: Expr) -> list[str]:
    """The names that an expression mentions as values, each once, without recursion."""
    names: dict[str, None] = {}
    stack: list[Any] = [expr]
    while stack:
        part = stack.pop()
        if isinstance(part, Name) and part.name not in CONSTANTS:
            names[part.name] = None
        elif isinstance(part, Binary):
            stack += [part.right, part.left]
        elif isinstance(part, Unary):
            stack.append(part.operand)
        elif isinstance(part, ListExpr):
            stack += reversed(part.items)
        elif isinstance(part, Call):
            stack += [*(k.value for k in reversed(part.keywords)), *reversed(part.args)]
        elif isinstance(part, Pipe):
            stack += [part.call, part.value]
        elif isinstance(part, Index):
            stack += [*reversed(part.items), part.value]
        elif isinstance(part, Slice):
            stack += [part.stop, part.start]
        elif isinstance(part, Member):
            stack.append(part.value)
    return list(names)


def with_origin(size: Dim, span: Span) -> Dim:
    """The size with the place it is written at, unless it comes from a `size` statement."""
    return size if size.origin is not None else size.with_origin(Origin("", span))
