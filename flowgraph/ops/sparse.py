"""Wires as a list: sums of weighted sources where few of all possible wires are there.

`Wired` is the product of a sparse matrix and a vector, the matrix given by its weights and, as settings, the
source and the target of each. Its numpy form gathers: the targets with about as many wires each are one
group, and a group is one gather of its sources and one small product for each target. Sources are laid out
with the batch as their last axis, so that a gather copies whole rows; results are views of arrays so laid
out, and what works entry by entry keeps that, so a chain of such layers turns nothing around.

Of the layouts tried (batch 32, 500 targets of 500 sources, 11 wires each on average; scipy's CSR takes
27 µs), groups with padding and a product each take 42 µs, one group for every fan-in 120, `einsum` in the
product's place 70, `add.reduceat` 180, a dense matrix 95.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import REAL, Dim, Mismatch, TensorType, Type, Unifier, describe
from .base import Batching, BilinearMap, LinearMap, Sample, Value, broadcast, fn, real
from .declared import Size
from .leaf import Array
from .table import Table

if TYPE_CHECKING:
    from scipy import sparse


def wire_groups(source, target, count, width):
    """Wires by targets with about as many each: targets, sources, places, what is no padding."""
    fans = np.bincount(target, minlength=count)
    order = np.argsort(target, kind="stable")
    starts = np.cumsum(fans) - fans
    rows = np.argsort(fans, kind="stable")
    rows = rows[fans[rows] > 0]
    widths = fans[rows]
    groups = []
    while len(rows):
        # A group costs about as much as 500 wires: so many entries are filled up to save one.
        padding = np.arange(1, len(rows) + 1) * widths - np.cumsum(widths)
        last = int(np.searchsorted(padding, 500, side="right"))
        steps = np.arange(widths[last - 1])
        is_wire = steps < widths[:last, None]
        places = order[starts[rows[:last], None] + np.where(is_wire, steps, 0)]
        sources = np.where(is_wire, source[places], width).astype(np.intp)
        groups.append((rows[:last], sources, places, is_wire))
        rows, widths = rows[last:], widths[last:]
    return groups, count, len(source)


def with_zeros(x):
    """The entries of vectors one in a row, an example in each column, and a row of zeros below."""
    rows = np.empty((x.shape[-1] + 1, math.prod(x.shape[:-1])), x.dtype)
    rows[:-1] = x.reshape(-1, x.shape[-1]).T
    rows[-1] = 0
    return rows


def wired(weights, sources, wires):
    """For every target the sum over its wires of weight times source."""
    groups, count, _ = wires
    rows = with_zeros(sources)
    total = np.zeros((count, 1, rows.shape[1]), rows.dtype)
    for targets, chosen, places, _ in groups:
        total[targets] = weights.take(places)[:, None] @ rows.take(chosen, axis=0)
    return total[:, 0].T.reshape(*sources.shape[:-1], count)


def wired_each(weights, sources, wires):
    """For every target the sum over its wires of weight times source, every example with its own weights."""
    groups, count, _ = wires
    lead = np.broadcast_shapes(weights.shape[:-1], sources.shape[:-1])
    total = np.zeros((*lead, count), sources.dtype)
    for targets, chosen, places, is_wire in groups:
        products = weights[..., places] * sources.take(chosen, axis=-1, mode="clip")
        total[..., targets] = np.where(is_wire, products, 0).sum(-1)
    return total


def wire_products(a, b, wires):
    """For every wire the sum over the batch of a at its target times b at its source."""
    groups, _, count = wires
    left, right = with_zeros(a), with_zeros(b)
    total = np.empty(count, left.dtype)
    for targets, chosen, places, is_wire in groups:
        columns = left.take(targets, axis=0)[:, :, None]
        products = (right.take(chosen, axis=0) @ columns)[..., 0]
        total[places[is_wire]] = products[is_wire]
    return total


def wire_matrix(source, target, count, width):
    """Wires as the rows of a sparse matrix whose numbers are still to come, and the order of these."""
    order = np.argsort(target, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(target, minlength=count))])
    is_sorted = bool(np.all(target[1:] >= target[:-1]))
    numbers = np.zeros(len(source), np.float32)
    matrix = sparse.csr_array((numbers, source[order], starts), shape=(count, width))
    return matrix, None if is_sorted else order


def wired_csr(weights, sources, wires):
    """For every target the sum over its wires of weight times source, as scipy's sparse product."""
    matrix, order = wires
    matrix = copy.copy(matrix)  # which shares the places of the wires
    matrix.data = weights if order is None else weights.take(order)
    columns = np.ascontiguousarray(sources.reshape(-1, sources.shape[-1]).T)
    total = matrix @ columns
    return total.T.reshape(*sources.shape[:-1], len(total))


