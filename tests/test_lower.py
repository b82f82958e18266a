"""Equations, sizes, consts and requirements to graph: what design 1.1, 1.3 and 1.5 say."""

from __future__ import annotations

import numpy as np
import pytest
from lowering import codes, output, outputs

from flowgraph.diagram import loads

# -- equations


def test_equations_run_in_order_and_may_rebind() -> None:
    assert output("input x\ny = x + 1\ny = y * y\ny = y - x\noutput y\n", x=2) == 7
    assert codes("input x\nz = y\ny = x\noutput z\n") == ["E0103"]
    assert codes("input x\nx = x + 1\n") == ["E0206"]
    assert codes("input x\nparam w = 1\nw = x\noutput x\n") == ["E0206"]
    assert codes("input x\nnode h\nx -> h\nh = x\n") == ["E0206"]
    assert codes("size D = 2\ninput x\nD = x\n") == ["E0206"]


def test_several_values_of_one_equation() -> None:
    assert [
        v.tolist() for v in outputs("input x : [4]\na, b = split(x, 2)\noutput b, a\n", x=[1, 2, 3, 4])
    ] == [
        [3, 4],
        [1, 2],
    ]


def test_equations_use_circles_and_circles_equations() -> None:
    text = "input x\ne = x * 2\nnode h : relu\ne -[1]-> h\nf = h + e\nnode k\nf, h -[1]-> k\noutput k\n"
    assert output(text, x=3) == 18


def test_excitations() -> None:
    assert output("input x\nnode h : relu\nx -[1]-> h\noutput h.xi\n", x=-2) == -2
    assert output("input x\nnode h\nx -[3]-> h\noutput h.xi\n", x=-2) == -6
    assert output("input x\nh = relu(2 * x)\noutput h.xi\n", x=-2) == -4
    assert output("input x\nh = 2 * x |> relu\noutput h.xi\n", x=-2) == -4
    assert codes("input x\nh = relu(x) + 1\noutput h.xi\n") == ["E0107"]


def test_operators_bind_as_written_in_the_design() -> None:
    cases = {
        "-2 ^ 2": -4,
        "2 ^ 3 ^ 2": 512,
        "2 ^ -1": 0.5,
        "1 - 2 - 3": -4,
        "12 / 2 / 3": 2,
        "2 + 3 * 4": 14,
        "7 % 4 * 2": 6,
        "-7 % 4": 1,
        "where(1 < 2 and not 2 < 1 or false, 1, 2)": 1,
        "1 + 2 |> square": 9,
        "[1, 2] @ [3, 4]": 11,
    }
    for text, expected in cases.items():
        assert output(f"input x\ny = x * 0 + ({text})\n", x=5) == expected, text


def test_static_arithmetic_agrees_with_that_of_equations() -> None:
    for text in (
        "-2 ^ 2",
        "2 ^ 3 ^ 2",
        "2 ^ -1",
        "7 % 4 * 2",
        "-7 % 4",
        "12 / 8",
        "12 / 4",
        "pi / 2",
        "2.5 % 1",
    ):
        assert output(f"const c = {text}\ninput x\ny = x + c\n", x=0) == output(
            f"input x\ny = x + ({text})\n", x=0
        )


def test_comparisons_do_not_chain() -> None:
    assert codes("input x\ny = where(0 < x < 1, x, 0)\n") == ["E0008"]


def test_lists_stack_and_index() -> None:
    assert output("input x, y\nz = [x, y, 1]\nw = [[x, 2], [3, y]]\noutput w[1] + z[0:2]\n", x=5, y=7) == [
        8,
        14,
    ]
    assert output("input x : [2, 3]\ny = x[1:, 0]\noutput y + x.T[0, 1:]\n", x=[[1, 2, 3], [4, 5, 6]]) == [8]


def test_names_of_values_and_of_operations_are_apart() -> None:
    assert output("input x : [2]\nnorm = norm(x)\nsum = sum(x) + norm\noutput sum\n", x=[3, 4]) == 12
    assert codes("input x : [2]\nnorm = norm(x)\nsum = sum(x) + norm\noutput sum\n") == []


# -- sizes, consts, --set


def test_consts_are_numbers_or_arrays() -> None:
    assert output("const c = [[1, 2], [3, 4]]\ninput x : [2]\ny = c @ x\n", x=[1, 1]) == [3, 7]
    assert output("const c = true\ninput x\ny = where(c, x, 0)\n", x=2) == 2
    assert output("const c = -inf\ninput x\ny = maximum(x, c)\n", x=2) == 2


def test_sizes_are_exact() -> None:
    assert output("size D = 8\ninput x : [D / 4]\ny = x\n", x=[1, 2]) == [1, 2]
    assert codes("size D = 6\ninput x : [D / 4]\ny = x\n") == ["E0302"]
    assert output("size D = 8\ninput x : [D]\ny = reshape(x, [D / 4, 4])\noutput y[1]\n", x=range(8)) == [
        4,
        5,
        6,
        7,
    ]


def test_set_overrides_sizes_and_scalar_consts() -> None:
    text = "size D = 2, H = 2 * D\nconst c = 0.5\ninput x : [H]\ny = sum(x) * c\n"
    assert output(loads(text, settings={"D": 3, "c": 2}), x=[1] * 6) == 12
    assert output(loads(text, settings={"H": 1}), x=[4]) == 2
    assert output(loads("size T\ninput x : [T]\ny = x\n", settings={"T": 2}), x=[1, 2]) == [1, 2]
    assert loads("size T\ninput x : [T]\ny = x\n", settings={"T": 2}).graph.sizes == ()


@pytest.mark.parametrize("value", [2.5, -1, True, "3", None, [1], 10**19])
def test_set_refuses_what_is_no_size(value: object) -> None:
    assert codes("size D = 2\ninput x : [D]\ny = x\n", settings={"D": value}) == ["E0704"]


@pytest.mark.parametrize("settings", [{"E": 1}, {"x": 1}, {"c": 1}])
def test_set_refuses_other_names(settings: dict[str, int]) -> None:
    assert codes("const c = [1]\ninput x : [1]\ny = x * c\n", settings=settings) == ["E0704"]


def test_set_hides_a_mistake_of_the_value_it_replaces() -> None:
    assert codes("size D = 1 / 0\ninput x : [D]\ny = x\n", settings={"D": 2}) == []


# -- requirements


def test_requirements_on_known_sizes_are_checked_now() -> None:
    assert codes("size D = 8\nrequire D % 4 == 0 and D > 7 or false\ninput x : [D]\ny = x\n") == []
    assert codes("size D = 8\nrequire D > 8\ninput x : [D]\ny = x\n") == ["E0210"]
    assert codes("size D = 8\nrequire D > 8\ninput x : [D]\ny = x\n", settings={"D": 9}) == []
    assert codes("size D = 8\nrequire D != 8, 'no'\ninput x : [D]\ny = x\n".replace("'", '"')) == ["E0210"]


def test_requirements_on_symbolic_sizes_are_checked_with_the_data() -> None:
    text = 'size T\ninput x : [T]\nrequire T % 2 == 0 and (T > 2 or not T != 2), "odd"\ny = sum(x)\n'
    diagram = loads(text)
    assert len(diagram.graph.requires) == 2  # `and` gives two
    assert output(diagram, x=[1, 2, 3, 4]) == 10
    space: dict[str, object] = {}
    exec(diagram.compile("numpy"), space)
    forward = space["forward"]
    assert callable(forward) and forward({}, np.ones((2, 4))).tolist() == [4, 4]
    with pytest.raises(AssertionError, match="odd"):
        forward({}, np.ones((2, 3)))
