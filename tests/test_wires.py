"""Wires to graph: the table of design 1.3, sharing, fresh weights, order of sums and of statements."""

from __future__ import annotations

import numpy as np
import pytest
from lowering import codes, output, outputs, params

from flowgraph.diagram import loads


def test_circle_to_circle() -> None:
    assert output("input x\nnode h\nx -[3]-> h\n", x=2) == 6
    assert output("input x\nnode h\nx -[w]-> h\n", x=2, w=5) == 10
    assert output("input x\nconst c = 0.5\nnode h\nx -[c]-> h\n", x=2) == 1
    assert output("input x\nsize D = 4\nnode h\nx -[D]-> h\n", x=2) == 8
    assert output("input x\nnode h\nx -[-pi / 2]-> h\n", x=2) == -np.pi
    assert params("input x\nnode h\nx -> h\n") == {"w_x_h": []}


def test_circle_to_layer() -> None:
    assert output("input x\nnode h[3]\nx -[2]-> h\n", x=2) == [4, 4, 4]
    assert output("input x\nnode h[3]\nx -[[1, 2, 3]]-> h\n", x=2) == [2, 4, 6]
    assert output("input x\nnode h[3]\nx -[w]-> h\n", x=2, w=[1, 2, 3]) == [2, 4, 6]
    assert params("input x\nnode h[3]\nx -> h\n") == {"w_x_h": [3]}


def test_constant_to_layer() -> None:
    assert output("input x\nnode h[2]\nx -[1]-> h\n1 -[0.5]-> h\n", x=2) == [2.5, 2.5]
    assert output("input x\nnode h[2]\nx -[1]-> h\n1 -[[1, 2]]-> h\n", x=2) == [3, 4]
    assert params("input x\nnode h[2]\nx -[1]-> h\n1 -[b]-> h\n") == {"b": [2]}
    assert params("input x\nnode h[2]\nx -[1]-> h\n1 -> h\n") == {"b_h": [2]}


def test_layer_to_circle() -> None:
    assert output("input x : [3]\nnode h\nx -[2]-> h\n", x=[1, 2, 3]) == 12
    assert output("input x : [3]\nnode h\nx -[[1, 0, 2]]-> h\n", x=[1, 2, 3]) == 7
    assert output("input x : [3]\nnode h\nx -[w]-> h\n", x=[1, 2, 3], w=[1, 0, 2]) == 7
    assert params("input x : [3]\nnode h\nx -> h\n") == {"w_x_h": [3]}


def test_layer_to_layer() -> None:
    text = "input x : [3]\nnode h[2]\nx -[W]-> h\n"
    assert output(text, x=[1, 2, 3], W=[[1, 0, 0], [0, 1, 1]]) == [1, 5]
    assert output("input x : [3]\nnode h[2]\nx -[[[1, 0, 0], [0, 1, 1]]]-> h\n", x=[1, 2, 3]) == [1, 5]
    assert params(text) == {"W": [2, 3]} and params("input x : [3]\nnode h[2]\nx -> h\n") == {"w_x_h": [2, 3]}


def test_a_declared_weight_fits_or_is_completed() -> None:
    text = "input x : [3]\nnode h[2]\nparam W : [_, _] = glorot()\nx -[W]-> h\n"
    assert params(text) == {"W": [2, 3]}
    assert codes("input x : [3]\nnode h[2]\nparam W : [3, 2] = glorot()\nx -[W]-> h\n") == ["E0310"]
    assert codes("input x : [3]\nnode h[2]\nparam W : [3, _] = glorot()\nx -[W]-> h\n") == ["E0310"]


def test_single_circles_of_layers() -> None:
    text = "input x : [3]\nnode h[2]\nx[0] -[2]-> h[1]\nx[-1] -[5]-> h[0]\n1 -[0.5]-> h[0]\n"
    assert output(text, x=[1, 2, 3]) == [15.5, 2]
    assert params("input x : [3]\nnode h[2]\nx[0] -> h[1]\nx[-1] -> h[0]\n1 -> h[0]\n") == {
        "w_x_0_h_1": [],
        "w_x_2_h_0": [],
        "b_h_0": [],
    }


