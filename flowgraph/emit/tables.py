"""Arrays at the end of an emitted module: what forms read that is worked out once, and long literals.

Promises names that no value of a diagram can have (they begin with `_`), every array once, and arrays of
more than a screenful as compressed text, about a byte and a half for each place of a wire and five and a
half for a number of float32: so a module needs no second file.
"""

from __future__ import annotations

import ast
import base64
import re
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph import Graph, Node
from ..naming import Namer
from ..ops.leaf import Array
from ..ops.table import Table
from . import source
from .comments import suggestion
from .template import attribute, call, helper_name, literal, name

if TYPE_CHECKING:
    import torch

MOST_LISTED = 16
"""So many numbers of a table are written out as a list, which has a line for each."""

LINE = 76
"""Letters of a text in one line."""


def unpacked(kind, text):  # type: ignore[no-untyped-def]
    """Return the numbers whose compressed bytes a text holds."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), kind)


def unpacked_torch(kind, text):  # type: ignore[no-untyped-def]
    """Return the numbers whose compressed bytes a text holds."""
    data = bytearray(zlib.decompress(base64.b64decode(text)))
    return torch.frombuffer(data, dtype=getattr(torch, kind))


class Tables:
    """Collects them while functions are written. key: the target; real: the module's floating dtype.

    helpers: collects the functions that the module must contain; renamed: what some are called instead.
    """

    def __init__(self, key: str, real: str, helpers: dict[str, Any], renamed: Mapping[str, str]) -> None:
        self.key, self.real, self.helpers, self.renamed = key, real, helpers, renamed
        self.names: dict[Any, str] = {}
        self.made: list[tuple[str, Any, str]] = []
        """What each name stands for, and the dtype of an array, in an order in which it can be made."""

    def of(self, table: Table, hint: str) -> ast.Name:
        """A table under a name made from a hint; the same for equal tables."""
        if table.build is None:
            return self.array(table.arguments[0], "int", hint)
        if table not in self.names:
            for title, argument in zip(signature(table.build).parameters, table.arguments, strict=True):
                if isinstance(argument, Array):
                    self.array(argument, "int", f"{hint}_{title}")
            self.helpers.setdefault(helper_name(table.build), table.build)
            self._add(table, hint, "")
        return name(self.names[table])

    def array(self, array: Array, kind: str, hint: str) -> ast.Name:
        """A literal array of an element type under a name made from a hint; the same for equal arrays."""
        key = (array, kind)
        if key not in self.names:
            if self._is_text(array):
                maker = unpacked_torch if self.key == "torch" else unpacked
                self.helpers.setdefault(helper_name(maker), maker)
            self._add(key, hint, kind)
        return name(self.names[key])

    def constant(self, node: Node, variable: str) -> ast.expr:
        """What stands for a literal array in functions: the constant at the head, or one at the end."""
        array = node.op.value
        return self.array(array, node.type.elem.kind, variable) if array.is_long else name(variable)

    def constants_lines(self, graph: Graph, constants: Mapping[str, str]) -> list[str]:
        """The statements at the head that make literal arrays, those that stand at the end left out.

        constants: the nodes, each with the name of its constant.
        """
        lines: list[str] = []
        for node, variable in constants.items():
            array, kind = graph[node].op.value, graph[node].type.elem.kind
            if not array.is_long:
                lines += source.assign(variable, self.listed(array, kind), depth=0)
        return lines

    def of_init(self, init: Any, title: str) -> dict[str, ast.expr]:
        """The settings of an initialiser that stand at the end, for a parameter of this name."""
        arrays = {k: v for k, v in init.values.items() if isinstance(v, Array) and self._is_apart(v)}
        return {k: self.array(v, "real", f"{title}_{k}") for k, v in arrays.items()}

    def _is_apart(self, array: Array) -> bool:
        """Whether first values stand at the end: long ones, and a line of more than a few."""
        return array.is_long or (array.data.ndim == 1 and array.data.size > MOST_LISTED)

    def first_value(self, array: Array, title: str) -> ast.expr:
        """The tensor that a torch module's parameter of this name begins as."""
        if not self._is_apart(array):
            return self.listed(array, "real")
        return call(f"{self.array(array, 'real', f'{title}_value').id}.clone")

    def kept_constant(self, node: Node, variable: str) -> list[str]:
        """The statement by which a torch module keeps a literal array."""
        array, kind = node.op.value, node.type.elem.kind
        return kept(
            variable, self.array(array, kind, variable) if array.is_long else self.listed(array, kind)
        )

    def _add(self, key: Any, hint: str, kind: str) -> None:
        plain = re.sub(r"\W+", "_", hint).upper()
        free = f"_{plain}"
        number = 1
        while free in self.names.values():
            number += 1
            free = f"_{plain}_{number}"
        self.names[key] = free
        self.made.append((free, key, kind))

    @staticmethod
    def _is_text(array: Array) -> bool:
        return array.data.size > MOST_LISTED

    def lines(self) -> list[str]:
        """The statements that make them, after two blank lines; none where there are none."""
        lines: list[str] = []
        for title, key, kind in self.made:
            lines += self._table(title, key) if isinstance(key, Table) else self._array(title, key[0], kind)
        return ["", *lines] if lines else []

    def _table(self, title: str, table: Table) -> list[str]:
        given = [
            name(self.names[a, "int"]) if isinstance(a, Array) else ast.Constant(a) for a in table.arguments
        ]
        return source.assign(title, call(self.called(table.build), *given), depth=0)

    def _array(self, title: str, array: Array, kind: str) -> list[str]:
        if not self._is_text(array):
            return source.assign(title, self.listed(array, kind), depth=0)
        data, stored = stored_as(array.data, kind, self.real.partition(".")[2])
        text = base64.b64encode(zlib.compress(data.tobytes(), 9)).decode("ascii")
        shape = ", ".join(map(str, data.shape))
        tail = f".reshape({shape})" if data.ndim > 1 else ""
        if self.key == "torch" and kind == "int":
            tail = f".long(){tail}"
        return [f"{title} = {self.called(unpacked)}(", f'    "{stored}",', *_quoted(text), f"){tail}"]

    def called(self, helper: Any) -> str:
        """What a function is called in the module."""
        title = helper_name(helper)
        return self.renamed.get(title, title)

    def listed(self, array: Array, kind: str) -> ast.expr:
        """A short array, number by number."""
        is_torch = self.key == "torch"
        module = "torch" if is_torch else "np"
        numbers = literal(array.data.tolist(), module, lambda dim: ast.Constant(dim.value))
        dtypes = {"real": self.real, "int": f"{module}.int64", "bool": "torch.bool" if is_torch else "bool"}
        maker = "torch.tensor" if is_torch else "np.array"
        return call(maker, numbers, dtype=attribute(dtypes[kind]))


