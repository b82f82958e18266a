"""Arrays made from nothing but sizes and numbers.

Without operands they are the same for every example; the batch pass leaves them as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..types import INT, REAL, Dim, Mismatch, TensorType, Type, Unifier, describe
from .base import OPS, LinearMap, NonDifferentiable, Sample, Value, beside, fn, real
from .declared import Shape, Size


class Creator(NonDifferentiable, abstract=True):
    """Without operands; of reals, unless it says otherwise."""

    group = "creators"
    operands = ()


def sizes_of(name: str, shape: Sequence[Any]) -> tuple[Dim, ...]:
    """The sizes as given. Raises Mismatch (E0302) for a negative one."""
    sizes = tuple(Dim.of(d) for d in shape)
    if any((d.value or 0) < 0 for d in sizes):
        raise Mismatch(f"`{name}` with a negative size", code="E0302", help="sizes start at 0")
    return sizes


class Filled(Creator, abstract=True):
    """All entries the same."""

    shape: Shape
    samples = [Sample(shape=(2, 3)), Sample(shape=(4,)), Sample(shape=())]
    bad_samples = [Sample(shape=(-1,))]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return TensorType(REAL, sizes_of(self.name, self.shape))


class Zeros(Filled):
    """All 0."""

    formula = "0"
    latex = "0"
    unsaid = ("shape",)
    numpy = "np.zeros(shape, dtype=real)"
    torch = "torch.zeros(shape, dtype=real)"
    example = "c = zeros([3])"


class Ones(Filled):
    """All 1."""

    formula = "1"
    latex = "1"
    unsaid = ("shape",)
    numpy = "np.ones(shape, dtype=real)"
    torch = "torch.ones(shape, dtype=real)"
    example = "c = ones([3])"


class Full(Filled):
    """All the same number."""

    shape: Shape
    value: float
    formula = "value"
    latex = "{value}"
    unsaid = ("shape",)
    numpy = "np.full(shape, value, dtype=real)"
    torch = "torch.full(shape, value, dtype=real)"
    samples = [Sample(shape=(2, 3), value=1.5), Sample(shape=(), value=-1)]
    bad_samples = [Sample(shape=(-1,), value=1.0)]
    example = "c = full([3], 0.5)"


class Eye(Creator):
    """The identity matrix: 1 on the diagonal, 0 elsewhere; n rows, m columns or as many."""

    n: Size
    m: Size | None = None
    formula = "1 at i = j, else 0"
    latex = "I"
    unsaid = ("n",)
    samples = [Sample(n=Dim.of(3)), Sample(n=Dim.of(2), m=Dim.of(4))]
    bad_samples = [Sample(n=Dim.of(-1))]
    example = "c = eye(3)"

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        columns = self.n if self.m is None else self.m
        return TensorType(REAL, sizes_of(self.name, (self.n, columns)))

    def form(self, target: str, types: Sequence[Any]) -> str:
        size = "n" if self.m is None else "n, m"
        return f"{'np' if target == 'numpy' else 'torch'}.eye({size}, dtype=real)"


class Arange(Creator):
    """The whole numbers from 0 on, or from `start` up to and without `stop`."""

    start: Size
    stop: Size | None = None
    formula = "0, 1, ..., n - 1"
    samples = [Sample(start=Dim.of(4)), Sample(start=Dim.of(1), stop=Dim.of(4))]
    bad_samples = [Sample(start=Dim.of(3), stop=Dim.of(1)), Sample(start=Dim.of(-1))]
    example = "t = arange(10)"

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        first = Dim.of(0) if self.stop is None else Dim.of(self.start)
        last = Dim.of(self.start if self.stop is None else self.stop)
        count = last - first
        if (count.value or 0) < 0:
            raise Mismatch(
                f"`arange` from {first} to {last}", code="E0404", help="the end comes after the start"
            )
        return TensorType(INT, (count,))

    def form(self, target: str, types: Sequence[Any]) -> str:
        ends = "start" if self.stop is None else "start, stop"
        return f"{'np' if target == 'numpy' else 'torch'}.arange({ends})"


class Linspace(Creator):
    """Evenly spaced numbers from `start` to `stop`, both included."""

    start: float
    stop: float
    n: Size
    formula = "start + i (stop - start) / (n - 1), i = 0 .. n - 1"
    numpy = "np.linspace(start, stop, n, dtype=real)"
    torch = "torch.linspace(start, stop, n, dtype=real)"
    samples = [Sample(start=-1.0, stop=1.0, n=Dim.of(5)), Sample(start=0, stop=1, n=Dim.of(2))]
    bad_samples = [Sample(start=0.0, stop=1.0, n=Dim.of(-1))]
    example = "t = linspace(0, 1, 11)"

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return TensorType(REAL, sizes_of(self.name, (self.n,)))


class Triangle(LinearMap, abstract=True):
    """A matrix with the entries on one side of a diagonal set to 0."""

    group = "creators"
    diagonal: int = 0
    samples = [Sample(real(3, 3)), Sample(real(2, 3), diagonal=1), Sample(real(2, 3, 2), diagonal=-1)]
    bad_samples = [Sample(real(3)), Sample(real())]

    def places(self, x: Value) -> tuple[Value, Value]:
        """The numbers of columns, as a row, and of rows with the diagonal's added, as a column."""
        rows, columns = (beside(x, OPS["arange"](start=n)) for n in x.shape[-2:])
        return fn.unsqueeze(columns, axis=0), fn.unsqueeze(rows + self.diagonal, axis=-1)

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        if x.rank < 2:
            raise Mismatch(
                f"`{self.name}` needs a matrix",
                blame=[(0, f"is {describe(x)}")],
                help=f"such as `{self.name}(ones([3, 3]))`",
            )
        return TensorType(REAL, x.shape)


class Tril(Triangle):
    """The entries on and below a diagonal; the others are 0."""

    formula = "x_ij for j ≤ i + diagonal, else 0"
    torch = "torch.tril(x, diagonal)"
    numpy = "np.tril(x, diagonal)"
    example = "m = tril(ones([3, 3]))"

    def simpler(self, *xs: Value) -> Value | None:
        column, row = self.places(xs[0])
        return fn.where(column <= row, xs[0], 0.0)

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [fn.tril(cotangent, diagonal=self.diagonal)]


class Triu(Triangle):
    """The entries on and above a diagonal; the others are 0."""

    formula = "x_ij for j ≥ i + diagonal, else 0"
    torch = "torch.triu(x, diagonal)"
    numpy = "np.triu(x, diagonal)"
    example = "m = triu(ones([3, 3]))"

    def simpler(self, *xs: Value) -> Value | None:
        column, row = self.places(xs[0])
        return fn.where(row <= column, xs[0], 0.0)

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [fn.triu(cotangent, diagonal=self.diagonal)]
