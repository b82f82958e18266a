"""Several arrays in one and one in several: stack, concat, split; and the edges: pad, flip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..types import (
    REAL,
    Dim,
    Elem,
    Mismatch,
    TensorType,
    TupleType,
    Type,
    Unifier,
    describe,
)
from .base import (
    OPS,
    Arg,
    Interval,
    LinearMap,
    Op,
    OpDefinitionError,
    Sample,
    Value,
    axes_of,
    axis_of,
    beside,
    common_elem,
    fn,
    need_equal,
    real,
    to_common,
)
from .declared import Axes, Axis, Shape
from .interval import hull
from .select import FULL
from .shape import cut_at


class Join(LinearMap, abstract=True):
    """Several arrays made one along an axis; their element types become one."""

    group = "shape"
    operands = ("*xs",)
    axis: Axis = 0

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return to_common(types)

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        return hull(given)

    def agree(self, u: Unifier, types: Sequence[TensorType], skip: int | None) -> None:
        """Unify all shapes, apart from the axis to skip. Raises Mismatch."""
        first = types[0]
        for slot, other in enumerate(types[1:], 1):
            blame = [(0, f"is {describe(first)}"), (slot, f"is {describe(other)}")]
            if other.rank != first.rank:
                raise Mismatch("shapes do not agree", blame=blame, help=f"`{self.name}` {self.cure}")
            for axis, (a, b) in enumerate(zip(first.shape, other.shape, strict=True)):
                if axis - first.rank != skip:
                    need_equal(self, u, a, b, blame=blame, help=f"`{self.name}` {self.cure}")

    cure = ""

    def places(self, types: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Where each operand lies in the result, as the items of `index`."""
        raise OpDefinitionError(f"{self.name} declares no places")

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [fn.index(cotangent, items=items) for items in self.places([x.type for x in xs])]


class Stack(Join):
    """Arrays of one shape along a new axis; `[a, b]` is `stack(a, b)`."""

    formula = "[x1, x2, ...]"
    latex = "[{xs}]"
    numpy = "np.stack(xs, axis=axis)"
    into = "np.stack(xs, axis=axis, out=out)"
    torch = "torch.stack(xs, dim=axis)"
    samples = [
        Sample(real(), real(), real()),
        Sample(real(3), real(3)),
        Sample(real(3), real(3), axis=1),
        Sample(real(2, 3), real(2, 3), axis=-1),
        Sample(real(3), Arg((3,), kind="int")),
        Sample(real(2)),
    ]
    bad_samples = [Sample(real(3), real(4)), Sample(real(3), real()), Sample(real(3), axis=2)]
    example = "v = [a, b]"
    cure = "needs arrays of one shape"

    def _axis(self, types: Sequence[Any]) -> int:
        return axis_of(self, self.axis, types[0].rank + 1)

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(axis=self._axis(types))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        self.agree(u, types, None)
        place = self._axis(types) + types[0].rank + 1
        shape = list(u.shape(types[0].shape))
        shape.insert(place, Dim.of(len(types)))
        return TensorType(common_elem([t.elem for t in types]), tuple(shape))

    def places(self, types: Sequence[Any]) -> list[tuple[Any, ...]]:
        before = types[0].rank + 1 + self._axis(types)
        return [(*(FULL,) * before, place) for place in range(len(types))]


class Concat(Join):
    """Arrays one after the other along an axis that they have."""

    formula = "x1, then x2, ... along the axis"
    numpy = "np.concatenate(xs, axis=axis)"
    into = "np.concatenate(xs, axis=axis, out=out)"
    torch = "torch.cat(xs, dim=axis)"
    samples = [
        Sample(real(2), real(3)),
        Sample(real(2, 3), real(1, 3)),
        Sample(real(2, 3), real(2, 1), axis=1),
        Sample(real(2, 3), Arg((2, 1), kind="int"), axis=-1),
    ]
    bad_samples = [
        Sample(real(2, 3), real(2, 2)),
        Sample(real(2), real(2, 2)),
        Sample(real(), real()),
        Sample(real(2), real(2), axis=1),
    ]
    example = "v = concat(a, b)"
    cure = "needs arrays that differ along its axis only"

    def _axis(self, types: Sequence[Any]) -> int:
        return axis_of(self, self.axis, types[0].rank)

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(axis=self._axis(types))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        axis = self._axis(types)
        self.agree(u, types, axis)
        shape = list(u.shape(types[0].shape))
        shape[axis] = sum((u.known(t.shape[axis]) for t in types), Dim.of(0))
        return TensorType(common_elem([t.elem for t in types]), tuple(shape))

    def places(self, types: Sequence[Any]) -> list[tuple[Any, ...]]:
        axis = self._axis(types)
        found: list[tuple[Any, ...]] = []
        start = Dim.of(0)
        for type in types:
            end = start + type.shape[axis]
            found.append((*(FULL,) * (type.rank + axis), ("slice", start, end)))
            start = end
        return found


