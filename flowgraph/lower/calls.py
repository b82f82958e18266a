"""Binding a call's arguments to an operation's operands and attrs.

Assumes the operation's declaration is the signature: operands first, then attrs in order
(the other way round where it says `attrs_first`); keywords go by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from ..errors import Diagnostics, Span, shorten
from ..ops.base import Attr, Op
from ..syntax import Call, Expr, ListExpr
from ..types import Dim
from .static import Lookup, Skip, evaluate, shown, whole


@dataclass
class Bound:
    """A call bound to its operation: operand expressions by slot (None: left out), and attrs."""

    operands: list[Any]
    attrs: dict[str, Any]


def slots_of(cls: type[Op]) -> list[str]:
    """The operands a user passes; a layer's own parameters are not among them."""
    made = (*getattr(cls, "params", ()), *getattr(cls, "ambient", ()))
    return [o for o in getattr(cls, "operands", ()) if o.rstrip("?").lstrip("*") not in made]


def signature(cls: type[Op]) -> str:
    """`leaky_relu(x, slope=0.01)`, as messages and docs show it."""
    operands = [o.rstrip("?") + ("=none" if o.endswith("?") else "") for o in slots_of(cls)]
    attrs = [a.name if a.required else f"{a.name}={_shown(a.default)}" for a in cls.attrs]
    parts = [*attrs, *operands] if getattr(cls, "attrs_first", False) else [*operands, *attrs]
    return f"{cls.name}({', '.join(parts)})"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def bind(cls: type[Op], call: Call, piped: Expr | str | None, lookup: Lookup, found: Diagnostics) -> Bound:
    """The operands and attrs of a call; `piped` stands before its arguments.

    Raises Skip after reporting E0401 to E0404.
    """
    slots, attrs = slots_of(cls), list(cls.attrs)
    given: list[Any] = [*([] if piped is None else [piped]), *call.args]
    raw: dict[str, Expr] = {}
    operands: dict[str, Any] = {}
    rest: list[Any] = []
    if getattr(cls, "attrs_first", False):
        lead = [a for a in attrs if a.required][: len(call.args)]
        for attr, arg in zip(lead, call.args, strict=False):
            raw[attr.name] = arg
        given = [*([] if piped is None else [piped]), *call.args[len(lead) :]]
    many = slots[-1] if slots and slots[-1].startswith("*") else None
    if many:
        if len(given) == 1 and isinstance(given[0], ListExpr):
            given = list(given[0].items)
        rest = given
    else:
        for slot, arg in zip(slots, given, strict=False):
            operands[slot.rstrip("?")] = arg
        extra = given[len(slots) :]
        free = [a for a in attrs if a.name not in raw]
        if len(extra) > len(free):
            _wrong_count(cls, call, len(given), found, piped)
        for attr, arg in zip(free, extra, strict=False):
            raw[attr.name] = arg
    _bind_keywords(cls, call, slots, operands, raw, found)
    missing = [s for s in slots if not s.endswith("?") and not s.startswith("*") and s not in operands]
    if missing or (many and not rest):
        _wrong_count(cls, call, len(given), found, piped)
    values = _attr_values(cls, call, raw, lookup, found)
    fixed = [operands.get(s.rstrip("?")) for s in slots if not s.startswith("*")]
    while fixed and fixed[-1] is None:
        fixed.pop()
    return Bound([*fixed, *rest], values)


def _bind_keywords(
    cls: type[Op],
    call: Call,
    slots: list[str],
    operands: dict[str, Any],
    raw: dict[str, Expr],
    found: Diagnostics,
) -> None:
    names = [s.rstrip("?") for s in slots if not s.startswith("*")]
    for keyword in call.keywords:
        if keyword.name in names:
            table: dict[str, Any] = operands
        elif any(a.name == keyword.name for a in cls.attrs):
            table = raw
        else:
            known = [*names, *(a.name for a in cls.attrs)]
            cure = found.closest(keyword.name, known) or f"it is called as `{signature(cls)}`"
            found.report(
                "E0402",
                f"`{cls.name}` has no argument `{shorten(keyword.name)}`",
                keyword.span,
                "not known",
                help=cure,
            )
            raise Skip
        if keyword.name in table:
            found.report(
                "E0403",
                f"`{cls.name}` is given `{keyword.name}` twice",
                keyword.span,
                "given again here",
                help=f"give `{shorten(keyword.name)}` once, by position or by name",
            )
            raise Skip
        table[keyword.name] = keyword.value


