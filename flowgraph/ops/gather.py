"""Rows by number: take and take_along, and the sums over places that undo them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..types import REAL, Dim, Elem, Mismatch, TensorType, Type, Unifier, describe
from .base import (
    OPS,
    Arg,
    Batching,
    LinearMap,
    NonDifferentiable,
    Op,
    Sample,
    Value,
    axis_of,
    beside,
    broadcast,
    called,
    fn,
    klass,
    need_equal,
    real,
)
from .declared import Axis, Size
from .shape import product, summed_to


def one_hot_of(indices: Value, size: Any) -> Value:
    """The indices as one-hot rows of this size, which may be more than the labels they are have classes."""
    elem = indices.type.elem
    if elem.kind == "class" and elem.classes != size:
        indices = fn.cast(indices, kind="int")
    return fn.one_hot(indices, classes=size)


def number_of(beside_of: Value, size: Any) -> Value:
    """A size as a whole number in a graph."""
    known = Dim.of(size).value
    return beside(beside_of, OPS["size_value"](size=size) if known is None else OPS["const"](value=known))


def flat_places(labels: Value, size: Any) -> Value:
    """For the label of each row of an array with `size` columns its place among all entries, row by row.

    What picks entries, and what adds to them, share it.
    """
    graph = labels.builder.graph
    # Under another shape these are the same labels in the same order.
    while graph[labels.name].op.name in ("unsqueeze", "squeeze", "reshape"):
        labels = Value(labels.builder, graph[labels.name].operands[0])
    labels = labels if labels.type.rank == 1 else fn.reshape(labels, shape=(-1,))
    rows = beside(labels, OPS["arange"](start=labels.shape[0]))
    return called(fn.flat_place(labels, rows * number_of(labels, size), size=size), "places")


class FlatPlace(NonDifferentiable):
    """The places of labels among the entries of all rows, given where each row of `size` starts."""

    operands = ("labels", "starts")
    size: Size
    formula = "labels + starts"
    latex = "{labels} + {starts}"
    unsaid = ("size",)
    numpy = "labels + starts"
    torch = "labels + starts"
    samples = [Sample(klass(3, 4), Arg((4,), kind="int"), size=Dim.of(3))]

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [None, None]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        labels = types[0]
        need_labels(self, labels, 0)
        return TensorType(Elem("class", product((*labels.shape, self.size))), labels.shape)


def need_labels(op: Op, indices: TensorType, slot: int) -> None:
    """Raise Mismatch unless an operand holds whole numbers."""
    if indices.elem.kind not in ("class", "int"):
        raise Mismatch(
            f"`{op.name}` needs whole numbers to count by",
            blame=[(slot, f"is {indices.elem}")],
            help="declare it as `int` or `class(K)`",
            code="E0303",
        )


def rows_needed(op: Op, rows: Dim, labels: TensorType) -> list[tuple[Dim, int, str]]:
    """Of sizes that only data tell: one row for each class of the labels. See `Op.needs`."""
    classes = labels.elem.classes
    return [(rows - classes, 0, f"for `{op.name}` to find each class")] if isinstance(classes, Dim) else []


class Take(LinearMap):
    """The entries, rows, ... at these places along an axis; the places' axes stand in its stead."""

    group = "shape"
    operands = ("x", "indices")
    axis: Axis = 0
    formula = "y_i = x_(indices_i)"
    latex = "{x}[{indices}]"
    samples = [
        Sample(real(4), klass(4)),
        Sample(real(4, 2), klass(4, 3)),
        Sample(real(2, 4), klass(4, 3), axis=1),
        Sample(real(2, 4, 3), klass(4, 2, 2), axis=1),
        Sample(real(2, 4), klass(4), axis=-1),
        Sample(Arg((4,), kind="int"), Arg((3,), kind="int", low=0, high=3)),
    ]
    bad_samples = [
        Sample(real(4), real(2)),
        Sample(real(4), klass(5)),
        Sample(real(), klass(4)),
        Sample(real(4), klass(4), axis=1),
    ]
    example = "row = take(table, k)"

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [None, None]

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(axis=axis_of(self, self.axis, types[0].rank))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        x, indices = types
        need_labels(self, indices, 1)
        axis = axis_of(self, self.axis, x.rank)
        size, classes = u.resolve(x.shape[axis]), indices.elem.classes
        if classes is not None:
            classes = u.resolve(classes)
            known = size.value is not None and classes.value is not None
            if known and (classes.value or 0) > (size.value or 0):
                raise Mismatch(
                    f"`take` by one of {classes} classes from {size} entries",
                    blame=[(0, f"has {size} entries along the axis"), (1, f"is {indices.elem}")],
                    help="each class needs an entry",
                    code="E0305",
                    sizes=(size, classes),
                )
        place = x.rank + axis
        return TensorType(x.elem, (*x.shape[:place], *indices.shape, *x.shape[place + 1 :]))

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        x, indices = types
        return rows_needed(self, x.shape[axis_of(self, self.axis, x.rank)], indices)

    def form(self, target: str, types: Sequence[Any]) -> str:
        place = types[0].rank + axis_of(self, self.axis, types[0].rank)
        return f"x[{':, ' * place}indices]"

    def into_form(self, types: Sequence[Any]) -> tuple[str, ...]:
        """Labels are in range, as those of the data are held to be; other numbers numpy checks by itself."""
        known = ", mode='clip'" if types[1].elem.kind == "class" else ""
        return (f"x.take(indices, axis=axis, out=out{known})",)

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        x, indices = values
        axis = axis_of(self, self.axis, types[0].rank)
        if not b.has(indices):
            return b.apply(self, x, indices)
        if b.has(x):
            return self._each_its_own(b, values, types, axis)
        made = b.apply(self, x, indices)
        place = types[0].rank + axis
        if not place:
            return made
        # The batch axis came in the middle: bring it to the front.
        rank = made.type.rank
        order = [place, *(i for i in range(rank) if i != place)]
        return b.mark(fn.permute(made, axes=tuple(i - rank for i in order)))

    def _each_its_own(
        self, b: Batching, values: Sequence[Value], types: Sequence[TensorType], axis: int
    ) -> Value:
        """Both operands differ from example to example: the places go in a row along the axis."""
        x_type, indices = types[0], values[1]
        shape = [b.size, *(Dim.of(1) for _ in x_type.shape)]
        shape[axis] = product(types[1].shape)
        row = fn.reshape(indices, shape=tuple(shape))
        found = fn.take_along(values[0], row, axis=axis)
        place = x_type.rank + axis
        wanted = (*x_type.shape[:place], *types[1].shape, *x_type.shape[place + 1 :])
        if types[1].rank == 1:
            return b.mark(found)
        return b.mark(fn.reshape(found, shape=(b.size, *wanted)))

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        return None if tangents[0] is None else fn.take(tangents[0], xs[1], axis=self.axis)

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        x, indices = xs
        axis = axis_of(self, self.axis, x.type.rank)
        place, count = x.type.rank + axis, indices.type.rank
        rank = cotangent.type.rank
        front = [*range(place, place + count)]
        order = [*front, *(i for i in range(rank) if i not in front)]
        rows = fn.permute(cotangent, axes=tuple(order)) if place else cotangent
        summed = fn.add_at(rows, indices, size=x.shape[axis])
        if place:
            back = [*range(1, place + 1), 0, *range(place + 1, x.type.rank)]
            summed = fn.permute(summed, axes=tuple(back))
        return [summed, None]


