"""The backward flow: reversed arrows, local factors, the gradient at every item."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from running import EXAMPLES, example

from flowgraph.diagram import Diagram, loads
from flowgraph.draw import names
from flowgraph.draw.factor import Factors
from flowgraph.draw.levels import Levels
from flowgraph.draw.overlay import Overlay, Wishes
from flowgraph.draw.picture import Item, Picture, Wire
from flowgraph.draw.scene import faults
from flowgraph.errors import FlowError
from flowgraph.ops import OPS
from flowgraph.ops.base import Elementwise

INPUTS: dict[str, dict[str, Any]] = {
    "xor_learned": {"x": [0, 1], "y": 1},
    "cubic": {"x": 0.5, "y": 0.3},
    "regression": {"x": [1, 2], "y": 1},
    "mlp_2_3_2": {"x": [1, 0.5], "y": [0, 1]},
}
"""Examples in circles, with values of one example."""
LEARNED_XOR = {
    "x[0]->h[0]": "h₀′ w_xh[0,0]", "x[1]->h[0]": "h₀′ w_xh[0,1]",
    "x[0]->h[1]": "h₁′ w_xh[1,0]", "x[1]->h[1]": "h₁′ w_xh[1,1]",
    "h[0]->f": "f′ w_hf[0]", "h[1]->f": "f′ w_hf[1]", "f->mse": "2 (f − y)",
}  # fmt: skip


def drawn(diagram: Diagram, **wishes: Any) -> Picture:
    return diagram.draw(grad=True, **wishes).picture


def plain(tex: str) -> str:
    return " ".join(names.plain(tex).split())


def fact(thing: Item | Wire, title: str) -> str:
    return dict(thing.facts)[title]


def with_step() -> Diagram:
    return loads(
        "input x1, x2\ntarget y\nnode h, f : step\nx1, x2 -[1]-> h\n1 -[-0.5]-> h\nh -[2]-> f\n"
        "loss mse(f, y)\n"
    )


# ---------------------------------------------------------------------------------------
# Symbols


def test_the_learned_xor_has_a_factor_on_every_arrow() -> None:
    picture = drawn(example("xor_learned"))
    factors = {w.id: plain(w.factor) for w in picture.wires if w.is_backward}
    assert factors == LEARNED_XOR
    assert plain(picture.by_id["f"].slope) == "f′ = 1 − f²"
    assert plain(picture.by_id["h[0]"].slope) == "h₀′ = 1 − h₀²"
    assert plain(picture.by_id["h[1]"].gradient) == "∂L/∂h₁"
    assert plain(picture.by_id["x[1]"].gradient) == "∂L/∂x₁"


def test_arrows_are_reversed_and_those_of_the_forward_flow_alone_are_pale() -> None:
    scene = example("xor_learned").draw(grad=True).scene
    arrows = {arrow.owner: arrow for arrow in scene.arrows}
    assert (arrows["f->mse"].source, arrows["f->mse"].target) == ("mse", "f")
    assert arrows["f->mse"].role == "backward" and arrows["f->mse"].strength == 1
    for name in ("y->mse", "1@0->h[0]", "1@1->f"):
        assert arrows[name].source == name.split("->")[0]
        assert arrows[name].role == "wire" and arrows[name].strength < 1


def test_the_layout_is_that_of_the_forward_flow() -> None:
    diagram = example("xor_learned")
    there, back = diagram.draw().scene, diagram.draw(grad=True).scene

    def order(scene: Any) -> list[str]:
        return [c.owner for c in sorted(scene.circles, key=lambda c: (round(c.x), c.y))]

    assert order(there) == order(back)


def test_a_step_lets_no_gradient_through_and_says_so() -> None:
    picture = drawn(with_step())
    wires = {wire.id: wire for wire in picture.wires}
    assert wires["h->f"].factor == wires["x1->h"].factor == "0"
    assert wires["h->f"].is_backward and wires["h->f"].strength < 1
    assert plain(wires["f->mse"].factor) == "2 (f − y)"
    assert plain(picture.by_id["f"].gradient) == "∂L/∂f"
    assert plain(picture.by_id["f"].slope) == "f′ = 0"
    assert plain(picture.by_id["h"].gradient) == "∂L/∂h = 0"
    assert plain(picture.by_id["x1"].gradient) == "∂L/∂x₁ = 0"


def test_a_long_slope_is_named_by_its_operation() -> None:
    diagram = loads("input x\ntarget y\nnode h : gelu\nx -[w]-> h\nloss mse(h, y)\n")
    picture = drawn(diagram)
    assert plain(picture.by_id["h"].slope) == "h′ = gelu′(ξ_h)"
    assert plain(picture.wires[0].factor) == "h′ w"


def test_the_identity_has_the_weight_alone() -> None:
    picture = drawn(example("regression"))
    factors = [plain(w.factor) for w in picture.wires if w.is_backward]
    assert factors == ["w₀", "w₁", "2 (f − y)"]


def test_boxes_have_matrices_and_formulas() -> None:
    picture = drawn(example("softmax"))
    factors = {w.id: plain(w.factor) for w in picture.wires}
    assert factors == {
        "x->z": "W", "z->p": "", "z->cross_entropy": "softmax(z) − one_hot(y)", "y->cross_entropy": "",
    }  # fmt: skip
    text = "input x : [2]\ntarget y : [3]\nparam W : [2, 3] = glorot()\nz = W.T @ x\nloss mse(z, y)\n"
    layers = drawn(loads(text), scale="layers")
    assert plain({w.id: w.factor for w in layers.wires}["x->z"]) == "W^⊤"


def test_what_has_no_short_formula_is_a_derivative_by_name() -> None:
    diagram = loads("input x : [4]\ntarget y : [4]\nz = softmax(x)\nh = relu(z)\nloss mse(h, y)\n")
    factors = {w.id: plain(w.factor) for w in drawn(diagram, scale="layers").wires}
    assert factors["x->z"] == "∂z/∂x"
    assert factors["z->h"] == "relu′(z)"


# ---------------------------------------------------------------------------------------
# Numbers


@pytest.mark.parametrize("name", INPUTS)
def test_a_gradient_is_the_sum_over_arrows_of_factor_times_gradient(name: str) -> None:
    diagram = example(name)
    overlay = Overlay(diagram.program, diagram.graph, name, Wishes(INPUTS[name], None, True, 2))
    picture = diagram.draw().picture
    factors = Factors(Levels(diagram.graph), picture, overlay.values)
    gradient = overlay.gradient.values

    def at(item: Item) -> float:
        return float(np.asarray(gradient[item.node])[() if item.index is None else item.index])

    told = 0
    for item in picture.items:
        out = [w for w in picture.wires if w.source == item.id]
        if item.kind in ("one", "target") or not out:
            continue
        numbers = [factors.of(wire).number for wire in out]
        assert None not in numbers
        total = sum(n * at(picture.by_id[w.target]) for n, w in zip(numbers, out, strict=True))  # type: ignore[operator]
        assert total == pytest.approx(at(item), rel=1e-12, abs=1e-15)
        told += 1
    assert told > 2


@pytest.mark.parametrize("name", ["xor_learned", "cubic"])
def test_the_gradient_of_an_input_is_the_slope_of_the_loss(name: str) -> None:
    diagram, given = example(name), INPUTS[name]
    size = np.size(given["x"])
    for entry in range(size):
        nudge = np.zeros(size)
        nudge[entry] = 1e-6
        nudge = nudge.reshape(np.shape(given["x"]))
        up, down = (
            diagram.run({**given, "x": np.asarray(given["x"]) + way * nudge}).loss or 0.0 for way in (1, -1)
        )
        item = drawn(diagram, inputs=given).by_id["x" if not np.ndim(given["x"]) else f"x[{entry}]"]
        assert float(fact(item, "gradient")) == pytest.approx((up - down) / 2e-6, rel=1e-4)


def test_numbers_stand_in_place_of_symbols() -> None:
    diagram = loads("input x\ntarget y\nnode h : tanh\nx -[w]-> h\nloss mse(h, y)\n")
    picture = drawn(diagram, inputs={"x": 2, "y": 0}, params={"w": np.array(0.25)})
    h = np.tanh(0.5)
    wires = {wire.id: wire for wire in picture.wires}
    assert float(wires["x->h"].factor) == pytest.approx(0.25 * (1 - h * h), abs=5e-4)
    assert fact(wires["x->h"], "local factor") == f"0.25 h′ = {0.25 * (1 - h * h):.6g}"
    assert fact(wires["x->h"], "∂L/∂w") == f"{2 * h * (1 - h * h) * 2:.6g}"
    assert plain(picture.by_id["h"].slope) == f"h′ = {1 - h * h:.3g}"
    assert plain(picture.by_id["h"].gradient) == f"∂L/∂h = {2 * h:.3g}"


SMOOTH = [
    name for name, op in OPS.items()
    if op.group == "activations" and issubclass(op, Elementwise) and not any(a.required for a in op.attrs)
]  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_the_slope_of_every_activation_is_that_of_its_values(name: str) -> None:
    diagram = loads(f"input x\ntarget y\nnode h : {name}\nx -[1]-> h\nloss mse(h, y)\n")
    here, up, down = (drawn(diagram, inputs={"x": 0.4 + d, "y": 0.3}).by_id["h"] for d in (0.0, 1e-5, -1e-5))
    slope = (float(fact(up, "value")) - float(fact(down, "value"))) / 2e-5
    said = plain(here.slope).removeprefix("h′ = ").replace("−", "-")
    assert float(said) == pytest.approx(slope, abs=0.06)


def test_inside_of_a_block_the_gradient_is_that_of_the_equations_written_out() -> None:
    head, tail = "input x : [2]\ntarget y : [2]\n", "loss mse(u, y)\n"
    block = "block f(a : [2]) -> [2] {\n  z = a * a\n  return tanh(z)\n}\n"
    called = loads(block + head + "u = f(x)\n" + tail)
    flat = loads(head + "z = x * x\nu = tanh(z)\n" + tail)
    given = {"x": [0.5, -1], "y": [1, 0]}
    inside = next(i for i in drawn(called, inputs=given, depth=1).items if i.name == "z")
    outside = drawn(flat, inputs=given, scale="layers").by_id["z"]
    assert plain(inside.gradient) == plain(outside.gradient) != ""


def test_inside_of_a_repeat_nothing_has_one_gradient() -> None:
    text = "input x : [2]\ntarget y : [2]\nu = x\nrepeat 3 as r {\n  u = tanh(u)\n}\nloss mse(u, y)\n"
    picture = drawn(loads(text), inputs={"x": [0.5, -1], "y": [1, 0]}, depth=1)
    inner = [item for item in picture.items if item.frame and item.gradient]
    assert inner and all("=" not in item.gradient for item in inner)
    assert "=" in picture.by_id["x"].gradient


def test_trained_weights_stand_in_the_factors() -> None:
    diagram = example("xor_learned")
    params = {name: np.full(np.shape(value), 0.5) for name, value in diagram.params().items()}
    factors = {w.id: plain(w.factor) for w in drawn(diagram, params=params).wires}
    assert factors["h[0]->f"] == "0.5 f′"


# ---------------------------------------------------------------------------------------
# Good pictures, and what is refused


@pytest.mark.parametrize("name", [n for n in EXAMPLES if example(n).graph.results_of("loss")])
def test_backward_pictures_have_no_faults(name: str) -> None:
    assert faults(example(name).draw(grad=True).scene) == []


@pytest.mark.parametrize("name", [*INPUTS, "softmax"])
def test_all_overlays_together_have_no_faults(name: str) -> None:
    given = INPUTS.get(name, {"x": [1, 2], "y": 1})
    diagram = example(name)
    for grad in (False, True):
        drawing = diagram.draw(grad=grad, inputs=given, params=diagram.params(seed=3))
        assert faults(drawing.scene) == []
        assert drawing.remarks == ()


def test_without_a_loss_there_is_no_backward_flow() -> None:
    with pytest.raises(FlowError) as error:
        drawn(example("xor"))
    assert [d.code for d in error.value.diagnostics] == ["E0603"]


def test_numbers_of_the_backward_flow_need_the_target() -> None:
    with pytest.raises(FlowError) as error:
        drawn(example("xor_learned"), inputs={"x": [0, 1]})
    (only,) = error.value.diagnostics
    assert only.code == "E0504" and "`y`" in only.message and "--in y=" in (only.help or "")