def _wrong_count(cls: type[Op], call: Call, count: int, found: Diagnostics, piped: Any) -> None:
    plural = "argument" if count == 1 else "arguments"
    how = ", the one before `|>` included" if isinstance(piped, get_args(Expr)) else ""
    found.report(
        "E0401",
        f"`{cls.name}` is called with the wrong number of arguments",
        call.span,
        f"{count} {plural} here{how}",
        help=f"it is called as `{signature(cls)}`",
    )
    raise Skip


def _attr_values(
    cls: type[Op], call: Call, raw: dict[str, Expr], lookup: Lookup, found: Diagnostics
) -> dict[str, Any]:
    values = {}
    for attr in cls.attrs:
        if attr.name in raw:
            values[attr.name] = attr_value(cls.name, attr, raw[attr.name], lookup, found)
        elif attr.required:
            found.report(
                "E0403",
                f"`{cls.name}` needs `{attr.name}`",
                call.span,
                f"`{attr.name}` is missing",
                help=f"it is called as `{signature(cls)}`",
            )
            raise Skip
    return values


def attr_value(owner: str, attr: Attr, expr: Expr, lookup: Lookup, found: Diagnostics) -> Any:
    """The static value of an attr, checked against its kind. Raises Skip after an error."""
    value = evaluate(expr, lookup, found)
    places = [item.span for item in expr.items] if isinstance(expr, ListExpr) else []
    return convert(owner, attr, value, expr.span, found, places)


WORDS = {
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "str": "a string",
    "Axis": "an axis, a whole number",
    "Axes": "an axis or a list of axes",
    "Size": "a size",
    "Shape": "a list of sizes",
    "Ints": "a list of whole numbers",
    "PerAxis": "a whole number, or a list with one for each axis",
    "Padding": 'a whole number, a list with one for each axis, "same" or "valid"',
}


EXAMPLES = {
    "float": "0.1",
    "int": "3",
    "bool": "true",
    "str": '"..."',
    "Axis": "-1",
    "Axes": "[0, 1]",
    "Size": "3",
    "Shape": "[3, 4]",
    "Ints": "[0, 1]",
    "PerAxis": "2",
    "Padding": "1",
}


def convert(
    owner: str, attr: Attr, value: Any, span: Span, found: Diagnostics, places: Sequence[Span] = ()
) -> Any:
    """A static value as the attr's kind. Reports E0404 and raises Skip where it is not one.

    places: of the entries, where it is a list.
    """
    value = _known(value)
    kind = attr.kind.removesuffix(" | None")
    result = _converted(kind, value, span, found, places)
    if result is None:
        found.report(
            "E0404",
            f"`{attr.name}` of `{owner}` must be {WORDS.get(kind, kind)}",
            span,
            f"this is {shown(value)}",
            help=f"`{owner}` is called with {attr.name}={EXAMPLES.get(kind, '...')}, for example",
        )
        raise Skip
    return result


def _known(value: Any) -> Any:
    """A size that is a number as that number."""
    return value.value if isinstance(value, Dim) and value.value is not None else value


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _converted(kind: str, value: Any, span: Span, found: Diagnostics, places: Sequence[Span]) -> Any:
    if kind == "float":
        return value if _is_int(value) or isinstance(value, float) else None
    if kind in ("int", "Axis"):
        return value if _is_int(value) else None
    if kind == "bool":
        return value if isinstance(value, bool) else None
    if kind == "str":
        return value if isinstance(value, str) else None
    if kind in ("Axes", "PerAxis", "Padding") and _is_int(value):
        return value
    if kind == "Padding" and isinstance(value, str):
        return value
    if kind == "Size":
        return whole(value, span, found)
    if kind in ("Axes", "Ints", "Shape", "PerAxis", "Padding"):
        items = value if isinstance(value, list) else [value]
        if kind == "Shape":
            spans = places if len(places) == len(items) else [span] * len(items)
            return tuple(whole(v, at, found, least=-1) for v, at in zip(items, spans, strict=True))
        numbers = tuple(_known(v) for v in items)
        if not all(_is_int(v) for v in numbers):
            return None
        return numbers[0] if kind in ("PerAxis", "Padding") and len(numbers) == 1 else numbers
    return _tuples(value)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
