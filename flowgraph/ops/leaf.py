"""Where values come from, and the operations that only the compiler itself writes.

Inputs, targets, params and literals; a circle's excitation; conversions; the results of nodes
with several.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..formula.make import weighted
from ..types import (
    Dim,
    Elem,
    Mismatch,
    TensorType,
    TupleType,
    Type,
    Unifier,
    describe,
    shape_text,
)
from .base import (
    ANYTHING,
    Elementwise,
    Interval,
    LinearMap,
    NonDifferentiable,
    Op,
    Sample,
    Value,
    apply,
    need_equal,
    real,
)
from .declared import Size
from .interval import added, often


class Leaf(Op, abstract=True):
    """A node without operands; `type` is declared, not inferred."""

    operands = ()
    type: Any

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return u.type(self.type)

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        raise KeyError(f"a value for this {self.name} is needed")


class Input(Leaf):
    """A value given per example."""


class Target(Leaf):
    """A value known in training and metrics only."""


class Param(Leaf):
    """A trainable array with its initialiser, or one that holds others of the diagram's.

    parts: their names, where each is an entry, row by row. holds: where they are slices of it, for each what
    it is called, or the names of its entries if it has parts itself, and the items of the index that it is.
    """

    init: Any
    parts: Any = ()
    holds: Any = ()


class Array:
    """An array that may stand in a graph: immutable, hashed by its contents."""

    __slots__ = ("_said", "data")
    data: np.ndarray

    def __init__(self, data: Any) -> None:
        array = np.array(data)
        array.flags.writeable = False
        self.data = array
        self._said = ""

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Array) and repr(self) == repr(other))

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        """The numbers, or of a long array a digest that tells it from others."""
        if not self._said:
            self._said = f"Array({_digest(self.data) if self.is_long else repr(self.data.tolist())})"
        return self._said

    @property
    def is_long(self) -> bool:
        """Whether it has more entries than anyone would read."""
        return self.data.size > MOST_READ


MOST_READ = 4096
"""A longer array is told from others by a digest, and emitted as a compressed text."""


def _digest(data: np.ndarray) -> str:
    """Shape, kind and contents in a few letters; equal numbers of one kind count as equal."""
    kind = {"b": "bool", "i": "int64", "u": "int64"}.get(data.dtype.kind, "float64")
    contents = hashlib.blake2b(np.ascontiguousarray(data, dtype=kind).data, digest_size=16)
    return f"{kind}{data.shape} {contents.hexdigest()}"


class Const(Op):
    """A literal: a number, true or false, or an array of numbers.

    kind: its element type, where that is not the one it is written in (`x + 1` on reals).
    """

    operands = ()
    value: Any
    kind: str = ""

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return TensorType(Elem(self.kind or _kind(self.value)), tuple(Dim.of(n) for n in self.shape))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.data.shape if isinstance(self.value, Array) else ()

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        data = np.asarray(self.value.data if isinstance(self.value, Array) else self.value, dtype=np.float64)
        return (float(np.min(data)), float(np.max(data))) if data.size else ANYTHING

    def as_kind(self, kind: str) -> Op:
        """The literal as another element type; a whole number stays written as one."""
        return Const(value=self.value, kind="" if kind == _kind(self.value) else kind)

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        data = self.value.data if isinstance(self.value, Array) else self.value
        return np.asarray(data, dtype=DTYPES[self.kind or _kind(self.value)])


DTYPES: dict[str, Any] = {
    "real": np.float64, "int": np.int64, "class": np.int64, "bool": np.bool_, "key": np.int64
}  # fmt: skip
"""The simulator's dtype of each element type."""


def _kind(value: Any) -> str:
    if not isinstance(value, Array):
        return "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "real"
    return {"b": "bool", "i": "int", "u": "int"}.get(value.data.dtype.kind, "real")


