"""Large diagrams: folded where nobody could read them, and never slow."""

from __future__ import annotations

import itertools
import time

import flowgraph
from flowgraph.diagram import Diagram
from flowgraph.draw.scene import faults


def _wide(count: int) -> Diagram:
    names = ", ".join(f"h{i}" for i in range(count))
    return flowgraph.loads(f"input x\nnode {names} : tanh\nx -[1]-> {names}\n")


def _chain(count: int) -> Diagram:
    names = [f"h{i}" for i in range(count)]
    wires = [f"{a} -[0.5]-> {b}" for a, b in zip(["x", *names], names, strict=False)]
    return flowgraph.loads("\n".join(["input x", f"node {', '.join(names)} : tanh", *wires]))


def _boxes(count: int) -> Diagram:
    """Each box reads the one before and one of the eight before."""
    lines = ["input x : [4]", "h0 = tanh(x)"]
    lines += [f"h{i} = tanh(h{i - 1} + h{max(0, i - 1 - i * 7 % 8)})" for i in range(1, count)]
    return flowgraph.loads("\n".join([*lines, f"output h{count - 1}"]))


def _layers(count: int, height: int = 30) -> Diagram:
    """Circles in layers of a height, each wired to two of the layer before."""
    rows = [[f"h{j}_{i}" for i in range(height)] for j in range(count // height)]
    lines = ["input x", f"node {', '.join(name for row in rows for name in row)} : tanh"]
    lines.append(f"x -[1]-> {', '.join(rows[0])}")
    for a, b in itertools.pairwise(rows):
        for i in range(height):
            lines += [f"{a[i]} -[0.5]-> {b[i]}", f"{a[i]} -[-1]-> {b[(i + 1) % height]}"]
    return flowgraph.loads("\n".join(lines))


def _seconds(diagram: Diagram) -> float:
    start = time.perf_counter()
    assert diagram.draw().scene.width > 0
    return time.perf_counter() - start


def test_a_thousand_boxes_take_at_most_ten_times_as_long_as_a_hundred() -> None:
    _seconds(_boxes(5))  # loads the libraries
    hundred, thousand = _boxes(100), _boxes(1000)
    assert _seconds(thousand) < 10 * max(_seconds(hundred), _seconds(hundred))


def test_nine_times_as_many_labelled_circles_take_about_nine_times_as_long() -> None:
    _seconds(_layers(60, 10))
    few, many = _layers(100, 10), _layers(900, 10)
    assert _seconds(many) < 15 * max(_seconds(few), _seconds(few))


def test_a_thousand_boxes_have_no_fault() -> None:
    drawing = _boxes(1000).draw()
    assert len(drawing.picture.items) == 1001
    assert faults(drawing.scene) == []


def test_what_is_too_large_for_a_page_folds_before_it_is_drawn() -> None:
    diagram = _layers(15_000)
    start = time.perf_counter()
    drawing = diagram.draw()
    assert faults(drawing.scene) == []
    assert time.perf_counter() - start < 5
    assert len(drawing.picture.items) < 130
    assert drawing.remarks[0].startswith("15001 items are too many for a page: ")
    kinds = {item.kind for item in drawing.picture.items}
    assert kinds == {"input", "neuron", "more"}


def test_every_item_is_counted_once_when_a_picture_folds() -> None:
    for diagram, count in ((_wide(3000), 3001), (_chain(3000), 3001), (_boxes(3000), 3001)):
        items = diagram.draw().picture.items
        left_out = sum(item.count for item in items if item.kind == "more")
        assert left_out + sum(1 for item in items if item.kind != "more") == count


def test_a_folded_picture_is_still_one_piece() -> None:
    picture = _layers(3000).draw().picture
    reached = {item.id for item in picture.items if item.kind == "input"}
    for _ in picture.items:
        reached |= {wire.target for wire in picture.wires if wire.source in reached}
    assert reached == {item.id for item in picture.items}


def test_a_column_that_is_too_tall_folds() -> None:
    picture = _wide(100).draw().picture
    assert len(picture.items) == 13
    assert picture.remarks == ("101 items are too many for a page: 89 of them are folded",)


def test_a_long_chain_is_drawn_in_rows() -> None:
    scene = _chain(60).draw().scene
    assert faults(scene) == []
    assert max(scene.width, scene.height) < 1500


def test_wires_that_pass_by_hundreds_fold_a_picture() -> None:
    lines = ["input x : [4]", "h0 = tanh(x)"]
    lines += [f"h{i} = tanh(h{i - 1} + h{i * i % i} + h{i * 7919 % i})" for i in range(1, 300)]
    drawing = flowgraph.loads("\n".join([*lines, "output h299"])).draw()
    assert faults(drawing.scene) == []
    assert drawing.remarks