def test_whole_and_single_wires_add() -> None:
    text = "input x\nnode h[3] : relu\nx -[1]-> h\nx -[10]-> h[1]\n1 -[0.5]-> h\n1 -[-100]-> h[2]\n"
    assert output(text, x=2) == [2.5, 22.5, 0]


def test_every_source_to_every_destination() -> None:
    text = "input a, b\nnode h, k\na, b, 1 -[2]-> h, k\noutput h, k\n"
    assert [float(v) for v in outputs(text, a=1, b=10)] == [24, 24]
    assert list(params("input a, b\nnode h, k\na, b -> h, k\n1 -> h, k\n")) == [
        *("w_a_h", "w_a_k", "w_b_h", "w_b_k"),
        *("b_h", "b_k"),
    ]


def test_a_weight_used_again_is_shared() -> None:
    text = "input a, b\nnode h, k\na -[w]-> h\nb -[w]-> k\noutput h, k\n"
    assert params(text) == {"w": []}
    assert [float(v) for v in outputs(text, a=1, b=2, w=3)] == [3, 6]


def test_a_second_wire_adds_with_a_warning() -> None:
    text = "input x\nnode h\nx -[1]-> h\nx -[0.5]-> h\n"
    assert output(text, x=2) == 3 and codes(text) == ["W0201"]
    assert list(params("input x\nnode h\nx -> h\nx -> h\nx -> h\n")) == ["w_x_h", "w_x_h_2", "w_x_h_3"]
    assert codes("input x\nnode h\nx -[1]-> h\n1 -[1]-> h\n1 -[2]-> h\n") == []
    assert codes("input x : [2]\nnode h\nx[0] -[1]-> h\nx[1] -[1]-> h\n") == []
    assert codes("input x : [2]\nnode h\nx[1] -[1]-> h\nx[-1] -[1]-> h\n") == ["W0201"]


def test_wires_between_circles_carry_activations_not_excitations() -> None:
    text = "input x\nnode a : relu\nnode b\nx -[1]-> a\na -[1]-> b\n"
    assert output(text, x=-3) == 0


def test_sums_are_taken_in_the_order_written_the_bias_first() -> None:
    big, tiny = 1e16, 1.0
    text = f"input x\nnode h\nx -[{big}]-> h\nx -[{tiny}]-> h\n1 -[-{big}]-> h\n"
    assert output(text.replace("W0201", ""), x=1) == (-big + big) + tiny
    swapped = f"input x, y\nnode h\ny -[{tiny}]-> h\nx -[{big}]-> h\n1 -[-{big}]-> h\n"
    assert output(swapped, x=1, y=1) == (-big + tiny) + big


def test_wires_and_equations_give_the_same() -> None:
    wires = "input x1, x2\nnode h : tanh\n1 -[0.5]-> h\nx1 -[-1]-> h\nx2 -[0.25]-> h\n"
    equation = "input x1, x2\nh = tanh(0.5 - x1 + 0.25 * x2)\n"
    for x1, x2 in [(0.3, -2.0), (1e3, 7.0), (-0.1, 0.7)]:
        assert output(wires, x1=x1, x2=x2) == output(equation, x1=x1, x2=x2)


def test_declarations_and_wires_stand_in_any_order() -> None:
    text = (
        "g = w + h\nx -[w]-> h\nnode h : relu\nparam v : [D] = 0\ninput x, y : [D]\nsize D = E + 1, E = 1\n"
    )
    text += "z = v @ y + g\noutput z\n"
    assert output(text, x=2, w=3, v=[1, 1], y=[5, 6]) == 20


def test_a_wire_may_stand_before_the_equation_it_starts_at() -> None:
    assert output("node h\ne -[2]-> h\ninput x\ne = x + 1\noutput h\n", x=1) == 4
    rebound = "node h\ninput x\ne = x + 1\ne -[2]-> h\ne = e * 10\noutput h\n"
    assert output(rebound, x=1) == 4
    assert codes("node h\ninput x\ne -[2]-> h\ne = x + 1\ne = e * 10\noutput h\n") == ["E0103"]


