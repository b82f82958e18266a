"""Convolutions, pools and embeddings in diagrams: derivatives in the language, symbolic sizes, mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from running import EMITTED, HAS_TORCH, SIMULATOR, execute, initial, same

from flowgraph.diagram import Diagram, loads
from flowgraph.errors import FlowError
from flowgraph.graph import Graph
from flowgraph.passes.simulate import ShapeClash, simulate

DOUBLE = [e for e in EMITTED if e.dtype == "float64" and (e.target != "torch" or HAS_TORCH)]


def gradient_of(text: str, inputs: dict[str, Any]) -> list[np.ndarray]:
    """The outputs of a diagram without parameters, the same from every engine."""
    diagram = loads(text, "case.flow")
    arrays = {name: np.asarray(value, dtype=float) for name, value in inputs.items()}
    expected = SIMULATOR.run(diagram, {}, arrays, {})
    for engine in DOUBLE:
        same(engine.run(diagram, {}, arrays, {}), expected, rtol=1e-12, atol=1e-12)
    return expected.outputs


def test_a_tie_in_max_pool_goes_to_the_first():
    text = "input x : [1, 4]\noutput grad(sum(max_pool(x, 3, stride=1)), x)\n"
    (slope,) = gradient_of(text, {"x": [[[2, 2, 1, 2]]]})
    assert slope.tolist() == [[[1, 1, 0, 0]]]


def test_the_padding_of_max_pool_is_never_the_largest():
    (pooled,) = gradient_of("input x : [1, 2]\noutput max_pool(x, 2, padding=1)\n", {"x": [[[-3, -4]]]})
    assert pooled.tolist() == [[[-3, -4]]]


def test_a_mean_over_the_channels_entries():
    (mean,) = gradient_of(
        "input x : [2, 2, 2]\noutput global_avg_pool(x)\n", {"x": np.arange(8.0).reshape(1, 2, 2, 2)}
    )
    assert mean.tolist() == [[1.5, 5.5]]


LANGUAGE = """
input x : [2, 6, 5], v : [2, 6, 5]
param w : [4, 1, 3, 2] = normal(0.5)
h = x |> conv2d(4, [3, 2], stride=2, padding=1, groups=2) |> tanh |> max_pool(2, stride=1)
y = sum(square(h))
slope  = grad(y, x)
of_w   = grad(y, h.conv2d.weight)
along  = jvp(y, x, v)
twice  = grad(sum(slope * v), x)
mixed  = grad(sum(of_w * of_w), x)
up     = grad(sum(square(conv_transpose2d(x, 3, 3, stride=2))), x)
output slope, of_w, along, twice, mixed, up
loss mean(square(slope)) + sum(square(w)) * 0
"""


def test_derivatives_in_the_language_are_torchs():
    """Where each example has a slope of its own the kernel's is per example, and its kernel too."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    F = torch.nn.functional
    diagram = loads(LANGUAGE, "case.flow")
    params = initial(diagram)
    rng = np.random.default_rng(0)
    inputs = {name: rng.normal(size=(3, 2, 6, 5)) for name in ("x", "v")}
    expected = SIMULATOR.run(diagram, params, inputs, {})
    for engine in DOUBLE:
        same(engine.run(diagram, params, inputs, {}), expected, rtol=1e-10, atol=1e-10)

    known = {name: torch.tensor(value) for name, value in params.items()}

    def y(x: Any, weight: Any) -> Any:
        h = F.conv2d(x, weight, known["h.conv2d.bias"], stride=2, padding=1, groups=2)
        return F.max_pool2d(torch.tanh(h), 2, stride=1).square().sum()

    def up(x: Any) -> Any:
        grown = F.conv_transpose2d(
            x, known["up.conv_transpose2d.weight"], known["up.conv_transpose2d.bias"], stride=2
        )
        return grown.square().sum()

    for i in range(3):
        x = torch.tensor(inputs["x"][i], requires_grad=True)
        v = torch.tensor(inputs["v"][i])
        weight = known["h.conv2d.weight"].clone().requires_grad_()
        slope, of_w = torch.autograd.grad(y(x, weight), (x, weight), create_graph=True)
        (twice,) = torch.autograd.grad((slope * v).sum(), x, retain_graph=True)
        (mixed,) = torch.autograd.grad(of_w.square().sum(), x)
        wanted = [slope, of_w, (slope * v).sum(), twice, mixed, torch.autograd.grad(up(x), x)[0]]
        for got, want in zip(expected.outputs, wanted, strict=True):
            assert got[i] == pytest.approx(want.detach().numpy(), rel=1e-10, abs=1e-10)


# ---------------------------------------------------------------------------------------
# Symbolic sizes


def of_length(text: str) -> Diagram:
    return loads("size T\n" + text, "case.flow")


def test_one_file_serves_every_length():
    diagram = of_length("input x : [2, T]\noutput x |> conv1d(3, 4, padding=1) |> max_pool(2, stride=1)\n")
    assert str(diagram.graph[diagram.graph.results[0].node].type) == "real[3, T - 2]"
    params = initial(diagram)
    for length in (3, 4, 9):
        inputs = {"x": np.random.default_rng(length).normal(size=(2, 2, length))}
        expected = SIMULATOR.run(diagram, params, inputs, {})
        assert expected.outputs[0].shape == (2, 3, length - 2)
        for engine in DOUBLE:
            same(engine.run(diagram, params, inputs, {}), expected, rtol=1e-12, atol=1e-12)


