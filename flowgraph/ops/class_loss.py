"""Losses over classes: scores [..., K] against labels class(K), or probabilities [..., K].

The class axis is the last; the mean is taken over the other axes of the example. `axis` names
the axes to average over, counted without the class axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..types import REAL, Elem, Mismatch, TensorType, Type, Unifier, describe
from .base import OpDefinitionError, Sample, Value, fn, klass, need_equal, real
from .gather import pick
from .loss import Averaged, need_same_shape
from .reduce import kept_shape
from .softmax import Softmax, log_softmax


class ClassLoss(Averaged, abstract=True):
    """Of scores against labels. The author writes the forms for one position and `slope`."""

    operands = ("z", "y")
    samples = [
        Sample(real(3, distinct=True), klass(3)),
        Sample(real(2, 3, distinct=True), klass(3, 2)),
        Sample(real(2, 2, 3, distinct=True), klass(3, 2, 2)),
        Sample(real(2, 2, 3, distinct=True), klass(3, 2, 2), axis=0),
    ]
    bad_samples = [
        Sample(real(3), klass(4)),
        Sample(real(), klass(3)),
        Sample(real(2, 3), klass(3)),
        Sample(real(3), klass(3, 2)),
        Sample(real(3), klass(3), axis=0),
    ]
    example = "loss {name}(z, y)"

    def positions(self, types: Sequence[Any]) -> int:
        return types[0].rank - 1

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [REAL if types[0].elem.kind != "real" else None, None]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        z, y = types
        if z.rank == 0:
            raise Mismatch(
                f"`{self.name}` needs a score per class",
                blame=[(0, f"is {describe(z)}")],
                help="for one number per example, use `bce_with_logits` or `mse`",
            )
        self.agree(u, z, y)
        return TensorType(REAL, kept_shape(u.shape(z.shape[:-1]), self.mean_axes(types), False))

    def agree(self, u: Unifier, z: TensorType, y: TensorType) -> None:
        """Unify classes and positions of scores and labels. Raises Mismatch."""
        if y.elem.kind not in ("class", "int"):
            raise Mismatch(
                f"`{self.name}` needs class labels",
                blame=[(1, f"is {y.elem}")],
                help=f"declare the target as `class({u.resolve(z.shape[-1])})`",
                code="E0303",
            )
        need_label_each(self, u, z, y)

    def whole(self, types: Sequence[Any]) -> str:
        form = super().whole(types)
        if types[0].rank <= 2:
            return form
        scores = self.operands[0]
        labels = "y.flatten(0, -2)" if types[1].elem.kind == "real" else "y.flatten()"
        return form.replace(f"({scores}, y,", f"({scores}.flatten(0, -2), {labels},")

    def slope(self, z: Value, y: Value) -> Value:
        """The derivative of a position's loss by its scores."""
        raise OpDefinitionError(f"{self.name} declares no slope")

    def target_slope(self, z: Value, y: Value) -> Value | None:
        """The derivative by the target, where that is not a label."""
        return None

    def slopes(self, xs: Sequence[Value]) -> list[Value | None]:
        z, y = xs
        return [self.slope(z, y), self.target_slope(z, y)]

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        total: Value | None = None
        for slope, tangent in zip(self.slopes(xs), tangents, strict=True):
            if slope is not None and tangent is not None:
                term = fn.sum(slope * tangent, axis=-1)
                total = term if total is None else total + term
        return None if total is None else self.averaged(total, [x.type for x in xs])

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        share = self.shared(cotangent, [x.type for x in xs])
        share = fn.unsqueeze(share, axis=-1)
        return [None if slope is None else share * slope for slope in self.slopes(xs)]


