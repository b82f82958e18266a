"""Parameters, outputs, losses and metrics: their names and order, by design 1.4 and 1.8."""

from __future__ import annotations

import numpy as np
import pytest
from lowering import codes, labels, output, params

from flowgraph.diagram import loads
from flowgraph.errors import FlowError
from flowgraph.passes.simulate import simulate

# -- names of parameters, design 1.4


def test_a_call_that_is_all_of_a_statement_names_its_parameters_after_it() -> None:
    assert params("input x : [2]\nh = linear(x, 3)\n") == {"h.weight": [3, 2], "h.bias": [3]}
    assert list(params("input x : [2]\nh = x |> linear(3)\n")) == ["h.weight", "h.bias"]
    assert list(params("input x : [2]\noutput p = linear(x, 3, bias=false)\n")) == ["p.weight"]


def test_other_calls_add_the_name_of_the_operation() -> None:
    text = "input x : [2]\nf = x |> linear(3) |> sigmoid |> linear(2)\n"
    assert params(text) == {
        "f.linear.weight": [3, 2],
        "f.linear.bias": [3],
        "f.linear_2.weight": [2, 3],
        "f.linear_2.bias": [2],
    }
    assert list(params("input x : [2]\nf = linear(x, 2) + 1\n")) == ["f.linear.weight", "f.linear.bias"]
    assert list(params("input x : [2]\nf = -linear(x, 2, bias=false)\n")) == ["f.linear.weight"]


def test_statements_of_one_name_are_numbered() -> None:
    text = "input x : [2]\nh = linear(x, 3, bias=false)\nh = linear(h, 4, bias=false)\n"
    assert params(f"{text}h = linear(h, 5, bias=false)\n") == {
        "h.weight": [3, 2],
        "h_2.weight": [4, 3],
        "h_3.weight": [5, 4],
    }
    text = "input x : [2]\nu = x\nu = u + linear(u, 2, bias=false)\nu = u + linear(u, 2, bias=false)\n"
    assert list(params(text)) == ["u.linear.weight", "u.linear_2.weight"]


def test_losses_metrics_and_unnamed_outputs_are_not_all_of_a_statement() -> None:
    text = "input x : [2]\ntarget t : [2]\noutput linear(x, 2, bias=false)\n"
    text += "loss mean(linear(x, 2, bias=false) - t)\nmetric m = mean(linear(x, 2, bias=false))\n"
    text += "loss k = mean(linear(x, 2, bias=false))\n"
    assert list(params(text)) == [
        "output.linear.weight",
        "loss.linear.weight",
        "m.linear.weight",
        "k.linear.weight",
    ]


def test_a_clash_of_names_names_both_statements() -> None:
    text = "input x : [2]\nh_2 = linear(x, 2)\nh = linear(x, 2)\nh = linear(h, 2)\noutput h, h_2\n"
    with pytest.raises(FlowError) as caught:
        loads(text)
    (found,) = caught.value.diagnostics
    assert found.code == "E0106" and found.span is not None and found.span.line == 4
    assert [label.span.line for label in found.labels] == [2]


def test_parameters_stand_in_the_order_of_the_file() -> None:
    text = "input x : [2]\nparam b = 1.0\nh = linear(x, 2)\nnode k\nx -> k\nparam a = 2.0\nz = linear(h, 2)\n"
    assert list(params(text)) == ["b", "h.weight", "h.bias", "w_x_k", "a", "z.weight", "z.bias"]


def test_parameters_by_name() -> None:
    text = "input x : [2]\nenc = linear(x, 3)\nd = enc.weight.T @ enc + sum(enc.bias)\noutput d\n"
    given = {"enc__weight": [[1, 0], [0, 1], [1, 1]], "enc__bias": [1, 0, 0]}
    assert output(text, x=[2, 3], **given) == [3 + 5 + 1, 3 + 5 + 1]
    text = "input x : [2]\nf = x |> linear(2) |> relu\noutput f.linear.weight @ x\n"
    assert output(text, x=[2, 3], f__linear__weight=[[1, 2], [3, 4]], f__linear__bias=[0, 0]) == [8, 18]


