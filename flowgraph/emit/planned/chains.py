"""Runs of calls that go entry by entry over arrays too large for the cache, to be made piece by piece.

Assumes a plan. Promises runs of values of one shape that follow one another, each computed from numbers,
rows, and arrays of that shape in rooms of their own: pieces of these can be computed one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...graph import Node
from ...ops.shape import product
from ...types import Dim
from ..template import name, parsed
from .homes import Home, Number, Plan, View
from .kernels import kernel
from .phases import Phase

LARGE = 1 << 21
"""From so many entries on, at nominal sizes, arrays are taken not to stay in the cache.

Measured, ten calls over six arrays: as a whole 0.19 ms, in pieces 0.20 (2^18 entries), 2.0 and 1.8 (1.5
million), 16.8 and 11.5 (2^23).
"""
PIECE = 32768
"""Entries of an array in a piece: those of ten arrays fit into a megabyte."""
LEAST = 3
"""So many calls make a run: for fewer, going round costs what the cache gains."""


def pieces(count, *arrays):  # type: ignore[no-untyped-def]
    """The rows of arrays, so many at a time: views that a cache holds together."""
    rows = [a.reshape(-1, a.shape[-1]) for a in arrays]
    return [tuple(r[i : i + count] for r in rows) for i in range(0, len(rows[0]), count)]


@dataclass(frozen=True)
class Chain:
    """nodes: by name, in order. arrays: those of which pieces are taken. rows: in a piece."""

    nodes: tuple[str, ...]
    arrays: tuple[str, ...]
    rows: int


def find_chains(plan: Plan, nominal: Mapping[str, int]) -> list[Chain]:
    """The runs of a plan."""
    found: list[Chain] = []
    run: list[Node] = []

    rooms = {t.name: i for i, room in enumerate(plan.rooms) for t in room.tenants}

    def end() -> None:
        if len(run) >= LEAST and _keep_apart(plan, run, rooms):
            found.append(_chain(plan, run))
        run.clear()

    for node in plan.order:
        if isinstance(plan.homes[node.name], Number) or _is_silent(plan, node):
            continue
        if not _is_link(plan, node, nominal):
            end()
            continue
        if run and (node.type != run[-1].type or plan.phase[node.name] != plan.phase[run[-1].name]):
            end()
        run.append(node)
    end()
    return found


def _keep_apart(plan: Plan, run: list[Node], rooms: Mapping[str, int]) -> bool:
    """Whether pieces of one value never lie on those of another: values in one room have one shape."""
    shapes: dict[int, set[tuple[object, ...]]] = {}
    for node in run:
        for value in (node.name, *node.operands):
            if value in rooms:
                shapes.setdefault(rooms[value], set()).add(plan.graph[value].type.shape)
    return all(len(each) == 1 for each in shapes.values())


def _is_silent(plan: Plan, node: Node) -> bool:
    """Whether a node writes no statement where it stands: a leaf, or a view made once."""
    home = plan.homes[node.name]
    return (isinstance(home, View) and home.fixed) or not node.operands


def _is_link(plan: Plan, node: Node, nominal: Mapping[str, int]) -> bool:
    if node.name not in plan.tenants or plan.phase[node.name] < Phase.STEP or node.type.elem.kind != "real":
        return False
    if node.type.rank < 2 or node.type.shape[-1].value is None:
        return False
    if product(node.type.shape).at(nominal) < LARGE or node.name in plan.applied:
        return False
    types = [plan.graph[o].type for o in node.operands]
    form = node.op.form("numpy", types)
    if not isinstance(form, str) or node.op.into_form(types):
        return False
    made = kernel(parsed(form), name("out"))
    return made is not None and made.in_place and all(_is_read(plan, o, node) for o in node.operands)


def _is_read(plan: Plan, operand: str, node: Node) -> bool:
    """Whether an operand is a number, a row, or an array of which pieces can be taken."""
    type = plan.graph[operand].type
    if type.rank == 0:
        return True
    if type.rank == 1:
        return type.shape == node.type.shape[-1:] and plan.is_fixed(operand)
    return _in_pieces(plan, operand, node)


def _in_pieces(plan: Plan, operand: str, node: Node) -> bool:
    type = plan.graph[operand].type
    fits = type.rank == node.type.rank and type.shape[:-1] == node.type.shape[:-1]
    own = isinstance(plan.homes[operand], Home) and operand in plan.tenants and type.elem.kind == "real"
    return fits and own and type.shape[-1] in (node.type.shape[-1], Dim.of(1))


def _chain(plan: Plan, run: list[Node]) -> Chain:
    arrays = dict.fromkeys(
        o for node in run for o in (*node.operands, node.name) if o == node.name or _in_pieces(plan, o, node)
    )
    width = run[0].type.shape[-1].value
    return Chain(tuple(n.name for n in run), tuple(arrays), max(PIECE // max(width, 1), 1))
