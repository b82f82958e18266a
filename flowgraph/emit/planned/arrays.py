"""The arrays of a plan's rooms.

Assumes a planned body that has named its values. Promises a variable for each value that has a room.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...ops.shape import product
from ...types import Dim
from .. import source
from ..template import attribute, call, name
from .rooms import Room

if TYPE_CHECKING:
    from .body import PlannedBody

DTYPES = {"int": "np.int64", "class": "np.int64", "bool": "bool"}


def make_room(body: PlannedBody, room: Room) -> None:
    """Make the array of a room; values of one shape get one view of it.

    A call that reads and writes one object need not look whether its arrays overlap, which takes 0.2 µs.
    """
    dtype = attribute(DTYPES.get(room.kind, body.target.real))
    alike: dict[tuple[Dim, ...], list[str]] = {}
    for tenant in room.tenants:
        alike.setdefault(tenant.shape, []).append(body.titles[tenant.name])
    sizes = [body.size(size) for size in room.sizes()]
    holder = ""
    if len(alike) > 1:
        holder = body.namer.variable("room")
        total = sizes[0] if len(sizes) == 1 else call("max", *sizes)
        body.bind(holder, call("np.empty", total, dtype))
    for shape, titles in alike.items():
        value: ast.expr = call("np.empty", body.shape(shape), dtype)
        if holder:
            value = name(holder)
            if [product(shape)] != room.sizes():
                value = ast.Subscript(value, ast.Slice(None, body.size(product(shape))), ast.Load())
            if len(shape) != 1:
                value = ast.Call(ast.Attribute(value, "reshape", ast.Load()), [body.shape(shape)], [])
        _bind_all(body, titles, value)


def _bind_all(body: PlannedBody, titles: Sequence[str], value: ast.expr) -> None:
    """Several variables for one array."""
    lines = source.assign(" = ".join(titles), value, depth=body.setup_depth)
    if len(lines) > 1 or len(lines[0]) > source.WIDTH:
        lines = source.assign(titles[0], value, depth=body.setup_depth)
        lines += [f"{source.INDENT * body.setup_depth}{t} = {titles[0]}" for t in titles[1:]]
    body.setup += lines
