"""What operations need of sizes that only data tell: said before anything is computed, by every engine."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from running import HAS_TORCH, execute

from flowgraph import ops
from flowgraph.diagram import Diagram, loads
from flowgraph.errors import FlowError
from flowgraph.text import parse_graph, print_graph

NEEDS = {
    "x[5]": (6, "for the index 5"),
    "x[-2]": (2, "for the index -2"),
    "x[T - 3]": (3, "for the index T - 3"),
    "x[1:]": (1, "for the slice 1:"),
    "x[:-1]": (1, "for the slice :-1"),
    "x[2:4]": (4, "for the slice 2:4"),
    "x[T - 3:]": (3, "for the slice T - 3:"),
    "max(x)": (1, "for `max` to have entries"),
    "min(x, axis=0)": (1, "for `min` to have entries"),
    "argmax(x, axis=0)": (1, "for `argmax` to have entries"),
    "mean(x)": (1, "for `mean` to have entries"),
    "global_avg_pool(x.T)": (1, "for `mean` to have entries"),
    "logsumexp(x, axis=0)": (1, "for `logsumexp` to have entries"),
    "softmax(x, axis=0)": (1, "for `softmax` to have entries"),
    "var(x)": (1, "for `var` to divide by something"),
    "std(x, axis=0, correction=3)": (4, "for `std` to divide by something"),
    "take(x, k)": (3, "for `take` to find each class"),
    "pad(x, [0, 0, T - 2, 0])": (2, "for the widths of `pad`"),
    "zeros(T - 2)": (2, "so that no size of `zeros` is negative"),
    "arange(2 * T - 5)": (3, "so that no size of `arange` is negative"),
    "conv1d(x.T, 4, 3, padding=1)": (1, "for the kernel of `conv1d` to fit in"),
}
"""Of an expression over x : [T, 2]: the least T, and what it is said to be needed for."""


def diagram_of(expression: str) -> Diagram:
    return loads(f"size T\ninput x : [T, 2], k : class(3)\ny = {expression}\noutput y\n")


def values(length: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(4, length, 2)), "k": np.zeros(4, int)}


def runs(diagram: Diagram) -> list[Any]:
    """The emitted `forward` of both targets."""
    space = execute(diagram.compile("numpy", dtype="float64"))
    found: list[Any] = [lambda x, k: space["forward"](space["init"](), x, k)]
    if HAS_TORCH:
        import torch

        torch.manual_seed(0)
        model = execute(diagram.compile("torch", dtype="float64"))["Diagram"]()
        found.append(lambda x, k: model(torch.from_numpy(x), torch.from_numpy(k)).detach().numpy())
    return found


@pytest.mark.parametrize("expression", NEEDS)
def test_a_size_below_the_least_is_refused_and_the_least_is_taken(expression: str) -> None:
    diagram = diagram_of(expression)
    least, what = NEEDS[expression]
    message = f"T must be at least {least} {what}"
    with pytest.raises(FlowError) as caught:
        diagram.run(values(least - 1))
    (error,) = caught.value.diagnostics
    assert (error.code, error.message) == ("E0504", message)
    assert error.span is not None and error.span.line == 3 and error.help
    expected = diagram.run(values(least)).outputs["y"]
    for run in runs(diagram):
        with pytest.raises(AssertionError, match=re.escape(message)):
            run(**values(least - 1))
        assert run(**values(least)).shape == (expected.shape if expected.ndim else ())


def test_the_error_shows_the_size_that_there_is() -> None:
    with pytest.raises(FlowError) as caught:
        diagram_of("x[5]").run(values(2))
    assert "^^^^ required here, and T is 2" in str(caught.value)


def test_of_several_needs_the_strictest_is_said() -> None:
    graph = loads("size T\ninput x : [T]\ny = x[0] + x[4] + x[2] + max(x)\n").graph
    assert [r.message for r in graph.requires] == ["T must be at least 5 for the index 4"]


@pytest.mark.parametrize("condition", ["T >= 5", "T > 4", "T >= 6"])
def test_what_the_file_requires_is_not_said_again(condition: str) -> None:
    graph = loads(f'size T\nrequire {condition}, "five, please"\ninput x : [T]\ny = x[4]\n').graph
    assert [r.message for r in graph.requires] == ["five, please"]


def test_a_weaker_requirement_of_the_file_is_not_enough() -> None:
    graph = loads('size T\nrequire T >= 4, "four, please"\ninput x : [T]\ny = x[4]\n').graph
    assert [r.message for r in graph.requires] == ["four, please", "T must be at least 5 for the index 4"]


def test_a_size_may_have_to_be_small() -> None:
    diagram = loads("size T\ninput x : [T], w : [5]\ny = sum(w[:T])\n")
    assert [r.message for r in diagram.graph.requires] == ["T must be at most 5 for the slice :T"]
    assert diagram.run({"x": np.zeros((1, 5)), "w": np.ones((1, 5))}).outputs["y"].tolist() == [5]
    with pytest.raises(FlowError):
        diagram.run({"x": np.zeros((1, 6)), "w": np.ones((1, 5))})


def test_two_sizes_may_have_to_agree() -> None:
    diagram = loads("size T, U\ninput x : [T], y : [U]\nz = sum(x[2 * U:])\noutput z, y\n")
    (said,) = [r.message for r in diagram.graph.requires]
    assert said == "T - 2*U must be at least 0 for the slice 2*U:"
    assert diagram.run({"x": [[1, 2, 3, 4, 5]], "y": [[0, 0]]}).outputs["z"].tolist() == [5]
    with pytest.raises(FlowError):
        diagram.run({"x": [[1, 2, 3]], "y": [[0, 0]]})


def test_a_need_inside_blocks_and_recurrences_is_found() -> None:
    text = """size T, U