class Split(LinearMap):
    """An array in several along an axis: a number of equal parts, or parts of these sizes."""

    group = "shape"
    parts: Any
    axis: Axis = 0
    formula = "x1, x2, ... with concat(x1, x2, ...) = x"
    samples = [
        Sample(real(6), parts=3),
        Sample(real(5), parts=(2, 3)),
        Sample(real(2, 4), parts=2, axis=-1),
        Sample(Arg((2, 4), kind="int"), parts=(1, 3), axis=1),
    ]
    bad_samples = [
        Sample(real(5), parts=2),
        Sample(real(5), parts=(2, 2)),
        Sample(real(5), parts=0),
        Sample(real(5), parts=(-1, 6)),
        Sample(real(), parts=1),
        Sample(real(5), parts=1, axis=1),
    ]
    example = "a, b = split(x, 2)"

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [None]

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(axis=axis_of(self, self.axis, types[0].rank))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        axis = axis_of(self, self.axis, x.rank)
        size = u.known(x.shape[axis])
        shape = list(x.shape)
        pieces = []
        for part in self._sizes(size):
            shape[axis] = part
            pieces.append(TensorType(x.elem, tuple(shape)))
        return TupleType(tuple(pieces))

    def _sizes(self, size: Dim) -> list[Dim]:
        """The sizes of the parts. Raises Mismatch where they do not make up the whole."""
        wanted = self.parts if isinstance(self.parts, tuple) else [self.parts]
        if not wanted or not all(_is_size(p) for p in wanted) or wanted == [0]:
            raise Mismatch(
                "`split` needs a number of parts, or the sizes of the parts",
                code="E0404",
                help="write `split(x, 3)`, or `split(x, [2, 4])`",
            )
        if isinstance(self.parts, tuple):
            if sum(wanted, Dim.of(0)) == size:
                return [Dim.of(p) for p in wanted]
            reason = f"parts of {', '.join(map(str, wanted))} add up to {sum(wanted, Dim.of(0))}"
        else:
            each = size.divide(self.parts) if Dim.of(self.parts).value is not None else None
            if each is not None:
                return [each] * (Dim.of(self.parts).value or 0)
            reason = f"{size} does not divide into {self.parts} equal parts"
        raise Mismatch(
            "`split` does not come out",
            blame=[(0, f"has {size} entries along the axis")],
            help=reason,
            sizes=(size,),
        )

    def bindings(self) -> dict[str, Any]:
        """The attrs, and under `cuts` the places where numpy cuts."""
        if not isinstance(self.parts, tuple):
            return self.values
        cuts, at = [], Dim.of(0)
        for part in self.parts[:-1]:
            at = at + part
            cuts.append(at)
        return self.values | {"cuts": tuple(cuts)}

    def form(self, target: str, types: Sequence[Any]) -> Any:
        sizes = isinstance(self.parts, tuple)
        if target == "numpy":
            if sizes and len(self.parts) > 8 and self.axis == -1:
                return cut_at  # np.split takes a microsecond for each
            return "np.split(x, cuts, axis=axis)" if sizes else "np.split(x, parts, axis=axis)"
        return "torch.split(x, parts, dim=axis)" if sizes else "torch.chunk(x, parts, dim=axis)"

    def simpler(self, *xs: Value) -> Value | None:
        (x,) = xs
        axis = axis_of(self, self.axis, x.type.rank)
        size = x.shape[axis]
        assert isinstance(size, Dim)
        parts, start = [], Dim.of(0)
        for part in self._sizes(size):
            piece = ("slice", start, start + part)
            parts.append(fn.index(x, items=(*(FULL,) * (x.type.rank + axis), piece)))
            start = start + part
        return fn.pack(*parts)

    def transpose(self, cotangent: Any, *xs: Value) -> list[Value | None]:
        """cotangent: a sequence with that of each part, None for zero."""
        (x,) = xs
        axis = axis_of(self, self.axis, x.type.rank)
        size = x.shape[axis]
        assert isinstance(size, Dim)
        parts = []
        for given, part in zip(cotangent, self._sizes(size), strict=True):
            shape = list(x.shape)
            shape[axis] = part
            parts.append(beside(x, OPS["zeros"](shape=tuple(shape))) if given is None else given)
        return [fn.concat(*parts, axis=axis)]


def _is_size(value: Any) -> bool:
    if isinstance(value, Dim):
        return value.value is None or value.value >= 0
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


