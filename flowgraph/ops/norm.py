"""Normalisation by the entries of one example: layernorm, rmsnorm, groupnorm.

All are `standardize` times a weight, plus a bias. What they take together (a row, a group of
channels) is of one example always: nothing depends on the rest of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..types import Dim, Mismatch, Size, TensorType, Type, Unifier, describe
from .base import (
    Batching,
    Composite,
    Op,
    Parameter,
    Sample,
    Value,
    axes_of,
    axis_of,
    called,
    fn,
    need_equal,
    real,
)
from .declared import Axes, Axis
from .init import Ones, Zeros
from .layer import no_axis, size_at
from .reduce import entries_needed, need_entries
from .shape import product
from .standardize import normalised, rescaled, sole, standardized

SINGLE_EPS = 2.0**-23
"""What nn.RMSNorm adds in single precision, by default; here in every precision."""


# ---------------------------------------------------------------------------------------
# Over the last axes


class LastAxesNorm(Composite, abstract=True):
    """Normalises the last axes, whose sizes its parameters have."""

    group = "layers"
    axis: Axes = -1
    bad_samples = [
        Sample(real(), elementwise_affine=False),
        Sample(real(3), real(4)),
        Sample(real(2, 3), real(2), axis=0),
        Sample(real(2, 3), real(3), axis=(-1, 1)),
        Sample(real(2, 3), real(3, 2), axis=(0, 1)),
        Sample(real(2, 0), real(0)),
    ]

    def axes(self, rank: int) -> tuple[int, ...]:
        """The axes from the end. Raises Mismatch (E0304) where they are not the last ones."""
        axes = axes_of(self, self.axis, rank)
        if axes != tuple(range(-len(axes), 0)):
            raise Mismatch(
                f"`{self.name}` works on the last axes",
                blame=[(0, f"has {rank} axes")],
                help="`axis=-1` is the last, `axis=[-2, -1]` the last two; `permute` moves others there",
                code="E0304",
            )
        return axes

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(axis=sole(self.axes(types[0].rank)))

    def sizes(self, u: Unifier, x: TensorType) -> tuple[Dim, ...]:
        """The parameters' shape. Raises Mismatch, or NotYetKnown."""
        if x.rank == 0:
            raise no_axis(self, x, 0)
        return tuple(size_at(self, u, x, axis, 0) for axis in self.axes(x.rank))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        x = types[0]
        if x.rank == 0:
            raise no_axis(self, x, 0)
        axes = self.axes(x.rank)
        need_entries(self, u, x, axes)
        need_sizes(self, u, types, [x.shape[a] for a in axes])
        return x

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        return entries_needed(self, types[0], self.axes(types[0].rank))

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        return batch_first(self, b, values, types)

    def torch_sizes(self, types: Sequence[Any]) -> str:
        """The sizes as nn.LayerNorm takes them, or "" where they are not known."""
        sizes = [types[0].shape[a].value for a in self.axes(types[0].rank)]
        if None in sizes:
            return ""
        return str(sizes[0]) if len(sizes) == 1 else f"({', '.join(map(str, sizes))})"

    def torch_shape(self, types: Sequence[Any]) -> str:
        """The same as an expression of a form."""
        return "weight.shape" if len(types) > 1 else f"x.shape[{self.axes(types[0].rank)[0]}:]"


def need_sizes(op: Op, u: Unifier, types: Sequence[TensorType], sizes: Sequence[Size]) -> None:
    """Unify the shape of each parameter, which come after the first operand. Raises Mismatch."""
    for slot, param in enumerate(types[1:], 1):
        blame = [(0, f"is {describe(u.tensor(types[0]))}"), (slot, f"is {describe(u.tensor(param))}")]
        cure = f"the parameters of this `{op.name}` are {describe(u.tensor(param))}"
        if param.rank != len(sizes):
            raise Mismatch("shapes do not agree", blame=blame, help=cure)
        for have, want in zip(param.shape, sizes, strict=True):
            need_equal(op, u, have, want, blame=blame, help=cure)


