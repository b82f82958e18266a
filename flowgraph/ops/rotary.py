"""Rotary position embedding: pairs of entries turned by angles that grow with the position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..types import Dim, Mismatch, TensorType, Type, Unifier, describe
from .base import LinearMap, Sample, Value, apply, real
from .declared import Size

if TYPE_CHECKING:
    import torch


def rotary(x, base=10000.0, offset=0, interleaved=False, inverse=False):
    """Pair i of the entries of row t turned by (offset + t) / base^(i / pairs)."""
    pairs = x.shape[-1] // 2
    places = np.arange(offset, offset + x.shape[-2])[:, None]
    angles = places / base ** (np.arange(pairs) / max(pairs, 1))
    cos, sin = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)
    if inverse:
        sin = -sin
    if interleaved:
        a, b = x[..., 0::2], x[..., 1::2]
        turned = np.stack([a * cos - b * sin, b * cos + a * sin], axis=-1)
        return np.reshape(turned, x.shape)
    a, b = x[..., :pairs], x[..., pairs:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def rotary_torch(x, base=10000.0, offset=0, interleaved=False, inverse=False):
    """Pair i of the entries of row t turned by (offset + t) / base^(i / pairs)."""
    pairs = x.shape[-1] // 2
    # In single precision the angles of far places would lose their last digits.
    exact = torch.float32 if x.device.type == "mps" else torch.float64
    places = torch.arange(offset, offset + x.shape[-2], dtype=exact, device=x.device)
    steps = torch.arange(pairs, dtype=exact, device=x.device) / max(pairs, 1)
    angles = places[:, None] / base**steps
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    if inverse:
        sin = -sin
    if interleaved:
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)
    a, b = x[..., :pairs], x[..., pairs:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class Rotary(LinearMap):
    """Rotary position embedding (Su, 2021): row t of [.., T, d] turned, pair by pair of entries.

    Pair i turns by the angle (offset + t) / base^(2i / d). A pair is an entry of the first half and
    that of the second half in the same place, as in Llama; with `interleaved=true` it is two
    neighbours. `inverse=true` turns back.
    """

    group = "layers"
    base: float = 10000.0
    offset: Size = 0
    interleaved: bool = False
    inverse: bool = False
    formula = "(a cos φ - b sin φ, b cos φ + a sin φ), φ = (offset + t) / base^(2i / d)"
    numpy = rotary
    torch = rotary_torch
    samples = [
        Sample(real(3, 4)),
        Sample(real(2, 3, 6), interleaved=True),
        Sample(real(3, 2), offset=Dim.of(5)),
        Sample(real(2, 4), base=100.0, inverse=True),
        Sample(real(1, 4), interleaved=True, inverse=True, offset=Dim.of(2)),
    ]
    bad_samples = [Sample(real(4)), Sample(real(3, 5)), Sample(real(3, 4), base=0.0)]
    example = "q = rotary(q)"

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        said = f"is {describe(u.tensor(x))}"
        if x.rank < 2:
            raise Mismatch(
                "`rotary` needs a row for each position",
                blame=[(0, said)],
                help="x is [T, d], or [heads, T, d] with the positions on the last axis but one",
            )
        size = u.known(x.shape[-1])
        if size.divide(2) is None:
            raise Mismatch(
                "`rotary` turns pairs of entries",
                blame=[(0, said)],
                help=f"the last size must be even, and it is {size}",
                sizes=(size,),
            )
        if not self.base > 0:
            raise Mismatch(
                f"`base` of `rotary` is {self.base}",
                help="it is a positive number, such as 10000",
                code="E0404",
            )
        return x

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [apply(self.with_attrs(inverse=not self.inverse), cotangent)]