def _quoted(text: str) -> Iterator[str]:
    """A text as strings beside each other, one a line."""
    last = (len(text) - 1) // LINE
    for place in range(last + 1):
        comma = "," if place == last else ""
        yield f'    "{text[place * LINE : (place + 1) * LINE]}"{comma}'


def stored_as(data: np.ndarray, kind: str, real: str) -> tuple[np.ndarray, str]:
    """An array in the smallest dtype that holds it, and what numpy and torch call that."""
    if kind == "real":
        return np.ascontiguousarray(data, dtype=real), real
    if kind == "bool":
        return np.ascontiguousarray(data, dtype=np.uint8), "bool"
    most = int(np.abs(data).max(initial=0))
    stored = next(t for t in INTEGERS if most <= np.iinfo(t).max)
    return np.ascontiguousarray(data, dtype=stored), stored


INTEGERS: Sequence[str] = ("uint8", "int16", "int32", "int64")


def tables_of(
    graph: Graph, node: Node, target: Any, variables: Mapping[str, ast.expr]
) -> dict[str, ast.expr]:
    """What stands for the tables of a node's operation, by their names in its form.

    target: a `body.Target`. variables: those that hold values, for a name of what nobody named.
    """
    tables = node.op.tables(target.key, [graph[o].type for o in node.operands])
    if not tables:
        return {}
    hint = (node.hint or suggestion(graph, node, variables)).removesuffix("_wired").removeprefix("xi_")
    return {title: target.table(table, f"{hint}_{title}") for title, table in tables.items()}


def tables_in(graph: Graph, namer: Namer, holders: Collection[str]) -> dict[Table, str]:
    """What the forms of a torch class read besides, each by the name of its attribute.

    holders: the operations whose graphs are classes of their own.
    """
    found: dict[Table, str] = {}
    graphs = [graph]
    for each in graphs:
        for node in each:
            if node.op.name not in holders:
                graphs += node.op.subgraphs()
            types = [each[o].type for o in node.operands]
            for title, table in node.op.tables("torch", types).items():
                if table not in found:
                    found[table] = namer.variable(f"{node.hint or node.name}_{title}")
    return found


def kept(variable: str, value: ast.expr) -> list[str]:
    """The statement by which a torch module keeps an array as an attribute that goes where it goes."""
    register = call("self.register_buffer", ast.Constant(variable), value)
    register.keywords = [ast.keyword("persistent", ast.Constant(False))]
    return source.expression(register, depth=2)