def batch_first(op: Op, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
    """Over a batch of the first operand, the parameters being shared by all examples."""
    if any(b.has(v) for v in values[1:]):
        return b.inline(op, values, types)
    return b.apply(op, *values)


def layernorm(x, weight=None, bias=None, axis=-1, eps=1e-5):
    """x with mean 0 and variance 1 along axis, times the weight, plus the bias."""
    y = standardized(x, axis, eps)[0]
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


class Layernorm(LastAxesNorm):
    """Each row with mean 0 and variance 1, times a weight, plus a bias (Ba, 2016).

    Works on the last axis, or on the last few: `axis=[-2, -1]`. Weight and bias have the sizes of
    these axes and start at 1 and 0. `elementwise_affine=false` leaves both out.
    """

    operands = ("x", "weight?", "bias?")
    params = ("weight", "bias")
    eps: float = 1e-5
    elementwise_affine: bool = True
    bias: bool = True
    formula = "(x - mean x) / √(var x + eps) weight + bias"
    unsaid = ("elementwise_affine", "bias")
    numpy = layernorm
    samples = [
        Sample(real(4), real(4), real(4)),
        Sample(real(3, 4), real(4), real(4), eps=0.1),
        Sample(real(2, 3, 4), real(3, 4), real(3, 4), axis=(-2, -1)),
        Sample(real(3, 4), real(4), bias=False),
        Sample(real(3, 4), elementwise_affine=False),
        Sample(real(2, 1), real(1), real(1)),
    ]
    bad_samples = [*LastAxesNorm.bad_samples, Sample(real(4), real(4), real(3))]
    example = "h = layernorm(x)"

    def parameters(self, u: Unifier, *types: TensorType) -> list[Parameter]:
        if not self.elementwise_affine:
            return []
        sizes = self.sizes(u, types[0])
        weight = [Parameter("weight", sizes, Ones())]
        return [*weight, Parameter("bias", sizes, Zeros())] if self.bias else weight

    def bindings(self) -> dict[str, Any]:
        """The attrs but for `bias`, which the operand of that name would not hide where it is missing."""
        return {name: value for name, value in self.values.items() if name != "bias"}

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if target == "numpy":
            return layernorm
        params = ["", ", weight", ", weight, bias"][len(types) - 1]
        eps = "" if self.eps == 1e-5 else ", eps=eps"
        return f"F.layer_norm(x, {self.torch_shape(types)}{params}{eps})"

    def torch_layer(self, types: Sequence[Any]) -> str:
        sizes = self.torch_sizes(types)
        eps = "" if self.eps == 1e-5 else f", eps={self.eps!r}"
        params = [", elementwise_affine=False", ", bias=False", ""][len(types) - 1]
        return f"nn.LayerNorm({sizes}{eps}{params})" if sizes else ""

    def expand(self, *xs: Value) -> Value:
        x, *params = xs
        normal = normalised(x, axis=self.axis, eps=self.eps)
        return scaled_and_shifted(normal, params)


def scaled_and_shifted(value: Value, params: Sequence[Value]) -> Value:
    """Times the weight, plus the bias, of which the last or both may be missing."""
    for param, op in zip(params, (fn.mul, fn.add), strict=False):
        value = op(value, param)
    return value


def rmsnorm(x, weight=None, axis=-1, eps=2.0**-23):
    """x over its root mean square along axis, times the weight."""
    y = rescaled(x, axis, eps)[0]
    return y if weight is None else y * weight


class Rmsnorm(LastAxesNorm):
    """Each row over its root mean square, times a weight (Zhang and Sennrich, 2019).

    Works on the last axis, or on the last few: `axis=[-2, -1]`. The weight has the sizes of these
    axes and starts at 1; `elementwise_affine=false` leaves it out. By default `eps` is what
    nn.RMSNorm takes in single precision, 2^-23; Llama's is 1e-5 or 1e-6.
    """

    operands = ("x", "weight?")
    params = ("weight",)
    eps: float = SINGLE_EPS
    elementwise_affine: bool = True
    formula = "x / √(mean x^2 + eps) weight"
    unsaid = ("elementwise_affine",)
    numpy = rmsnorm
    samples = [
        Sample(real(4), real(4)),
        Sample(real(3, 4), real(4), eps=0.1),
        Sample(real(2, 3, 4), real(3, 4), axis=(-2, -1)),
        Sample(real(3, 4), elementwise_affine=False),
    ]
    example = "h = rmsnorm(x, eps=1e-6)"

    def parameters(self, u: Unifier, *types: TensorType) -> list[Parameter]:
        return [Parameter("weight", self.sizes(u, types[0]), Ones())] if self.elementwise_affine else []

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if target == "numpy":
            return rmsnorm
        weight = ", weight" if len(types) > 1 else ""
        return f"F.rms_norm(x, {self.torch_shape(types)}{weight}, eps=eps)"

    def torch_layer(self, types: Sequence[Any]) -> str:
        sizes = self.torch_sizes(types)
        affine = "" if len(types) > 1 else ", elementwise_affine=False"
        return f"nn.RMSNorm({sizes}, eps={self.eps!r}{affine})" if sizes else ""

    def expand(self, *xs: Value) -> Value:
        x, *params = xs
        normal = normalised(x, axis=self.axis, eps=self.eps, center=False)
        return scaled_and_shifted(normal, params)


# ---------------------------------------------------------------------------------------
# Over groups of channels


def groupnorm(x, weight=None, bias=None, num_groups=1, axis=-1, eps=1e-5):
    """Groups of channels with mean 0 and variance 1, times a weight, plus a bias."""
    group = math.prod(x.shape[axis:]) // num_groups
    groups = np.reshape(x, (*x.shape[:axis], num_groups, group))
    y = np.reshape(standardized(groups, eps=eps)[0], x.shape)
    each = (x.shape[axis], *[1] * (-axis - 1))
    if weight is not None:
        y = y * np.reshape(weight, each)
    return y if bias is None else y + np.reshape(bias, each)


class Groupnorm(Composite):
    """Groups of channels with mean 0 and variance 1, times a weight, plus a bias (Wu and He, 2018).

    Of [C, ...], images for example: a group takes in all that follows its channels. Weight and
    bias are [C] and start at 1 and 0; `affine=false` leaves both out. Channels are the first
    axis, or `axis`, those before it being positions that are normalised by themselves.
    """

    group = "layers"
    operands = ("x", "weight?", "bias?")
    params = ("weight", "bias")
    num_groups: int
    eps: float = 1e-5
    affine: bool = True
    axis: Axis = 0
    formula = "(x - mean x) / √(var x + eps) weight + bias, over each group"
    unsaid = ("affine",)
    numpy = groupnorm
    samples = [
        Sample(real(4, 2, 3), real(4), real(4), num_groups=2),
        Sample(real(4, 3), real(4), real(4), num_groups=1, eps=0.1),
        Sample(real(4, 3), num_groups=4, affine=False),
        Sample(real(6), real(6), real(6), num_groups=2),
        Sample(real(3, 4), real(4), real(4), num_groups=2, axis=-1),
        Sample(real(2, 1), real(2), real(2), num_groups=2),
    ]
    bad_samples = [
        Sample(real(), num_groups=1, affine=False),
        Sample(real(4, 3), real(4), real(4), num_groups=3),
        Sample(real(4, 3), real(4), real(4), num_groups=0),
        Sample(real(4, 3), real(4), real(4), num_groups=-2),
        Sample(real(4, 3), real(3), real(3), num_groups=2),
        Sample(real(4, 3), real(4), real(4), num_groups=2, axis=2),
        Sample(real(4, 0), real(4), real(4), num_groups=2),
    ]
    example = "h = groupnorm(x, 8)"

    def place(self, x: TensorType) -> int:
        """The axis of the channels, from the end. Raises Mismatch."""
        if x.rank == 0:
            raise no_axis(self, x, 0)
        return axis_of(self, self.axis, x.rank)

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(axis=self.place(types[0]))

    def parameters(self, u: Unifier, *types: TensorType) -> list[Parameter]:
        if not self.affine:
            return []
        channels = size_at(self, u, types[0], self.place(types[0]), 0)
        return [Parameter("weight", (channels,), Ones()), Parameter("bias", (channels,), Zeros())]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        x = types[0]
        axis = self.place(x)
        need_entries(self, u, x, range(axis, 0))
        channels = u.known(x.shape[axis])
        if self.num_groups < 1 or channels.divide(self.num_groups) is None:
            raise Mismatch(
                f"{channels} channels do not divide into {self.num_groups} groups",
                blame=[(0, f"is {describe(u.tensor(x))}")],
                help="`num_groups` must divide the size of the axis of channels, which is the first",
                sizes=(channels,),
            )
        need_sizes(self, u, types, [channels])
        return x

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        return entries_needed(self, types[0], range(self.place(types[0]), 0))

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        return batch_first(self, b, values, types)

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if target == "numpy":
            return groupnorm
        lead = types[0].rank + self.place(types[0])
        given = {0: "x[None]", 1: "x"}.get(lead, f"x.flatten(0, {lead - 1})")
        params = ", weight, bias" if len(types) > 1 else ""
        eps = "" if self.eps == 1e-5 else ", eps=eps"
        module = "F" if self._never_alone(types) else "torch"
        done = f"{module}.group_norm({given}, num_groups{params}{eps})"
        return {0: f"{done}[0]", 1: done}.get(lead, f"{done}.reshape(x.shape)")

    def _never_alone(self, types: Sequence[Any]) -> bool:
        """Whether a group has two entries at least: F.group_norm and nn.GroupNorm take no fewer."""
        channels, *behind = types[0].shape[self.place(types[0]) :]
        return channels != self.num_groups or (product(behind).value or 0) > 1

    def torch_layer(self, types: Sequence[Any]) -> str:
        axis = self.place(types[0])
        channels = types[0].shape[axis].value
        if channels is None or types[0].rank + axis != 1 or not self._never_alone(types):
            return ""
        eps = "" if self.eps == 1e-5 else f", eps={self.eps!r}"
        affine = "" if len(types) > 1 else ", affine=False"
        return f"nn.GroupNorm({self.num_groups}, {channels}{eps}{affine})"

    def expand(self, *xs: Value) -> Value:
        x, *params = xs
        axis = self.place(x.type)
        group = product(x.shape[axis:]).divide(self.num_groups)
        groups = fn.reshape(x, shape=(*x.shape[:axis], Dim.of(self.num_groups), group))
        normal = called(fn.reshape(normalised(groups, eps=self.eps), shape=x.shape), "standard")
        behind = tuple(range(axis + 1, 0))
        each = [fn.unsqueeze(p, axis=behind) if behind else p for p in params]
        return scaled_and_shifted(normal, each)
