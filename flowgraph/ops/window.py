"""Windows that slide over the last axes of an array: their settings, and how many there are.

What convolutions and pools share. A window has for each axis it slides along a size (kernel), a
step (stride), zeros before and after the array (padding) and a distance between the entries it
takes (dilation); as an attr, one number stands for all axes. Axes before the channels are more
examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..types import Dim, Mismatch, TensorType, Unifier, describe
from .base import Op, known_shape

PLANES = {1: "sequences are [C, L]", 2: "images are [C, H, W]"}
"""What an operand looks like, by how many axes the windows slide along."""


@dataclass(frozen=True)
class Window:
    """How windows slide: for each axis the kernel, stride, (before, after) of padding, dilation."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many axes it slides along."""
        return len(self.kernel)

    @property
    def reach(self) -> tuple[int, ...]:
        """How many entries a window spans along each axis."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def is_even(self) -> bool:
        """Whether as much is put before each axis as after it; not so where "same" needs an odd number."""
        return all(before == after for before, after in self.padding)

    @property
    def around(self) -> tuple[int, ...]:
        """The padding as PyTorch's `F.pad` takes it, the last axis first."""
        return tuple(n for side in reversed(self.padding) for n in side)

    @property
    def settings(self) -> dict[str, Any]:
        """stride, padding and dilation as attrs, each as one number where that says it."""
        sides = [before if before == after else (before, after) for before, after in self.padding]
        return {
            "stride": compact(self.stride),
            "padding": compact(tuple(sides)),
            "dilation": compact(self.dilation),
        }

    def counts(self, op: Op, type: TensorType, sizes: Sequence[Dim], slot: int = 0) -> tuple[Dim, ...]:
        """How many windows there are along each axis.

        sizes: those of the last axes of the operand in this slot. Raises Mismatch where there is
        no window (E0310), and where their number is no size for every symbolic size (E0308).
        """
        return tuple(self._along(op, type, sizes, axis, slot) for axis in range(-self.count, 0))

    def needs(self, op: Op, sizes: Sequence[Dim]) -> list[tuple[Dim, int, str]]:
        """What these sizes must be for a window to fit in: see `Op.needs`."""
        spans = [reach - sum(p) for reach, p in zip(self.reach, self.padding, strict=True)]
        return [
            (size, span, f"for the kernel of `{op.name}` to fit in")
            for size, span in zip(sizes, spans, strict=True)
        ]

    def _along(self, op: Op, type: TensorType, sizes: Sequence[Dim], axis: int, slot: int) -> Dim:
        size, step, reach = sizes[axis], self.stride[axis], self.reach[axis]
        free = size + sum(self.padding[axis]) - reach
        if free.value is not None and free.value < 0:
            have = (
                f"{size}, with padding {size + sum(self.padding[axis])}" if any(self.padding[axis]) else size
            )
            raise Mismatch(
                f"the kernel of `{op.name}` is larger than what it slides over",
                blame=[(slot, f"is {describe(type)}")],
                help=f"along axis {axis} it spans {reach} entries, and there are {have}: "
                "make the kernel smaller or the padding larger",
                sizes=(size,),
            )
        if any(factor % step for names, factor in free.terms if names):
            raise Mismatch(
                f"`{op.name}` with stride {step} along the symbolic size {size}",
                blame=[(slot, f"is {describe(type)}")],
                help="the size of the result must follow for every size: use stride 1, declare a size "
                f"`U` and make the axis {step} * U, or give {size.symbols[0]} a number",
                code="E0308",
                sizes=(size,),
            )
        return Dim((names, factor // step) for names, factor in free.terms) + 1


def compact(values: tuple[Any, ...]) -> Any:
    """One value for all axes where they are equal, else the tuple."""
    return values[0] if len(set(values)) == 1 and isinstance(values[0], int) else values


def per_axis(op: Op, name: str, value: Any, count: int, least: int = 1) -> tuple[int, ...]:
    """A setting as one whole number for each axis. Raises Mismatch (E0404)."""
    values = (value,) * count if isinstance(value, int) else tuple(value)
    if len(values) == 1:
        values *= count
    if len(values) != count:
        raise Mismatch(
            f"`{name}` of `{op.name}` has {len(values)} numbers, and windows slide along "
            f"{count} {'axis' if count == 1 else 'axes'}",
            help=f"write one number for all, or a list of {count}",
            code="E0404",
        )
    if min(values) < least:
        raise Mismatch(
            f"`{name}` of `{op.name}` must be at least {least}, and it is {min(values)}",
            help=f"write a whole number from {least} on",
            code="E0404",
        )
    return values


def window_of(
    op: Op,
    count: int,
    kernel: Any,
    stride: Any,
    padding: Any = 0,
    dilation: Any = 1,
    name: str = "kernel_size",
) -> Window:
    """The window that settings describe, padding perhaps "same" or "valid". Raises Mismatch (E0404)."""
    sizes = per_axis(op, name, kernel, count)
    steps = per_axis(op, "stride", stride, count)
    gaps = per_axis(op, "dilation", dilation, count)
    return Window(sizes, steps, _sides(op, padding, count, sizes, steps, gaps), gaps)


def _sides(
    op: Op,
    padding: Any,
    count: int,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[tuple[int, int], ...]:
    if padding == "valid":
        return ((0, 0),) * count
    if padding == "same":
        if set(stride) != {1}:
            raise Mismatch(
                f'`{op.name}` keeps sizes by padding="same" with stride 1 only',
                help="write the padding as a number",
                code="E0404",
            )
        spans = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
        return tuple((span // 2, span - span // 2) for span in spans)  # the odd one after, as in PyTorch
    if isinstance(padding, str):
        raise Mismatch(
            f'there is no padding "{padding[:20]}"',
            help='write a number, a list with one for each axis, "same" or "valid"',
            code="E0404",
        )
    if isinstance(padding, tuple) and any(isinstance(p, tuple) for p in padding):
        return tuple(p if isinstance(p, tuple) else (p, p) for p in padding)
    return tuple((p, p) for p in per_axis(op, "padding", padding, count, least=0))


def planes(op: Op, u: Unifier, x: TensorType, count: int, slot: int = 0) -> tuple[Dim, tuple[Dim, ...]]:
    """The channels and the sizes after them of an operand, which may have axes before.

    Raises Mismatch, or NotYetKnown.
    """
    if x.rank < count + 1:
        raise wrong_rank(op, x, PLANES[count], slot)
    channels, *sizes = known_shape(u, x.shape[-count - 1 :])
    empty = [d for d in (channels, *sizes) if d == 0]
    if empty:
        raise Mismatch(
            f"`{op.name}` of no entries",
            blame=[(slot, f"is {describe(x)}")],
            help="give every axis at least one entry",
            sizes=empty[:1],
        )
    return channels, tuple(sizes)


def wrong_rank(op: Op, x: TensorType, wanted: str, slot: int = 0) -> Mismatch:
    """What to say of an operand that has not the axes of a sequence or an image."""
    most = 3 if "H" in wanted else 2
    cure = "`unsqueeze(x, 0)` adds an axis of one channel"
    if x.rank > most:
        cure = "a diagram is of one example: leave out the axis of the batch, or take one entry of it"
    elif x.rank == 1 and wanted == PLANES[2]:
        cure = "`reshape(x, [C, H, W])` makes an image of a vector, C being 1 for shades of grey"
    return Mismatch(f"`{op.name}`: {wanted}", blame=[(slot, f"is {describe(x)}")], help=cure)


def group_of(op: Op, groups: int, channels: Dim, what: str, *, slot: int | None = 0) -> Dim:
    """The channels of one group. Raises Mismatch (E0404); slot is the operand that has them."""
    if groups < 1:
        raise Mismatch(
            f"`groups` of `{op.name}` must be at least 1, and it is {groups}",
            help="write a whole number from 1 on",
            code="E0404",
        )
    share = channels.divide(groups)
    if share is None:
        raise Mismatch(
            f"{groups} groups do not divide the {channels} {what} `{op.name}`",
            blame=[] if slot is None else [(slot, f"has {channels} channels")],
            help="the channels that go in and those that come out must both be multiples of `groups`",
            code="E0404",
        )
    return share
