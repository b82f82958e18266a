"""Embeddings: rows of a trainable table, by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..types import REAL, Dim, Elem, Mismatch, TensorType, Type, Unifier, describe
from .base import Arg, Batching, Composite, Parameter, Sample, Value, fn, klass, real
from .declared import Size
from .gather import need_labels, rows_needed
from .init import Normal


class Embedding(Composite):
    """The rows of a trainable table [num_embeddings, embedding_dim] that the ids name.

    ids are labels or whole numbers from 0 to num_embeddings - 1, of any shape; the result has
    one axis more. The table starts normally distributed with standard deviation `std`: PyTorch's is 1,
    that of most transformers 0.02.
    """

    group = "layers"
    operands = ("ids", "weight")
    params = ("weight",)
    num_embeddings: Size
    embedding_dim: Size
    std: float = 1.0
    formula = "y_i = weight_(ids_i)"
    latex = "{weight}[{ids}]"
    unsaid = ("num_embeddings", "embedding_dim", "std")
    numpy = "weight[ids]"
    torch = "F.embedding(ids, weight)"
    samples = [
        Sample(klass(4), real(4, 3), num_embeddings=Dim.of(4), embedding_dim=Dim.of(3)),
        Sample(klass(3, 5), real(4, 2), num_embeddings=Dim.of(4), embedding_dim=Dim.of(2)),
        Sample(
            Arg((2, 3), kind="int", low=0, high=4),
            real(5, 2),
            num_embeddings=Dim.of(5),
            embedding_dim=Dim.of(2),
        ),
        Sample(klass(3), real(4, 2), num_embeddings=Dim.of(4), embedding_dim=Dim.of(2), std=0.02),
    ]
    bad_samples = [
        Sample(real(3), real(4, 2), num_embeddings=Dim.of(4), embedding_dim=Dim.of(2)),
        Sample(klass(5), real(4, 2), num_embeddings=Dim.of(4), embedding_dim=Dim.of(2)),
    ]
    example = "h = embedding(ids, 50, 16)"

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [None, None]

    def parameters(self, u: Unifier, *types: TensorType) -> list[Parameter]:
        shape = (Dim.of(self.num_embeddings), Dim.of(self.embedding_dim))
        return [Parameter("weight", shape, Normal(std=self.std))]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        ids, weight = types
        need_labels(self, ids, 0)
        rows, width = u.shape(weight.shape)
        if ids.elem.classes is None:
            return TensorType(REAL, (*u.shape(ids.shape), width))
        classes = u.resolve(ids.elem.classes)
        if classes.value is not None and rows.value is not None and classes.value > rows.value:
            raise Mismatch(
                f"`embedding` of one of {classes} classes in {rows} rows",
                blame=[(0, f"is {describe(ids)}")],
                help=f"each class needs a row: `num_embeddings` must be at least {classes}",
                code="E0305",
                sizes=(classes,),
            )
        return TensorType(REAL, (*u.shape(ids.shape), width))

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        ids, weight = types
        return rows_needed(self, weight.shape[0], ids)

    def torch_layer(self, types: Sequence[Any]) -> str:
        return f"nn.Embedding({self.num_embeddings}, {self.embedding_dim})"

    def torch_layer_starts(self) -> bool:
        return self.std == 1

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        return b.inline(self, values, types) if b.has(values[1]) else b.apply(self, *values)

    def expand(self, *xs: Value) -> Value:
        return fn.take(xs[1], xs[0], axis=0)

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        return None if tangents[1] is None else fn.take(tangents[1], xs[0], axis=0)

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return [None, fn.add_at(cotangent, xs[0], size=xs[1].shape[0])]
