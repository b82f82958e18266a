"""Values laid over pictures: ξ and h at circles, arrays in boxes, weights on wires, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import example

from flowgraph.diagram import Diagram, loads
from flowgraph.draw import names
from flowgraph.draw.digits import lines, short
from flowgraph.draw.picture import Item, Picture
from flowgraph.draw.scene import faults
from flowgraph.draw.theme import LIGHT
from flowgraph.errors import FlowError

XOR = [(0, 0, 1, 0, 0), (0, 1, 0, 0, 1), (1, 0, 0, 0, 1), (1, 1, 0, 1, 0)]
"""x1, x2, and what the circles h1, h2 and f then are."""


def notes(item: Item) -> list[str]:
    return [names.plain(note) for note in item.notes]


def drawn(diagram: Diagram, **wishes: Any) -> Picture:
    return diagram.draw(**wishes).picture


def code_of(error: pytest.ExceptionInfo[FlowError]) -> list[str]:
    return [d.code for d in error.value.diagnostics]


# ---------------------------------------------------------------------------------------
# --in


@pytest.mark.parametrize(("x1", "x2", "h1", "h2", "f"), XOR)
def test_xor_shows_xi_and_h_of_every_circle(x1: int, x2: int, h1: int, h2: int, f: int) -> None:
    drawing = example("xor").draw(inputs={"x1": x1, "x2": x2})
    items = drawing.picture.by_id
    assert notes(items["x1"]) == [f"x₁ = {x1}"]
    assert notes(items["h1"]) == [f"ξ = {names.plain(short(0.5 - x1 - x2))}", f"h₁ = {h1}"]
    assert notes(items["h2"]) == [f"ξ = {names.plain(short(-1.5 + x1 + x2))}", f"h₂ = {h2}"]
    assert notes(items["f"]) == [f"ξ = {names.plain(short(0.5 - h1 - h2))}", f"f = {f}"]
    assert {name: items[name].state for name in ("x1", "h1", "f")} == {
        name: "active" if value else "idle" for name, value in (("x1", x1), ("h1", h1), ("f", f))
    }
    assert faults(drawing.scene) == []


def test_a_circle_that_sends_0_and_its_wires_are_pale() -> None:
    scene = example("xor").draw(inputs={"x1": 0, "x2": 1}).scene
    roles = {circle.owner: circle.role for circle in scene.circles}
    assert roles == {
        "x1": "idle_input", "x2": "active_input", "h1": "idle", "h2": "idle", "f": "active", "1@0": "one",
        "1@1": "one",
    }  # fmt: skip
    assert all(role in LIGHT.styles for role in roles.values())
    assert {arrow.source for arrow in scene.arrows if arrow.strength < 1} == {"x1", "h1", "h2"}


def test_the_place_on_the_curve_is_marked() -> None:
    scene = example("xor").draw(inputs={"x1": 0, "x2": 1}).scene
    marks = {curve.owner: curve.points for curve in scene.curves if curve.role == "mark"}
    centre = {circle.owner: circle for circle in scene.circles}
    assert set(marks) == {"h1", "h2", "f"}
    for name, points in marks.items():
        right = sum(x for x, _ in points) / len(points) > centre[name].x
        assert right == (name == "f")


def test_the_loss_has_its_number_where_the_target_is_given() -> None:
    learned = example("xor_learned")
    without = drawn(learned, inputs={"x": [0, 1]}).by_id
    given = drawn(learned, inputs={"x": [0, 1], "y": 1}).by_id
    assert notes(without["mse"]) == [] and notes(without["y"]) == []
    loss = learned.run({"x": [0, 1], "y": 1}).loss
    assert loss is not None
    assert notes(given["mse"]) == [f"L = {names.plain(short(loss))}"]
    assert notes(given["y"]) == ["y = 1"]


def test_numbers_at_circles_are_those_of_the_simulator() -> None:
    diagram = example("mlp_2_3_2")
    items = drawn(diagram, inputs={"x": [1, 0]}, seed=3).by_id
    run = diagram.run({"x": [1, 0]}, seed=3)
    for index, value in enumerate(run["f"][0]):
        assert dict(items[f"f[{index}]"].facts)["value"] == f"{value:.6g}"


def test_boxes_show_small_arrays_and_hovering_shows_all() -> None:
    items = drawn(example("softmax"), inputs={"x": [1, 2], "y": 1}).by_id
    assert notes(items["z"]) == ["z = [1,2,−3]"]
    assert notes(items["y"]) == ["y = 1"]
    wide = loads("input x : [40]\ny = sin(x)\noutput y\n")
    box = drawn(wide, inputs={"x": [0.5] * 40}).by_id["y"]
    assert notes(box) == []
    assert "0.479426" in dict(box.facts)["value"]


def test_matrices_have_a_line_for_each_row() -> None:
    assert lines(np.array([[1.0, 2.0], [3.0, -0.5]])) == ("[1,2]", "[3,-0.5]")
    assert lines(np.zeros((4, 2))) == lines(np.zeros((1, 1, 1))) == lines(np.zeros(5)) == ()


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0"), (-0.0, "0"), (1.0, "1"), (-1.5, "-1.5"), (1 / 3, "0.333"), (-0.043773, "-0.044"),
     (1234.5, "1234"), (12.345, "12.3"), (1e6, r"1\times 10^{6}"),
     (3.14e-7, r"3.1\times 10^{-7}"), (float("inf"), r"\infty")],
)  # fmt: skip
def test_numbers_are_short(value: float, said: str) -> None:
    assert short(value) == said
    names.runs(said)


def test_what_is_elided_or_folded_is_not_labelled() -> None:
    layer = loads("input x : [2]\nnode h[40] : tanh\nx -> h\noutput h\n")
    picture = drawn(layer, inputs={"x": [1, 2]})
    assert [item.notes for item in picture.items if item.kind == "more"] == [()]
    assert sum(1 for item in picture.items if item.notes) == 7


def test_blocks_have_values_inside_and_repeats_have_none() -> None:
    text = (
        "block twice(x : [2]) -> [2] {\n  z = x + x\n  return tanh(z)\n}\n"
        "input x : [2]\nu = twice(x)\nrepeat 3 as r {\n  u = twice(u)\n}\noutput u\n"
    )
    picture = drawn(loads(text), inputs={"x": [1, 2]}, depth=2)
    inside = [item for item in picture.items if item.name == "z"]
    assert [notes(item) for item in inside] == [["z = [2,4]"], []]


def test_drawing_without_wishes_is_as_before() -> None:
    bare = drawn(example("xor_learned"))
    assert not bare.is_backward
    assert all(not (item.notes or item.gradient or item.state) for item in bare.items)


def test_the_ids_stay_those_of_the_bare_picture() -> None:
    diagram = example("xor_learned")
    bare = drawn(diagram)
    for wishes in ({"inputs": {"x": [0, 1]}}, {"grad": True}):
        other = drawn(diagram, **wishes)
        assert [i.id for i in other.items] == [i.id for i in bare.items]
        assert [w.id for w in other.wires] == [w.id for w in bare.wires]


# ---------------------------------------------------------------------------------------
# --params


def weights(diagram: Diagram, seed: int = 5) -> dict[str, np.ndarray]:
    return {name: np.asarray(value, np.float64) for name, value in diagram.params(seed=seed).items()}


def test_weights_stand_on_the_wires_with_width_and_sign() -> None:
    diagram = example("xor_learned")
    given = weights(diagram)
    given["w_x_h"] = np.array([[2.0, -1.0], [0.5, 4.0]])
    drawing = diagram.draw(params=given)
    wires = {wire.id: wire for wire in drawing.picture.wires}
    assert wires["x[0]->h[0]"].label == "2" and wires["x[1]->h[0]"].label == "-1"
    assert wires["f->mse"].weight is None and not wires["f->mse"].is_coded
    arrows = {arrow.owner: arrow for arrow in drawing.scene.arrows}
    assert arrows["x[1]->h[1]"].width > arrows["x[0]->h[0]"].width > arrows["x[0]->h[1]"].width
    assert [arrows[name].role for name in ("x[0]->h[0]", "x[1]->h[0]")] == ["positive", "negative"]
    assert LIGHT["negative"].dash and not LIGHT["positive"].dash
    assert faults(drawing.scene) == []


def test_a_wire_from_the_constant_1_has_the_bias() -> None:
    diagram = example("xor_learned")
    given: Mapping[str, Any] = weights(diagram) | {"b_f": np.array(-0.25)}
    wires = {wire.id: wire for wire in drawn(diagram, params=given).wires}
    assert wires["1@1->f"].weight == -0.25


def test_many_weights_have_no_labels_and_their_ink_by_size() -> None:
    diagram = loads("input x : [6]\nnode h[6] : tanh\nx -> h\noutput h\n")
    matrix = np.linspace(-1, 1, 36).reshape(6, 6)
    picture = drawn(diagram, params={"w_x_h": matrix})
    wires = {wire.id: wire for wire in picture.wires}
    assert all(not wire.label for wire in picture.wires)
    assert wires["x[0]->h[0]"].strength > wires["x[3]->h[2]"].strength
    assert dict(wires["x[5]->h[5]"].facts)["weight"] == "1"


def test_weights_in_blocks_are_found_by_their_names() -> None:
    text = (
        "block lin(x : [2]) -> [2] {\n  param W : [2, 2] = glorot()\n  return tanh(W @ x)\n}\n"
        "input x : [2]\nu = lin(x)\noutput u\n"
    )
    diagram = loads(text)
    name = next(iter(diagram.params()))
    picture = drawn(diagram, params={name: [[1, 2], [3, 4]]}, depth=1, scale="circles")
    found = {wire.weight for wire in picture.wires if wire.is_coded}
    assert found == {1.0, 2.0, 3.0, 4.0}


# ---------------------------------------------------------------------------------------
# What is refused


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"x1": 0}, "the input `x2` has no value"),
        ({"x1": 0, "x2": 1, "x3": 1}, "there is no input or target `x3`"),
        ({"x1": [0, 1], "x2": [0, 1]}, "the values given are 2 examples, and a picture shows one"),
        ({"x1": [[0]], "x2": 1}, "does not fit"),
    ],
)
def test_values_that_do_not_fit_are_refused_as_by_run(inputs: dict[str, Any], said: str) -> None:
    with pytest.raises(FlowError) as error:
        drawn(example("xor"), inputs=inputs)
    assert code_of(error) == ["E0504"]
    assert said in error.value.diagnostics[0].message


def test_params_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FlowError) as error:
        drawn(example("xor_learned"), params={"w": np.zeros(3)})
    assert set(code_of(error)) == {"E0505"}
    with pytest.raises(FlowError) as error:
        drawn(example("xor_learned"), params=tmp_path / "none.npz")
    assert code_of(error) == ["E0501"]
