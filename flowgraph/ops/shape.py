"""Shapes: the same entries in another arrangement, some of them, or several arrays in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..types import (
    Dim,
    Elem,
    Mismatch,
    TensorType,
    Type,
    Unifier,
    Unknown,
    shape_text,
)
from .base import (
    Arg,
    Batching,
    Interval,
    LinearMap,
    Op,
    Sample,
    Value,
    axis_of,
    fn,
    known_shape,
    real,
)
from .declared import Axis, Shape


def product(sizes: Sequence[Any]) -> Dim:
    """The number of entries of such a shape."""
    total = Dim.of(1)
    for size in sizes:
        total = total * size
    return total


class Rearrangement(LinearMap, abstract=True):
    """Linear, and at home with any element type, which the result keeps."""

    group = "shape"

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [None for _ in types]

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        return given[0]

    def undone(self, types: Sequence[Any]) -> Op | None:
        """The operation that makes the operand of the result, by looking at it otherwise alone; None where
        the result does not show all of the operand, or not in any layout."""
        return None


class Reshape(Rearrangement):
    """The same entries, in the same order, in another shape; one size may be -1, the rest."""

    shape: Shape
    formula = "the entries of x in this shape"
    numpy = "np.reshape(x, shape)"
    torch = "torch.reshape(x, shape)"
    samples = [
        Sample(real(2, 3), shape=(3, 2)),
        Sample(real(2, 3), shape=(-1,)),
        Sample(real(6), shape=(1, 2, -1)),
        Sample(real(), shape=(1, 1)),
        Sample(Arg((4,), kind="int"), shape=(2, 2)),
    ]
    bad_samples = [
        Sample(real(2, 3), shape=(4,)),
        Sample(real(2, 3), shape=(4, -1)),
        Sample(real(4), shape=(-1, -1)),
    ]
    example = "m = reshape(x, [2, -1])"

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(shape=self._filled(types[0].shape))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        return TensorType(x.elem, self._filled(known_shape(u, x.shape)))

    def _filled(self, shape: Sequence[Any]) -> tuple[Dim, ...]:
        """The wanted shape, its -1 replaced. Raises Mismatch."""
        wanted = [Dim.of(d) for d in self.shape]
        free = [i for i, d in enumerate(wanted) if d == -1]
        if len(free) > 1:
            raise Mismatch("`reshape` can fill in one -1 only", code="E0404", help="give the other sizes")
        have = product(shape)
        fixed = product([d for d in wanted if d != -1])
        if free:
            rest = None if fixed == 0 else have.divide(fixed)
            if rest is None:
                raise self._misfit(shape, have, f"{have} entries do not divide into rows of {fixed}")
            wanted[free[0]] = rest
        elif fixed != have:
            raise self._misfit(shape, have, f"{shape_text(wanted)} has room for {fixed} entries")
        return tuple(wanted)

    def _misfit(self, shape: Sequence[Any], have: Dim, why: str) -> Mismatch:
        return Mismatch(
            f"`reshape` cannot make {shape_text([Dim.of(d) for d in self.shape])} of {shape_text(shape)}",
            blame=[(0, f"has {have} entries")],
            help=why,
        )

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        return b.apply(self.with_attrs(shape=(b.size, *self.shape)), values[0])

    def form(self, target: str, types: Sequence[Any]) -> Any:
        start = self._flattens_from(types[0].shape)
        if target == "torch" and start is not None:
            return f"x.flatten({start})" if start else "x.flatten()"
        return super().form(target, types)

    def torch_layer(self, types: Sequence[Any]) -> str:
        return "nn.Flatten()" if self._flattens_from(types[0].shape) == 1 else ""

    def _flattens_from(self, shape: Sequence[Any]) -> int | None:
        """The axis from which on all are merged into one, if that is all it does."""
        start = len(self.shape) - 1
        merges = 0 <= start < len(shape) - 1 and tuple(shape[:start]) == tuple(self.shape[:start])
        return start if merges else None

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [fn.reshape(cotangent, shape=xs[0].shape)]


class Flatten(Rearrangement):
    """All entries in one axis, in order; `start_dim` and `end_dim` are the axes to merge.

    Once shapes are known it is a reshape.
    """

    start_dim: Axis = 0
    end_dim: Axis = -1
    formula = "the entries of x in a row"
    numpy = "np.reshape(x, -1)"
    torch = "x.flatten(start_dim, end_dim)"
    torch_module = "nn.Flatten()"
    samples = [
        Sample(real(2, 3)),
        Sample(real(2, 3, 2), start_dim=1),
        Sample(real(2, 3, 2), end_dim=1),
        Sample(real()),
        Sample(Arg((2, 2), kind="int")),
    ]
    bad_samples = [Sample(real(2, 3), start_dim=2), Sample(real(2, 3), start_dim=1, end_dim=0)]
    example = "v = flatten(x)"

    def _merged(self, shape: Sequence[Any]) -> tuple[Dim, ...]:
        """The shape with the axes merged. Raises Mismatch."""
        rank = len(shape)
        if rank == 0:
            return (Dim.of(1),)
        first = axis_of(self, self.start_dim, rank) + rank
        last = axis_of(self, self.end_dim, rank) + rank
        if first > last:
            raise Mismatch(
                "`flatten` starts after its end",
                blame=[(0, f"has {rank} axes")],
                help="`start_dim` is the first axis to merge, `end_dim` the last",
                code="E0304",
            )
        return (*shape[:first], product(shape[first : last + 1]), *shape[last + 1 :])

    def canonical(self, types: Sequence[Any]) -> Op:
        return Reshape(shape=self._merged(types[0].shape))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        return TensorType(x.elem, self._merged(known_shape(u, x.shape)))

    def expand(self, x: Value) -> Value:
        """The reshape that it is."""
        return fn.reshape(x, shape=self._merged(x.shape))


class Expand(Rearrangement):
    """The array repeated to a larger shape, by the rule of broadcasting; -1 keeps a size."""

    shape: Shape
    formula = "x broadcast to this shape"
    latex = "{x}"
    unsaid = ("shape",)
    numpy = "np.broadcast_to(x, shape)"
    torch = "torch.broadcast_to(x, shape)"
    samples = [
        Sample(real(3), shape=(2, 3)),
        Sample(real(2, 1), shape=(-1, 3)),
        Sample(real(), shape=(2, 2)),
        Sample(Arg((1,), kind="int"), shape=(3,)),
    ]
    bad_samples = [Sample(real(3), shape=(2, 4)), Sample(real(2, 3), shape=(3,))]
    example = "m = expand(x, [4, -1])"

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(shape=self._filled(types[0].shape))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        return TensorType(x.elem, self._filled(u.shape(x.shape)))

    def _filled(self, shape: Sequence[Any]) -> tuple[Any, ...]:
        """The wanted shape, its -1 replaced. Raises Mismatch."""
        wanted: list[Any] = [Dim.of(d) for d in self.shape]
        lead = len(wanted) - len(shape)
        if lead < 0:
            raise self._misfit(shape, "the wanted shape has fewer axes")
        for i, size in enumerate(shape):
            if wanted[lead + i] == -1:
                wanted[lead + i] = size
            elif size != 1 and size != wanted[lead + i] and not isinstance(size, Unknown):
                raise self._misfit(shape, f"only an axis of size 1 can be repeated, not one of {size}")
        if any(d == -1 for d in wanted):
            raise self._misfit(shape, "-1 keeps a size, and a new axis has none")
        return tuple(wanted)

    def _misfit(self, shape: Sequence[Any], why: str) -> Mismatch:
        return Mismatch(
            f"cannot expand {shape_text(shape)} to {shape_text([Dim.of(d) for d in self.shape])}",
            blame=[(0, f"is {shape_text(shape)}")],
            help=why,
        )

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        x = b.align(values[0], types[0], len(self.shape))
        return b.apply(self.with_attrs(shape=(b.size, *self.shape)), x)

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [summed_to(cotangent, xs[0].shape)]


def cut_at(x, cuts):
    """The parts between these places along the last axis, as views."""
    return [x[..., a:b] for a, b in zip((0, *cuts), (*cuts, None), strict=True)]


def summed_to(value: Value, shape: Shape) -> Value:
    """Summed over the axes along which an array of this shape was repeated: what undoes a broadcast."""
    lead = value.type.rank - len(shape)
    if lead:
        value = fn.sum(value, axis=tuple(range(-value.type.rank, -len(shape))))
    repeated = tuple(i - len(shape) for i, d in enumerate(shape) if d == 1 and value.shape[i] != 1)
    return fn.sum(value, axis=repeated, keepdims=True) if repeated else value
