"""Layers: operations with parameters of their own, made by the call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..types import REAL, Dim, Mismatch, TensorType, Type, Unifier, describe
from .base import Batching, Composite, Op, Parameter, Sample, Value, fn, need_equal, real
from .declared import Size
from .init import FanUniform


class Linear(Composite):
    """The affine map of the last axis, x Wᵀ + b, with W [out, in] and b [out].

    Weight and bias start uniform in ±1/√in, as in PyTorch.
    """

    group = "layers"
    operands = ("x", "weight", "bias?")
    params = ("weight", "bias")
    out: Size
    bias: bool = True
    formula = "x Wᵀ + b"
    latex = "{x} {{{weight}}}^T + {bias}"
    unsaid = ("out", "bias")
    samples = [
        Sample(real(3), real(2, 3), real(2), out=Dim.of(2)),
        Sample(real(4, 3), real(2, 3), real(2), out=Dim.of(2)),
        Sample(real(3), real(2, 3), out=Dim.of(2), bias=False),
    ]
    bad_samples = [
        Sample(real(), real(2, 3), real(2), out=Dim.of(2)),
        Sample(real(4), real(2, 3), real(2), out=Dim.of(2)),
    ]
    example = "h = linear(x, 3)"

    def parameters(self, u: Unifier, *types: TensorType) -> list[Parameter]:
        inputs = last_size(self, u, types[0], 0)
        init = around_zero(inputs)
        made = [Parameter("weight", (Dim.of(self.out), inputs), init)]
        return [*made, Parameter("bias", (Dim.of(self.out),), init)] if self.bias else made

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        x, weight = types[0], types[1]
        if x.rank == 0:
            raise no_axis(self, x, 0)
        need_equal(
            self,
            u,
            x.shape[-1],
            weight.shape[-1],
            blame=[(0, f"is {describe(u.tensor(x))}"), (1, f"is {describe(u.tensor(weight))}")],
            help=f"the last size of x must be the {u.resolve(weight.shape[-1])} columns of the weight",
        )
        return TensorType(REAL, (*x.shape[:-1], weight.shape[0]))

    def notation(self, types: Sequence[Any]) -> str:
        """W x + b of a vector, which is a column in formulas."""
        product = "{weight} {x}" if types[0].rank == 1 else "{x} {{{weight}}}^T"
        return f"{product} + {{bias}}" if len(types) == 3 else product

    def form(self, target: str, types: Sequence[Any]) -> str:
        bias = len(types) == 3
        if target == "torch":
            return "F.linear(x, weight, bias)" if bias else "F.linear(x, weight)"
        return "x @ weight.T + bias" if bias else "x @ weight.T"

    def torch_layer(self, types: Sequence[Any]) -> str:
        inputs = types[0].shape[-1]
        bias = "" if len(types) == 3 else ", bias=False"
        return f"nn.Linear({inputs}, {Dim.of(self.out)}{bias})"

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        if any(b.has(v) for v in values[1:]):
            return b.inline(self, values, types)
        return b.apply(self, *values)

    def expand(self, *xs: Value) -> Value:
        product = xs[0] @ fn.transpose_last(xs[1])
        return product + xs[2] if len(xs) == 3 else product

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        x, weight = xs[:2]
        parts = [
            tangents[0] and tangents[0] @ fn.transpose_last(weight),
            tangents[1] and x @ fn.transpose_last(tangents[1]),
            *tangents[2:],
        ]
        total: Value | None = None
        for part in parts:
            if part is not None:
                total = part if total is None else total + part
        if total is None or total.shape == y.shape:
            return total
        return fn.expand(total, shape=y.shape)

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        """ȳ W for x, ȳᵀ x for the weight, ȳ for the bias; over all rows where x has several."""
        x, weight = xs[:2]
        rows, of_rows = x, cotangent
        if x.type.rank > 2:
            rows = fn.reshape(x, shape=(-1, x.shape[-1]))
            of_rows = fn.reshape(cotangent, shape=(-1, cotangent.shape[-1]))
        of_weight = fn.outer(cotangent, x) if x.type.rank == 1 else fn.transpose_last(of_rows) @ rows
        return [cotangent @ weight, of_weight, *([cotangent] if len(xs) == 3 else [])]


def no_axis(op: Op, type: TensorType, slot: int) -> Mismatch:
    """What to say of a single number where a layer needs a vector."""
    return Mismatch(
        f"`{op.name}` needs a vector",
        blame=[(slot, f"is {describe(type)}")],
        help="make it a vector of one entry: `[x]`",
    )


def last_size(op: Op, u: Unifier, type: TensorType, slot: int) -> Dim:
    """The last size, as a number. Raises Mismatch, or NotYetKnown."""
    if type.rank == 0:
        raise no_axis(op, type, slot)
    return size_at(op, u, type, -1, slot)


def size_at(op: Op, u: Unifier, type: TensorType, axis: int, slot: int) -> Dim:
    """The size of an axis, as a number. Raises Mismatch, or NotYetKnown."""
    size = u.known(type.shape[axis])
    if size.value is None:
        raise Mismatch(
            f"`{op.name}` needs a size known at compile time",
            blame=[(slot, f"is {describe(u.tensor(type))}")],
            help=f"its parameters cannot depend on the symbolic size {size}",
            code="E0308",
            sizes=(size,),
        )
    return size


def around_zero(fan_in: Dim) -> FanUniform:
    """PyTorch's distribution for linear layers: uniform in ±1/√fan_in."""
    return FanUniform(fan_in=max(fan_in.value or 0, 1))