def add_at(values, indices, size):
    """Add rows of values to the rows that indices name; entry by entry is faster."""
    total = np.zeros((size, *values.shape[indices.ndim :]), values.dtype)
    width = values.size // max(indices.size, 1)
    places = np.reshape(indices, (-1, 1)) * width + np.arange(width)
    np.add.at(total.reshape(-1), places.reshape(-1), values.reshape(-1))
    return total


def add_at_torch(values, indices, size):
    """Add each row of values to the row of the result that its index names."""
    total = values.new_zeros((size, *values.shape[indices.ndim :]))
    return total.index_put((indices,), values, accumulate=True)


class AddAt(LinearMap):
    """Each row added to the row of the result that its index names: the transpose of take."""

    operands = ("values", "indices")
    size: Size
    formula = "y_k = Σ values_i over i with indices_i = k"
    numpy = add_at
    torch = add_at_torch
    into = ("out.fill(0)", "np.add.at(out, indices, values)")
    samples = [
        Sample(real(3), klass(4, 3), size=Dim.of(4)),
        Sample(real(3, 2), klass(2, 3), size=Dim.of(2)),
        Sample(real(2), klass(4), size=Dim.of(4)),
        Sample(real(2, 3, 2), klass(4, 2, 3), size=Dim.of(4)),
    ]
    bad_samples = [Sample(real(3), klass(4, 2), size=Dim.of(4)), Sample(real(3), real(3), size=Dim.of(4))]

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [REAL if types[0].elem.kind != "real" else None, None]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        values, indices = types
        need_labels(self, indices, 1)
        blame = [(0, f"is {describe(values)}"), (1, f"is {describe(indices)}")]
        if indices.rank > values.rank:
            raise Mismatch("shapes do not agree", blame=blame, help="each row needs an index")
        for a, b in zip(values.shape, indices.shape, strict=False):
            need_equal(self, u, a, b, blame=blame, help="each row needs an index")
        return TensorType(REAL, (self.size, *values.shape[indices.rank :]))

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        rows, indices = values
        count = types[1].rank
        if b.has(indices):
            hot = b.mark(one_hot_of(indices, self.size))
            rows = b.spread(rows, types[0])
            flat_hot = fn.reshape(hot, shape=(b.size, product(types[1].shape), self.size))
            rest = types[0].shape[count:]
            flat_rows = fn.reshape(rows, shape=(b.size, product(types[1].shape), product(rest)))
            summed = fn.transpose_last(flat_hot) @ flat_rows
            return b.mark(fn.reshape(summed, shape=(b.size, self.size, *rest)))
        order = (*range(1, count + 1), 0, *range(count + 1, types[0].rank + 1))
        summed = fn.add_at(fn.permute(rows, axes=order), indices, size=self.size)
        rank = summed.type.rank
        return b.mark(fn.permute(summed, axes=(1, 0, *range(2, rank))))

    def simpler(self, *xs: Value) -> Value | None:
        """Of single entries: see the numpy form."""
        values, indices = xs
        rest = values.shape[indices.type.rank :]
        if indices.type.rank == 1 and not rest:
            return None
        places = fn.reshape(indices, shape=(-1,))
        width = product(rest)
        if width != 1:
            steps = beside(values, OPS["arange"](start=width))
            rows = fn.unsqueeze(places, axis=-1) * number_of(values, width)
            places = fn.reshape(rows + steps, shape=(-1,))
        flat = fn.add_at(fn.reshape(values, shape=(-1,)), places, size=width * self.size)
        return fn.reshape(flat, shape=(self.size, *rest))

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        return None if tangents[0] is None else fn.add_at(tangents[0], xs[1], size=self.size)

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [fn.take(cotangent, xs[1], axis=0), None]


