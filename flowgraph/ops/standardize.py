"""standardize: what layernorm, rmsnorm and groupnorm are made of, and the derivative they share.

It has two results, the normalised array and the factor that it was multiplied by; both serve again
in the derivative, which is the usual formula of three terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import REAL, TensorType, TupleType, Type, Unifier
from .base import Op, Sample, Value, apply, axes_of, called, fn, items_of, real
from .declared import Axes
from .reduce import axis_count, kept_shape

if TYPE_CHECKING:
    import torch

RESULTS = ("standard", "scale")
"""What the results of `standardize` are called in emitted code."""


def standardized(x, axis=-1, eps=1e-5):
    """x less its mean, over its standard deviation along axis, and that factor."""
    centered = x - np.mean(x, axis=axis, keepdims=True)
    scale = 1 / np.sqrt(np.mean(centered**2, axis=axis, keepdims=True) + eps)
    return centered * scale, scale


def standardized_torch(x, axis=-1, eps=1e-5):
    """x less its mean, over its standard deviation along axis, and that factor."""
    centered = x - x.mean(dim=axis, keepdim=True)
    scale = torch.rsqrt(centered.square().mean(dim=axis, keepdim=True) + eps)
    return centered * scale, scale


def rescaled(x, axis=-1, eps=1e-5):
    """x over its root mean square along axis; and the factor that scaled it."""
    scale = 1 / np.sqrt(np.mean(x**2, axis=axis, keepdims=True) + eps)
    return x * scale, scale


def rescaled_torch(x, axis=-1, eps=1e-5):
    """x over its root mean square along axis; and the factor that scaled it."""
    scale = torch.rsqrt(x.square().mean(dim=axis, keepdim=True) + eps)
    return x * scale, scale


class Standardize(Op):
    """The array with mean 0 and mean square 1 along its axes, and the factor that scaled it.

    center: whether the mean is taken off. The factor keeps the axes, with size 1.
    """

    axis: Axes = -1
    eps: float = 1e-5
    center: bool = True
    formula = "(x - mean x) s and s, with s = 1 / √(var x + eps)"
    samples = [
        Sample(real(4)),
        Sample(real(2, 3, 4), axis=(-2, -1), eps=0.1),
        Sample(real(3, 4), center=False),
        Sample(real(3, 1)),
    ]

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(axis=sole(axes_of(self, self.axis, types[0].rank)))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        axes = axes_of(self, self.axis, x.rank)
        return TupleType((x, TensorType(REAL, kept_shape(x.shape, axes, True))))

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if target == "numpy":
            return standardized if self.center else rescaled
        return standardized_torch if self.center else rescaled_torch

    def simpler(self, *xs: Value) -> Value | None:
        (x,) = xs
        if self.center:
            x = called(x - fn.mean(x, axis=self.axis, keepdims=True), "centered")
        spread = fn.mean(fn.square(x), axis=self.axis, keepdims=True)
        scale = fn.reciprocal(fn.sqrt(spread + self.eps))
        return fn.pack(x * scale, scale)

    def along(self, t: Value, standard: Value, scale: Value) -> Value:
        """The derivative of the first result, which is a symmetric map of a tangent or a cotangent."""
        shared = standard * fn.mean(t * standard, axis=self.axis, keepdims=True)
        if self.center:
            return scale * (t - fn.mean(t, axis=self.axis, keepdims=True) - shared)
        return scale * (t - shared)

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        (t,) = tangents
        if t is None:
            return None
        standard, scale = items_of(y, *RESULTS)
        slower = -fn.square(scale) * fn.mean(t * standard, axis=self.axis, keepdims=True)
        return fn.pack(self.along(t, standard, scale), slower)

    def vjp(self, cotangent: Any, y: Value, *xs: Value) -> list[Value | None]:
        """cotangent: a sequence with that of each result, None for zero."""
        standard, scale = items_of(y, *RESULTS)
        of_standard, of_scale = cotangent
        parts = []
        if of_standard is not None:
            parts.append(self.along(of_standard, standard, scale))
        if of_scale is not None:
            shape = xs[0].shape
            count = axis_count(shape, axes_of(self, self.axis, len(shape)))
            parts.append(-fn.share(of_scale * fn.square(scale), size=count) * standard)
        return [parts[0] + parts[1] if len(parts) == 2 else parts[0]]


def sole(axes: tuple[int, ...]) -> Any:
    """One axis without a tuple around it."""
    return axes[0] if len(axes) == 1 else axes


def normalised(x: Value, **settings: Any) -> Value:
    """The first result of `standardize`."""
    return items_of(apply(Standardize(**settings), x), *RESULTS)[0]