class WeightedSum(Elementwise):
    """The excitation of a circle: bias + Σ weightᵢ xᵢ, in the order written."""

    operands = ("*xs",)
    weights: Any
    bias: Any = None
    shape: Any = None
    """The circle's declared shape, until it is checked; the wires together must give it."""
    latex = r"\sum {xs}"
    samples = [
        Sample(real(), real(), weights=(-1, 0.5), bias=0.5),
        Sample(real(3), real(), real(3), weights=(1, 2.5, -1)),
    ]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        found = super().rule(u, *types)
        assert isinstance(found, TensorType)
        if self.shape is None:
            return found
        if len(found.shape) != len(self.shape):
            said = "a single number" if not self.shape else shape_text(self.shape)
            raise Mismatch(
                "the wires do not fit the circle they end in",
                blame=[(slot, f"is {describe(t)}") for slot, t in enumerate(types) if t.shape],
                help=f"the circle is {said}, its wires together give {describe(found)}",
            )
        for have, want in zip(found.shape, self.shape, strict=True):
            need_equal(
                self,
                u,
                have,
                want,
                blame=[(slot, f"is {describe(t)}") for slot, t in enumerate(types) if t.shape],
                help=f"the layer has {want} circles",
            )
        return found

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(shape=None)

    def notation(self, types: Sequence[Any]) -> str:
        return weighted(self.weights, self.bias)

    def said(self, types: Sequence[Any]) -> dict[str, Any]:
        return {}

    def form(self, target: str, types: Sequence[Any]) -> str:
        text = "" if self.bias is None else repr(self.bias)
        for slot, weight in enumerate(self.weights):
            sign = "-" if weight < 0 else "+"
            term = f"xs[{slot}]" if abs(weight) == 1 else f"{abs(weight)!r} * xs[{slot}]"
            if text:
                text += f" {sign} {term}"
            else:
                text = f"-{term}" if weight < 0 else term
        return text

    def simpler(self, *xs: Value) -> Value | None:
        total: Value | float | None = self.bias
        for weight, x in zip(self.weights, xs, strict=True):
            term = x if abs(weight) == 1 else x * abs(weight)
            if total is None:
                total = -term if weight < 0 else term
            else:
                total = total - term if weight < 0 else total + term
        assert isinstance(total, Value)
        return total

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        total = None if self.bias is None else np.float64(self.bias)
        for weight, x in zip(self.weights, arrays, strict=True):
            total = weight * x if total is None else total + weight * x
        return total

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        total: Interval = (0.0, 0.0) if self.bias is None else (float(self.bias), float(self.bias))
        for weight, each in zip(self.weights, given, strict=True):
            total = added(total, often(float(weight), each))
        return total

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return list(self.weights)


class SizeValue(NonDifferentiable):
    """A symbolic size as a number."""

    operands = ()
    size: Size
    kind: str = ""
    latex = "{size}"
    unsaid = ("kind",)
    numpy = "size"
    torch = "size"

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return TensorType(Elem(self.kind or "int"))

    def as_kind(self, kind: str) -> Op:
        """The size as another element type."""
        return self.with_attrs(kind=kind)

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        return np.asarray(self.size.at(sizes), dtype=DTYPES[self.kind or "int"])


class Identity(LinearMap):
    """The value itself, under another name."""

    latex = "{x}"
    numpy = "x"
    torch = "x"
    torch_module = "nn.Identity()"
    samples = [Sample(real(2, 3))]

    def wants(self, types: Sequence[Any]) -> list[Elem | None]:
        return [None]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return types[0]

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        return given[0]

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [cotangent]


class Cast(NonDifferentiable, Elementwise):
    """Another element type: 1 for true, whole numbers as reals."""

    kind: str
    takes = "any"
    latex = "{x}"
    unsaid = ("kind",)
    into = "np.copyto(out, x, casting='unsafe')"
    samples = [Sample(real(2, 3), kind="real")]

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        return given[0]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return TensorType(Elem(self.kind), types[0].shape)

    def form(self, target: str, types: Sequence[Any]) -> str:
        if target == "torch":
            return {"real": "x.to(real)", "int": "x.to(torch.int64)", "bool": "x.to(torch.bool)"}[self.kind]
        return {"real": "x.astype(real)", "int": "x.astype(np.int64)", "bool": "x.astype(bool)"}[self.kind]


class Item(Op):
    """One result of a node that has several."""

    index: int
    count: int
    latex = "{x}[{index}]"
    unsaid = ("count",)
    numpy = "x[index]"
    torch = "x[index]"

    def wants(self, types: Sequence[Any]) -> list[Elem | None]:
        return [None]

    def rule(self, u: Unifier, *types: Any) -> Type:
        if not isinstance(types[0], TupleType):
            raise Mismatch(
                f"one value cannot be taken apart into {self.count} names",
                blame=[(0, f"is one value, {describe(types[0])}")],
                help="`split`, blocks with several results and a `scan` with several states give several",
            )
        if len(types[0].items) != self.count:
            raise Mismatch(
                f"{self.count} names for {len(types[0].items)} values",
                blame=[(0, f"gives {len(types[0].items)} values")],
                help="write one name for each value",
            )
        return types[0].items[self.index]

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        return None if tangents[0] is None else apply(self, tangents[0])

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Any]:
        """The cotangent of a value that is several is a list, with None for the others' zero."""
        return [[cotangent if i == self.index else None for i in range(self.count)]]


class Pack(LinearMap):
    """Several values as the results of one node, for `item` to take apart."""

    operands = ("*xs",)
    latex = r"({xs})"
    numpy = "(*xs,)"
    torch = "(*xs,)"
    samples = [Sample(real(2), real(3, 1)), Sample(real(2))]

    def wants(self, types: Sequence[Any]) -> list[Elem | None]:
        return [None for _ in types]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return TupleType(types)

    def transpose(self, cotangent: Any, *xs: Value) -> list[Value | None]:
        """cotangent: a sequence with that of each value, None for zero."""
        return list(cotangent)


class ZerosLike(NonDifferentiable, Elementwise):
    """Zeros of the same shape."""

    latex = "0"
    numpy = "np.zeros_like(x)"
    torch = "torch.zeros_like(x)"
    samples = [Sample(real(2, 3))]
