"""By what role of the theme items and wires are drawn, how wide, and what stands beside wires.

Assumes a Picture. The same for every format: what is laid out here and what other programs lay out. Promises
names of `theme.ROLES`; has no colour and no position.
"""

from __future__ import annotations

from typing import NamedTuple

from .names import Tex
from .picture import Item, Picture, Wire

THIN, THICK = 0.8, 3.2
"""Widths of wires whose weights are known and coded, in points."""


class Look(NamedTuple):
    """Of a wire: its role, its width in points, and the sign of its weight, 0 where that is unknown."""

    role: str
    width: float
    sign: int


def item_role(item: Item) -> str:
    """The role of an item's outline."""
    if item.tone:
        return item.tone
    if item.state:
        return f"{item.state}_input" if item.kind == "input" else item.state
    if item.kind == "box" and item.params:
        return "trainable"
    return item.kind


def wire_look(picture: Picture, wire: Wire) -> Look:
    """How a wire is drawn: only weights that were trained, or are among many, are coded."""
    if wire.tone:
        return Look(wire.tone, 1.6, 0)
    if wire.is_backward:
        return Look("backward", THIN + 0.2, 0)
    sign = 0 if wire.weight is None else (wire.weight > 0) - (wire.weight < 0)
    if not wire.is_coded or wire.weight is None:
        return Look("wire", THIN + 0.1, sign)
    width = THIN + (THICK - THIN) * min(max(wire.share, 0.0), 1.0)
    return Look("negative" if sign < 0 else "positive", width, sign)


def wire_label(picture: Picture, wire: Wire) -> Tex:
    """What stands beside a wire: its weight, or its local factor in a picture of the backward flow."""
    return wire.factor if wire.is_backward else wire.label


def label_role(picture: Picture, wire: Wire) -> str:
    """The role of that label."""
    if wire.tone:
        return wire.tone
    if wire.is_backward:
        return "gradient"
    return "trainable_weight" if wire.is_trained else "weight"
