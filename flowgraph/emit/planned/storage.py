"""All parameters in one array, one after the other: where each lies, and what finds them by name.

Assumes the params of a graph, each one of the diagram's, or an array of such (`Param.parts`, `Param.holds`).
Promises for each of the diagram's names a view of the one array.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, product
from typing import Any

import numpy as np

from ...graph import Graph
from ...naming import Namer
from ...ops import OPS
from ...types import TensorType
from .. import source
from ..template import instantiate, name

FEW = 16
"""So many names of entries are written out; more are read from a table."""


@dataclass(frozen=True)
class Storage:
    """graph: whose params are meant. named: the diagram's own, in order. views: what the function is called.

    tables: names of the entries of arrays that the module has a table of, and expressions for it. last: the
    params that come last.
    """

    graph: Graph
    named: Sequence[str]
    views: str = "views"
    tables: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    last: Collection[str] = ()

    @property
    def params(self) -> list[str]:
        """The params in their order in the array."""
        return sorted(self.graph.params, key=lambda p: p in self.last)

    @property
    def total(self) -> int:
        """The entries of all parameters."""
        return sum(self._size(p) for p in self.graph.params)

    @property
    def first(self) -> int:
        """The entries of all but those that come last."""
        return sum(self._size(p) for p in self.graph.params if p not in self.last)

    def _shape(self, param: str) -> tuple[int, ...]:
        return tuple(int(d.value or 0) for d in self.graph[param].type.shape)

    def _size(self, param: str) -> int:
        return int(np.prod(self._shape(param), dtype=int))

    @cached_property
    def _starts(self) -> dict[str, int]:
        ends = accumulate((self._size(p) for p in self.params), initial=0)
        return dict(zip(self.params, ends, strict=False))

    def place(self, param: str, holder: str) -> ast.expr:
        """A parameter as a view of the array with this name."""
        start = self._starts[param]
        shape = self._shape(param)
        if not shape:
            return ast.parse(f"{holder}[{start}, ...]", mode="eval").body
        part = f"{holder}[{start}:{start + self._size(param)}]"
        shaped = part if len(shape) == 1 else f"{part}.reshape({', '.join(map(str, shape))})"
        return ast.parse(shaped, mode="eval").body

    def lines(self) -> list[str]:
        """The function."""
        made = _Views(self)
        entries = ast.Dict([ast.Constant(k) for k in made.found], list(made.found.values()))
        doc = '    """What there is for each parameter, by name: views of one array."""'
        lines = [*source.signature(self.views, ["flat"]), doc, *made.lines]
        if not made.tables and list(made.found) == list(self.named):
            return [*lines, *source.returns(entries)]
        lines += source.assign("found", entries)
        if made.tables:
            rows: list[ast.expr] = [ast.Tuple(list(row), ast.Load()) for row in made.tables]
            lines += source.assign("tables", ast.List(rows, ast.Load()))
            lines += [
                "    for array, names in tables:",
                "        places = np.ndenumerate(np.reshape(names, array.shape))",
                "        found |= {str(n): array[(*place, ...)] for place, n in places}",
            ]
        return [*lines, "    return {name: found[name] for name in PARAMS}"]


class _Views:
    """found: the views by name. tables: arrays with tables of the names of their entries."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.found: dict[str, ast.expr] = {}
        self.tables: list[tuple[ast.expr, ast.expr]] = []
        self.lines: list[str] = []
        self.namer = Namer(["flat", "found", "tables", "array", "names", "places", "place", "n"])
        for param in storage.graph.params:
            node = storage.graph[param]
            value = storage.place(param, "flat")
            if node.op.holds:
                title = self.namer.variable(str(node.hint))
                self.lines += source.assign(title, value)
                for held, items in node.op.holds:
                    self._add(held, *_part(name(title), node.type, items))
            else:
                self._add(node.op.parts or str(node.hint), value, node.type)

    def _add(self, held: Any, value: ast.expr, type: TensorType) -> None:
        if isinstance(held, str):
            self.found[held] = value
            return
        if len(held) > FEW:
            known = self.storage.tables.get(tuple(held))
            names: ast.expr = ast.List([ast.Constant(n) for n in held], ast.Load())
            self.tables.append((value, ast.parse(known, mode="eval").body if known else names))
            return
        if not isinstance(value, ast.Name):
            title = self.namer.variable("part")
            self.lines += source.assign(title, value)
            value = name(title)
        places = product(*(range(int(d.value or 0)) for d in type.shape))
        for each, place in zip(held, places, strict=True):
            index = ast.Tuple([*map(ast.Constant, place), ast.Constant(...)], ast.Load())
            self.found[each] = ast.Subscript(value, index, ast.Load())


def _part(value: ast.expr, type: TensorType, items: Any) -> tuple[ast.expr, TensorType]:
    """A slice of an array, and its type."""
    op = OPS["index"](items=items)
    made = instantiate(op, op.form("numpy", [type]), [value], "np", "", lambda d: ast.Constant(d.value), {})
    result = op.result_type([type])
    assert isinstance(result, TensorType)
    return as_view(made, result), result


def as_view(value: ast.expr, type: TensorType) -> ast.expr:
    """What is indexed as a view also where it is a single entry, `a[1, ...]`, which can be written to."""
    if not isinstance(value, ast.Subscript) or type.rank:
        return value
    items = value.slice.elts if isinstance(value.slice, ast.Tuple) else [value.slice]
    return ast.Subscript(value.value, ast.Tuple([*items, ast.Constant(...)], ast.Load()), ast.Load())
