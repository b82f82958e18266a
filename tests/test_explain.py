"""`flowc explain`: the lecture's equations and their chain rule, as they stand on a slide."""

from __future__ import annotations

import pytest
from running import EXAMPLES, example

from flowgraph.cli.main import main
from flowgraph.diagram import loads
from flowgraph.errors import FlowError


def lines(text: str) -> list[str]:
    """The lines, with every run of blanks as one."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_xor_is_written_as_the_lecture_does() -> None:
    found = lines(example("xor_wires").explain())
    assert found[1:] == [
        "ξ_h1 = 0.5 - x₁ - x₂",
        "h₁ = step(ξ_h1)",
        "ξ_h2 = -1.5 + x₁ + x₂",
        "h₂ = step(ξ_h2)",
        "ξ_f = 0.5 - h₁ - h₂",
        "f = step(ξ_f)",
    ]


def test_cubic_has_the_lectures_gradient() -> None:
    found = lines(example("cubic").explain(backward=True))
    model = "f = a + b * x + c * x^2 + d * x^3"
    assert model in found
    assert "∂L/∂f = 2 * (f - y) from L = (f - y)^2" in found
    for param, factor in (("b", "x"), ("c", "x^2"), ("d", "x^3")):
        assert f"∂L/∂{param} = ∂L/∂f * {factor} from {model}" in found
    assert "∂L/∂a = ∂L/∂f a single number" in found


def test_softmax_with_cross_entropy_is_a_difference() -> None:
    found = lines(example("softmax").explain(backward=True, saved=True))
    assert "∂L/∂z = softmax(z) - one_hot(y, classes=3) from L = cross_entropy(z, y)" in found
    assert "∂L/∂W = outer(∂L/∂z, x) from z = W @ x + b" in found
    kept = found[found.index("Kept by the forward pass for the backward pass:") + 1 :]
    assert [line.split()[0] for line in kept] == ["z", "y", "x"]


def test_perceptron_rule() -> None:
    """The weights of the winner go down by x, those of the label up: the winner minus the label, times x."""
    found = lines(example("perceptron").explain(backward=True))
    start = next(line for line in found if line.startswith("∂L/∂z = "))
    assert start.startswith("∂L/∂z = one_hot(argmax(z), classes=3) - one_hot(y, classes=3)")


def test_a_backward_pass_needs_a_loss() -> None:
    with pytest.raises(FlowError) as error:
        loads("input x\nparam w = 1\nf = w * x\n").explain(backward=True)
    assert error.value.diagnostics[0].code == "E0603"


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(EXAMPLES["regression"]), "--backward"]) == 0
    assert "∂L/∂w = ∂L/∂f * x" in capsys.readouterr().out
    assert main(["explain", str(EXAMPLES["regression"]), "--saved"]) == 2