def test_sums_keep_the_order_of_the_text_when_a_wire_had_to_wait() -> None:
    text = "node h\ninput x\ne -[1e16]-> h\nx -[1]-> h\nx -[-1e16]-> h\ne = x + 0\noutput h\n"
    assert output(text, x=1) == 0.0


def test_fresh_weights_start_within_one_over_the_root_of_fan_in() -> None:
    graph = loads("input x : [3], y\nnode h[2]\nx -> h\ny -> h\n1 -> h\ny -[v]-> h[0]\n").graph
    inits = {str(graph[p].hint): graph[p].op.init for p in graph.params}
    assert repr(inits["w_x_h"]) == repr(inits["w_y_h"]) == "fanuniform(fan_in=4)"
    assert repr(inits["v"]) == "fanuniform(fan_in=5)" and inits["b_h"].name == "zeros"


def test_a_weight_may_have_the_name_of_an_operation() -> None:
    text = "input x\nnode h\nx -[mul]-> h\n1 -[weightedsum]-> h\ny = x * x + h\noutput y\n"
    assert params(text) == {"mul": [], "weightedsum": []}
    assert output(text, x=2, mul=3, weightedsum=1) == 11


def test_weights_are_finite() -> None:
    assert codes("input x\nnode h\nx -[-inf]-> h\n") == ["E0205"]
    assert codes("input x\nnode h\n1 -[1e308]-> h\n1 -[1e308]-> h\n") == ["E0205"]
    assert codes("input x\nnode h[2]\nx -[1]-> h\n1 -[1e308]-> h[0]\n1 -[1e308]-> h[0]\n") == ["E0205"]


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        ("x -[2]-> h", "E0205"),  # one number from layer to layer
        ("x -[h]-> h", "E0205"),  # a node
        ("x -[y]-> h", "E0205"),  # an input
        ("x -[t]-> h", "E0205"),  # a target
        ("x -[e]-> h", "E0205"),  # an equation
        ("2 -> h", "E0204"),
        ("x -> y", "E0203"),
        ("x -> e", "E0203"),
        ("x -> p", "E0203"),
        ("x -[T]-> h", "E0205"),  # a symbolic size
        ("x -[-v]-> h", "E0211"),  # a param in arithmetic
        ("M -> h", "E0204"),
        ("x[3] -> h", "E0305"),
        ("x[-4] -> h", "E0305"),
        ("x -> h[2]", "E0305"),
        ("y[0] -> h", "E0305"),
        ("x[true] -> h", "E0302"),
    ],
)
def test_ends_and_weights_that_are_not_allowed(wire: str, code: str) -> None:
    text = (
        "size T\ninput x : [3], y, M : [2, 2], s : [T]\ntarget t\nparam p, v = 1.0\nnode h[2]\n1 -[0]-> h\n"
    )
    text = text.replace("param p, v = 1.0", "param p = 1.0\nparam v = 1.0")
    assert codes(f"{text}e = y + 1\n{wire}\noutput h\n") == [code]


def test_wires_in_blocks_make_parameters_like_any_others() -> None:
    """Fresh weights start by the number of wires into the circle, wherever the circle is drawn."""
    block = """
block part(x : [2]) -> [2] {
    node h[2], g : tanh
    x -[W]-> h
    1 -> h, g
    x -> g
    return h * g
}
"""
    uses = """
input x : [2]
layer l = part
z = part(x)
repeat 2 as r { z = z + part(z) }
q = l(l(z))
output q
"""
    graph = loads(block + uses).graph
    starts = {str(graph[p].hint): graph[p].op.init for p in graph.params}
    assert sorted(n for n in starts if n.endswith("W")) == ["l.W", "r.0.z.part.W", "r.1.z.part.W", "z.W"]
    assert all(
        str(init) == "fanuniform(fan_in=2)" for n, init in starts.items() if n.endswith(("W", "w_x_g"))
    )
    assert all(str(init) == "zeros()" for n, init in starts.items() if "b_" in n)
