"""Reductions: sums, means, extremes and the like along axes.

`axis` is one axis or a list of them, counted from 0 or from the end; without it all axes are
reduced, except by argmax, argmin and logsumexp, which work on the last. A reduced axis stays,
with size 1, where `keepdims=true`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..types import INT, REAL, Dim, Elem, Mismatch, Shape, TensorType, Type, Unifier, promote
from .base import (
    OPS,
    Arg,
    LinearMap,
    NonDifferentiable,
    Op,
    Sample,
    Value,
    axes_of,
    axis_of,
    beside,
    fn,
    real,
)
from .declared import Axes, Axis

if TYPE_CHECKING:
    import torch


def kept_shape(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """The shape that is left when these axes (from the end) are reduced."""
    drop = {a + len(shape) for a in axes}
    if keepdims:
        return tuple(Dim.of(1) if i in drop else d for i, d in enumerate(shape))
    return tuple(d for i, d in enumerate(shape) if i not in drop)


class Reduction(Op, abstract=True):
    """Works along axes, which `canonical` counts from the end."""

    group = "reductions"
    axis: Axes = None
    keepdims: bool = False
    samples = [
        Sample(real(2, 3)),
        Sample(real(2, 3), axis=0),
        Sample(real(2, 3), axis=-1, keepdims=True),
        Sample(real(2, 3, 2), axis=(0, 2)),
        Sample(real()),
    ]
    bad_samples = [Sample(real(3), axis=1), Sample(real(2, 3), axis=(0, -2)), Sample(real(), axis=0)]
    whole: ClassVar[bool] = False
    """Whether whole numbers give a whole number; truth values count as 0 and 1."""
    torch_one_axis: ClassVar[str] = ""
    """The torch form for a single axis, where that for several is a function of ours."""
    of_number: ClassVar[str] = "x"
    """The form for a single number, which has no axes to reduce."""

    def axes(self, rank: int) -> tuple[int, ...]:
        """The axes reduced, from the end. Raises Mismatch (E0304)."""
        return axes_of(self, self.axis, rank)

    def canonical(self, types: Sequence[Any]) -> Op:
        axes = self.axes(types[0].rank)
        return self.with_attrs(axis=axes[0] if len(axes) == 1 else axes)

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        if not type(self).whole:
            return super().wants(types)
        return [INT if types[0].elem.kind == "bool" else None]

    def said(self, types: Sequence[Any]) -> dict[str, Any]:
        """No axis where all of them go."""
        said = super().said(types)
        if not self.keepdims and len(self.axes(types[0].rank)) == types[0].rank:
            said.pop("axis", None)
        return said

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        shape = kept_shape(x.shape, self.axes(x.rank), self.keepdims)
        return TensorType(promote([x.elem]) if type(self).whole else REAL, shape)

    def form(self, target: str, types: Sequence[Any]) -> Any:
        """`np.sum(x, axis=axis)`, made of a text that names only the function."""
        axes = self.axes(types[0].rank)
        if not axes:
            return self.of_number
        if target == "torch" and len(axes) == 1 and self.torch_one_axis:
            return self.torch_one_axis
        found = super().form(target, types)
        if not isinstance(found, str):
            return found
        return f"{found}({self.arguments(target, len(axes) == types[0].rank)})"

    def arguments(self, target: str, everything: bool) -> str:
        """The arguments in a form; axes are not named where all of them go."""
        if everything and not self.keepdims:
            return "x"
        return "x, axis=axis, keepdims=keepdims" if target == "numpy" else "x, dim=axis, keepdim=keepdims"

    def back(self, value: Value, x: Value) -> Value:
        """A value of the result's shape, with axes of size 1 where x is reduced."""
        axes = self.axes(x.type.rank)
        return value if self.keepdims or not axes else fn.unsqueeze(value, axis=axes)

    def again(self, value: Value, x: Value) -> Value:
        """The sum over the same axes of a value that has x's shape."""
        return fn.sum(value, axis=self.axes(x.type.rank), keepdims=self.keepdims)


class Sum(Reduction, LinearMap):
    """The sum."""

    whole = True
    formula = "Σ x"
    latex = r"\sum {x}"
    numpy = "np.sum"
    torch = "torch.sum"
    samples = [*Reduction.samples, Sample(Arg((2, 3), kind="int")), Sample(Arg((4,), kind="bool"))]

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [fn.expand(self.back(cotangent, xs[0]), shape=xs[0].shape)]


