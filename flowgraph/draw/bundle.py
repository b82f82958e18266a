"""Bundles of wires: where so many run side by side that nobody could tell whose a weight is.

Between two columns of circles with more labelled wires than CROWD, and than CROSSING for each circle, the
weights give way to ink: the wires thin out by their weights.
"""

from __future__ import annotations

from dataclasses import replace

from .circles import FAINT
from .depth import columns
from .looks import wire_label
from .picture import Picture, Wire

CROWD, CROSSING = 40, 5
"""Labels between two columns, at most, unless there are no more for each circle of the larger column."""


def thinned(picture: Picture) -> tuple[Picture, int]:
    """The picture without the labels of crowded bundles, and how many these were."""
    labelled = [wire for wire in picture.wires if wire_label(picture, wire)]
    if len(labelled) <= CROWD:
        return picture, 0
    at = columns(picture.items, picture.wires)
    bundles: dict[tuple[int, int], list[Wire]] = {}
    for wire in labelled:
        bundles.setdefault((at[wire.source], at[wire.target]), []).append(wire)
    thin = {wire.id: wire for bundle in bundles.values() if _is_crowded(bundle) for wire in _thin(bundle)}
    wires = tuple(thin.get(wire.id, wire) for wire in picture.wires)
    return (replace(picture, wires=wires) if thin else picture), len(thin)


def _is_crowded(bundle: list[Wire]) -> bool:
    circles = max(len({wire.source for wire in bundle}), len({wire.target for wire in bundle}))
    return len(bundle) > max(CROWD, CROSSING * circles)


def _thin(bundle: list[Wire]) -> list[Wire]:
    """The wires without their labels, with ink by the size of their weights."""
    largest = max((abs(wire.weight) for wire in bundle if wire.weight is not None), default=0.0)
    out = []
    for wire in bundle:
        ink = abs(wire.weight) / largest if wire.weight is not None and largest else 0.0
        strength = min(wire.strength, FAINT + (1 - FAINT) * min(ink, 1.0))
        is_coded = wire.is_coded or (wire.weight is not None and not wire.is_backward)
        share = wire.share if wire.is_coded else ink
        out.append(replace(wire, label="", factor="", strength=strength, is_coded=is_coded, share=share))
    return out
