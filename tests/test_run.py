"""`Diagram.run`: values by name from data, inputs and parameters, and the table of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from running import LECTURE, example, execute

from flowgraph.data import Table
from flowgraph.diagram import Diagram, loads
from flowgraph.errors import Diagnostic, FlowError
from flowgraph.run.table import array_text, number_text

XOR = """
input x1, x2
h1 = step(0.5 - x1 - x2)
h2 = step(x1 + x2 - 1.5)
f = step(0.5 - h1 - h2)
"""
PERCEPTRON = """
input x : [2]
target y : class("low", "high", "left")
param W : [3, 2] = [[1, 0], [0, 1], [-1, -1]]
z = W @ x
k = argmax(z)
output k, z
loss perceptron(z, y)
loss reg = 0.5 * sum(W ^ 2)
metric accuracy(z, y)
"""


def refused(diagram: Diagram, *arguments: object, **options: object) -> tuple[Diagnostic, ...]:
    with pytest.raises(FlowError) as caught:
        diagram.run(*arguments, **options)  # type: ignore[arg-type]
    return caught.value.diagnostics


def test_the_truth_table_of_xor() -> None:
    run = example("xor").run()
    assert run.outputs["f"].tolist() == [0, 1, 1, 0]
    assert run["h1"].tolist() == [1, 0, 0, 0] and run["h2"].tolist() == [0, 0, 0, 1]
    assert run.table() == "x1  x2 | f\n 0   0 | 0\n 0   1 | 1\n 1   0 | 1\n 1   1 | 0\n"
    assert run.loss is None and run.losses == {} and run.count == 4
    with pytest.raises(KeyError):
        run["nothing"]


@pytest.mark.parametrize("name", ["xor", "xor_wires"])
def test_a_trace_shows_xi_and_h_of_every_circle(name: str) -> None:
    assert example(name).run().table(trace=True) == (
        "x1  x2 | ξ_h1  h1  ξ_h2  h2   ξ_f  f\n"
        " 0   0 |  0.5   1  -1.5   0  -0.5  0\n"
        " 0   1 | -0.5   0  -0.5   0   0.5  1\n"
        " 1   0 | -0.5   0  -0.5   0   0.5  1\n"
        " 1   1 | -1.5   0   0.5   1  -0.5  0\n"
    )
    assert "xi_h1  h1" in example(name).run().table(trace=True, ascii=True)


def test_an_excitation_with_a_name_of_its_own_is_shown_once() -> None:
    run = loads("input x\nz = 2 * x\np = sigmoid(z)\nxi_1 = x + 1\nh = tanh(xi_1)\n").run({"x": 0.5})
    assert run.table(trace=True).splitlines()[0].split() == ["x", "|", "z", "=", "ξ_p", "p", "ξ_1", "h"]


def test_losses_metrics_and_class_names() -> None:
    # z = [1, 2, -3] and [-2, 1, 1]: the winners are 1 and, of the tie, the first, also 1.
    run = loads(PERCEPTRON).run({"x": [[1, 2], [-2, 1]], "y": ["high", "left"]})
    assert run.outputs["k"].tolist() == [1, 1]
    assert run.losses == {"loss": 0.0, "reg": 2.0} and run.loss == 2.0 and run.metrics == {"accuracy": 0.5}
    assert run.table() == (
        "     x | k         z |    y\n"
        " [1 2] | 1  [1 2 -3] | high\n"
        "[-2 1] | 1  [-2 1 1] | left\n"
        "\n"
        "loss = 2 = 0 (loss) + 2 (reg)\n"
        "accuracy = 0.5\n"
        "parameters: initial values, seed 0\n"
    )


def test_without_targets_there_is_no_loss() -> None:
    run = loads(PERCEPTRON).run({"x": [1, 2]})
    assert run.outputs["z"].tolist() == [[1, 2, -3]]
    assert run.loss is None and run.metrics == {} and run.losses == {"reg": 2.0}
    assert "loss" not in run.table()


def test_values_without_an_axis_of_examples_stand_for_all() -> None:
    run = loads(XOR).run({"x1": [0, 1], "x2": 1})
    assert run.outputs["f"].tolist() == [1, 0]
    assert run.data.columns["x2"].tolist() == [1, 1]


def test_a_symbolic_size_is_read_off_the_values() -> None:
    diagram = loads("size T\nrequire T >= 2\ninput x : [T], y : [T]\nf = sum(x * y) / T\n")
    assert diagram.run({"x": [1, 2, 3], "y": [1, 1, 1]}).outputs["f"].tolist() == [2]
    assert diagram.run({"x": [[1, 2]] * 4, "y": [1, 1]}).count == 4
    (error,) = refused(diagram, {"x": [1, 2, 3], "y": [1, 1]})
    assert error.code == "E0504" and "size 2" in error.message
    (error,) = refused(diagram, {"x": [1], "y": [1]})
    assert error.code == "E0504"


def test_nodes_that_depend_on_no_example_are_shown_once() -> None:
    run = loads("param w : [2] = [1, 2]\ninput x\ns = sum(w)\nf = s * x\n").run({"x": [1, 2, 3]})
    assert run.table(trace=True).startswith("w = [1 2]\ns = 3\n\nx | f\n1 | 3\n")


def test_a_diagram_without_inputs_runs() -> None:
    run = loads("param w = 2\nf = w * w\n").run()
    assert run.outputs["f"] == 4 and run.table().startswith("f = 4\n")


def test_an_empty_batch_runs() -> None:
    run = loads("input x : [2]\ntarget y\nf = sum(x)\nloss (f - y)^2\ndata { x0 x1 | y }").run()
    assert run.outputs["f"].shape == (0,) and run.loss == 0


def test_infinities_may_be_tried() -> None:
    run = loads("input x\nf = softplus(x)\n").run({"x": [math.inf, -math.inf]})
    assert run.outputs["f"].tolist() == [math.inf, 0]


# -- what is wrong with what is given


@pytest.mark.parametrize(
    ("inputs", "code", "said"),
    [
        ({"x1": 0}, "E0504", "the input `x2` has no value"),
        ({"x1": 0, "x2": 0, "x3": 1}, "E0504", "no input or target `x3`"),
        ({"x1": [0, 1], "x2": [0, 1, 1]}, "E0504", "different numbers of examples"),
        ({"x1": [[0, 1]], "x2": 0}, "E0504", "the value of `x1` is [1, 2]"),
        ({"x1": [[0], [1, 2]], "x2": 0}, "E0504", "not all of one length"),
        ({"x1": "a", "x2": 0}, "E0504", "holds text"),
        ({"x1": 1j, "x2": 0}, "E0504", "complex128"),
        ({"x1": None, "x2": 0}, "E0504", "holds text"),
    ],
)
def test_inputs_that_do_not_fit(inputs: dict[str, object], code: str, said: str) -> None:
    (error,) = refused(loads(XOR), inputs)
    assert error.code == code and said in error.message


def test_labels_that_do_not_fit() -> None:
    diagram = loads(PERCEPTRON)
    for label in (3, -1, "hihg"):
        (error,) = refused(diagram, {"x": [1, 2], "y": label})
        assert error.code == "E0307"
    assert error.help == "did you mean `high`?"


def test_without_data_the_cure_is_said() -> None:
    (error,) = refused(loads(XOR))
    assert error.code == "E0504" and "`x1`, `x2`" in error.message
    assert "--in x1=..." in error.help and "--data" in error.help


# -- parameters

MLP = "input x : [2]\nf = x |> linear(3) |> tanh |> linear(1)\nparam s = normal(0.5)\ng = s * f\n"


@pytest.mark.parametrize("seed", [0, 7])
def test_parameters_start_where_the_emitted_init_starts(seed: int) -> None:
    diagram = loads(MLP)
    run = diagram.run({"x": [1, 2]}, seed=seed)
    module = execute(diagram.compile("numpy", dtype="float64"))
    drawn = module["init"](seed)
    assert set(drawn) == {"f.linear.weight", "f.linear.bias", "f.linear_2.weight", "f.linear_2.bias", "s"}
    for name, value in drawn.items():
        assert np.array_equal(run[name], value), name
    assert np.allclose(run.outputs["g"], module["forward"](drawn, np.array([[1.0, 2.0]])), rtol=1e-12)


def test_parameters_from_files(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    diagram = loads(MLP)
    values = {n: np.full(diagram.run({"x": [0, 0]})[n].shape, 0.5, np.float32) for n in names(diagram)}
    np.savez(tmp_path / "p.npz", **values)
    save_file(values, tmp_path / "p.safetensors")
    # every hidden circle is tanh(2), the output 1.5 tanh(2) + 0.5, and s a half
    expected = 0.5 * (1.5 * math.tanh(2) + 0.5)
    for params in (values, tmp_path / "p.npz", str(tmp_path / "p.safetensors")):
        run = diagram.run({"x": [1, 2]}, params=params)
        assert run.outputs["g"].ravel() == pytest.approx([expected], rel=1e-12)
    assert run.params_from.endswith("p.safetensors")


def names(diagram: Diagram) -> list[str]:
    return [str(diagram.graph[p].hint) for p in diagram.graph.params]


def test_all_parameters_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    values = {"f.linear.weight": np.zeros((2, 3)), "f.linear.bais": np.zeros(3), "s": np.array("a")}
    np.savez(tmp_path / "p.npz", **values, **{"f.linear_2.weight": np.zeros((1, 3))})
    found = refused(loads(MLP), {"x": [1, 2]}, params=tmp_path / "p.npz")
    assert {d.code for d in found} == {"E0505"}
    assert sorted(d.message for d in found) == [
        "`f.linear.bais` is no parameter",
        "the parameter `f.linear.bias` is missing",
        "the parameter `f.linear.weight` is [2, 3], not [3, 2]",
        "the parameter `f.linear_2.bias` is missing",
        "the parameter `s` holds <U1, not numbers",
    ]
    assert found[0].help == "did you mean `f.linear.bias`?"


def test_parameter_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "p.npz").write_text("nothing")
    for name in ("p.npz", "no.npz", "p.csv"):
        (error,) = refused(loads(MLP), {"x": [1, 2]}, params=tmp_path / name)
        assert error.code == "E0501"


# -- data


def test_data_of_another_file_or_table(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("x1,x2\n1,1\n1,0\n")
    assert example("xor").run(data=tmp_path / "d.csv").outputs["f"].tolist() == [0, 1]
    table = Table({"x1": np.array([1.0]), "x2": np.array([0.0])}, ("x1", "x2"), ())
    assert example("xor").run(data=table).outputs["f"].tolist() == [1]


def test_iris_at_the_means_of_its_classes() -> None:
    run = example("iris").run()
    assert run.metrics["accuracy"] == pytest.approx(139 / 150)
    text = run.table(rows=1)
    assert "| species\n" in text and "|  setosa\n" in text and "... and 149 more rows (" in text
    assert run.table(rows=None).count("virginica") == 50


@pytest.mark.parametrize("name", [*LECTURE, "iris"])
def test_every_example_with_data_runs(name: str) -> None:
    run = example(name).run()
    assert run.table(trace=True) and all(np.isfinite(v).all() for v in run.outputs.values())


# -- text


def test_wide_tables_become_paragraphs() -> None:
    inputs = ", ".join(f"a_rather_long_name_{i}" for i in range(6))
    run = loads(f"input {inputs}\nf = a_rather_long_name_0\n").run(dict.fromkeys(inputs.split(", "), 1))
    assert run.table().startswith("example 0\n  a_rather_long_name_0 = 1\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.0, "0"), (0.1, "0.1"), (2 / 3, "0.666667"), (1e20, "1e+20"), (math.nan, "nan"), (-math.inf, "-inf")],
)
def test_numbers(value: float, text: str) -> None:
    assert number_text(value) == text


def test_arrays() -> None:
    assert array_text(np.array(True)) == "true"
    assert array_text(np.arange(8)) == "[0 1 2 3 4 5 6 7]"
    assert array_text(np.arange(9.0)) == "[0 1 2 3 ... 8] (9 entries)"
    assert array_text(np.eye(2)) == "[[1 0] [0 1]]"
    assert array_text(np.eye(3)) == "[3x3: 1 0 0 0 ... 1]"


def test_stages() -> None:
    diagram = example("xor")
    assert diagram.stage("ast").startswith("File\n")
    assert diagram.stage("graph").startswith("graph xor")
    assert "real[N]" in diagram.stage("batched") and "real[N]" not in diagram.stage("typed")
    assert diagram.stage("code", level=0) == diagram.compile(level=0)
    assert "nn.Module" in diagram.stage("code", target="torch")
    with pytest.raises(ValueError, match="no stage"):
        diagram.stage("finished")


def test_what_is_required_of_targets_is_not_asked_for_without_them() -> None:
    text = 'size U\nrequire U > 1, "too short"\ninput x\ntarget y : [U]\noutput z = 2 * x\nloss z * sum(y)\n'
    diagram = loads(text)
    assert diagram.run({"x": [1, 2]}).outputs["z"].tolist() == [2, 4]
    (error,) = refused(diagram, {"x": 1, "y": [1]})
    assert error.message == "too short" and error.span is not None
