"""`flowc explain`: the lecture's equations and their chain rule, as they stand on a slide."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from running import EXAMPLES, ROOT, example

from flowgraph.cli.main import main
from flowgraph.diagram import Diagram, load, loads
from flowgraph.errors import FlowError


def lines(text: str) -> list[str]:
    """The lines, with every run of blanks as one."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def section(text: str, heading: str) -> list[str]:
    """The lines under a heading."""
    found = text[text.index(f"{heading}:") :].split("\n\n")[0]
    return lines(found)[1:]


@functools.cache
def model(name: str) -> Diagram:
    return load(ROOT / "examples" / "models" / f"{name}.flow")


XOR = [
    "ξ₁ = 0.5 − x₁ − x₂",
    "h₁ = u(ξ₁)",
    "ξ₂ = −1.5 + x₁ + x₂",
    "h₂ = u(ξ₂)",
    "ξ_f = 0.5 − h₁ − h₂",
    "f = u(ξ_f)",
]
"""As it stands in the lecture, u being the unit step."""

TWO_LAYERS = """
input x : [2]
target y : [2]
param W_1 : [2, 2] = [[1, 0], [0, 2]]
param W_2 : [2, 2] = [[1, 1], [1, -1]]
xi_1 = W_1 @ x
h_1 = relu(xi_1)
f = W_2 @ h_1
loss mse(f, y)
"""


# -- forward


@pytest.mark.parametrize("name", ["xor", "xor_wires"])
def test_xor_is_written_as_the_lecture_does(name: str) -> None:
    assert section(example(name).explain(), "Forward, for one example") == XOR


def test_the_numbers_of_an_example_are_filled_in() -> None:
    """(0, 1): neither `none` nor `both` holds, so f = u(0.5) = 1."""
    values = ["−0.5", "0", "−0.5", "0", "0.5", "1"]
    found = section(example("xor").explain(inputs={"x1": 0, "x2": 1}), "Forward, for one example")
    assert found == [f"{line} = {value}" for line, value in zip(XOR, values, strict=True)]


@pytest.mark.parametrize("name", ["xor", "xor_wires"])
def test_circles_are_matrices_too_where_the_compiler_makes_them_some(name: str) -> None:
    """ξ = W x + b with W = (−1 −1; 1 1) and b = (0.5, −1.5): at (0, 1), ξ = (−0.5, −0.5)."""
    found = section(example(name).explain(inputs={"x1": 0, "x2": 1}), "In matrices")
    assert found == [
        "W_h = [[−1, −1], [1, 1]]",
        "b_h = [0.5, −1.5]",
        "ξ_h = W_h [x₁, x₂] + b_h = [−0.5, −0.5]",
        "h = u(ξ_h) = [0, 0]",
        "W_f = [−1, −1]",
        "ξ_f = W_fᵀ h + 0.5 = 0.5",
        "f = u(ξ_f) = 1",
    ]
    assert "In matrices" not in example("layers").explain()


def test_trainable_wires_are_the_entries_of_a_matrix() -> None:
    wires = "input x1, x2\nnode h1, h2 : tanh\nnode f\nx1, x2 -> h1, h2\nh1, h2 -> f\n"
    found = section(loads(wires).explain(), "In matrices")
    assert "W_h = [[w_x1_h1, w_x2_h1], [w_x1_h2, w_x2_h2]]" in found and "f = W_fᵀ h" in found


def test_layers_are_matrices() -> None:
    found = lines(example("layers").explain())
    for line in ("ξ₁ = W₁ h₀ + b₁", "ξ₂ = W₂ h₁ + b₂", "ξ₃ = W₃ h₂ + b₃", "ξ₅ = W₅ h₄ + b₅"):
        assert line in found
    assert "h₁ = u(ξ₁)" in found and "h₃ = σ(ξ₃)" in found and "W₁ [3, 2]" in found


def test_a_chain_of_layers_gets_names() -> None:
    found = section(example("mlp_2_3_2").explain(), "Forward, for one example")
    assert found == [
        "ξ₁ = f.linear.weight x + f.linear.bias",
        "h₁ = σ(ξ₁)",
        "f = f.linear_2.weight h₁ + f.linear_2.bias",
        "L = 1/2 Σ (f − y)²",
    ]


def test_names_that_are_made_up_give_way_to_those_of_the_diagram() -> None:
    text = "input x : [2]\nh_1 = 2 * x\nf = x |> linear(2) |> tanh |> linear(1)\noutput f, h_1\n"
    found = lines(loads(text).explain())
    assert "h₁ = 2 x" in found and "h₂ = tanh(ξ₂)" in found


def test_a_name_bound_again_is_numbered() -> None:
    found = lines(loads("input x\nu = x + 1\nu = 2 * u\nu = u * u\n").explain())[1:]
    assert found == ["u = x + 1", "u⁽²⁾ = 2 u", "u⁽³⁾ = u⁽²⁾ u⁽²⁾"]


