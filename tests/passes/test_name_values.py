"""Names for what a reader is told of."""

from __future__ import annotations

from flowgraph.diagram import loads
from flowgraph.passes.name_values import NameValues


def hints(text: str) -> dict[str, str]:
    """The hints of computed nodes by the operation that computes them, in order."""
    graph = NameValues().run(loads(text).expanded)
    return {f"{n.op.name} {n.name}": n.hint for n in graph if n.operands and n.hint is not None}


def named(text: str) -> list[str]:
    return list(hints(text).values())


def test_an_excitation_is_called_after_its_circle() -> None:
    assert named("input x\nh1 = step(x - 1)\nf = sigmoid(2 * h1)\n") == ["xi_1", "h1", "xi_f", "f"]
    assert named("input x\nnode h_2 : step\nx -[2]-> h_2\n") == ["xi_2", "h_2"]


def test_an_excitation_with_a_name_keeps_it() -> None:
    assert named("input x\nz = x - 1\nh1 = step(z)\n") == ["z", "h1"]


def test_no_two_values_have_one_name() -> None:
    assert named("input x\nxi_1 = 3 * x\nh1 = step(x - 1)\noutput h1, xi_1\n") == ["xi_1", "xi_h1", "h1"]
    assert named("input x\nh1 = step(x - 1)\nh_1 = step(x - 2)\noutput h1, h_1\n") == [
        "xi_1", "h1", "xi_h_1", "h_1",
    ]  # fmt: skip
    assert named("input x\nu = x + 1\nu = u * u\nu = u + 1\n") == ["u", "u(2)", "u(3)"]


def test_what_is_no_sum_is_no_excitation() -> None:
    assert named("input x : [3]\np = softmax(10 * x)\n") == ["p"]
    assert named("input x\nh = tanh(exp(x))\n") == ["h"]


def test_a_chain_of_layers_is_numbered() -> None:
    text = "input x : [2]\nf = x |> linear(3) |> tanh |> linear(3) |> tanh |> linear(1)\n"
    assert named(text) == ["xi_1", "h_1", "xi_2", "h_2", "f"]


def test_a_value_of_a_block_takes_the_name_of_its_call() -> None:
    text = "input x\nblock f(x) {\n  return x + 1\n}\ny = f(x)\nz = 2 * y\n"
    assert named(text) == ["y", "z"]
    assert hints(text)["add f_add" if "add f_add" in hints(text) else "add y_add"] == "y"


def test_parameters_and_inputs_keep_their_names() -> None:
    before = loads("input x\nparam w = 1\nx2 = w * x\nx2 = x2 + 1\n").expanded
    after = NameValues().run(before)
    assert [n.hint for n in after if not n.operands] == [n.hint for n in before if not n.operands]
    assert [n.name for n in after] == [n.name for n in before]
