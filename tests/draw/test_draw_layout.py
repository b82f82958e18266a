"""Where things stand: straight main ways, frames with room for their titles, long flows in parts."""

from __future__ import annotations

from pathlib import Path

import pytest

import flowgraph
from flowgraph.draw.scene import Scene, bounds, faults

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SLIDE = (960.0, 540.0)


def _scene(stem: str, depth: int | None = None) -> Scene:
    path = next(EXAMPLES.rglob(f"{stem}.flow"))
    return flowgraph.load(path).draw(depth=depth).scene


def _shrinks(scene: Scene) -> float:
    return min(SLIDE[0] / scene.width, SLIDE[1] / scene.height)


@pytest.mark.parametrize(
    ("stem", "depth", "least"),
    [("gpt2", None, 1.0), ("resnet18", 1, 1.0), ("vgg", 1, 0.9), ("llama", None, 0.8), ("unet", None, 0.65)],
)
def test_pages_of_large_models_stay_readable_on_a_slide(stem: str, depth: int | None, least: float) -> None:
    assert _shrinks(_scene(stem, depth)) > least


def test_the_longest_way_is_straight() -> None:
    scene = _scene("gru_chars")
    middles = {round(box.rect.center[0], 1) for box in scene.boxes if box.owner != "next"}
    assert len(middles) == 1


def test_three_boxes_that_one_feeds_stand_evenly_below_it() -> None:
    scene = _scene("argmax_softmax")
    above, left, middle, right = (bounds(scene.shapes[n]).center[0] for n in ("z", "hard", "soft", "sharp"))
    assert left < middle < right
    assert above == pytest.approx(middle, abs=1)


@pytest.mark.parametrize("stem", ["resnet18", "vgg", "bert", "unet", "vae", "gpt2", "lstm_chars"])
@pytest.mark.parametrize("depth", [None, 1])
def test_no_wire_passes_through_the_title_of_a_frame(stem: str, depth: int | None) -> None:
    scene = _scene(stem, depth)
    assert faults(scene) == []
    assert not any(t.halo for t in scene.texts if t.owner in scene.panels)


def test_a_wire_between_parts_begins_and_ends_where_it_did() -> None:
    scene = _scene("resnet18", 1)
    long = max(scene.arrows, key=lambda arrow: len(arrow.points))
    assert len(long.points) > 10  # it runs through a gutter
    assert faults(scene) == []


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("diagram nothing", 0), ("size n = 3", 0), ("input x", 1), ("input x : [3]", 1),
     ("node h\n1 -[2]-> h", 2), ("node g : tanh\n1 -[2]-> g", 2)],
)  # fmt: skip
def test_hardly_anything_can_be_drawn(text: str, count: int) -> None:
    drawing = flowgraph.loads(text).draw()
    assert len(drawing.picture.items) == count
    assert faults(drawing.scene) == []
    assert bool(drawing.remarks) == (count == 0)
    assert b"<svg" in drawing.to_bytes("svg")
