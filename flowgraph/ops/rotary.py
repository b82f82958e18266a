"""Rotary position embedding: pairs of entries turned by angles that grow with the position."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..types import REAL, Dim, Mismatch, TensorType, Type, Unifier, describe
from .base import LinearMap, NonDifferentiable, Sample, Value, apply, fn, real
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
    angles = rotary_angles_torch(x.shape[-2], x.shape[-1] // 2, base, offset, x.device)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    if inverse:
        sin = -sin
    if interleaved:
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def rotary_angles_torch(rows, pairs, base, offset, device):
    """The angles (offset + t) / base^(i / pairs) of row t and pair i."""
    # In single precision the angles of far places would lose their last digits.
    exact = torch.float32 if device.type == "mps" else torch.float64
    places = torch.arange(offset, offset + rows, dtype=exact, device=device)
    steps = torch.arange(pairs, dtype=exact, device=device) / max(pairs, 1)
    return places[:, None] / base**steps


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


# ---------------------------------------------------------------------------------------
# In two steps, so that all rotations share their angles


ANGLES = "np.arange(offset, offset + rows)[:, None] / base ** (np.arange(width // 2) / max(width // 2, 1))"


def rotary_cos_torch(rows, width, base=10000.0, offset=0, like=None):
    """Cosines of the angles of all rows, for both halves: (rows, width)."""
    device = torch.get_default_device() if like is None else like.device
    cos = rotary_angles_torch(rows, width // 2, base, offset, device).cos()
    return torch.cat([cos, cos], dim=-1).to(dtype=None if like is None else like.dtype)


def rotary_sin_torch(rows, width, base=10000.0, offset=0, like=None):
    """Sines of the angles of all rows, negative for the first half: (rows, width)."""
    device = torch.get_default_device() if like is None else like.device
    sin = rotary_angles_torch(rows, width // 2, base, offset, device).sin()
    return torch.cat([-sin, sin], dim=-1).to(dtype=None if like is None else like.dtype)


class Turns(NonDifferentiable, abstract=True):
    """A table of the angles that `rotary` turns by, which no value enters: made once for all that use it."""

    operands = ()
    title: ClassVar[str] = ""
    """What to call it in code."""
    rows: Size
    width: Size
    base: float = 10000.0
    offset: Size = 0
    samples = [
        Sample(rows=Dim.of(3), width=Dim.of(4)),
        Sample(rows=Dim.of(2), width=Dim.of(6), base=100.0, offset=Dim.of(5)),
    ]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return TensorType(REAL, (Dim.of(self.rows), Dim.of(self.width)))


class RotaryCos(Turns):
    """The cosines, for both entries of a pair."""

    title = "cos"
    numpy = f"np.cos(np.tile({ANGLES}, 2)).astype(real)"
    torch = rotary_cos_torch


class RotarySin(Turns):
    """The sines, for the first entry of a pair negative."""

    title = "sin"
    numpy = f"(np.repeat([-1, 1], width // 2) * np.sin(np.tile({ANGLES}, 2))).astype(real)"
    torch = rotary_sin_torch


def swap_halves_torch(x):
    """The two halves of the last axis in the other order."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([b, a], dim=-1)


class SwapHalves(LinearMap):
    """The two halves of the last axis in the other order."""

    numpy = "np.roll(x, x.shape[-1] // 2, axis=-1)"
    into = (
        "np.copyto(out[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :])",
        "np.copyto(out[..., x.shape[-1] // 2 :], x[..., : x.shape[-1] // 2])",
    )
    torch = swap_halves_torch
    samples = [Sample(real(4)), Sample(real(2, 3, 2))]
    bad_samples = [Sample(real(3))]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        if x.rank == 0 or u.known(x.shape[-1]).divide(2) is None:
            said = f"is {describe(u.tensor(x))}"
            raise Mismatch("halves of an odd size", blame=[(0, said)], help="the last size must be even")
        return x

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [fn.swap_halves(cotangent)]
