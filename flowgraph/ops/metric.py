"""Metrics: a number for each example whose mean over examples is reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import REAL, Dim, Elem, Mismatch, TensorType, Type, Unifier, describe
from .base import Arg, NonDifferentiable, Op, Sample, klass, need_equal, real
from .class_loss import need_label_each
from .loss import Averaged, need_same_shape
from .reduce import kept_shape

if TYPE_CHECKING:
    import torch

WAYS = {
    "argmax": "the largest score's place is the label",
    "one_hot": "the largest entries of both are at the same place",
    "probability": "h ≥ 0.5 exactly where y is true",
    "logit": "z > 0 exactly where y is true",
    "equal": "both labels are the same",
}
"""When a prediction counts as right, by the value of `how`."""


class Accuracy(NonDifferentiable, Averaged):
    """1 where the prediction is right, else 0; the mean over an example's positions.

    What counts as right is told by the types, or by `how`:
    scores [.., K] and a label class(K): the largest score is the label's ("argmax");
    two vectors of K: their largest entries are at the same place ("one_hot");
    two labels: they are equal ("equal");
    a single number: a probability of at least 0.5 where y is 1, and less where it is 0
    ("probability"); or, which has to be said, a score above 0 there ("logit").
    Ties go to the first.
    """

    group = "metrics"
    operands = ("z", "y")
    how: str | None = None
    formula = "1 if argmax z = y else 0; for a single number h: 1 if (h ≥ 0.5) = y else 0"
    unsaid = ("how",)
    samples = [
        Sample(real(3), klass(3)),
        Sample(real(4, 3), klass(3, 4)),
        Sample(real(3), real(3)),
        Sample(real(2, 3), real(2, 3)),
        Sample(real(low=0, high=1), Arg(kind="bool")),
        Sample(real(low=0, high=1), Arg(kind="int", low=0, high=1)),
        Sample(real(low=0, high=1), real(low=0, high=1)),
        Sample(real(), klass(2), how="logit"),
        Sample(real(4), klass(2, 4), how="logit"),
        Sample(klass(3), klass(3)),
        Sample(klass(3, 4), klass(3, 4)),
    ]
    bad_samples = [
        Sample(real(3), klass(4)),
        Sample(real(3), real(4)),
        Sample(real(3), klass(3), how="best"),
        Sample(real(), klass(3)),
        Sample(real(2, 3), klass(3)),
    ]
    example = "metric accuracy(z, y)"

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [None, None]

    def way(self, types: Sequence[Any]) -> str:
        """`how`, or what the types tell."""
        z, y = types
        if self.how is not None:
            return self.how
        if z.elem.kind in ("class", "int", "bool"):
            return "equal"
        if z.rank == y.rank + 1 and y.elem.kind in ("class", "int"):
            return "argmax"
        return "one_hot" if y.elem.kind == "real" and y.rank else "probability"

    def positions(self, types: Sequence[Any]) -> int:
        return types[0].rank - (self.way(types) in ("argmax", "one_hot"))

    def canonical(self, types: Sequence[Any]) -> Op:
        return super().canonical(types).with_attrs(how=self.way(types))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        z, y = types
        way = self.way(types)
        if way not in WAYS:
            raise Mismatch(
                f"`accuracy` knows no `how` called {way}",
                help=f"it is one of {', '.join(WAYS)}",
                code="E0404",
            )
        if way in ("argmax", "one_hot") and not z.rank:
            raise Mismatch(
                "`accuracy` needs a score per class",
                blame=[(0, f"is {describe(z)}")],
                help='a single number is compared by how="probability" or how="logit"',
            )
        if way == "argmax":
            need_label_each(self, u, z, y)
        else:
            self._alike(u, z, y, way)
        shape = z.shape[:-1] if way in ("argmax", "one_hot") else z.shape
        return TensorType(REAL, kept_shape(u.shape(shape), self.mean_axes(types), False))

    def _alike(self, u: Unifier, z: TensorType, y: TensorType, way: str) -> None:
        """Unify two shapes, and the numbers of classes of two labels. Raises Mismatch."""
        need_same_shape(self, u, z, y)
        if y.elem.classes is None:
            return
        blame = [(1, f"is {y.elem}")]
        if way in ("probability", "logit"):
            need_equal(
                self, u, Dim.of(2), y.elem.classes, blame=blame, help="one number tells two classes apart"
            )
        elif z.elem.classes is not None:
            cure = "both labels need the same number of classes"
            need_equal(self, u, z.elem.classes, y.elem.classes, blame=blame, help=cure)

    def each(self, target: str, types: Sequence[Any]) -> str:
        numpy = target == "numpy"
        largest = "np.argmax({}, axis=-1)" if numpy else "torch.argmax({}, dim=-1)"
        truth = "y >= 0.5" if types[1].elem.kind == "real" else "y > 0"
        truth = "y" if types[1].elem.kind == "bool" else truth
        right = {
            "argmax": f"{largest.format('z')} == y",
            "one_hot": f"{largest.format('z')} == {largest.format('y')}",
            "probability": f"(z >= 0.5) == ({truth})",
            "logit": f"(z > 0) == ({truth})",
            "equal": "z == y",
        }[self.way(types)]
        return f"({right}).astype(real)" if numpy else f"({right}).to(real)"


def top_k(z, y, k, axis=()):
    """1 where the label is among the k largest scores, the first of a tie; the mean."""
    own = np.take_along_axis(z, y[..., None], axis=-1)
    earlier = np.arange(z.shape[-1]) < y[..., None]
    better = np.sum((z > own) | ((z == own) & earlier), axis=-1)
    return np.mean((better < k).astype(z.dtype), axis=axis)


def top_k_torch(z, y, k, axis=()):
    """1 where the label is among the k largest scores, the first of a tie; the mean."""
    own = z.gather(-1, y[..., None])
    earlier = torch.arange(z.shape[-1], device=z.device) < y[..., None]
    better = torch.sum((z > own) | ((z == own) & earlier), dim=-1)
    right = (better < k).to(z.dtype)
    return right.mean(dim=axis) if axis else right


class TopK(NonDifferentiable, Averaged):
    """1 where the label is among the k largest scores, else 0; ties go to the first."""

    group = "metrics"
    operands = ("z", "y")
    k: int
    formula = "1 if fewer than k classes come before y in the order of scores, else 0"
    numpy = top_k
    torch = top_k_torch
    samples = [
        Sample(real(4), klass(4), k=2),
        Sample(real(5, 4), klass(4, 5), k=1),
        Sample(Arg((4,), kind="int", low=0, high=2), klass(4), k=2),
    ]
    bad_samples = [
        Sample(real(4), klass(3), k=2),
        Sample(real(4), klass(4), k=0),
        Sample(real(4), klass(4), k=5),
        Sample(real(), klass(4), k=1),
        Sample(real(4), real(4), k=1),
    ]
    example = "metric top_k(z, y, 3)"

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [REAL if types[0].elem.kind != "real" else None, None]

    def positions(self, types: Sequence[Any]) -> int:
        return types[0].rank - 1

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        return [(types[0].shape[-1], self.k, "for `top_k` to have so many classes")]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        z, y = types
        if not z.rank or y.elem.kind not in ("class", "int"):
            raise Mismatch(
                "`top_k` needs a score per class, and a label",
                blame=[(0, f"is {describe(z)}"), (1, f"is {describe(y)}")],
                help="write `top_k(z, y, k)` with z : [K] and y : class(K)",
                code="E0303" if z.rank else "E0310",
            )
        need_label_each(self, u, z, y)
        classes = u.resolve(z.shape[-1]).value
        if self.k < 1 or (classes is not None and self.k > classes):
            raise Mismatch(
                f"`top_k` with k = {self.k}",
                blame=[(0, f"has {u.resolve(z.shape[-1])} classes")],
                help="k goes from 1 to the number of classes",
                code="E0404",
            )
        return TensorType(REAL, kept_shape(u.shape(z.shape[:-1]), self.mean_axes(types), False))
