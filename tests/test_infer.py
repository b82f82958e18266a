"""Types and shapes: unification over fixed and symbolic sizes, broadcasting, element types, and Check."""

from __future__ import annotations

import pytest
from lowering import codes

from flowgraph.diagram import loads
from flowgraph.errors import Diagnostic, FlowError


def types(text: str, *names: str) -> list[str]:
    """The types of names."""
    graph = loads(text).graph
    return [str(graph[n].type) for n in names]


def error(text: str) -> Diagnostic:
    """The one error of a text."""
    with pytest.raises(FlowError) as caught:
        loads(text)
    (found,) = caught.value.diagnostics
    return found


# -- sizes


def test_unknown_sizes_follow_from_use() -> None:
    text = "input x : [3]\nparam W : [2, _] = glorot()\nparam b : [_] = 0\ny = W @ x + b\nz = b + [1, 2]\n"
    assert types(text, "W", "b", "y") == ["real[2, 3]", "real[2]", "real[2]"]


def test_unknown_sizes_follow_from_what_stands_later() -> None:
    text = "param W : [_, _] = glorot()\nv = sum(W, axis=0)\n"
    text += "input x : [3]\ny = W @ x\nz = y + [1, 2]\noutput v, z\n"
    assert types(text, "W", "v") == ["real[2, 3]", "real[3]"]


def test_unknown_sizes_are_shared() -> None:
    text = "param a : [_] = 0\nparam b : [_] = 0\nparam c : [_] = 0\n"
    text += "u = a + b\nv = b + c\nw = c + [1, 2, 3]\noutput u, v, w\n"
    assert types(text, "a", "b", "c") == ["real[3]"] * 3


def test_a_size_that_nothing_fixes_is_reported_where_it_is_written() -> None:
    found = error("input x : [3]\nparam W : [_, 3] = normal(1)\ny = W @ x\n")
    assert found.code == "E0301" and found.span is not None and found.span.text == "_"


def test_two_unknown_sizes_are_two_errors() -> None:
    assert codes("param a : [_] = 0\nparam b : [_] = 0\noutput a, b\n") == ["E0301", "E0301"]


def test_symbolic_sizes_are_exact() -> None:
    text = "size T\ninput x : [T], y : [2 * T]\nz = concat(x, y)\nw = reshape(z, [3, T])\noutput w\n"
    assert types(text, "z", "w") == ["real[3*T]", "real[3, T]"]
    assert codes("size T, U\ninput x : [T], y : [U]\noutput x + y\n") == ["E0310"]
    assert codes("size T\ninput x : [T]\noutput x + x[0:1]\n") == []
    assert codes("size T\ninput x : [T], y : [-T]\noutput x + y\n") == ["E0302"]


def test_symbolic_sizes_do_not_become_parameters() -> None:
    assert codes("size T\ninput x : [T]\nparam p : [_] = 0\noutput x + p\n") == ["E0308"]
    assert codes("size T\ninput x : [T]\noutput linear(x, 2)\n") == ["E0308"]
    assert codes("size T\ninput x : [T]\nnode h\nx -> h\n") == ["E0308"]
    assert codes("size T\ninput x : [T]\nnode h\nx -[1]-> h\n") == []


def test_symbolic_sizes_must_be_told_by_an_argument() -> None:
    assert codes("size T\ninput x : [T + 1]\ny = sum(x)\n") == ["E0308"]
    assert codes("size T\ninput x : [T + 1], z : [T]\ny = sum(x) + sum(z)\n") == []
    assert codes("size T\ninput x\ntarget t : [T]\noutput x\nloss mean(x - t)\n") == []
    assert codes("size T\ninput x\ntarget t : [T]\noutput x + zeros(T)\nloss mean(x - t)\n") == ["E0308"]
    assert codes("size T\ninput x\noutput x\n") == ["W0102"]
    assert codes("size T\ninput x\noutput x / T\n") == ["E0308"]
    assert codes("size T\ninput x\noutput reshape(zeros(3 * T), [T, 3])[0] * x\n") == ["E0308"]


# -- broadcasting


def test_broadcasting_is_numpys() -> None:
    text = "input a : [3, 1], b : [4], c, d : [1, 1]\nx = a + b\ny = x * c\nz = d + c\noutput x, y, z\n"
    assert types(text, "x", "y", "z") == ["real[3, 4]", "real[3, 4]", "real[1, 1]"]


def test_conflicts_name_the_two_that_conflict() -> None:
    found = error("input a : [3], b, c : [4]\ny = where(b > 0, a, c)\n")
    assert "`a` is [3]" in found.label and "`c` is [4]" in found.label and "`b`" not in found.label


def test_places_of_conflicting_sizes_are_shown() -> None:
    text = "size D = 3\ninput x : [D]\nh = 2 * x\ng = relu(h)\ny = g @ [1, 2]\n"
    found = error(text)
    assert [(at.line, said) for at, said in found.labels] == [
        (4, "the 3 of `g` is from `size D = 3` (line 1)")
    ]