class Pad(LinearMap):
    """A border of one value around the array.

    widths: how many entries before and after, in PyTorch's order: the last axis first, axes
    that are not named get none. Only a border of zeros is linear; another is a fixed number.
    """

    group = "shape"
    widths: Shape
    value: float = 0.0
    formula = "x with a border"
    torch = "F.pad(x, widths, value=value)"
    samples = [
        Sample(real(3), widths=(1, 2)),
        Sample(real(2, 3), widths=(0, 1, 2, 0)),
        Sample(real(2, 3), widths=(1, 1)),
        Sample(real(3), widths=(1, 0), value=-1.5),
    ]
    bad_samples = [
        Sample(real(3), widths=(1,)),
        Sample(real(3), widths=(1, 1, 1, 1)),
        Sample(real(3), widths=(-1, 1)),
    ]
    example = "p = pad(x, [1, 1])"

    def _pairs(self, rank: int) -> list[tuple[Dim, Dim]]:
        """Width before and after for each axis, the first axis first. Raises Mismatch."""
        widths = [Dim.of(w) for w in self.widths]
        if len(widths) % 2 or len(widths) > 2 * rank or any((w.value or 0) < 0 for w in widths):
            raise Mismatch(
                f"`pad` cannot use these {len(widths)} widths",
                blame=[(0, f"has {rank} {'axis' if rank == 1 else 'axes'}")],
                help="give whole numbers from 0, two for each axis: [before, after] of the last axis "
                "first, then of the one before it",
                code="E0404",
            )
        pairs = list(zip(widths[::2], widths[1::2], strict=True))
        none = (Dim.of(0), Dim.of(0))
        return [none] * (rank - len(pairs)) + pairs[::-1]

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        return [(Dim.of(width), 0, "for the widths of `pad`") for width in self.widths]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        shape: list[Any] = []
        for size, (before, after) in zip(x.shape, self._pairs(x.rank), strict=True):
            bare = before == 0 and after == 0
            shape.append(u.resolve(size) if bare else u.known(size) + before + after)
        return TensorType(x.elem if x.elem.kind == "real" else REAL, tuple(shape))

    def bindings(self) -> dict[str, Any]:
        """The attrs, and the widths by name (`before_1`, `after_1` for the last axis)."""
        named: dict[str, Dim] = {}
        for place, (before, after) in enumerate(reversed(self._pairs(len(self.widths) // 2)), 1):
            named |= {f"before_{place}": before, f"after_{place}": after}
        return self.values | named

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if target == "torch":
            return super().form(target, types)
        rank = types[0].rank
        pairs = self._pairs(rank)
        texts = [
            "(0, 0)" if pair == (0, 0) else f"(before_{rank - i}, after_{rank - i})"
            for i, pair in enumerate(pairs)
        ]
        one = texts[0] if rank == 1 else f"({', '.join(texts)})"
        return f"np.pad(x, {one}, constant_values=value)" if self.value else f"np.pad(x, {one})"

    def into_form(self, types: Sequence[Any]) -> tuple[str, ...]:
        rank = types[0].rank
        inner = [
            ":" if pair == (0, 0) else f"before_{rank - i}:out.shape[{i}] - after_{rank - i}"
            for i, pair in enumerate(self._pairs(rank))
        ]
        return ("out.fill(value)", f"np.copyto(out[{', '.join(inner)}], x)")

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        return None if tangents[0] is None else fn.pad(tangents[0], widths=self.widths)

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        (x,) = xs
        items = []
        for size, (before, after) in zip(x.shape, self._pairs(x.type.rank), strict=True):
            assert isinstance(size, Dim)
            cut = (before, before + size)
            items.append(("slice", None, None) if before == 0 and after == 0 else ("slice", *cut))
        return [fn.index(cotangent, items=tuple(items))]


class Flip(LinearMap):
    """The entries in reverse order along these axes."""

    group = "shape"
    axis: Axes
    formula = "x backwards along the axis"
    numpy = "np.flip(x, axis=axis)"
    shares = True
    samples = [
        Sample(real(3), axis=0),
        Sample(real(2, 3), axis=(0, 1)),
        Sample(Arg((2, 3), kind="int"), axis=-1),
    ]
    bad_samples = [Sample(real(3), axis=1), Sample(real(), axis=0)]
    example = "b = flip(x, 0)"

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [None]

    def canonical(self, types: Sequence[Any]) -> Op:
        axes = axes_of(self, self.axis, types[0].rank)
        return self.with_attrs(axis=axes[0] if len(axes) == 1 else axes)

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        axes_of(self, self.axis, types[0].rank)
        return types[0]

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if target == "numpy":
            return super().form(target, types)
        return "torch.flip(x, [axis])" if isinstance(self.axis, int) else "torch.flip(x, axis)"

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [fn.flip(cotangent, axis=self.axis)]
