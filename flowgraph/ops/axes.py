"""Axes: new ones of size 1, without such, and in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..types import Dim, Mismatch, TensorType, Type, Unifier, Unknown, describe
from .base import Batching, Op, Sample, Value, axes_of, axis_of, fn, known_shape, real
from .declared import Axes
from .shape import Rearrangement


class Unsqueeze(Rearrangement):
    """New axes of size 1 at these places of the result."""

    axis: Axes
    formula = "x with an axis of size 1"
    latex = "{x}"
    unsaid = ("axis",)
    samples = [
        Sample(real(3), axis=0),
        Sample(real(3), axis=-1),
        Sample(real(2, 3), axis=1),
        Sample(real(3), axis=(0, -1)),
        Sample(real(), axis=0),
    ]
    bad_samples = [Sample(real(3), axis=2), Sample(real(3), axis=(0, -3))]
    example = "m = unsqueeze(x, 0)"

    def _axes(self, rank: int) -> tuple[int, ...]:
        new = 1 if isinstance(self.axis, int) else len(self.axis)
        return axes_of(self, self.axis, rank + new)

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(axis=self._axes(types[0].rank))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        axes = self._axes(x.rank)
        rank = x.rank + len(axes)
        old = iter(x.shape)
        return TensorType(x.elem, tuple(Dim.of(1) if i - rank in axes else next(old) for i in range(rank)))

    def form(self, target: str, types: Sequence[Any]) -> str:
        axes = self._axes(types[0].rank)
        rank = types[0].rank + len(axes)
        places = ["None" if i - rank in axes else ":" for i in range(rank)]
        last = max(i for i, p in enumerate(places) if p == "None")
        if last == rank - 1 and places[0] == ":" and rank > 2:
            first = places.index("None")
            return f"x[..., {', '.join(places[first:])}]"
        return f"x[{', '.join(places[: last + 1])}]"

    def undone(self, types: Sequence[Any]) -> Op:
        return Squeeze(axis=self._axes(types[0].rank))

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [fn.squeeze(cotangent, axis=self._axes(xs[0].type.rank))]


class Squeeze(Rearrangement):
    """Without these axes, which must have size 1; by default without every such axis."""

    axis: Axes = None
    formula = "x without axes of size 1"
    latex = "{x}"
    unsaid = ("axis",)
    numpy = "np.squeeze(x, axis=axis)"
    torch = "torch.squeeze(x, dim=axis)"
    samples = [
        Sample(real(3, 1), axis=-1),
        Sample(real(1, 3, 1)),
        Sample(real(1, 3, 1), axis=(0, 2)),
        Sample(real(2, 3)),
    ]
    bad_samples = [Sample(real(3, 2), axis=0), Sample(real(1), axis=1)]
    example = "v = squeeze(m, -1)"

    def _axes(self, shape: Sequence[Any]) -> tuple[int, ...]:
        if self.axis is None:
            return tuple(i - len(shape) for i, d in enumerate(shape) if d == 1)
        return axes_of(self, self.axis, len(shape))

    def canonical(self, types: Sequence[Any]) -> Op:
        axes = self._axes(types[0].shape)
        return self.with_attrs(axis=axes[0] if len(axes) == 1 else axes)

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        shape = known_shape(u, x.shape) if self.axis is None else u.shape(x.shape)
        axes = self._axes(shape)
        for axis in axes:
            if u.unify(shape[axis], Dim.of(1)) if isinstance(shape[axis], Unknown) else shape[axis] == 1:
                continue
            raise Mismatch(
                f"`squeeze` removes axes of size 1, not of {shape[axis]}",
                blame=[(0, f"is {describe(x)}")],
                help="name an axis of size 1, or index the one you mean: `x[0]`",
                sizes=(shape[axis],),
            )
        return TensorType(x.elem, tuple(d for i, d in enumerate(shape) if i - len(shape) not in axes))

    def form(self, target: str, types: Sequence[Any]) -> Any:
        axes = self._axes(types[0].shape)
        return super().form(target, types) if axes else "x"

    def undone(self, types: Sequence[Any]) -> Op:
        return Unsqueeze(axis=self._axes(types[0].shape))

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [fn.reshape(cotangent, shape=xs[0].shape)]


class Permute(Rearrangement):
    """The axes in another order, each named once."""

    axes: Axes
    formula = "x with its axes in this order"
    samples = [
        Sample(real(2, 3), axes=(1, 0)),
        Sample(real(2, 3, 4), axes=(2, 0, 1)),
        Sample(real(2, 3, 4), axes=(0, -1, -2)),
    ]
    bad_samples = [
        Sample(real(2, 3), axes=(0,)),
        Sample(real(2, 3), axes=(0, 0)),
        Sample(real(2, 3), axes=(0, 2)),
    ]
    example = "m = permute(x, [1, 0])"

    def _order(self, rank: int) -> tuple[int, ...]:
        given = (self.axes,) if isinstance(self.axes, int) else tuple(self.axes)
        axes_of(self, given, rank)
        return tuple(axis_of(self, a, rank) for a in given)

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(axes=self._order(types[0].rank))

    def notation(self, types: Sequence[Any]) -> str:
        return "{{{x}}}^T" if self._order(types[0].rank) == (-1, -2) else self.latex

    def said(self, types: Sequence[Any]) -> dict[str, Any]:
        return {} if self._order(types[0].rank) == (-1, -2) else super().said(types)

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        order = self._order(x.rank)
        if len(order) != x.rank:
            raise Mismatch(
                f"`permute` needs an order of all {x.rank} axes, and got {len(order)}",
                blame=[(0, f"is {describe(x)}")],
                help=f"such as {list(reversed(range(x.rank)))}",
                code="E0304",
            )
        return TensorType(x.elem, tuple(x.shape[a] for a in order))

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        order = self._order(types[0].rank)
        return b.apply(self.with_attrs(axes=(-types[0].rank - 1, *order)), values[0])

    def form(self, target: str, types: Sequence[Any]) -> str:
        rank = types[0].rank
        order = [a + rank for a in self._order(rank)]
        if order == list(range(rank)):
            return "x"
        if order == [1, 0]:
            return "x.T"
        numbers = ", ".join(str(a) for a in order)
        return f"np.transpose(x, ({numbers}))" if target == "numpy" else f"x.permute({numbers})"

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [fn.permute(cotangent, axes=self._back(xs[0].type.rank))]

    def undone(self, types: Sequence[Any]) -> Op:
        return Permute(axes=self._back(types[0].rank))

    def _back(self, rank: int) -> tuple[int, ...]:
        order = [a + rank for a in self._order(rank)]
        return tuple(order.index(i) - rank for i in range(rank))


class TransposeLast(Rearrangement):
    """The last two axes swapped; written `x.T`."""

    formula = "x with its last two axes swapped"
    latex = "{{{x}}}^T"
    samples = [Sample(real(2, 3)), Sample(real(2, 3, 4))]
    bad_samples = [Sample(real(3)), Sample(real())]
    example = "m = x.T"
    is_view = True

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        if x.rank < 2:
            raise Mismatch(
                "`.T` swaps the last two axes",
                blame=[(0, f"is {describe(x)}")],
                help="a vector needs none: `@` takes it from either side; `unsqueeze(x, 0)` makes a row",
                code="E0304",
            )
        return TensorType(x.elem, (*x.shape[:-2], x.shape[-1], x.shape[-2]))

    def form(self, target: str, types: Sequence[Any]) -> str:
        if types[0].rank == 2:
            return "x.T"
        return "np.swapaxes(x, -2, -1)" if target == "numpy" else "x.mT"

    def undone(self, types: Sequence[Any]) -> Op:
        return self

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [fn.transpose_last(cotangent)]
