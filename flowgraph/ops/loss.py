"""Losses: a number for each example, however many entries an example has.

The mean is taken over the entries of the example, or over its positions where the last axis
is that of the classes; `axis` names other axes to average over. What is averaged over the
batch is the loss statement's business, not these operations'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import REAL, Elem, Mismatch, TensorType, Type, Unifier, describe
from .base import (
    NONE,
    Axes,
    Composite,
    Op,
    Sample,
    Value,
    axes_of,
    fn,
    klass,
    need_equal,
    real,
)
from .reduce import kept_shape
from .softmax import log_softmax

if TYPE_CHECKING:
    pass

PAIR_SAMPLES = [
    Sample(real(3), real(3)),
    Sample(real(), real()),
    Sample(real(2, 3), real(2, 3)),
    Sample(real(2, 3), real(2, 3), axis=-1),
]
BAD_PAIRS = [Sample(real(3), real(4)), Sample(real(3), real()), Sample(real(2, 3), real(3))]


class PairLoss(Composite, abstract=True):
    """The mean of an error of each entry; both operands have the same shape."""

    group = "losses"
    operands = ("h", "y")
    axis: Axes = NONE
    samples = PAIR_SAMPLES
    bad_samples = BAD_PAIRS
    example = "loss {name}(h, y)"

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(axis=axes_of(self, self.axis, types[0].rank))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        h, y = types
        need_same_shape(self, u, h, y)
        return TensorType(REAL, kept_shape(u.shape(h.shape), axes_of(self, self.axis, h.rank), False))

    def error(self, *xs: Value) -> Value:
        """The error of each entry."""
        raise NotImplementedError

    def expand(self, *xs: Value) -> Value:
        error = self.error(*xs)
        axes = axes_of(self, self.axis, error.type.rank)
        return fn.mean(error, axis=axes) if axes else error

    def form(self, target: str, types: Sequence[Any]) -> Any:
        """The form of the error of each entry, within a mean."""
        found = super().form(target, types)
        if not isinstance(found, str):
            return found
        axes = axes_of(self, self.axis, types[0].rank)
        if not axes:
            return found
        mean, word = ("np.mean", "axis") if target == "numpy" else ("torch.mean", "dim")
        return f"{mean}({found}, {word}=axis)" if len(axes) < types[0].rank else f"{mean}({found})"


def need_same_shape(op: Op, u: Unifier, h: TensorType, y: TensorType) -> None:
    """Unify the shapes of prediction and target, or raise Mismatch."""
    blame = [(0, f"is {describe(u.tensor(h))}"), (1, f"is {describe(u.tensor(y))}")]
    cure = f"`{op.name}` compares entry by entry: both need the same shape"
    if h.rank != y.rank:
        raise Mismatch("shapes do not agree", blame=blame, help=cure)
    for a, b in zip(h.shape, y.shape, strict=True):
        need_equal(op, u, a, b, blame=blame, help=cure)


class Mse(PairLoss):
    """The mean squared error over the entries of the example."""

    formula = "mean (h - y)^2"
    latex = r"\overline{{({h} - {y})^2}}"
    numpy = "(h - y) ** 2"
    torch = "(h - y) ** 2"

    def error(self, *xs: Value) -> Value:
        h, y = xs
        return fn.square(h - y)


# ---------------------------------------------------------------------------------------
# Losses over classes: the class axis is the last


class ClassLoss(Composite, abstract=True):
    """Of scores over classes [..., K] against labels class(K); the mean over other axes."""

    group = "losses"
    operands = ("z", "y")
    axis: Axes = NONE
    samples = [Sample(real(3), klass(3)), Sample(real(2, 3), klass(3, 2))]
    bad_samples = [
        Sample(real(3), klass(4)),
        Sample(real(), klass(3)),
        Sample(real(2, 3), klass(3)),
        Sample(real(3), klass(3, 2)),
    ]
    example = "loss {name}(z, y)"

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [REAL if types[0].elem.kind != "real" else None, None]

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(axis=axes_of(self, self.axis, types[0].rank - 1))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        z, y = types
        if z.rank == 0:
            raise Mismatch(
                f"`{self.name}` needs a score per class",
                blame=[(0, f"is {describe(z)}")],
                help="for one number per example, use `bce_with_logits` or `mse`",
            )
        self.agree(u, z, y)
        axes = axes_of(self, self.axis, z.rank - 1)
        return TensorType(REAL, kept_shape(u.shape(z.shape[:-1]), axes, False))

    def agree(self, u: Unifier, z: TensorType, y: TensorType) -> None:
        """Unify classes and positions of scores and labels. Raises Mismatch."""
        if y.elem.kind not in ("class", "int"):
            raise Mismatch(
                f"`{self.name}` needs class labels",
                blame=[(1, f"this is {describe(y)}")],
                help=f"declare the target as `class({u.resolve(z.shape[-1])})`",
                code="E0303",
            )
        blame = [(0, f"is {describe(u.tensor(z))}"), (1, f"is {describe(u.tensor(y))}")]
        if y.elem.classes is not None:
            need_equal(
                self,
                u,
                z.shape[-1],
                y.elem.classes,
                blame=blame,
                help=f"{u.resolve(y.elem.classes)} classes need {u.resolve(y.elem.classes)} scores",
            )
        if y.rank != z.rank - 1:
            raise Mismatch("shapes do not agree", blame=blame, help="one label for each row of scores")
        for a, b in zip(z.shape[:-1], y.shape, strict=True):
            need_equal(self, u, a, b, blame=blame, help="one label for each row of scores")

    def averaged(self, loss: Value) -> Value:
        """The mean over the positions of the example."""
        axes = axes_of(self, self.axis, loss.type.rank)
        return fn.mean(loss, axis=axes) if axes else loss


def cross_entropy(z, y):
    """-log softmax(z) at the label y; the classes are the last axis of z."""
    log_p = log_softmax(z)
    return -np.take_along_axis(log_p, y[..., None], axis=-1)[..., 0]


def mean_cross_entropy(z, y, axis):
    """-log softmax(z) at the label y, averaged over the positions of an example."""
    return np.mean(cross_entropy(z, y), axis=axis)


class CrossEntropy(ClassLoss):
    """-log softmax(z) at the label; of logits z against class(K)."""

    formula = "-log softmax(z)_y"
    latex = r"-\log \mathrm{{softmax}}({z})_{{{y}}}"

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if target == "numpy":
            return mean_cross_entropy if axes_of(self, self.axis, types[1].rank) else cross_entropy
        return 'F.cross_entropy(z, y, reduction="none")'


def perceptron(z, y):
    """The largest score minus the label's; the classes are the last axis of z."""
    return np.max(z, axis=-1) - np.take_along_axis(z, y[..., None], axis=-1)[..., 0]


def perceptron_torch(z, y):
    """The largest score minus the label's; the classes are the last axis of z."""
    return z.max(dim=-1).values - z.gather(-1, y[..., None])[..., 0]


class Perceptron(ClassLoss):
    """The largest score minus the label's: 0 where the label wins, ties going to the first."""

    formula = "max_c z_c - z_y"
    latex = r"\max_c {z}_c - {z}_{{{y}}}"
    numpy = perceptron
    torch = perceptron_torch

    def expand(self, *xs: Value) -> Value:
        z, y = xs
        return self.averaged(fn.max(z, axis=-1) - fn.pick(z, y))
