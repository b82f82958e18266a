"""Random diagrams of up to 40 circles: every picture is without a fault, and each weight has its label."""

from __future__ import annotations

import pytest
from sketches import sketch_text

import flowgraph
from flowgraph.draw.bundle import thinned
from flowgraph.draw.looks import wire_label
from flowgraph.draw.scene import faults

COUNT = 200


@pytest.mark.parametrize("first", range(0, COUNT, 20))
def test_pictures_of_random_diagrams_have_no_fault(first: int) -> None:
    for seed in range(first, first + 20):
        drawing = flowgraph.loads(sketch_text(seed)).draw()
        assert faults(drawing.scene) == [], f"sketch {seed}"
        shown, _ = thinned(drawing.picture)
        labelled = {wire.id for wire in shown.wires if wire_label(shown, wire)}
        assert labelled <= {text.owner for text in drawing.scene.texts}, f"sketch {seed}"


def test_random_diagrams_vary() -> None:
    pictures = [flowgraph.loads(sketch_text(seed)).draw().picture for seed in range(0, COUNT, 5)]
    assert max(len(p.items) for p in pictures) > 30
    assert min(len(p.items) for p in pictures) < 5
    assert max(len(p.wires) for p in pictures) > 80


def test_the_same_diagram_gives_the_same_scene() -> None:
    first, second = (flowgraph.loads(sketch_text(7)).draw().scene for _ in range(2))
    assert first.texts == second.texts
    assert first.arrows == second.arrows
