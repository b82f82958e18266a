"""Layers: operations with parameters of their own, made by the call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..types import REAL, Dim, Mismatch, Size, TensorType, Type, Unifier, describe
from .base import Batching, Composite, Op, Parameter, Sample, Value, fn, need_equal, real
from .init import Uniform


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
    latex = "{x} {weight}^T"
    samples = [
        Sample(real(3), real(2, 3), real(2), out=2),
        Sample(real(4, 3), real(2, 3), real(2), out=2),
        Sample(real(3), real(2, 3), out=2, bias=False),
    ]
    bad_samples = [Sample(real(), real(2, 3), real(2), out=2), Sample(real(4), real(2, 3), real(2), out=2)]
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
    size = u.known(type.shape[-1])
    if size.value is None:
        raise Mismatch(
            f"`{op.name}` needs a size known at compile time",
            blame=[(slot, f"is {describe(u.tensor(type))}")],
            help=f"its parameters cannot depend on the symbolic size {size}",
            code="E0301",
            sizes=(size,),
        )
    return size


def around_zero(fan_in: Dim) -> Uniform:
    """PyTorch's distribution for linear layers: uniform in ±1/√fan_in."""
    bound = 1 / math.sqrt(max(fan_in.value or 0, 1))
    return Uniform(a=-bound, b=bound)
