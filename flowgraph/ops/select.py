"""Picking entries: indexing and slicing, rows by number, one-hot vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..types import (
    REAL,
    Dim,
    Elem,
    Mismatch,
    TensorType,
    Type,
    Unifier,
    describe,
)
from .base import (
    OPS,
    Arg,
    Batching,
    LinearMap,
    NonDifferentiable,
    Op,
    Sample,
    Value,
    beside,
    fn,
    klass,
    need_equal,
    real,
)
from .declared import Size
from .gather import flat_places
from .shape import Rearrangement, product

FULL = ("slice", None, None)


class Index(Rearrangement):
    """Entries and slices along the first axes; written `x[0]`, `x[1:, :]`.

    items: per axis a whole number, or ("slice", start, stop) with None for an open end;
    numbers count from the end where negative, and a slice is cut at the ends, as in Python.
    """

    group = ""
    items: Any
    formula = "x[i], x[start:stop]"
    latex = "{x}[{items}]"
    samples = [
        Sample(real(3), items=(0,)),
        Sample(real(2, 3), items=(-1,)),
        Sample(real(2, 3), items=(FULL, 1)),
        Sample(real(4, 3), items=(("slice", 1, None), ("slice", None, -1))),
        Sample(real(4), items=(("slice", -3, 10),)),
        Sample(real(2, 3, 4), items=(1, ("slice", 1, 3), -1)),
        Sample(Arg((3,), kind="int"), items=(1,)),
    ]
    bad_samples = [
        Sample(real(3), items=(3,)),
        Sample(real(3), items=(-4,)),
        Sample(real(3), items=(0, 0)),
        Sample(real(), items=(0,)),
    ]
    example = "s = x[0]"

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        if len(self.items) > x.rank:
            raise Mismatch(
                f"{len(self.items)} indices into {describe(x)}",
                blame=[(0, f"is {describe(x)}")],
                help="give at most one index per axis",
                code="E0304",
            )
        shape: list[Size] = []
        for axis, item in enumerate(self.items):
            if isinstance(item, tuple):
                shape.append(self._length(u, x.shape[axis], item))
            else:
                self._check(u.resolve(x.shape[axis]), item)
        return TensorType(x.elem, (*shape, *x.shape[len(self.items) :]))

    def _check(self, size: Size, item: Any) -> None:
        """Raise Mismatch where an index is out of range, as far as the size is known."""
        number = Dim.of(item).value
        if number is None or size.value is None or -size.value <= number < size.value:
            return
        raise Mismatch(
            f"index {number} is out of range",
            blame=[(0, f"has {size} entries along this axis")],
            help=f"indices go from 0 to {size.value - 1}" if size.value else "it has no entries",
            code="E0305",
            sizes=(size,),
        )

    def _length(self, u: Unifier, size: Size, item: tuple[Any, ...]) -> Size:
        """How many entries a slice takes."""
        if item == FULL:
            return u.resolve(size)
        whole = u.known(size)
        start = Dim.of(0) if item[1] is None else Dim.of(item[1])
        stop = whole if item[2] is None else Dim.of(item[2])
        if None not in (whole.value, start.value, stop.value):
            return Dim.of(len(range(*slice(start.value, stop.value).indices(whole.value or 0))))
        return self._from_start(whole, stop) - self._from_start(whole, start)

    def _from_start(self, size: Dim, place: Dim) -> Dim:
        """A slice's end counted from the start; a size known later is taken to be large enough."""
        return size + place if place.value is not None and place.value < 0 else place

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        found: list[tuple[Dim, int, str]] = []
        for size, item in zip(types[0].shape, self.items, strict=False):
            if isinstance(item, tuple):
                found += self._slice_needs(size, item)
            else:
                at, why = self._from_start(size, Dim.of(item)), f"for the index {item}"
                found += [(at, 0, why), (size - at, 1, why)]
        return found

    def _slice_needs(self, size: Dim, item: tuple[Any, ...]) -> list[tuple[Dim, int, str]]:
        """What makes a slice one that is not cut at the ends."""
        start, stop = Dim.of(item[1] or 0), size if item[2] is None else Dim.of(item[2])
        if item == FULL or None not in (size.value, start.value, stop.value):
            return []
        ends = ["" if end is None else str(end) for end in item[1:]]
        first, last, why = self._from_start(size, start), self._from_start(size, stop), "for the slice "
        return [(each, 0, why + ":".join(ends)) for each in (first, last - first, size - last)]

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        return b.apply(Index(items=(FULL, *self.items)), values[0])

    def bindings(self) -> dict[str, Any]:
        return dict(self._parts()[1])

    def notation(self, types: Sequence[Any]) -> str:
        sizes = {name: str(size) for name, size in self._parts()[1].items()}
        said = [":".join(sizes.get(p, p) for p in part.split(":")) for part in self._parts()[0]]
        return f"{{x}}[{', '.join(said)}]"

    def said(self, types: Sequence[Any]) -> dict[str, Any]:
        return {}

    def form(self, target: str, types: Sequence[Any]) -> str:
        return f"x[{', '.join(self._parts()[0])}]"

    def _parts(self) -> tuple[list[str], dict[str, Any]]:
        """The subscripts as text, and the sizes that it names."""
        sizes: dict[str, Any] = {}

        def text(number: Any) -> str:
            if number is None:
                return ""
            if Dim.of(number).value is not None:
                return str(Dim.of(number).value)
            name = f"size_{len(sizes)}"
            sizes[name] = number
            return name

        parts = [
            f"{text(item[1])}:{text(item[2])}" if isinstance(item, tuple) else text(item)
            for item in self.items
        ]
        return parts, sizes

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        (x,) = xs
        widths: list[Any] = []
        for axis, item in enumerate(self.items):
            size = x.shape[axis]
            assert isinstance(size, Dim)
            if not isinstance(item, tuple):
                cotangent = fn.unsqueeze(cotangent, axis=axis)
                start = self._from_start(size, Dim.of(item))
                widths.append((start, size - start - 1))
            elif item == FULL:
                widths.append((Dim.of(0), Dim.of(0)))
            else:
                start = Dim.of(0) if item[1] is None else self._clamped(size, Dim.of(item[1]))
                length = cotangent.shape[axis]
                assert isinstance(length, Dim)
                widths.append((start, size - start - length))
        widths += [(Dim.of(0), Dim.of(0))] * (x.type.rank - len(self.items))
        return [fn.pad(cotangent, widths=tuple(w for pair in reversed(widths) for w in pair))]

    def _clamped(self, size: Dim, place: Dim) -> Dim:
        """A slice's start counted from the start and cut at both ends."""
        if size.value is None or place.value is None:
            return self._from_start(size, place)
        return Dim.of(slice(place.value, None).indices(size.value)[0])