def wired_torch(weights, sources, source, target, count):
    """For every target the sum over its wires of weight times source."""
    rows = sources.reshape(-1, sources.shape[-1]).T.index_select(0, source)
    total = rows.new_zeros((count, rows.shape[1]))
    total = total.index_add(0, target, rows * weights[:, None])
    return total.T.reshape(*sources.shape[:-1], count)


def wired_each_torch(weights, sources, source, target, count):
    """For every target the sum over its wires of weight times source, every example with its own weights."""
    products = sources[..., source] * weights
    total = products.new_zeros((*products.shape[:-1], count))
    return total.index_add(-1, target, products)


class Wired(BilinearMap):
    """For every target the sum over its wires of weight times source: a sparse matrix times a vector.

    The i-th weight is that of the wire from entry source[i] of the sources to entry target[i] of the
    result. engine: "scipy", or "" for numpy alone.
    """

    operands = ("weights", "sources")
    source: Any
    target: Any
    count: Size
    engine: str = ""
    formula = "y_t = Σ weights_i sources_source_i over i with target_i = t"
    latex = r"{weights} {sources}"
    unsaid = ("source", "target", "count", "engine")
    samples = [
        Sample(real(3), real(4), source=Array([0, 3, 0]), target=Array([1, 1, 2]), count=Dim.of(4)),
        Sample(real(4), real(3), source=Array([2, 0, 1, 2]), target=Array([1, 0, 0, 2]), count=Dim.of(3)),
        Sample(real(3), real(2, 4), source=Array([1, 1, 2]), target=Array([0, 1, 0]), count=Dim.of(2)),
        Sample(real(2, 3), real(2, 4), source=Array([1, 1, 2]), target=Array([0, 1, 0]), count=Dim.of(2)),
    ]
    bad_samples = [
        Sample(real(2), real(4), source=Array([0, 3, 0]), target=Array([1, 1, 2]), count=Dim.of(4)),
        Sample(real(3), real(3), source=Array([0, 3, 0]), target=Array([1, 1, 2]), count=Dim.of(4)),
        Sample(real(), real(3), source=Array([0]), target=Array([0]), count=Dim.of(1)),
    ]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        weights, sources = types
        _check(self, u, weights, 0, len(self.source.data), "one weight for each wire")
        _check(self, u, sources, 1, int(self.source.data.max(initial=-1)) + 1, "each source", is_least=True)
        lead = broadcast(u, self, [TensorType(REAL, t.shape[:-1]) for t in types])
        return TensorType(REAL, (*lead, Dim.of(self.count)))

    def tables(self, target: str, types: Sequence[Any]) -> Mapping[str, Table]:
        if target == "torch":
            return {"source": Table(None, (self.source,)), "target": Table(None, (self.target,))}
        build = wire_matrix if self.engine and types[0].rank == 1 else wire_groups
        sizes = (Dim.of(self.count).value, Dim.of(types[1].shape[-1]).value)
        return {"wires": Table(build, (self.source, self.target, *sizes))}

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if target == "torch":
            return wired_each_torch if types[0].rank > 1 else wired_torch
        if types[0].rank > 1:
            return wired_each
        return wired_csr if self.engine else wired

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        rank = max(t.rank for t in types)
        return b.apply(self, *(b.align(v, t, rank) for v, t in zip(values, types, strict=True)))

    def turned(self, width: Size) -> Wired:
        """The wires the other way round. width: how many sources there are."""
        return Wired(source=self.target, target=self.source, count=Dim.of(width), engine=self.engine)

    def transposes(self, cotangent: Value, a: Value, b: Value) -> list[Value | None]:
        keep = 0 if a.type.rank == 1 else cotangent.type.rank - 1
        products = fn.wire_products(cotangent, b, source=self.source, target=self.target, keep=keep)
        turned = self.turned(b.shape[-1]).values
        return [products, fn.wired(a, cotangent, **turned)]