class TakeAlong(LinearMap):
    """The entries at these places along an axis, each line with places of its own.

    Both operands have the same number of axes; those of size 1 broadcast.
    """

    operands = ("x", "indices")
    axis: Axis = -1
    formula = "y_ij = x_i,indices_ij"
    numpy = "np.take_along_axis(x, indices, axis=axis)"
    torch = "torch.take_along_dim(x, indices, dim=axis)"
    samples = [
        Sample(real(4), klass(4, 2)),
        Sample(real(2, 4), klass(4, 2, 1)),
        Sample(real(3, 4), klass(3, 2, 4), axis=0),
        Sample(real(2, 4, 3), klass(4, 2, 3, 1), axis=1),
    ]
    bad_samples = [Sample(real(4), klass(4)), Sample(real(2, 4), klass(4, 3, 1)), Sample(real(4), real(4))]

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [None, None]

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(axis=axis_of(self, self.axis, types[0].rank))

    def simpler(self, *xs: Value) -> Value | None:
        """By a label for each line along the last axis: entries of all lines in a row, by their places."""
        x, indices = xs
        *lines, count = indices.shape
        if indices.type.elem.kind != "class" or count != 1 or tuple(lines) != tuple(x.shape[:-1]):
            return None
        if axis_of(self, self.axis, x.type.rank) != -1:
            return None
        found = fn.take(fn.reshape(x, shape=(-1,)), flat_places(indices, x.shape[-1]))
        return fn.reshape(found, shape=indices.shape)

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        x, indices = types
        need_labels(self, indices, 1)
        if indices.rank != x.rank:
            raise Mismatch(
                "shapes do not agree",
                blame=[(0, f"is {describe(x)}"), (1, f"is {describe(indices)}")],
                help="`take_along` needs as many axes in both",
            )
        axis = axis_of(self, self.axis, x.rank)
        lines = [TensorType(t.elem, _without(t.shape, axis)) for t in types]
        shape = list(broadcast(u, self, lines))
        shape.insert(x.rank + axis, indices.shape[axis])
        return TensorType(x.elem, tuple(shape))

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        return None if tangents[0] is None else fn.take_along(tangents[0], xs[1], axis=self.axis)

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        x, indices = xs
        axis = axis_of(self, self.axis, x.type.rank)
        last = axis == -1
        if not last:
            indices, cotangent = _swapped(indices, axis), _swapped(cotangent, axis)
        hot = one_hot_of(indices, x.shape[axis])
        if indices.shape[-1] == 1:
            spread = cotangent * fn.squeeze(hot, axis=-2)
        else:
            spread = fn.sum(fn.unsqueeze(cotangent, axis=-1) * hot, axis=-2)
        return [summed_to(spread if last else _swapped(spread, axis), x.shape), None]


def _without(shape: Any, axis: int) -> Any:
    place = len(shape) + axis
    return (*shape[:place], *shape[place + 1 :])


def _swapped(x: Value, axis: int) -> Value:
    """The axis and the last one swapped."""
    order = list(range(-x.type.rank, 0))
    order[axis], order[-1] = order[-1], order[axis]
    return fn.permute(x, axes=tuple(order))


def pick(z: Value, y: Value) -> Value:
    """The entry of the last axis that a label names: z_y."""
    return fn.squeeze(fn.take_along(z, fn.unsqueeze(y, axis=-1), axis=-1), axis=-1)