class OneHot(NonDifferentiable):
    """A vector with 1 at the label's place and 0 elsewhere, along a new last axis.

    The number of classes is that of the label's type, class(K); a whole number needs `classes`.
    """

    group = "shape"
    operands = ("y",)
    classes: Size | None = None
    formula = "1 at k = y, else 0, for k = 0 .. classes - 1"
    unsaid = ("classes",)
    bounds = (0.0, 1.0)
    numpy = "(y[..., None] == np.arange(classes)).astype(real)"
    into = "np.equal(y[..., None], np.arange(classes), out=out)"
    torch = "F.one_hot(y, classes).to(real)"
    samples = [
        Sample(klass(3)),
        Sample(klass(4, 2)),
        Sample(klass(3, 2, 2), classes=3),
        Sample(Arg((4,), kind="int", low=0, high=4), classes=5),
    ]
    bad_samples = [Sample(real(3)), Sample(Arg((3,), kind="int")), Sample(klass(3), classes=4)]
    example = "e = one_hot(y)"

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [None]

    def canonical(self, types: Sequence[Any]) -> Op:
        known = types[0].elem.classes
        return self.with_attrs(classes=known) if self.classes is None and isinstance(known, Dim) else self

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (y,) = types
        if y.elem.kind not in ("class", "int"):
            raise Mismatch(
                "`one_hot` needs a class label",
                blame=[(0, f"is {y.elem}")],
                help="declare it as `class(K)`, or take `argmax` first",
                code="E0303",
            )
        if self.classes is None and y.elem.classes is None:
            raise Mismatch(
                "`one_hot` needs the number of classes",
                blame=[(0, "is a whole number of any size")],
                help="write `one_hot(y, 10)`, or declare the label as `class(10)`",
                code="E0403",
            )
        if self.classes is None or y.elem.classes is None:
            size = y.elem.classes if self.classes is None else Dim.of(self.classes)
        else:
            size = self._same(u, y.elem.classes)
        assert size is not None
        return TensorType(REAL, (*y.shape, u.resolve(size)))

    def simpler(self, *xs: Value) -> Value | None:
        """Ones added to zeros at the places of labels: several times as fast as comparing every entry."""
        (y,) = xs
        if y.type.elem.kind != "class" or self.classes is None:
            return None  # what is no class has no place, and gives zeros
        size = product(y.shape) * self.classes
        places = flat_places(y, self.classes)
        ones = beside(y, OPS["ones"](shape=places.shape))
        return fn.reshape(fn.add_at(ones, places, size=size), shape=(*y.shape, self.classes))

    def _same(self, u: Unifier, known: Size) -> Size:
        wanted: Any = self.classes
        try:
            return u.unify(known, Dim.of(wanted))
        except Mismatch as error:
            raise Mismatch(
                f"`one_hot` into {self.classes} classes of a label with {u.resolve(known)}",
                blame=[(0, f"is class({u.resolve(known)})")],
                help="leave `classes` out: the label's type has it",
                sizes=error.sizes,
            ) from None