class Mean(Reduction, LinearMap):
    """The mean."""

    formula = "(1/n) Σ x"
    numpy = "np.mean"
    torch = "torch.mean"
    bad_samples = [*Reduction.bad_samples, Sample(real(0))]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        need_entries(self, u, types[0], self.axes(types[0].rank))
        return super().rule(u, *types)

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        return entries_needed(self, types[0], self.axes(types[0].rank))

    def simpler(self, *xs: Value) -> Value | None:
        (x,) = xs
        axes = self.axes(x.type.rank)
        return fn.share(self.again(x, x), size=axis_count(x.shape, axes)) if axes else fn.identity(x)

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        (x,) = xs
        share = fn.share(self.back(cotangent, x), size=axis_count(x.shape, self.axes(x.type.rank)))
        return [fn.expand(share, shape=x.shape)]


def axis_count(shape: Shape, axes: Sequence[int]) -> Dim:
    """The number of entries along these axes."""
    count = Dim.of(1)
    for axis in axes:
        size = shape[axis]
        assert isinstance(size, Dim)
        count = count * size
    return count


def need_entries(op: Op, u: Unifier, x: TensorType, axes: Sequence[int]) -> None:
    """Raise Mismatch where an axis is empty: nothing is the largest, or the mean, of nothing."""
    for axis in axes:
        if u.resolve(x.shape[axis]) == 0:
            raise Mismatch(
                f"`{op.name}` of no entries",
                blame=[(0, "has an axis of size 0")],
                help="give it at least one entry",
                sizes=(x.shape[axis],),
            )


def entries_needed(op: Op, x: TensorType, axes: Sequence[int]) -> list[tuple[Dim, int, str]]:
    """The same of sizes that only data tell: see `Op.needs`."""
    sizes = [size for axis in axes if isinstance(size := x.shape[axis], Dim)]
    return [(size, 1, f"for `{op.name}` to have entries") for size in sizes]


def prod_torch(x, axis, keepdims=False):
    """Product over several axes."""
    for one in axis:  # from the end, the first one first: the others keep their numbers
        x = x.prod(dim=one, keepdim=keepdims)
    return x


class Prod(Reduction):
    """The product; its derivative by an entry is the product of the others, zeros or not."""

    whole = True
    formula = "Π x"
    latex = r"\prod {x}"
    numpy = "np.prod"
    torch = prod_torch
    torch_one_axis = "torch.prod(x, dim=axis, keepdim=keepdims)"
    samples = [*Reduction.samples, Sample(Arg((2, 3), kind="int"))]

    def others(self, x: Value) -> Value:
        """For each entry the product of the others; takes memory n^2 for n entries."""
        axes = self.axes(x.type.rank)
        flat = merged_last(x, axes)
        size = flat.shape[-1]
        square = fn.expand(fn.unsqueeze(flat, axis=-2), shape=(*flat.shape, size))
        on_diagonal = beside(x, OPS["eye"](n=size)) > 0
        return unmerged_last(fn.prod(fn.where(on_diagonal, 1.0, square), axis=-1), x, axes)

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        (t,), (x,) = tangents, xs
        return None if t is None else self.again(t * self.others(x), x)

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return [self.back(cotangent, xs[0]) * self.others(xs[0])]


def merged_last(x: Value, axes: Sequence[int]) -> Value:
    """The axes (from the end) merged into one, which comes last; the others keep their order."""
    rank = x.type.rank
    rest = [a for a in range(-rank, 0) if a not in axes]
    order = (*rest, *axes)
    moved = x if order == tuple(range(-rank, 0)) else fn.permute(x, axes=order)
    if len(axes) == 1:
        return moved
    shape = (*(x.shape[a] for a in rest), axis_count(x.shape, axes))
    return fn.reshape(moved, shape=shape)


def unmerged_last(flat: Value, x: Value, axes: Sequence[int]) -> Value:
    """Undo `merged_last` for a value of the merged shape."""
    rank = x.type.rank
    order = [*(a for a in range(-rank, 0) if a not in axes), *axes]
    if len(axes) != 1:
        flat = fn.reshape(flat, shape=tuple(x.shape[a] for a in order))
    if order == list(range(-rank, 0)):
        return flat
    return fn.permute(flat, axes=tuple(order.index(a) - rank for a in range(-rank, 0)))