def need_label_each(op: Averaged, u: Unifier, z: TensorType, y: TensorType) -> None:
    """Unify the classes, and the axes before them, of scores and labels, or raise Mismatch."""
    blame = [(0, f"is {describe(u.tensor(z))}"), (1, f"is {describe(u.tensor(y))}")]
    if y.elem.classes is not None:
        count = u.resolve(y.elem.classes)
        cure = f"`{op.name}` needs a score for each of the {count} classes, along the last axis"
        need_equal(op, u, z.shape[-1], y.elem.classes, blame=blame, help=cure)
    cure = f"`{op.name}` needs one label for each row of scores"
    if y.rank != z.rank - 1:
        raise Mismatch("shapes do not agree", blame=blame, help=cure)
    for a, b in zip(z.shape[:-1], y.shape, strict=True):
        need_equal(op, u, a, b, blame=blame, help=cure)


def cross_entropy(z, y, axis=()):
    """-log softmax(z) at the label y, classes along the last axis; mean over axis."""
    log_p = np.take_along_axis(log_softmax(z), y[..., None], axis=-1)[..., 0]
    return -np.mean(log_p, axis=axis)


def soft_cross_entropy(z, y, axis=()):
    """Cross-entropy of softmax(z) with probabilities y, classes along the last axis."""
    return -np.mean(np.sum(y * log_softmax(z), axis=-1), axis=axis)


class CrossEntropy(ClassLoss):
    """The cross-entropy of softmax(z), z being logits, with a label or with probabilities."""

    formula = "-ln softmax(z)_y, or -Σ_k y_k ln softmax(z)_k for probabilities y"
    latex = r"-\ln(\operatorname{{softmax}}({z})_{{{y}}})"
    torch_whole = "F.cross_entropy(z, y, WHOLE)"
    unmeant = {"softmax": ("it takes logits, and applies softmax itself", "leave the softmax out")}
    samples = [*ClassLoss.samples, Sample(real(3), real(3, low=0)), Sample(real(2, 3), real(2, 3, low=0))]
    bad_samples = [*ClassLoss.bad_samples, Sample(real(3), real(4)), Sample(real(3), real())]

    def notation(self, types: Sequence[Any]) -> str:
        z, y = types
        if z.rank == y.rank == 1:
            return r"-\sum {y} \odot \ln(\operatorname{{softmax}}({z}))"
        return super().notation(types)

    def agree(self, u: Unifier, z: TensorType, y: TensorType) -> None:
        if y.elem.kind == "real" and y.rank:
            need_same_shape(self, u, z, y)
        else:
            super().agree(u, z, y)

    def each(self, target: str, types: Sequence[Any]) -> Any:
        z, y = types
        soft = y.elem.kind == "real"
        if target == "numpy":
            return soft_cross_entropy if soft else cross_entropy
        if z.rank <= 2:
            return 'F.cross_entropy(z, y, reduction="none")'
        # As rows: PyTorch is slow with classes along the second axis, where it wants them.
        labels, shape = ("y.flatten(0, -2)", "z.shape[:-1]") if soft else ("y.flatten()", "y.shape")
        each = f'F.cross_entropy(z.flatten(0, -2), {labels}, reduction="none")'
        return f"torch.reshape({each}, {shape})"

    def slope(self, z: Value, y: Value) -> Value:
        if y.type.elem.kind == "real":
            return fn.softmax(z) * fn.sum(y, axis=-1, keepdims=True) - y
        return fn.softmax(z) - fn.one_hot(y, classes=z.shape[-1])

    def simpler(self, *xs: Value) -> Value | None:
        """By what the gradient needs too; as accurate as `LogSoftmax.simpler`."""
        z, y = xs
        shifted, _, total = Softmax(axis=-1).exponentials(z)
        if y.type.elem.kind != "real":
            loss = fn.squeeze(fn.log(total), axis=-1) - pick(shifted, y)
        else:
            whole = fn.squeeze(fn.log(total), axis=-1) * fn.sum(y, axis=-1)
            loss = whole - fn.sum(y * shifted, axis=-1)
        return self.averaged(loss, [z.type, y.type])

    def target_slope(self, z: Value, y: Value) -> Value | None:
        return -fn.log_softmax(z) if y.type.elem.kind == "real" else None


def nll(h, y, axis=()):
    """-h at the label y, classes along the last axis; the mean over axis."""
    return -np.mean(np.take_along_axis(h, y[..., None], axis=-1)[..., 0], axis=axis)


