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
from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ops.leaf import Array
from ..ops.table import Table
from . import source
from .template import call, helper_name, literal, name

if TYPE_CHECKING:
    import torch

MOST_LISTED = 64
"""So many numbers of a table are written out as a list."""

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
        return source.assign(title, call(self._called(table.build), *given), depth=0)

    def _array(self, title: str, array: Array, kind: str) -> list[str]:
        if not self._is_text(array):
            return source.assign(title, self._listed(array, kind), depth=0)
        data, stored = stored_as(array.data, kind, self.real.partition(".")[2])
        text = base64.b64encode(zlib.compress(data.tobytes(), 9)).decode("ascii")
        shape = ", ".join(map(str, data.shape))
        tail = f".reshape({shape})" if data.ndim > 1 else ""
        if self.key == "torch" and kind == "int":
            tail = f".long(){tail}"
        return [f"{title} = {self._called(unpacked)}(", f'    "{stored}",', *_quoted(text), f"){tail}"]

    def _called(self, helper: Any) -> str:
        title = helper_name(helper)
        return self.renamed.get(title, title)

    def _listed(self, array: Array, kind: str) -> ast.expr:
        numbers = literal(array.data.tolist(), "", lambda dim: ast.Constant(dim.value))
        module = "torch" if self.key == "torch" else "np"
        dtype = {"real": self.real, "int": f"{module}.int64", "bool": f"{module}.bool"}[kind]
        maker = "torch.tensor" if self.key == "torch" else "np.array"
        return call(maker, numbers, dtype=ast.parse(dtype, mode="eval").body)


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