class Bilinear(Composite):
    """For each output k the bilinear form aᵀ W_k b + bias_k, with W [out, in1, in2].

    Works on the last axes, the others of both operands being equal. Weight and bias start
    uniform in ±1/√in1, as in PyTorch.
    """

    group = "layers"
    operands = ("a", "b", "weight", "bias?")
    params = ("weight", "bias")
    out: Size
    bias: bool = True
    formula = "y_k = Σ_ij a_i W_kij b_j + bias_k"
    latex = "{{{a}}}^T {weight} {b} + {bias}"
    unsaid = ("out", "bias")
    samples = [
        Sample(real(3), real(4), real(2, 3, 4), real(2), out=Dim.of(2)),
        Sample(real(5, 3), real(5, 4), real(2, 3, 4), real(2), out=Dim.of(2)),
        Sample(real(3), real(4), real(2, 3, 4), out=Dim.of(2), bias=False),
    ]
    bad_samples = [
        Sample(real(), real(4), real(2, 3, 4), out=Dim.of(2), bias=False),
        Sample(real(3), real(5), real(2, 3, 4), out=Dim.of(2), bias=False),
        Sample(real(5, 3), real(6, 4), real(2, 3, 4), out=Dim.of(2), bias=False),
    ]
    example = "h = bilinear(a, b, 3)"

    def parameters(self, u: Unifier, *types: TensorType) -> list[Parameter]:
        left, right = last_size(self, u, types[0], 0), last_size(self, u, types[1], 1)
        init = around_zero(left)
        made = [Parameter("weight", (Dim.of(self.out), left, right), init)]
        return [*made, Parameter("bias", (Dim.of(self.out),), init)] if self.bias else made

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        a, b, weight = types[:3]
        for slot, t in enumerate((a, b)):
            if t.rank == 0:
                raise no_axis(self, t, slot)
        blame = [(0, f"is {describe(u.tensor(a))}"), (1, f"is {describe(u.tensor(b))}")]
        if a.rank != b.rank:
            raise Mismatch("shapes do not agree", blame=blame, help="all axes but the last must be equal")
        for x, y in zip(a.shape[:-1], b.shape[:-1], strict=True):
            need_equal(self, u, x, y, blame=blame, help="all axes but the last must be equal")
        for slot, (t, w) in enumerate(zip((a, b), weight.shape[1:], strict=True)):
            need_equal(
                self,
                u,
                t.shape[-1],
                w,
                blame=[(slot, f"is {describe(u.tensor(t))}"), (2, f"is {describe(u.tensor(weight))}")],
                help=f"its last size must be the weight's {u.resolve(w)}",
            )
        return TensorType(REAL, (*u.shape(a.shape[:-1]), weight.shape[0]))

    def notation(self, types: Sequence[Any]) -> str:
        return self.latex if len(types) == 4 else "{{{a}}}^T {weight} {b}"

    def form(self, target: str, types: Sequence[Any]) -> str:
        bias = len(types) == 4
        if target == "torch":
            return "F.bilinear(a, b, weight, bias)" if bias else "F.bilinear(a, b, weight)"
        product = 'np.einsum("...i,kij,...j->...k", a, weight, b)'
        return f"{product} + bias" if bias else product

    def torch_layer(self, types: Sequence[Any]) -> str:
        bias = "" if len(types) == 4 else ", bias=False"
        return f"nn.Bilinear({types[0].shape[-1]}, {types[1].shape[-1]}, {Dim.of(self.out)}{bias})"

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        if any(b.has(v) for v in values[2:]):
            return b.inline(self, values, types)
        left, right = (b.spread(v, t) for v, t in zip(values[:2], types[:2], strict=True))
        return b.apply(self, left, right, *values[2:])

    def expand(self, *xs: Value) -> Value:
        a, b, weight = xs[:3]
        lead = "".join(c for c in "lmnopqrstuvwxyz"[: a.type.rank - 1])
        product = fn.einsum(a, weight, b, subscripts=f"{lead}i,kij,{lead}j->{lead}k")
        return product + xs[3] if len(xs) == 4 else product