class Nll(ClassLoss):
    """The negative log-likelihood of a label; h are log-probabilities, as of log_softmax."""

    operands = ("h", "y")
    formula = "-h_y"
    latex = r"-{{{h}}}_{{{y}}}"
    unmeant = {"softmax": ("it takes log-probabilities", "use `log_softmax`")}
    numpy = nll
    torch = "-h.gather(-1, y[..., None])[..., 0]"
    torch_whole = "F.nll_loss(h, y, WHOLE)"
    example = "loss nll(log_softmax(z), y)"

    def simpler(self, *xs: Value) -> Value | None:
        return -self.averaged(pick(*xs), [x.type for x in xs])

    def slope(self, z: Value, y: Value) -> Value:
        return -fn.one_hot(y, classes=z.shape[-1])


def perceptron(z, y, axis=()):
    """Largest score minus the label's, classes along the last axis; mean over axis."""
    own = np.take_along_axis(z, y[..., None], axis=-1)[..., 0]
    return np.mean(np.max(z, axis=-1) - own, axis=axis)


class Perceptron(ClassLoss):
    """The largest score minus the label's: 0 where the label wins; ties go to the first."""

    formula = "max_c z_c - z_y"
    latex = r"\max_c {{{z}}}_c - {{{z}}}_{{{y}}}"
    numpy = perceptron
    torch = "z.max(dim=-1).values - z.gather(-1, y[..., None])[..., 0]"

    def simpler(self, *xs: Value) -> Value | None:
        return self.averaged(fn.max(xs[0], axis=-1) - pick(*xs), [x.type for x in xs])

    def slope(self, z: Value, y: Value) -> Value:
        return fn.one_hot(fn.argmax(z)) - fn.one_hot(y, classes=z.shape[-1])


def kl_div(h, y, axis=()):
    """Sum of y (ln y - h) over the last axis, with 0 ln 0 = 0; the mean over axis."""
    log_y = np.log(np.where(y > 0, y, 1))
    return np.mean(np.sum(y * (log_y - h), axis=-1), axis=axis)


class KlDiv(ClassLoss):
    """The Kullback-Leibler divergence of probabilities y from log-probabilities h.

    Both have a last axis of classes, which is summed over; arguments in PyTorch's order.
    """

    operands = ("h", "y")
    formula = "Σ_k y_k (ln y_k - h_k)"
    latex = r"\sum {y} \odot (\ln({y}) - {h})"
    unmeant = {"softmax": ("it takes log-probabilities", "use `log_softmax`")}
    numpy = kl_div
    torch = 'torch.sum(F.kl_div(h, y, reduction="none"), dim=-1)'
    samples = [
        Sample(real(3), real(3, low=0.1, high=0.9)),
        Sample(real(2, 3), real(2, 3, low=0.1, high=0.9)),
        Sample(real(2, 2, 3), real(2, 2, 3, low=0.1, high=0.9), axis=-1),
    ]
    bad_samples = [Sample(real(3), real(4)), Sample(real(), real()), Sample(real(3), klass(3))]
    example = "loss kl_div(log_softmax(z), y)"

    def agree(self, u: Unifier, z: TensorType, y: TensorType) -> None:
        if y.elem.kind != "real":
            raise Mismatch(
                "`kl_div` needs probabilities",
                blame=[(1, f"is {y.elem}")],
                help="for a class label, use `cross_entropy` or `nll`",
                code="E0303",
            )
        need_same_shape(self, u, z, y)

    def simpler(self, *xs: Value) -> Value | None:
        h, y = xs
        log_y = fn.log(fn.where(y > 0, y, 1.0))
        return self.averaged(fn.sum(y * (log_y - h), axis=-1), [x.type for x in xs])

    def slope(self, z: Value, y: Value) -> Value:
        return -y

    def target_slope(self, z: Value, y: Value) -> Value | None:
        log_y = fn.log(fn.where(y > 0, y, 1.0))
        return log_y + 1 - z