input x : [U, T]
block last(v : [n]) -> [] {
  return v[2]
}
block step(v, s) -> [] {
  return s + last(v)
}
y = scan(step, x, 0)
output y
"""
    diagram = loads(text)
    with pytest.raises(FlowError) as caught:
        diagram.run({"x": np.ones((1, 4, 2))})
    (error,) = caught.value.diagnostics
    assert error.message == "T must be at least 3 for the index 2"
    assert error.span is not None and error.span.line == 4


def test_an_array_without_entries_runs_where_nothing_needs_any() -> None:
    run = loads("size T\ninput x : [T, 2]\ny = sum(x)\nz = x + 1\noutput y, z\n").run(
        {"x": np.ones((3, 0, 2))}
    )
    assert run.outputs["y"].tolist() == [0, 0, 0]
    assert run.outputs["z"].shape == (3, 0, 2)


def test_verification_finds_sizes_that_are_long_enough() -> None:
    report = loads("size T\ninput x : [T]\ny = x[20]\noutput y\n").verify()
    assert report.ok and not any("no sizes" in line for line in report.head)


FOR_LOSS = "size T\ninput x : [T]\ntarget y : [T]\nz = 2 * x\noutput z\nloss mean(square(z - y))\n"


def test_what_the_loss_alone_needs_is_not_asked_of_outputs() -> None:
    diagram = loads(FOR_LOSS)
    (requirement,) = diagram.graph.requires
    assert requirement.for_loss and requirement.message == "T must be at least 1 for `mean` to have entries"
    space = execute(diagram.compile("numpy"))
    assert space["forward"]({}, np.ones((2, 0))).shape == (2, 0)
    assert diagram.run({"x": np.ones((2, 0))}).outputs["z"].shape == (2, 0)
    for call in ("loss", "loss_and_grad"):
        with pytest.raises(AssertionError, match="T must be at least 1"):
            space[call]({}, np.ones((2, 0)), np.ones((2, 0)))
    with pytest.raises(FlowError, match="T must be at least 1"):
        diagram.run({"x": np.ones((2, 0)), "y": np.ones((2, 0))})


def test_what_outputs_need_as_much_is_said_once() -> None:
    graph = loads(FOR_LOSS.replace("output z\n", "output z, s = max(z)\n")).graph
    assert [(r.message, r.for_loss) for r in graph.requires] == [
        ("T must be at least 1 for `max` to have entries", False)
    ]


def test_the_text_of_a_graph_keeps_what_the_loss_needs() -> None:
    graph = loads(FOR_LOSS).batched()
    text = print_graph(graph)
    assert "require_for_loss" in text
    assert print_graph(parse_graph(text, ops)) == text