def subtract_one_hot(p, y):
    """p less 1 at the label of each row, classes along the last axis."""
    found = np.array(p, order="C")
    rows = np.reshape(found, (-1, p.shape[-1]))
    rows[np.arange(len(rows)), np.reshape(y, -1)] -= 1
    return found


class SubtractOneHot(LinearMap):
    """p - one_hot(y), without an array of zeros: the gradient of cross-entropy by many scores."""

    operands = ("p", "y")
    formula = "p_k - 1 at k = y, else p_k"
    latex = r"{p} - \operatorname{{one\_hot}}({y})"
    numpy = subtract_one_hot
    torch = "p - F.one_hot(y, p.shape[-1])"
    into = (
        "np.copyto(out, p)",
        # A number of the array's own type: np.subtract.at is many times slower with another.
        "np.subtract.at(out.reshape(-1), np.arange(0, p.size, p.shape[-1]) + y.reshape(-1), "
        "np.ones((), p.dtype))",
    )
    samples = [
        Sample(real(3), klass(3)),
        Sample(real(2, 3), klass(3, 2)),
        Sample(real(2, 2, 4), klass(4, 2, 2)),
    ]
    bad_samples = [Sample(real(3), klass(4)), Sample(real(3), real()), Sample(real(2, 3), klass(3))]

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [REAL if types[0].elem.kind != "real" else None, None]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        p, y = types
        hot = OneHot(classes=p.shape[-1] if p.rank else None).rule(u, y)
        assert isinstance(hot, TensorType)
        blame = [(0, f"is {describe(u.tensor(p))}"), (1, f"is {describe(u.tensor(y))}")]
        if hot.rank != p.rank:
            raise Mismatch("shapes do not agree", blame=blame, help="each row needs a label")
        for have, want in zip(hot.shape, p.shape, strict=True):
            need_equal(self, u, have, want, blame=blame, help="each row needs a label")
        return p

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        return tangents[0]

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [cotangent, None]
