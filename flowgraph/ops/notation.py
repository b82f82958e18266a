"""An operation applied to formulas, as a formula: what its declaration's LaTeX says, filled in.

Promises that nothing is left out: where the notation has no place for an operand, or for a setting that
is not the default, the operation is written as a function of all of them, `sum(x, axis=0)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..formula import Apply, Fence, Formula, Rank, Slot
from ..formula.make import filled, number, shortened, sizes, word
from ..formula.read import read
from ..types import Dim
from .base import Op, bind_operands

MOST_ITEMS = 8
"""So many operands of one kind are written out; of more the first ones and the last."""


def written(op: Op, types: Sequence[Any], operands: Sequence[Formula]) -> Formula:
    """The formula of an operation on operands of these types, given theirs."""
    given = _by_name(op, operands)
    said = op.said(types)
    formula = read(op.notation(types))
    is_short = not isinstance(formula, Apply) and not _has_places(formula, [*given, *said])
    if is_short or _absent(op, given) & set(formula.slots()):
        formula = read(op.called)
    places = formula.slots()
    if isinstance(formula, Apply):
        rest = [Slot(name) for name in given if not _has_places(formula, [name])]
        if not (operands or formula.arguments):  # what there is to say is said as in a call
            rest = [Slot(a.name) for a in op.attrs if a.required]
            said = {name: value for name, value in said.items() if Slot(name) not in rest}
        settings = tuple((name, setting(value)) for name, value in said.items() if name not in places)
        formula = replace(formula, arguments=(*formula.arguments, *rest), settings=settings)
    for attr in op.attrs:
        given.setdefault(attr.name, setting(getattr(op, attr.name)))
    given |= {f"xs[{slot}]": operand for slot, operand in enumerate(operands)}
    return filled(formula, given)


def _by_name(op: Op, operands: Sequence[Formula]) -> dict[str, Formula]:
    """The operands that formulas show, by their names; many of one kind as one, with commas."""
    bound = bind_operands(op, operands)
    return {
        name: Rank(shortened(value, MOST_ITEMS)) if isinstance(value, list) else value
        for name, value in bound.items()
        if name not in op.ambient
    }


def _absent(op: Op, given: Iterable[str]) -> set[str]:
    """The operands that may be left out, and are."""
    return {o.rstrip("?") for o in op.operands if o.endswith("?")} - set(given)


def _has_places(formula: Formula, names: Iterable[str]) -> bool:
    """Whether it has a place for each of the names."""
    places = {place.partition("[")[0] for place in formula.slots()}
    return all(name in places for name in names)


def setting(value: Any) -> Formula:
    """A static setting as a formula."""
    if isinstance(value, Dim):
        return number(value.value) if value.value is not None else sizes(str(value))
    if isinstance(value, (list, tuple)):
        return Fence("bracket", Rank(tuple(map(setting, value))))
    if isinstance(value, (bool, int, float)):
        return number(value)
    return word("none" if value is None else str(value))