class WireProducts(BilinearMap):
    """For every wire, a at its target times b at its source, summed over the axes after the first `keep`.

    It is what the weights of `wired` have for a derivative.
    """

    operands = ("a", "b")
    source: Any
    target: Any
    keep: int = 0
    formula = "y_i = Σ a_target_i b_source_i"
    latex = r"{a} {{{b}}}^T"
    unsaid = ("source", "target", "keep")
    samples = [
        Sample(real(3), real(4), source=Array([0, 3, 0]), target=Array([1, 1, 2])),
        Sample(real(2, 3), real(2, 4), source=Array([3, 0, 0, 1]), target=Array([1, 0, 2, 1])),
        Sample(real(2, 3), real(2, 4), source=Array([3, 0]), target=Array([1, 0]), keep=1),
    ]
    bad_samples = [
        Sample(real(2), real(4), source=Array([0, 3, 0]), target=Array([1, 1, 2])),
        Sample(real(3), real(), source=Array([0]), target=Array([1])),
    ]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        for slot, places in enumerate((self.target, self.source)):
            least = int(places.data.max(initial=-1)) + 1
            _check(self, u, types[slot], slot, least, "each end of a wire", is_least=True)
        lead = broadcast(u, self, [TensorType(REAL, t.shape[:-1]) for t in types])
        return TensorType(REAL, (*lead[: self.keep], Dim.of(len(self.source.data))))

    def tables(self, target: str, types: Sequence[Any]) -> Mapping[str, Table]:
        if target == "torch" or not self._is_grouped(types):
            return {"source": Table(None, (self.source,)), "target": Table(None, (self.target,))}
        sizes = (Dim.of(t.shape[-1]).value for t in types)
        return {"wires": Table(wire_groups, (self.source, self.target, *sizes))}

    def form(self, target: str, types: Sequence[Any]) -> Any:
        summed = tuple(range(self.keep - self._lead(types) - 1, -1))
        if not summed:
            return "a[..., target] * b[..., source]"
        if target == "torch":
            return f"(a[..., target] * b[..., source]).sum(dim={summed})"
        if self._is_grouped(types):
            return wire_products
        return f"np.sum(a[..., target] * b[..., source], axis={summed})"

    def _is_grouped(self, types: Sequence[Any]) -> bool:
        """Whether numpy takes the sum group by group: where it is over all that both operands have."""
        return not self.keep and types[0].rank == types[1].rank > 1

    @staticmethod
    def _lead(types: Sequence[Any]) -> int:
        return max(t.rank for t in types) - 1

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        rank = max(t.rank for t in types)
        aligned = (b.align(v, t, rank) for v, t in zip(values, types, strict=True))
        return b.apply(self.with_attrs(keep=self.keep + 1), *aligned)

    def transposes(self, cotangent: Value, a: Value, b: Value) -> list[Value | None]:
        summed = max(a.type.rank, b.type.rank) - 1 - self.keep
        if self.keep and summed:
            cotangent = fn.unsqueeze(cotangent, axis=tuple(range(-1 - summed, -1)))
        forward = Wired(source=self.source, target=self.target, count=a.shape[-1])
        turned = forward.turned(b.shape[-1])
        return [fn.wired(cotangent, b, **forward.values), fn.wired(cotangent, a, **turned.values)]


class Rearrange(LinearMap):
    """The entries of a vector in another order, each once."""

    order: Any
    formula = "y_i = x_order_i"
    latex = "{x}"
    numpy = "x[..., order]"
    torch = "x[..., order]"
    unsaid = ("order",)
    samples = [Sample(real(4), order=Array([2, 0, 3, 1])), Sample(real(2, 3), order=Array([1, 2, 0]))]
    bad_samples = [Sample(real(3), order=Array([0, 1])), Sample(real(), order=Array([0]))]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        _check(self, u, types[0], 0, len(self.order.data), "one entry for each place")
        return types[0]

    def tables(self, target: str, types: Sequence[Any]) -> Mapping[str, Table]:
        return {"order": Table(None, (self.order,))}

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [fn.rearrange(cotangent, order=Array(np.argsort(self.order.data)))]


def _check(
    op: Any, u: Unifier, type: TensorType, slot: int, count: int, what: str, *, is_least: bool = False
) -> None:
    """Raise Mismatch unless the last axis of an operand has this many entries, or at least so many."""
    size = u.known(type.shape[-1]).value if type.shape else None
    if size is not None and (size >= count if is_least else size == count):
        return
    raise Mismatch(
        f"`{op.name}` needs {what}: {'at least ' if is_least else ''}{count}",
        blame=[(slot, f"is {describe(type)}")],
        help="the wires and the arrays must agree",
    )
