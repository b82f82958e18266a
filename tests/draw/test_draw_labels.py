"""Labels beside wires: each clearly belongs to one, and `faults` sees where one does not."""

from __future__ import annotations

from dataclasses import replace

import flowgraph
from flowgraph.draw.scene import Scene, faults, labels_crossed, labels_of_two_wires

XOR = """
input x1, x2
h1 = step(0.5 - x1 - x2)
h2 = step(-1.5 + x1 + x2)
f = step(0.5 - h1 - h2)
"""


def _full(left: int, right: int) -> str:
    names = ", ".join(f"x{i}" for i in range(left)), ", ".join(f"h{i}" for i in range(right))
    return f"input {names[0]}\nnode {names[1]} : tanh\n{names[0]} -[0.5]-> {names[1]}\n"


def _scene(text: str) -> Scene:
    return flowgraph.loads(text).draw().scene


def test_a_label_on_a_foreign_wire_is_a_fault() -> None:
    scene = _scene(XOR)
    wire = next(a for a in scene.arrows if a.owner == "x2->h2")
    (x0, y0), (x1, y1) = wire.points[0], wire.tip
    label = next(t for t in scene.texts if t.owner == "x1->h1")
    moved = replace(
        label, rect=label.rect.moved((x0 + x1) / 2 - label.rect.x0, (y0 + y1) / 2 - label.rect.y0)
    )
    wrong = replace(scene, texts=tuple(moved if t is label else t for t in scene.texts))
    assert any("might be one of x2->h2" in fault for fault in labels_of_two_wires(wrong))


def test_an_arrow_through_a_name_without_a_halo_is_a_fault() -> None:
    scene = _scene(XOR)
    arrow = scene.arrows[0]
    label = next(t for t in scene.texts if t.owner == arrow.owner)
    (x0, y0), (x1, y1) = arrow.points[0], arrow.tip
    rect = label.rect.moved((x0 + x1) / 2 - label.rect.x0 - 3, (y0 + y1) / 2 - label.rect.y0 - 3)
    bare = replace(scene, texts=(replace(label, rect=rect, halo=False),))
    assert len(labels_crossed(bare)) >= 1
    assert labels_crossed(replace(scene, texts=(replace(label, rect=rect),))) == []


def test_the_lecture_s_xor_has_level_wires_and_all_weights() -> None:
    scene = _scene(XOR)
    heights = {circle.owner: round(circle.y, 3) for circle in scene.circles}
    assert heights["x1"] == heights["h1"]
    assert heights["x2"] == heights["h2"]
    assert heights["f"] == round((heights["h1"] + heights["h2"]) / 2, 3)
    assert sum(1 for t in scene.texts if "->" in t.owner) == 9


def test_the_labels_of_six_by_six_wires_all_have_room() -> None:
    scene = _scene(_full(6, 6))
    assert faults(scene) == []
    assert sum(1 for t in scene.texts if "->" in t.owner) == 36
    assert scene.picture.remarks == ()


def test_the_labels_of_eight_by_eight_wires_give_way_to_ink() -> None:
    scene = _scene(_full(8, 8))
    assert faults(scene) == []
    assert [t for t in scene.texts if "->" in t.owner] == []
    assert scene.picture.remarks == ("64 weights are not shown: there is no room beside their wires",)


def test_ink_is_shared_by_the_size_of_the_weights() -> None:
    wires = "".join(f"x{i} -[{(i + 1) * (-1) ** j}]-> h{j}\n" for i in range(8) for j in range(8))
    scene = _scene(
        "input x0, x1, x2, x3, x4, x5, x6, x7\nnode h0, h1, h2, h3, h4, h5, h6, h7 : tanh\n" + wires
    )
    arrows = {arrow.owner: arrow for arrow in scene.arrows}
    assert arrows["x0->h0"].width < arrows["x3->h0"].width < arrows["x7->h0"].width
    assert arrows["x0->h0"].strength < arrows["x7->h0"].strength == 1
    assert (arrows["x7->h0"].role, arrows["x7->h1"].role) == ("positive", "negative")
