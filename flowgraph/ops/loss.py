"""Losses that compare prediction and target entry by entry; the mean over the example's entries.

Each gives one number for each example; what is done over the batch is the loss statement's
business. `axis` names the axes to average over, where not all of them are meant. Losses over
classes are in `class_loss.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ..types import REAL, Mismatch, TensorType, Type, Unifier, describe
from .base import Op, Sample, Value, axes_of, fn, need_equal, real
from .declared import Axes
from .reduce import axis_count, kept_shape


def need_same_shape(op: Op, u: Unifier, a: TensorType, b: TensorType) -> None:
    """Unify the shapes of prediction and target, or raise Mismatch."""
    blame = [(0, f"is {describe(u.tensor(a))}"), (1, f"is {describe(u.tensor(b))}")]
    cure = f"`{op.name}` compares entry by entry: both need the same shape"
    if a.rank != b.rank:
        raise Mismatch("shapes do not agree", blame=blame, help=cure)
    for x, y in zip(a.shape, b.shape, strict=True):
        need_equal(op, u, x, y, blame=blame, help=cure)


class Averaged(Op, abstract=True):
    """A loss that is the mean over positions of an example; `canonical` counts their axes from the end."""

    group = "losses"
    axis: Axes = None
    torch_whole: ClassVar[str] = ""
    """PyTorch's function for the mean over all positions, of which the first axis is the batch."""
    example = "loss {name}(h, y)"

    def positions(self, types: Sequence[Any]) -> int:
        """How many axes there are to average over."""
        raise NotImplementedError

    def mean_axes(self, types: Sequence[Any]) -> tuple[int, ...]:
        return axes_of(self, self.axis, self.positions(types))

    def canonical(self, types: Sequence[Any]) -> Op:
        axes = self.mean_axes(types)
        return self.with_attrs(axis=axes[0] if len(axes) == 1 else axes)

    def form(self, target: str, types: Sequence[Any]) -> Any:
        """A function, which takes the mean itself; or a text for one position, in a mean."""
        axes = self.mean_axes(types)
        if target == "torch" and self.torch_whole and len(axes) == self.positions(types) > 0:
            return self.whole(types)
        found = self.each(target, types)
        if not axes or not isinstance(found, str):
            return found
        mean, word = ("np.mean", "axis") if target == "numpy" else ("torch.mean", "dim")
        everything = len(axes) == self.positions(types)
        return f"{mean}({found})" if everything else f"{mean}({found}, {word}=axis)"

    def whole(self, types: Sequence[Any]) -> str:
        """The form of the mean over all positions in torch: 0 of an empty batch, where a mean is not."""
        return self.torch_whole.replace("WHOLE", 'reduction="mean" if y.shape[0] else "sum"')

    def notation(self, types: Sequence[Any]) -> str:
        """That of one position; with several, the function of this name."""
        return self.called if self.positions(types) else self.latex

    def said(self, types: Sequence[Any]) -> dict[str, Any]:
        """No axis where the mean is over all positions."""
        said = super().said(types)
        if len(self.mean_axes(types)) == self.positions(types):
            said.pop("axis", None)
        return said

    def each(self, target: str, types: Sequence[Any]) -> Any:
        """The form for one position."""
        return super().form(target, types)

    def averaged(self, each: Value, types: Sequence[Any]) -> Value:
        """The mean over the positions of a value that has one number for each."""
        axes = self.mean_axes(types)
        return fn.mean(each, axis=axes) if axes else each

    def shared(self, cotangent: Value, types: Sequence[Any]) -> Value:
        """The cotangent's share for each position, with axes of size 1 for those averaged over."""
        axes = self.mean_axes(types)
        if not axes:
            return cotangent
        count = axis_count(types[0].shape[: self.positions(types)], axes)
        return fn.unsqueeze(fn.share(cotangent, size=count), axis=axes)