def test_a_stride_divides_a_symbolic_size_that_is_its_multiple():
    diagram = of_length("input x : [1, 4 * T], t : [T]\noutput max_pool(x, 2), conv1d(x, 2, 3, stride=4)\n")
    graph: Graph = diagram.graph
    assert [str(graph[r.node].type) for r in graph.results] == ["real[1, 2*T]", "real[2, T]"]


def test_data_too_short_for_a_kernel_are_refused_before_anything_is_computed():
    diagram = of_length("input x : [1, T]\noutput conv1d(x, 1, 5, padding=1)\n")
    params = initial(diagram)
    with pytest.raises(ShapeClash, match="T must be at least 3 for the kernel of `conv1d` to fit in"):
        simulate(diagram.batched(), {**params, "x": np.zeros((1, 1, 2))})
    module = execute(diagram.compile("numpy"))
    with pytest.raises(AssertionError, match="T must be at least 3"):
        module["forward"](module["init"](0), np.zeros((1, 1, 2)))


# ---------------------------------------------------------------------------------------
# Mistakes

MISTAKES = [
    ("[28, 28]", "conv2d(x, 4, 3)", "E0310", "images are [C, H, W]", "adds an axis of one channel"),
    ("[784]", "conv2d(x, 4, 3)", "E0310", "images are [C, H, W]", "`reshape(x, [C, H, W])`"),
    ("[8, 1, 28, 28]", "conv2d(x, 4, 3)", "E0310", "images are", "leave out the axis of the batch"),
    ("[9]", "conv1d(x, 4, 3)", "E0310", "sequences are [C, L]", "unsqueeze"),
    ("[1, 2, 9]", "conv2d(x, 4, 3)", "E0310", "larger than what it slides over", "spans 3 entries"),
    ("[1, 2, 9]", "conv2d(x, 4, 3, dilation=5, padding=1)", "E0310", "larger", "2, with padding 4"),
    ("[3, 8, 8]", "conv2d(x, 4, 3, groups=2)", "E0404", "do not divide the 3 channels", "multiples"),
    ("[4, 8, 8]", "conv2d(x, 3, 3, groups=2)", "E0404", "3 channels that come out", "multiples"),
    ("[4, 8, 8]", "conv2d(x, 3, 3, groups=0)", "E0404", "`groups` of `conv2d`", "from 1 on"),
    ("[4, 8, 8]", "conv2d(x, 0, 3)", "E0404", "makes no channels", "from 1 on"),
    ("[4, 8, 8]", "conv2d(x, 3, 3, stride=0)", "E0404", "`stride` of `conv2d`", "from 1 on"),
    ("[4, 8, 8]", "conv2d(x, 3, 3, stride=[1, 2, 3])", "E0404", "has 3 numbers", "a list of 2"),
    ("[4, 8, 8]", "conv2d(x, 3, [])", "E0404", "has 0 numbers", "a list of 2"),
    ("[4, 8, 8]", "conv2d(x, 3, 2.5)", "E0404", "must be a whole number, or a list", "for example"),
    ("[4, 8, 8]", "conv2d(x, 3, 3, padding=-1)", "E0404", "`padding` of `conv2d`", "from 0 on"),
    ("[4, 8, 8]", 'conv2d(x, 3, 3, padding="full")', "E0404", 'no padding "full"', '"valid"'),
    ("[4, 8, 8]", 'conv2d(x, 3, 3, padding="same", stride=2)', "E0404", "stride 1 only", "a number"),
    ("[4, 8, 8]", "conv2d(x, 3, 3, padding=10^17)", "E0904", "elements", "may have up to"),
    ("[2, 1, 1]", "conv_transpose2d(x, 3, 2, padding=1)", "E0310", "nothing is left", "smaller"),
    ("[2, 4, 4]", "conv_transpose2d(x, 3, 2, output_padding=1)", "E0404", "smaller than the stride", ""),
    ("[8]", "max_pool(x, 2)", "E0310", "images are [C, H, W]", "unsqueeze"),
    ("[1, 2, 8]", "max_pool(x, 4)", "E0310", "larger than what it slides over", "along axis -2"),
    ("[1, 8, 8]", "avg_pool(x, 2, padding=2)", "E0404", "more than half", "make it smaller"),
    ("[1, 8, 8]", "avg_pool(x, 2, stride=-1)", "E0404", "`stride` of `avg_pool`", "from 1 on"),
    ("[8]", "global_avg_pool(x)", "E0310", "images are [C, H, W]", "mean(x)"),
    ("[8]", "embedding(x, 3, 2)", "E0303", "needs whole numbers", "class(K)"),
    ("class(5)[2]", "embedding(x, 3, 2)", "E0305", "one of 5 classes in 3 rows", "at least 5"),
    ("[2, T]", "conv1d(x, 3, 3, stride=2)", "E0308", "stride 2 along the symbolic size T", "2 * U"),
    ("[T, 9], t : [T]", "conv1d(x, 3, 3)", "E0308", "known at compile time", "cannot depend on"),
]


@pytest.mark.parametrize(("shape", "call", "code", "said", "cure"), MISTAKES)
def test_a_mistake_is_told_with_its_cure(shape, call, code, said, cure):
    with pytest.raises(FlowError) as caught:
        loads(f"size T\ninput u : [T], x : {shape}\nh = {call}\noutput h\n", "case.flow")
    (found,) = (d for d in caught.value.diagnostics if d.is_error)
    assert found.code == code
    assert said in found.message
    assert cure in found.help and found.help
