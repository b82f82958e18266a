"""Pieces of type rules: broadcasting, axes, element types, and what to say where they do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..types import (
    RANK,
    Dim,
    Elem,
    Mismatch,
    Shape,
    TensorType,
    Unifier,
    Unknown,
    describe,
    promote,
    shape_text,
)

if TYPE_CHECKING:
    from .base import Op


def conversion(elem: Elem, wanted: Elem) -> Elem | None:
    """What an operand must be converted to; None where nothing, a label being a whole number."""
    return None if RANK[elem.kind] == RANK[wanted.kind] else wanted


def to_common(types: Sequence[TensorType]) -> list[Elem | None]:
    """What each operand must be converted to for all to have one kind, whichever it is."""
    if len({RANK[t.elem.kind] for t in types}) == 1:
        return [None for _ in types]
    common = promote(t.elem for t in types)
    return [conversion(t.elem, common) for t in types]


def common_elem(elems: Sequence[Elem]) -> Elem:
    """The element type of an array that holds entries of all these."""
    return elems[0] if all(e == elems[0] for e in elems) else promote(elems)


def broadcast(u: Unifier, op: Op, types: Sequence[TensorType]) -> Shape:
    """The common shape of operands that broadcast. Raises Mismatch naming two that do not."""
    if not any(t.shape for t in types):
        return ()
    try:
        return u.broadcast([t.shape for t in types])
    except Mismatch as error:
        raise _broadcast_conflict(u, op, types, error) from None


def _broadcast_conflict(u: Unifier, op: Op, types: Sequence[TensorType], error: Mismatch) -> Mismatch:
    """Name the first two operands whose shapes do not go together."""
    for j in range(len(types)):
        for i in range(j):
            a, b = u.shape(types[i].shape), u.shape(types[j].shape)
            for x, y in zip(reversed(a), reversed(b), strict=False):
                if x != y and 1 not in (x, y) and not isinstance(x, Unknown) and not isinstance(y, Unknown):
                    return Mismatch(
                        "shapes do not agree",
                        blame=[(i, f"is {shape_text(a)}"), (j, f"is {shape_text(b)}")],
                        help=f"compared from the last axis on: {x} and {y} must be equal, or one of them 1",
                        sizes=(x, y),
                    )
    return Mismatch("shapes do not agree", help=error.message, sizes=error.sizes)


def axis_of(op: Op, axis: int, rank: int, *, slot: int = 0) -> int:
    """The axis counted from the end. Raises Mismatch (E0304)."""
    if not -rank <= axis < rank:
        has = f"has {rank} {'axis' if rank == 1 else 'axes'}" if rank else "is a single number"
        cure = f"axes go from {-rank} to {rank - 1}" if rank else "a single number has no axes"
        raise Mismatch(
            f"`{op.name}` has no axis {axis} to work on",
            blame=[(slot, has)],
            help=cure,
            code="E0304",
        )
    return axis - rank if axis >= 0 else axis


def axes_of(op: Op, axes: Any, rank: int) -> tuple[int, ...]:
    """Axes counted from the end, in order, all of them for None. Raises Mismatch (E0304)."""
    if axes is None:
        return tuple(range(-rank, 0))
    given = (axes,) if isinstance(axes, int) else tuple(axes)
    found = [axis_of(op, a, rank) for a in given]
    if len(set(found)) != len(found):
        raise Mismatch(f"`{op.name}` names an axis twice", code="E0304", help="give each axis once")
    return tuple(sorted(found))


def need_rank(op: Op, type: TensorType, rank: int, slot: int = 0) -> None:
    """Raise Mismatch unless the operand has this number of axes."""
    if type.rank != rank:
        what = {0: "a single number", 1: "a vector", 2: "a matrix"}.get(rank, f"an array with {rank} axes")
        cure = (
            "`flatten(x)` makes it a vector, `x[0]` takes its first row"
            if type.rank
            else "`[x]` makes it a vector"
        )
        raise Mismatch(f"`{op.name}` needs {what}", blame=[(slot, f"is {describe(type)}")], help=cure)


def need_equal(op: Op, u: Unifier, a: Any, b: Any, *, blame: Sequence[tuple[int, str]], help: str) -> Any:
    """Unify two sizes, or raise Mismatch with these words."""
    try:
        return u.unify(a, b)
    except Mismatch as error:
        raise Mismatch("shapes do not agree", blame=blame, help=help, sizes=error.sizes) from None


def known_shape(u: Unifier, shape: Shape) -> tuple[Dim, ...]:
    """The shape with every size known. Raises NotYetKnown."""
    return tuple(u.known(d) for d in shape)