class PairLoss(Averaged, abstract=True):
    """The mean of an error of each entry. The author writes the error's forms and partials."""

    operands = ("h", "y")
    one_of_many: ClassVar[str] = ""
    """The LaTeX of an entry's error in a sum over all of them."""
    samples = [
        Sample(real(3), real(3)),
        Sample(real(), real()),
        Sample(real(2, 3), real(2, 3)),
        Sample(real(2, 3), real(2, 3), axis=-1),
    ]
    bad_samples = [
        Sample(real(3), real(4)),
        Sample(real(3), real()),
        Sample(real(2, 3), real(3)),
        Sample(real(3), real(3), axis=1),
    ]

    def positions(self, types: Sequence[Any]) -> int:
        return types[0].rank

    def notation(self, types: Sequence[Any]) -> str:
        """That of one entry; the mean of all entries, where `one_of_many` says how to write theirs."""
        if not types[0].rank:
            return self.latex
        if not self.one_of_many or len(self.mean_axes(types)) < types[0].rank:
            return self.called
        count = axis_count(types[0].shape, range(types[0].rank))
        return rf"\frac{{{{1}}}}{{{{{count}}}}} \sum {self.one_of_many}"

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        need_same_shape(self, u, *types)
        return TensorType(REAL, kept_shape(u.shape(types[0].shape), self.mean_axes(types), False))

    def partials(self, h: Value, y: Value) -> tuple[Value | float | None, Value | float | None]:
        """The derivatives of an entry's error by prediction and target."""
        raise NotImplementedError

    def error(self, h: Value, y: Value) -> Value:
        """The error of each entry by operations that pass over their arrays once: see `Op.simpler`."""
        raise NotImplementedError

    def simpler(self, *xs: Value) -> Value | None:
        return self.averaged(self.error(*xs), [x.type for x in xs])

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        total: Value | None = None
        for partial, tangent in zip(self.partials(*xs), tangents, strict=True):
            if partial is not None and tangent is not None:
                term = tangent * partial
                total = term if total is None else total + term
        return None if total is None else self.averaged(total, [x.type for x in xs])

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        share = self.shared(cotangent, [x.type for x in xs])
        return [None if p is None else share * p for p in self.partials(*xs)]


class Mse(PairLoss):
    """The mean squared error."""

    formula = "mean (h - y)^2"
    latex = one_of_many = "({h} - {y})^2"
    numbers_only = True
    numpy = "(h - y)**2"
    torch = "(h - y)**2"
    torch_whole = "F.mse_loss(h, y, WHOLE)"

    def error(self, h: Value, y: Value) -> Value:
        return fn.square(h - y)

    def partials(self, h: Value, y: Value) -> tuple[Value | float | None, Value | float | None]:
        error = h - y
        return 2 * error, -2 * error


class Mae(PairLoss):
    """The mean absolute error; its derivative where there is no error counts as 0."""

    formula = "mean |h - y|"
    latex = one_of_many = "|{h} - {y}|"
    numbers_only = True
    numpy = "np.abs(h - y)"
    torch = "torch.abs(h - y)"
    torch_whole = "F.l1_loss(h, y, WHOLE)"
    samples = [
        Sample(real(3, high=-0.1), real(3, low=0.1)),
        Sample(real(low=0.1), real(high=-0.1)),
        Sample(real(2, 3, high=-0.1), real(2, 3, low=0.1), axis=0),
    ]

    def error(self, h: Value, y: Value) -> Value:
        return fn.abs(h - y)

    def partials(self, h: Value, y: Value) -> tuple[Value | float | None, Value | float | None]:
        side = fn.sign(h - y)
        return side, -side


def huber(h, y, delta=1.0, axis=()):
    """Half the squared error up to delta, beyond it a line; the mean over axis."""
    error = np.abs(h - y)
    near = np.minimum(error, delta)
    return np.mean(near * (error - 0.5 * near), axis=axis)


class Huber(PairLoss):
    """The squared error where it is small, the absolute error where it is large."""

    delta: float = 1.0
    formula = "mean of e^2 / 2 if |e| ≤ delta else delta (|e| - delta/2), with e = h - y"
    numbers_only = True
    numpy = huber
    torch = 'F.huber_loss(h, y, reduction="none", delta=delta)'
    torch_whole = "F.huber_loss(h, y, WHOLE, delta=delta)"
    samples = [
        Sample(real(3, low=0.1, high=0.4), real(3, low=-0.4, high=-0.1)),
        Sample(real(3, low=3, high=5), real(3), delta=0.5),
        Sample(real(low=-5, high=-4), real(), delta=1.5),
        Sample(real(2, 3), real(2, 3, low=6, high=8), axis=-1),
    ]
    bad_samples = [*PairLoss.bad_samples, Sample(real(3), real(3), delta=0.0)]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        if not self.delta > 0:
            raise Mismatch(f"`huber` with delta = {self.delta}", code="E0404", help="delta must be positive")
        return super().rule(u, *types)

    def error(self, h: Value, y: Value) -> Value:
        far = fn.abs(h - y)
        near = fn.minimum(far, self.delta)
        return near * (far - 0.5 * near)

    def partials(self, h: Value, y: Value) -> tuple[Value | float | None, Value | float | None]:
        slope = fn.clip(h - y, low=-self.delta, high=self.delta)
        return slope, -slope


