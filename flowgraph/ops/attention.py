"""Scaled dot product attention, and the weights it is made of.

Rows are positions, axes before them heads. A row that may look at nothing gets 0, where a
softmax of nothing would not be a number.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import REAL, Dim, Elem, Mismatch, Shape, TensorType, Type, Unifier, describe, shape_text
from .base import (
    OPS,
    Arg,
    Batching,
    Composite,
    Op,
    Sample,
    Value,
    apply,
    beside,
    called,
    fn,
    need_equal,
    real,
)
from .creator import Creator
from .declared import Size
from .reduce import need_entries
from .shape import product

if TYPE_CHECKING:
    import torch
    from torch.nn import functional as F


def need_mask(op: Op, u: Unifier, mask: TensorType, slot: int, scores: Shape) -> None:
    """Raise Mismatch unless the mask goes over scores of this shape."""
    if mask.elem.kind not in ("bool", "real"):
        raise Mismatch(
            f"a mask of `{op.name}` holds truth values, or numbers to add",
            blame=[(slot, f"is {mask.elem}")],
            help="true is what may be looked at: `mask != 0`",
            code="E0303",
        )
    blame = [(slot, f"is {describe(u.tensor(mask))}")]
    cure = f"it must fit {shape_text(u.shape(scores[-2:]))}: a row for each of q, a column for each of k"
    if not 1 <= mask.rank <= len(scores):
        raise Mismatch("the mask has another number of axes", blame=blame, help=cure)
    for have, want in zip(reversed(mask.shape), reversed(scores), strict=False):
        if u.resolve(have) != 1:
            need_equal(op, u, have, want, blame=blame, help=cure)


# ---------------------------------------------------------------------------------------
# The weights


def attention_weights(scores, mask=None, causal=False):
    """Softmax over what mask and, if causal, order let each row look at; else 0."""
    if mask is not None:
        is_bool = mask.dtype == bool
        scores = np.where(mask, scores, -np.inf) if is_bool else scores + mask
    if causal:
        seen = np.tri(*scores.shape[-2:], dtype=np.bool_)
        scores = np.where(seen, scores, -np.inf)
    top = np.max(scores, axis=-1, keepdims=True, initial=-np.inf)
    e = np.exp(scores - np.where(top == -np.inf, 0, top))
    # The largest term is 1: the sum is less only where there is nothing to look at.
    return e / np.maximum(np.sum(e, axis=-1, keepdims=True), 1)


def attention_weights_torch(scores, mask=None, causal=False):
    """Softmax over what mask and, if causal, order let each row look at; else 0."""
    if mask is not None:
        is_bool = mask.dtype == torch.bool
        scores = scores.masked_fill(~mask, -torch.inf) if is_bool else scores + mask
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device)
        scores = scores.masked_fill(later.triu(1), -torch.inf)
    nothing = torch.isneginf(scores).all(dim=-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(nothing, 0), dim=-1)
    return weights.masked_fill(nothing, 0)


class HideLater(Creator):
    """What makes scores causal when it is added: -inf where the column is later than the row, else 0."""

    group = ""
    rows: Size
    columns: Size
    formula = "-inf for j > i, else 0"
    numpy = "np.triu(np.full((rows, columns), -np.inf, dtype=real), 1)"
    torch = "torch.full((rows, columns), -torch.inf, dtype=real).triu(1)"
    samples = [Sample(rows=Dim.of(3), columns=Dim.of(3)), Sample(rows=Dim.of(2), columns=Dim.of(4))]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return TensorType(REAL, (Dim.of(self.rows), Dim.of(self.columns)))


class AttentionWeights(Op):
    """Softmax along the last axis over what a row may look at; 0 elsewhere.

    mask: true for what may be looked at, or numbers to add. causal: row i looks at 0 .. i.
    """

    operands = ("scores", "mask?")
    causal: bool = False
    formula = "softmax over what may be looked at, else 0"
    numpy = attention_weights
    torch = attention_weights_torch
    bounds = (0.0, 1.0)
    samples = [
        Sample(real(2, 3)),
        Sample(real(3, 3), causal=True),
        Sample(real(2, 4, 3), Arg((4, 3), kind="bool")),
        Sample(real(4, 3), Arg((3,), kind="bool"), causal=True),
        Sample(real(2, 4, 3), real(4, 1)),
        Sample(real(2, 4, 3), real(2, 1, 3), causal=True),
    ]

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [REAL if types[0].elem.kind != "real" else None, *(None for _ in types[1:])]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        for mask in types[1:]:
            need_mask(self, u, mask, 1, types[0].shape)
        return types[0]

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        masks = [b.align(v, t, types[0].rank) for v, t in zip(values[1:], types[1:], strict=True)]
        return b.apply(self, b.spread(values[0], types[0]), *masks)

    def simpler(self, *xs: Value) -> Value | None:
        scores, *masks = xs
        rows, columns = scores.shape[-2:]
        if columns == 0:
            return None  # no largest entry
        added = [m if m.type.elem.kind == "real" else fn.where(m, 0.0, -math.inf) for m in masks]
        if self.causal:
            added.append(beside(scores, HideLater(rows=rows, columns=columns)))
        if added:
            scores = scores + functools.reduce(operator.add, added)
        top = fn.max(scores, axis=-1, keepdims=True)
        if masks:  # a row that may look at nothing
            top = fn.where(fn.equal(top, -math.inf), 0.0, top)
        e = fn.exp(scores - top)
        total = fn.sum(e, axis=-1, keepdims=True)
        return e / (fn.maximum(total, 1.0) if masks else total)

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        total: Value | None = None
        for tangent in tangents:
            if tangent is not None:
                total = tangent if total is None else total + tangent
        return None if total is None else self._along(total, y)

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        found = self._along(cotangent, y)
        return [found, *(found if x.type.elem.kind == "real" else None for x in xs[1:])]

    def _along(self, t: Value, y: Value) -> Value:
        return y * (t - fn.sum(y * t, axis=-1, keepdims=True))


# ---------------------------------------------------------------------------------------
# Attention


def attention(q, k, v, mask=None, causal=False, scale=None):
    """Means of the rows of v, weighted by a softmax of how well q and k agree."""
    q = q * (q.shape[-1] ** -0.5 if scale is None else scale)
    return attention_weights(q @ np.swapaxes(k, -2, -1), mask, causal) @ v


def grouped_attention(q, k, v, mask=None, causal=False, scale=None):
    """Attention where groups of heads of q share one of k and v: their rows make one product."""
    q = q * (q.shape[-1] ** -0.5 if scale is None else scale)
    group = (*k.shape[:-2], q.shape[-3] // k.shape[-3] * q.shape[-2])
    scores = np.reshape(q, (*group, q.shape[-1])) @ np.swapaxes(k, -2, -1)
    scores = np.reshape(scores, (*q.shape[:-1], k.shape[-2]))
    weights = attention_weights(scores, mask, causal)
    y = np.reshape(weights, (*group, k.shape[-2])) @ v
    return np.reshape(y, (*q.shape[:-1], v.shape[-1]))


def masked_causal_attention_torch(q, k, v, mask, scale=None):
    """Attention under a mask, no row looking at what comes after it."""
    later = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device)
    later = later.triu(1)
    is_bool = mask.dtype == torch.bool
    mask = mask & ~later if is_bool else mask.masked_fill(later, -torch.inf)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


def masked_causal_grouped_attention_torch(q, k, v, mask, scale=None):
    """The same attention where groups of heads of q share one of k and v."""
    count = q.shape[-3] // k.shape[-3]
    k, v = (x.repeat_interleave(count, dim=-3) for x in (k, v))
    return masked_causal_attention_torch(q, k, v, mask, scale)


CURE = "q is [.., T, d], k [.., S, d], v [.., S, e]; the axes in front are heads"


class Attention(Composite):
    """Scaled dot product attention: for each row of q a mean of the rows of v (Vaswani, 2017).

    q is [T, d] or [heads, T, d], k [.., S, d], v [.., S, e]; q may have a multiple of the heads of k
    and v, which then serve several heads each, one after the other (grouped heads). mask fits
    [T, S]: true where a row may look, or numbers added to the scores. With `causal=true` row i looks
    at rows 0 .. i of k, also where T is not S. A row that may look at nothing is 0. `scale` is
    1 / √d by default.
    """

    group = "layers"
    operands = ("q", "k", "v", "mask?")
    causal: bool = False
    scale: float | None = None
    formula = "softmax(scale q kᵀ + mask) v"
    samples = [
        Sample(real(3, 4), real(5, 4), real(5, 2)),
        Sample(real(2, 3, 4), real(2, 3, 4), real(2, 3, 4), causal=True),
        Sample(real(2, 1, 4), real(2, 3, 4), real(2, 3, 4), causal=True, scale=0.3),
        Sample(real(4, 3, 2), real(2, 5, 2), real(2, 5, 3)),
        Sample(real(4, 3, 2), real(1, 3, 2), real(1, 3, 2), Arg((3,), kind="bool"), causal=True),
        Sample(real(2, 3, 4), real(2, 5, 4), real(2, 5, 4), Arg((3, 5), kind="bool"), scale=0.3),
        Sample(real(3, 4), real(5, 4), real(5, 4), real(1, 5)),
        Sample(real(2, 3, 4), real(2, 2, 4), real(2, 2, 4), real(2, 3, 2), causal=True),
    ]
    bad_samples = [
        Sample(real(4), real(5, 4), real(5, 2)),
        Sample(real(3, 4), real(5, 3), real(5, 2)),
        Sample(real(3, 4), real(5, 4), real(6, 2)),
        Sample(real(2, 3, 4), real(5, 4), real(5, 2)),
        Sample(real(3, 3, 4), real(2, 5, 4), real(2, 5, 2)),
        Sample(real(2, 3, 4), real(4, 5, 4), real(4, 5, 2)),
        Sample(real(4, 3, 4), real(2, 5, 4), real(4, 5, 2)),
        Sample(real(3, 2, 5, 4), real(2, 2, 5, 4), real(2, 2, 5, 4)),
        Sample(real(3, 0), real(5, 0), real(5, 2)),
        Sample(real(3, 4), real(5, 4), real(5, 2), Arg((5, 3), kind="bool")),
        Sample(real(3, 4), real(5, 4), real(5, 2), Arg((2, 3, 5), kind="bool")),
        Sample(real(3, 4), real(5, 4), real(5, 2), real()),
        Sample(real(3, 4), real(5, 4), real(5, 2), Arg((3, 5), kind="int")),
    ]
    example = "y = attention(q, k, v, causal=true)"

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [*super().wants(types[:3]), *(None for _ in types[3:])]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        q, k, v = types[:3]
        said = [(slot, f"is {describe(u.tensor(t))}") for slot, t in enumerate(types[:3])]
        for slot, t in enumerate(types[:3]):
            if t.rank < 2:
                what = "`attention` needs rows, one for each position"
                raise Mismatch(what, blame=[said[slot]], help=CURE)
            if t.rank != q.rank:
                raise Mismatch("shapes do not agree", blame=[said[0], said[slot]], help=CURE)
        need_equal(
            self, u, q.shape[-1], k.shape[-1], blame=said[:2], help="rows of q and k must be of one size"
        )
        need_equal(
            self,
            u,
            k.shape[-2],
            v.shape[-2],
            blame=said[1:],
            help="a row of v belongs to each row of k",
        )
        need_entries(self, u, q, [-1])
        for a, b in zip(k.shape[:-2], v.shape[:-2], strict=True):
            need_equal(self, u, a, b, blame=said[1:], help="k and v must have the same heads")
        for a, b in zip(q.shape[:-3], k.shape[:-3], strict=True):
            need_equal(self, u, a, b, blame=said[:2], help="the axes before the heads must be equal")
        if q.rank > 2:
            self._need_groups(u, q, k, said)
        if len(types) > 3:
            need_mask(self, u, types[3], 3, (*q.shape[:-1], k.shape[-2]))
        return TensorType(REAL, (*u.shape(q.shape[:-1]), u.resolve(v.shape[-1])))

    def _need_groups(self, u: Unifier, q: TensorType, k: TensorType, said: Sequence[tuple[int, str]]) -> None:
        """Raise Mismatch unless q has a multiple of k's heads."""
        heads, shared = u.known(q.shape[-3]), u.known(k.shape[-3])
        if heads == shared:
            return
        if shared == 0 or heads.divide(shared) is None:
            raise Mismatch(
                f"{heads} heads of q do not divide among {shared} of k and v",
                blame=said[:2],
                help=f"give q a multiple of {shared} heads, or k and v as many as q",
                sizes=(heads, shared),
            )

    def groups(self, types: Sequence[TensorType]) -> bool:
        """Whether several heads of q share one of k and v."""
        q, k = types[:2]
        return q.rank > 2 and q.shape[-3] != k.shape[-3]

    def form(self, target: str, types: Sequence[Any]) -> Any:
        grouped = self.groups(types)
        if target == "numpy":
            return grouped_attention if grouped else attention
        if len(types) > 3 and self.causal:
            return masked_causal_grouped_attention_torch if grouped else masked_causal_attention_torch
        mask = ""
        if len(types) > 3:  # PyTorch's masks have two axes at least
            mask = ", attn_mask=mask[None]" if types[3].rank == 1 else ", attn_mask=mask"
        rows = "q, k, v"
        if grouped:  # `enable_gqa` would want PyTorch 2.5
            each = product(types[0].shape[-3:-2]).divide(product(types[1].shape[-3:-2]))
            count = "q.shape[-3] // k.shape[-3]" if each is None or each.value is None else each
            rows = ", ".join(["q", *(f"{x}.repeat_interleave({count}, dim=-3)" for x in "kv")])
        return f"F.scaled_dot_product_attention({rows}{mask}, is_causal=causal, scale=scale)"

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        rows = [b.spread(v, t) for v, t in zip(values[:3], types[:3], strict=True)]
        masks = [b.align(v, t, types[0].rank) for v, t in zip(values[3:], types[3:], strict=True)]
        return b.apply(self, *rows, *masks)

    def expand(self, *xs: Value) -> Value:
        q, k, v = xs[:3]
        q = self._scaled(q)
        heads, wide = q.shape[:-1], (*q.shape[:-1], k.shape[-2])
        if not self.groups([x.type for x in xs]):
            scores = called(q @ fn.transpose_last(k), "scores")
            return called(apply(AttentionWeights(causal=self.causal), scores, *xs[3:]), "weights") @ v
        each = product(q.shape[-3:-2]).divide(product(k.shape[-3:-2]))
        rows = (*k.shape[:-2], product((each, q.shape[-2])))
        scores = fn.reshape(q, shape=(*rows, q.shape[-1])) @ fn.transpose_last(k)
        scores = called(fn.reshape(scores, shape=wide), "scores")
        weights = called(apply(AttentionWeights(causal=self.causal), scores, *xs[3:]), "weights")
        y = fn.reshape(weights, shape=(*rows, k.shape[-2])) @ v
        return fn.reshape(y, shape=(*heads, v.shape[-1]))

    def _scaled(self, q: Value) -> Value:
        if self.scale is not None:
            return q * self.scale
        size = product(q.shape[-1:])
        if size.value is not None:
            return q * size.value**-0.5
        return q / fn.sqrt(beside(q, OPS["size_value"](size=size)))