# -- element types


def test_element_types() -> None:
    text = "input x, k : int, b : bool, c : class(3)\n"
    text += "s = k + 1\nu = k + x\nv = b + k\nw = c + 1\np = x > k\nq = k / 2\nr = where(b, k, 1)\nm = -b\n"
    expected = ["int", "real", "int", "int", "bool", "real", "int"]
    assert types(text, "s", "u", "v", "w", "p", "q", "r") == expected


def test_conditions_are_not_numbers() -> None:
    assert codes("input x\ny = where(x, 1, 2)\n") == ["E0303"]
    assert codes("input x\ny = x and x > 0\n") == ["E0303"]
    assert codes("input x\ny = not x\n") == ["E0303"]


def test_the_number_of_classes_is_carried() -> None:
    text = "size K = 4\ninput x : [K], c : class(K)\n"
    text += "k = argmax(x)\na = one_hot(k)\nb = one_hot(c) + a\noutput a, b\n"
    assert types(text, "k", "a", "b") == ["class(4)", "real[4]", "real[4]"]
    assert codes("input x : [4]\ntarget t : class(4)\nloss cross_entropy(x, t)\n") == []
    assert codes("input x : [4]\ntarget t : class(5)\nloss cross_entropy(x, t)\n") == ["E0310"]
    assert codes('input x : [2]\ntarget t : class("a", "b")\nloss cross_entropy(x, t)\n') == []
    assert codes("input k : class(3)\ny = take([1, 2], k)\n") == ["E0305"]


def test_labels_of_different_kinds_of_classes_are_not_compared_silently() -> None:
    assert codes("input x : [4]\ntarget t : class(5)\nmetric accuracy(argmax(x), t)\n") == ["E0310"]


# -- what a whole graph must satisfy


def test_losses_and_metrics_are_numbers() -> None:
    assert codes("input x : [3]\nloss x\n") == ["E0306"]
    assert codes("input x : [3]\nmetric x\n") == ["E0306"]
    assert codes("input x\nloss x > 0\n") == ["E0303"]
    assert codes("input x\nmetric x > 0\n") == []
    assert codes("input x : [1]\nloss x\n") == ["E0306"]


def test_all_errors_of_inference_and_check_come_together() -> None:
    text = "input x : [3]\ntarget t\na = x @ [1, 2]\nb = sum(x, axis=4)\nloss x\noutput t\nc = x + [1, 2]\n"
    assert codes(text) == ["E0310", "E0304", "E0306", "E0209", "E0310"]


def test_what_follows_from_an_error_is_not_reported() -> None:
    text = "input x : [3]\na = x @ [1, 2]\nb = a + x\nc = sum(b, axis=7)\nnode h\nc -> h\nloss c\noutput h\n"
    assert codes(text) == ["E0310"]


def test_an_error_before_a_wire_is_told_though_the_circle_is_lost() -> None:
    assert codes("node h\na = sum(h, axis=0)\na -> h\n") == ["E0304"]
    assert codes("input x : [2]\na = x @ [1, 2, 3]\nnode h\na -> h\ny = linear(a, 3)\n") == ["E0310"]


def test_arrays_too_large_are_refused_before_they_are_made() -> None:
    assert codes("input x : [10 ^ 5]\ny = outer(x, x)\n") == ["E0904"]
    assert codes("input x\ny = x + zeros([10 ^ 9, 10 ^ 9])\n") == ["E0904"]
    assert codes("input x\ny = x + zeros([" + "1, " * 33 + "])\n") == ["E0904"]


# -- warnings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input x\ny = x\n", []),
        ("size D = 2\ninput x\ny = x\n", ["W0102"]),
        ("size D = 2, E = D\ninput x : [E]\ny = x\n", []),
        ("const c = 2\ninput x\ny = x\n", ["W0102"]),
        ("const c = 2\nsize D = c\ninput x : [D]\ny = x\n", []),
        ("size D = 2\nrequire D > 1\ninput x\ny = x\n", []),
        ("param w = 2.0\ninput x\ny = x\n", ["W0102"]),
        ("param w = 2.0\ninput x\ny = x\nz = w * x\noutput y\n", ["W0103"]),
        ("input x, z\ny = x\n", ["W0103"]),
        ("input x\ntarget t\ny = x\n", ["W0103"]),
        ("input x\nnode h, k : tanh\nx -[1]-> h, k\noutput h\n", ["W0103"]),
        ("input x\nnode h : tanh\nx -[1]-> h\noutput h.xi\n", ["W0103"]),
        ("input x : [4]\na, b = split(x, 2)\noutput a\n", ["W0103"]),
        ("input x\ny = 2 * x\nxi_1 = 3 * x\noutput y\n", ["W0103"]),
        ("input x\nnode h\nx -[1]-> h\nx -[2]-> h\n", ["W0201"]),
        ("input x\ny = x * (1 + zz)\nsize D = 3\n", ["E0101"]),
    ],
)
def test_warnings(text: str, expected: list[str]) -> None:
    assert codes(text) == expected