class Hinge(PairLoss):
    """How far a score z is from the right side of the margin; y is 1 or -1."""

    operands = ("z", "y")
    formula = "mean max(0, 1 - y z), y = 1 or -1"
    latex = r"\max(0, 1 - {y} {z})"
    numbers_only = True
    numpy = "np.maximum(0, 1 - y * z)"
    torch = "torch.relu(1 - y * z)"
    samples = [
        Sample(real(3, high=0.8), real(3, low=1, high=1)),
        Sample(real(low=1.2), real(low=1, high=1)),
        Sample(real(low=-0.8), real(low=-1, high=-1)),
        Sample(real(2, 3, high=0.8), real(2, 3, low=1, high=1), axis=0),
    ]
    example = "loss hinge(z, y)"

    def error(self, h: Value, y: Value) -> Value:
        return fn.maximum(1 - y * h, 0.0)

    def partials(self, h: Value, y: Value) -> tuple[Value | float | None, Value | float | None]:
        inside = fn.cast(y * h < 1, kind="real")
        return -y * inside, -h * inside


def bce(h, y, axis=()):
    """Cross-entropy of probabilities h with targets y; logarithms stop at -100."""
    with np.errstate(divide="ignore"):
        log_h = np.maximum(np.log(h), -100)
        log_rest = np.maximum(np.log1p(-h), -100)
    return -np.mean(y * log_h + (1 - y) * log_rest, axis=axis)


class Bce(PairLoss):
    """The cross-entropy of a probability h with a target y, 0, 1 or in between.

    As in PyTorch, logarithms stop at -100, and a slope's denominator at 1e-12. Use
    `bce_with_logits` for what a sigmoid would make a probability: it loses nothing.
    """

    formula = "-mean (y ln h + (1 - y) ln(1 - h))"
    remedy = "give `bce` probabilities, between 0 and 1, or take `bce_with_logits` for scores"
    latex = r"-({y} \ln({h}) + (1 - {y}) \ln(1 - {h}))"
    numpy = bce
    torch = 'F.binary_cross_entropy(h, y, reduction="none")'
    torch_whole = "F.binary_cross_entropy(h, y, WHOLE)"
    samples = [
        Sample(real(3, low=0.1, high=0.9), real(3, low=0, high=1)),
        Sample(real(low=0.1, high=0.9), real(low=1, high=1)),
        Sample(real(2, 3, low=0.1, high=0.9), real(2, 3, low=0, high=1), axis=-1),
    ]

    def error(self, h: Value, y: Value) -> Value:
        log_h, log_rest = fn.maximum(fn.log(h), -100), fn.maximum(fn.log1p(-h), -100)
        return -(y * log_h + (1 - y) * log_rest)

    def partials(self, h: Value, y: Value) -> tuple[Value | float | None, Value | float | None]:
        slope = (h - y) / fn.maximum(h * (1 - h), 1e-12)
        return slope, fn.maximum(fn.log1p(-h), -100) - fn.maximum(fn.log(h), -100)


class BceWithLogits(PairLoss):
    """The cross-entropy of the probability sigmoid(z) with a target y, 0, 1 or in between.

    All its terms are positive, so that nothing cancels: at z = -20, y = 0 it is 2.06e-9.
    """

    operands = ("z", "y")
    formula = "mean (y ln(1 + e^-z) + (1 - y) ln(1 + e^z))"
    latex = r"{y} \ln(1 + e^{{-{z}}}) + (1 - {y}) \ln(1 + e^{{{z}}})"
    unmeant = {
        "sigmoid": ("it takes logits, and applies sigmoid itself", "leave the sigmoid out, or use `bce`")
    }
    numpy = "y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)"
    torch = "-torch.lerp(F.logsigmoid(-z), F.logsigmoid(z), y)"
    samples = [
        Sample(real(3), real(3, low=0, high=1)),
        Sample(real(), real(low=1, high=1)),
        Sample(real(2, 3), real(2, 3, low=0, high=1), axis=-1),
    ]
    example = "loss bce_with_logits(z, y)"

    def error(self, h: Value, y: Value) -> Value:
        return y * fn.softplus(-h) + (1 - y) * fn.softplus(h)

    def partials(self, h: Value, y: Value) -> tuple[Value | float | None, Value | float | None]:
        # sigmoid(z) - y would cancel where it is all but y.
        slope = (1 - y) * fn.sigmoid(h) - y * fn.sigmoid(-h)
        return slope, -h