def test_settings_that_are_not_the_default_are_said() -> None:
    text = "input x : [2, 3]\na = leaky_relu(x, 0.2)\nb = sum(x, axis=0)\nc = sum(x)\nd = softmax(x)\n"
    found = lines(loads(text).explain())[1:]
    assert found == [
        "a = leaky_relu(x, negative_slope=0.2)",
        "b = sum(x, axis=−2)",
        "c = Σ x",
        "d = softmax(x)",
    ]


def test_long_sums_and_arrays_are_shortened() -> None:
    wires = "\n".join(f"x[{i}] -[{i + 1}]-> f" for i in range(20))
    found = loads(f"input x : [20]\nnode f : step\n{wires}\n").explain(inputs={"x": list(range(20))})
    assert "… + 20 x[19]" in found
    assert len(max(found.splitlines(), key=len)) < 200


def test_a_block_is_defined_once_and_a_repeat_is_one_round() -> None:
    text = model("gpt2").explain()
    assert len(text.splitlines()) < 50
    forward = section(text, "Forward, for one example")
    assert "for i = 0, …, 11:" in forward
    assert "attn = attend(ln₁)" in forward and "uᵢ₊₁ = u⁽²⁾ + mlp" in forward
    assert "ln_f = layernorm(u₁₂, ln_f.weight, ln_f.bias)" in forward
    assert text.count("attend(x):") == 1
    assert "h.i.attn.c_attn.weight [2304, 768] for i = 0, …, 11" in lines(text)


def test_blocks_of_one_name_that_differ_are_numbered() -> None:
    text = "input x : [4]\nblock f(x, n) {\n  return linear(x, n)\n}\na = f(x, 4)\nb = f(a, 4)\nc = f(b, 2)\n"
    found = lines(loads(text).explain())
    assert {"a = f(x)", "b = f(a)", "c = f(b)"} <= set(found), "the parameters show the sizes"
    text = text.replace("linear(x, n)", "n * x")
    assert {"a = f(x)", "b = f(a)", "c = f⁽²⁾(b)", "f(x) = 4 x", "f⁽²⁾(x) = 2 x"} <= set(
        lines(loads(text).explain())
    )


def test_expanding_writes_out_every_round() -> None:
    text = "input x\nu = x\nrepeat 3 as r {\n  u = 2 * u\n}\n"
    assert "uᵢ₊₁ = 2 uᵢ" in loads(text).explain()
    assert "u⁽²⁾ = 2 · 2 · 2 u" in loads(text).explain(expand=True)


def test_a_recurrence_has_steps() -> None:
    found = lines(model("gru_chars").explain())
    assert "h: for each xₜ of table.weight[ids], from h₀ = 0:" in found
    assert "hₜ = gru_cell(xₜ, hₜ₋₁, h.weight_ih, h.weight_hh, h.bias_ih, h.bias_hh)" in found


# -- backward


def test_cubic_has_the_lectures_gradient() -> None:
    found = lines(example("cubic").explain(backward=True))
    model = "f = a + b x + c x² + d x³"
    assert model in found
    assert "∂L/∂f = 2 (f − y) from L = (f − y)²" in found
    for param, factor in (("b", "x"), ("c", "x²"), ("d", "x³")):
        assert f"∂L/∂{param} = ∂L/∂f · {factor} from {model}" in found
    assert "∂L/∂a = ∂L/∂f a single number" in found


def test_the_two_layer_network_has_the_chain_rule_of_the_lecture() -> None:
    """f = W₂ h₁, h₁ = relu(W₁ x): x = (1, 1) gives h₁ = (1, 2), f = (3, −1); y = (2, 0), so ∂L/∂f = f − y."""
    found = lines(loads(TWO_LAYERS).explain(backward=True, inputs={"x": [1, 1], "y": [2, 0]}))
    backward = found[found.index("Backward:") + 2 : found.index("Gradients:")]
    assert backward == [
        "∂L/∂f = f − y = [1, −1] from L = 1/2 Σ (f − y)²",
        "∂L/∂W₂ = ∂L/∂f · h₁ᵀ = [[1, 2], [−1, −2]] from f = W₂ h₁",
        "∂L/∂h₁ = W₂ᵀ ∂L/∂f = [0, 2] from f = W₂ h₁",
        "∂L/∂ξ₁ = ∂L/∂h₁ ⊙ (ξ₁ > 0) = [0, 2] from h₁ = relu(ξ₁)",
        "∂L/∂W₁ = ∂L/∂ξ₁ · xᵀ = [[0, 0], [2, 2]] from ξ₁ = W₁ x",
    ]