def take_first(x, axis, keepdims, pick):
    """Largest or smallest entry over several axes; a tie's gradient: the first's."""
    axes = [a % x.ndim for a in axis]
    rest = [a for a in range(x.ndim) if a not in axes]
    flat = x.permute(*rest, *axes).flatten(len(rest))
    found = pick(flat, dim=-1).values
    shape = [1 if a in axes else n for a, n in enumerate(x.shape)]
    return found.reshape(shape) if keepdims else found


class Extreme(Reduction, abstract=True):
    """The largest or smallest entry."""

    whole = True
    samples = [
        Sample(real(2, 3, distinct=True)),
        Sample(real(2, 3, distinct=True), axis=0),
        Sample(real(2, 3, distinct=True), axis=-1, keepdims=True),
        Sample(real(2, 3, 2, distinct=True), axis=(0, 2)),
        Sample(real()),
        Sample(Arg((2, 3), kind="int")),
    ]
    bad_samples = [*Reduction.bad_samples, Sample(real(0))]
    place: ClassVar[str]
    """The operation that finds it."""

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        need_entries(self, u, types[0], self.axes(types[0].rank))
        return super().rule(u, *types)

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        return entries_needed(self, types[0], self.axes(types[0].rank))

    def mask(self, x: Value) -> Value:
        """1 at the first place where the extreme is taken, else 0."""
        axes = self.axes(x.type.rank)
        if not axes:
            return fn.add(fn.zeros_like(x), 1)
        flat = merged_last(x, axes)
        return unmerged_last(fn.one_hot(getattr(fn, self.place)(flat)), x, axes)

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        (t,), (x,) = tangents, xs
        return None if t is None else self.again(t * self.mask(x), x)

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return [self.back(cotangent, xs[0]) * self.mask(xs[0])]


def largest_torch(x, axis, keepdims=False):
    """Largest entry over several axes; a tie's gradient goes to the first."""
    return take_first(x, axis, keepdims, torch.max)


def smallest_torch(x, axis, keepdims=False):
    """Smallest entry over several axes; a tie's gradient goes to the first."""
    return take_first(x, axis, keepdims, torch.min)


class Max(Extreme):
    """The largest entry; a tie's derivative goes to the first."""

    formula = "the largest x"
    latex = r"\max {x}"
    numpy = "np.max"
    torch = largest_torch
    torch_one_axis = "torch.max(x, dim=axis, keepdim=keepdims).values"
    place = "argmax"


class Min(Extreme):
    """The smallest entry; a tie's derivative goes to the first."""

    formula = "the smallest x"
    latex = r"\min {x}"
    numpy = "np.min"
    torch = smallest_torch
    torch_one_axis = "torch.min(x, dim=axis, keepdim=keepdims).values"
    place = "argmin"


class ArgExtreme(NonDifferentiable, abstract=True):
    """The place of the largest or smallest entry along an axis: class(K) for K entries."""

    group = "reductions"
    instead = "train on the scores themselves, or on their `softmax`"
    axis: Axis = -1
    keepdims: bool = False
    samples = [
        Sample(real(4)),
        Sample(real(2, 3)),
        Sample(real(2, 3), axis=0),
        Sample(real(2, 3), axis=0, keepdims=True),
        Sample(Arg((5,), kind="int")),
    ]
    bad_samples = [Sample(real(3), axis=1), Sample(real()), Sample(real(0))]
    example = "k = {name}(z)"

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [None]

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(axis=axis_of(self, self.axis, types[0].rank))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        axis = axis_of(self, self.axis, x.rank)
        need_entries(self, u, x, [axis])
        return TensorType(Elem("class", x.shape[axis]), kept_shape(x.shape, (axis,), self.keepdims))

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        return entries_needed(self, types[0], [axis_of(self, self.axis, types[0].rank)])


class Argmax(ArgExtreme):
    """The place of the largest entry along the axis, the first one at a tie."""

    formula = "the first i with x_i = max x"
    numpy = "np.argmax(x, axis=axis, keepdims=keepdims)"
    into = "np.argmax(x, axis=axis, keepdims=keepdims, out=out)"
    torch = "torch.argmax(x, dim=axis, keepdim=keepdims)"


class Argmin(ArgExtreme):
    """The place of the smallest entry along the axis, the first one at a tie."""

    formula = "the first i with x_i = min x"
    numpy = "np.argmin(x, axis=axis, keepdims=keepdims)"
    into = "np.argmin(x, axis=axis, keepdims=keepdims, out=out)"
    torch = "torch.argmin(x, dim=axis, keepdim=keepdims)"