def test_initial_values() -> None:
    assert params(
        "param a = 1\nparam b = [[1, 2], [3, 4]]\nparam c : [_, 2] = [[1, 2]]\ninput x\ny = x\n"
    ) == {
        "a": [],
        "b": [2, 2],
        "c": [1, 2],
    }
    module: dict[str, object] = {}
    exec(loads("param a = 2\nparam c : [3] = 0.5\ninput x : [3]\ny = a * c * x\n").compile(), module)
    init = module["init"]
    assert callable(init) and {k: v.tolist() for k, v in init().items()} == {"a": 2, "c": [0.5] * 3}


# -- outputs, losses, metrics


def test_outputs_that_are_not_said() -> None:
    assert labels("input x\na = x + 1\nb = 2 * x\nc = b + 1\n") == ["a", "c"]
    assert labels("input x\nnode h : relu\nx -[1]-> h\nb = 2 * x\n") == ["h", "b"]
    text = "input x\ntarget t\na = x + 1\nb = 2 * a\ne = b - t\nloss square(e)\nmetric abs(e)\n"
    assert labels(text) == ["b"]
    assert labels("input x\ntarget t\na = x + 1\nloss kl = mse(a, t)\nmetric m = kl + 1\n") == ["a"]
    assert labels("input x\na = x + 1\na = 2 * a\n") == ["a"]


def test_outputs_that_are_said_keep_their_order_and_get_names() -> None:
    assert labels("input x : [2]\nh = 2 * x\noutput p = softmax(x), h, sum(x), h, h + 1\n") == [
        *("p", "h", "sum", "h_2", "output"),
    ]
    assert labels("input x\nh = 2 * x\nh_2 = 3 * x\noutput h, h, h_2\n") == ["h", "h_2", "h_2_2"]


def test_losses_and_metrics_get_names() -> None:
    text = "input x\ntarget t\nloss mse(x, t)\nloss square(x)\nloss kl = x * x\n"
    assert labels(text, "loss") == ["loss", "loss_2", "kl"]
    text = "input x : [2]\ntarget t : class(2)\nmetric accuracy(x, t)\nmetric top = accuracy(x, t)\n"
    text += "metric accuracy(x, t)\ns = sum(x)\nmetric s\nmetric s + 1\n"
    assert labels(text, "metric") == ["accuracy", "top", "accuracy_2", "s", "metric"]


def test_named_results_are_names() -> None:
    text = "input x\ntarget t\noutput p = 2 * x\nloss l = mse(p, t)\nmetric m = l + p\nloss m * 0\n"
    graph = loads(text).graph
    known = simulate(graph, {"x": np.asarray(3.0), "t": np.asarray(5.0)})
    assert [float(known[r.node]) for r in graph.results] == [6, 1, 7, 0]


def test_an_output_of_a_target_is_an_error() -> None:
    assert codes("input x\ntarget t\ny = x + t\noutput y\n") == ["E0209"]
    assert codes("input x\ntarget t\noutput t, x\n") == ["E0209"]


def test_an_example_without_values() -> None:
    assert labels("") == [] and labels("# nothing\n") == [] and codes("") == []
    assert loads("input x\n").compile("numpy") and loads("").compile("torch")


# -- nothing is lost


def test_elements_types_flow() -> None:
    graph = loads(
        "input x : [4]\nk = argmax(x)\na = one_hot(k)\nb = take([1, 2, 3, 4], k)\noutput a, b\n"
    ).graph
    assert str(graph["k"].type) == "class(4)" and str(graph["a"].type) == "real[4]"
    assert codes("input x : [4]\nk = argmax(x)\nb = take([1, 2, 3], k)\n") == ["E0305"]


def test_diagram_gives_name_and_description() -> None:
    graph = loads('diagram xor "what it does"\ninput x\ny = x\n', "file.flow").graph
    assert (graph.name, graph.doc) == ("xor", "what it does")
    assert loads("input x\ny = x\n", "some/file.flow").graph.name == "file"