def test_softmax_with_cross_entropy_is_a_difference() -> None:
    text = example("softmax").explain(backward=True, saved=True)
    found = lines(text)
    assert "∂L/∂z = softmax(z) − one_hot(y) from L = −ln(softmax(z)_y)" in found
    assert "∂L/∂W = ∂L/∂z · xᵀ from z = W x + b" in found
    kept = section(text, "Kept by the forward pass for the backward pass")
    assert [line.split()[0] for line in kept] == ["z", "y", "x"]


def test_perceptron_rule() -> None:
    """The weights of the winner go down by x, those of the label up: the winner minus the label, times x."""
    found = lines(example("perceptron").explain(backward=True))
    start = next(line for line in found if line.startswith("∂L/∂z = "))
    assert start.startswith("∂L/∂z = one_hot(argmax(z)) − one_hot(y)")


def test_every_parameter_has_its_gradient() -> None:
    for name, found in ((n, example(n)) for n in EXAMPLES):
        if not found.graph.results_of("loss") or len(found.graph.params) > 40:
            continue
        said = section(found.explain(backward=True), "Gradients")
        assert len(said) == len(found.graph.params), name


def test_the_backward_pass_of_a_repeat_is_one_round_too() -> None:
    text = model("gpt2").explain(backward=True)
    assert len(text.splitlines()) < 120
    found = section(text, "Backward")
    assert "for i = 11, …, 0:" in found
    assert "∂L/∂h.i.mlp.c_proj.weight = (∂L/∂uᵢ₊₁)ᵀ h₁" in found
    assert "∂L/∂h.i.ln_1.weight [768] for i = 0, …, 11" in lines(text)


def test_the_backward_pass_of_a_recurrence_goes_through_time() -> None:
    text = "size T\ninput x : [T]\nblock step(x, h) {\n  param a = 0.5\n  return tanh(a * h + x)\n}\n"
    found = lines(loads(text + "hs = scan(step, x, 0)\nloss sum(hs)\n").explain(backward=True))
    assert "hₜ = tanh(hs.a hₜ₋₁ + xₜ)" in found
    assert "∂L⁺/∂hₜ₋₁ = ∂L/∂addₜ · hs.a" in found
    assert "∂L⁺/∂hs.aₜ₋₁ = ∂L⁺/∂hs.aₜ + ∂L/∂addₜ · hₜ₋₁" in found


def test_gradients_are_those_of_the_simulator() -> None:
    diagram = example("xor_learned")
    shown = lines(diagram.explain(backward=True, inputs={"x": [0, 1], "y": 1}))
    run = diagram.run({"x": [0, 1], "y": 1})
    assert f"∂L/∂f = 2 (f − y) = {2 * (run['f'].item() - 1):.6g}".replace("-", "−") in " ".join(shown)
    assert np.isclose(run["h"].shape, (1, 2)).all()


# -- what cannot be done


def refusal(text: str, **wishes: object) -> tuple[str, str]:
    with pytest.raises(FlowError) as error:
        loads(text).explain(**wishes)  # type: ignore[arg-type]
    (diagnostic,) = error.value.diagnostics
    return diagnostic.code, diagnostic.message


def test_a_backward_pass_needs_a_loss() -> None:
    assert refusal("input x\nparam w = 1\nf = w * x\n", backward=True)[0] == "E0603"


def test_numbers_need_every_input_and_none_else() -> None:
    assert refusal(TWO_LAYERS, inputs={"y": [1, 1]}) == ("E0504", "the input `x` has no value")
    assert refusal(TWO_LAYERS, inputs={"x": [1, 1], "z": 1}) == ("E0504", "there is no input or target `z`")


def test_numbers_are_those_of_one_example() -> None:
    code, message = refusal(TWO_LAYERS, inputs={"x": [[1, 1], [2, 2]]})
    assert code == "E0504" and "2 examples" in message


def test_the_numbers_of_the_backward_pass_need_the_target() -> None:
    code, message = refusal(TWO_LAYERS, inputs={"x": [1, 1]}, backward=True)
    assert code == "E0504" and "target `y`" in message
    assert "= [3, −1]" in loads(TWO_LAYERS).explain(inputs={"x": [1, 1]}), "the forward pass does without"


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="no format 'html'"):
        loads(TWO_LAYERS).explain(format="html")


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(EXAMPLES["regression"])
    assert main(["explain", file, "--backward", "--in", "x=[1,2],y=1"]) == 0
    assert "∂L/∂w = ∂L/∂f · x" in capsys.readouterr().out
    assert main(["explain", file, "--saved"]) == 2
    assert "--saved lists what the backward pass needs: add --backward" in capsys.readouterr().err
    assert main(["explain", file, "--format", "html"]) == 2
    assert "'html' is not one of 'text', 'latex', 'markdown'" in capsys.readouterr().err
    assert main(["explain", file, "--in", "x=1"]) == 1
    assert "which does not fit" in capsys.readouterr().err
