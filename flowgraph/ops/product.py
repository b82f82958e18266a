"""Products that sum over a shared axis, or pair all entries: matmul, outer, einsum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..types import REAL, Mismatch, TensorType, Type, Unifier, describe
from .base import (
    ANYTHING,
    Batching,
    BilinearMap,
    Interval,
    Sample,
    Value,
    broadcast,
    fn,
    need_equal,
    need_rank,
    real,
)
from .interval import often, times


class Matmul(BilinearMap):
    """The matrix product; of two vectors their inner product; written `a @ b`.

    Axes before the last two broadcast.
    """

    group = "products"
    formula = "(a b)_ij = Σ_k a_ik b_kj"
    latex = "{a} {b}"
    numpy = "a @ b"
    torch = "a @ b"

    def notation(self, types: Sequence[Any]) -> str:
        """Vectors are columns in formulas: on the left of a product they are turned."""
        a, b = (t.rank for t in types)
        return self.latex if a != 1 else "{{{a}}}^T {b}" if b == 1 else "{{{b}}}^T {a}"

    samples = [
        Sample(real(2, 3), real(3, 4)),
        Sample(real(2, 3), real(3)),
        Sample(real(3), real(3, 2)),
        Sample(real(3), real(3)),
        Sample(real(5, 2, 3), real(3, 4)),
        Sample(real(2, 3), real(5, 3, 4)),
        Sample(real(5, 2, 3), real(5, 3, 4)),
        Sample(real(5, 2, 3), real(3)),
        Sample(real(3), real(5, 3, 2)),
    ]
    bad_samples = [
        Sample(real(2, 3), real(2)),
        Sample(real(3), real(4)),
        Sample(real(2, 3), real(2, 3)),
        Sample(real(), real(3)),
        Sample(real(2, 2, 3), real(4, 3, 2)),
    ]
    example = "z = W @ x + b"

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        a, b = types
        for slot, t in enumerate(types):
            if t.rank == 0:
                raise Mismatch(
                    "`@` needs arrays",
                    blame=[(slot, f"is {describe(t)}")],
                    help="a number multiplies by `*`",
                )
        inner = b.shape[-1] if b.rank == 1 else b.shape[-2]
        side = "the size of {b}" if b.rank == 1 else "the last but one of {b}"
        last = u.resolve(a.shape[-1])
        need_equal(
            self,
            u,
            a.shape[-1],
            inner,
            blame=[(0, f"is {describe(u.tensor(a))}"), (1, f"is {describe(u.tensor(b))}")],
            help=f"`@` needs the last size of {{a}} ({last}) to be {side} ({u.resolve(inner)})",
        )
        lead = broadcast(
            u,
            self,
            [TensorType(REAL, a.shape[:-2]), TensorType(REAL, b.shape[:-2])],
        )
        rows = () if a.rank == 1 else (a.shape[-2],)
        columns = () if b.rank == 1 else (b.shape[-1],)
        return TensorType(REAL, (*lead, *rows, *columns))

    def interval(self, given: Sequence[Interval], types: Sequence[TensorType]) -> Interval:
        count = types[0].shape[-1].value
        product = times(*given)
        return often(count, product) if count is not None else product if product == (0, 0) else ANYTHING

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        left, right = values
        ranks = types[0].rank, types[1].rank
        if b.has(left) and b.has(right):
            return self._batch_both(b, values, types)
        if ranks[1] == 1 and b.has(right):
            return self._vectors(b, left, ranks[0], right)
        if ranks[0] == 1 and b.has(left) and ranks[1] > 2:
            row = b.mark(fn.unsqueeze(left, axis=tuple(range(-ranks[1], -1))))
            return b.mark(fn.squeeze(b.mark(row @ right), axis=-2))
        rank = max(ranks)
        aligned = [v if t.rank == 1 else b.align(v, t, rank) for v, t in zip(values, types, strict=True)]
        return b.apply(self, *aligned)

    def _vectors(self, b: Batching, left: Value, rank: int, right: Value) -> Value:
        """A fixed array by a batch of vectors: the vectors become the rows of one matrix."""
        if rank == 1:
            return b.mark(right @ left)
        if rank == 2:
            return b.mark(right @ fn.transpose_last(left))
        column = b.mark(fn.unsqueeze(right, axis=(*range(-rank, -2), -1)))
        return b.mark(fn.squeeze(b.mark(left @ column), axis=-1))

    def _batch_both(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        left, right = values
        ranks = types[0].rank, types[1].rank
        if ranks == (1, 1):
            return b.mark(fn.sum(b.mark(left * right), axis=-1))
        if ranks[1] == 1:
            column = b.mark(fn.unsqueeze(right, axis=(*range(-ranks[0], -2), -1)))
            return b.mark(fn.squeeze(b.mark(left @ column), axis=-1))
        if ranks[0] == 1:
            row = b.mark(fn.unsqueeze(left, axis=tuple(range(-ranks[1], -1))))
            return b.mark(fn.squeeze(b.mark(row @ right), axis=-2))
        rank = max(ranks)
        return b.apply(self, *(b.align(v, t, rank) for v, t in zip(values, types, strict=True)))

    def transposes(self, cotangent: Value, a: Value, b: Value) -> list[Value | None]:
        if a.type.rank == 1 and b.type.rank == 1:
            return [cotangent * b, cotangent * a]
        if b.type.rank == 1:
            return [self._rows(cotangent, b), self._through_rows(cotangent, a)]
        if a.type.rank == 1 and b.type.rank == 2:
            return [b @ cotangent, fn.outer(a, cotangent)]
        if a.type.rank == 1:
            along = fn.squeeze(b @ fn.unsqueeze(cotangent, axis=-1), axis=-1)
            return [along, fn.unsqueeze(a, axis=-1) * fn.unsqueeze(cotangent, axis=-2)]
        return [cotangent @ fn.transpose_last(b), self._weight(cotangent, a, b)]

    def _rows(self, cotangent: Value, b: Value) -> Value:
        if cotangent.type.rank == 1:
            return fn.outer(cotangent, b)
        return fn.unsqueeze(cotangent, axis=-1) * b

    def _through_rows(self, cotangent: Value, a: Value) -> Value:
        if a.type.rank == 2:
            return cotangent @ a
        return fn.squeeze(fn.unsqueeze(cotangent, axis=-2) @ a, axis=-2)

    def _weight(self, cotangent: Value, a: Value, b: Value) -> Value:
        """aᵀ ȳ; a matrix shared by all leading axes gets it as one product over all rows."""
        if a.type.rank > 2 and b.type.rank == 2:
            a = fn.reshape(a, shape=(-1, a.shape[-1]))
            cotangent = fn.reshape(cotangent, shape=(-1, cotangent.shape[-1]))
        return fn.transpose_last(a) @ cotangent


class Outer(BilinearMap):
    """All products of an entry of one vector with one of another."""

    group = "products"
    formula = "y_ij = a_i b_j"
    latex = "{a} {{{b}}}^T"
    numpy = "np.outer(a, b)"
    torch = "torch.outer(a, b)"
    samples = [Sample(real(2), real(3)), Sample(real(1), real(4))]
    bad_samples = [Sample(real(2, 2), real(3)), Sample(real(2), real())]
    example = "m = outer(a, b)"

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        a, b = types
        need_rank(self, a, 1, 0)
        need_rank(self, b, 1, 1)
        return TensorType(REAL, (u.resolve(a.shape[0]), u.resolve(b.shape[0])))

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        column = fn.unsqueeze(values[0], axis=-1)
        row = fn.unsqueeze(values[1], axis=-2)
        return b.mark(column * row)

    def simpler(self, *xs: Value) -> Value | None:
        return fn.unsqueeze(xs[0], axis=-1) * fn.unsqueeze(xs[1], axis=-2)

    def transposes(self, cotangent: Value, a: Value, b: Value) -> list[Value | None]:
        return [cotangent @ b, a @ cotangent]
