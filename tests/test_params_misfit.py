"""All that keeps weights from fitting a diagram, told in one readable report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from weights import ATTN, MLP, TOWER, Arrays, numbered, refused, said, same, with_prefix

from flowgraph import Weights, loads


def test_a_few_misfits_are_told_one_by_one() -> None:
    arrays = {
        "f.linear.weight": np.zeros((2, 3)),
        "f.linear.bais": np.zeros(3),
        "f.linear_2.weight": np.zeros((2, 1)),
        "f.linear_2.bias": np.zeros(1),
        "s": np.array("a"),
        "extra": np.zeros(7),
    }
    found = {d.message: d.help for d in refused(loads(MLP), arrays)}
    assert found == {
        "`extra` is no parameter": "the diagram has no such parameter; --ignore extra leaves it out",
        "`f.linear.bais` is no parameter": "did you mean `f.linear.bias`?",
        "the parameter `f.linear.bias` is missing": (
            "its shape is [3]; if it is `f.linear.bais`, add --rename f.linear.bais=f.linear.bias"
        ),
        "the parameter `f.linear.weight` is [2, 3], not [3, 2]": "add --transpose f.linear.weight",
        "the parameter `f.linear_2.weight` is [2, 1], not [1, 3]": (
            "save it in the shape that the diagram gives it"
        ),
        "the parameter `s` holds <U1, not numbers": "save plain numbers, such as float32",
    }


def test_a_missing_parameter_is_found_by_its_shape() -> None:
    """Of a model whose names are others, where only one entry can be it."""
    diagram = loads("input x : [4]\nf = x |> linear(8) |> relu |> linear(3)\n")
    shapes = {"0.weight": (8, 4), "0.bias": (8,), "2.weight": (3, 8), "2.bias": (3,)}
    found = {d.message: d.help for d in refused(diagram, {n: np.zeros(s) for n, s in shapes.items()})}
    assert found["the parameter `f.linear.weight` is missing"] == (
        "its shape is [8, 4]; if it is `0.weight`, add --rename 0.weight=f.linear.weight"
    )
    shapes |= {"1.weight": (8, 4)}
    found = {d.message: d.help for d in refused(diagram, {n: np.zeros(s) for n, s in shapes.items()})}
    assert found["the parameter `f.linear.weight` is missing"] == "its shape is [8, 4]"


def test_many_that_differ_in_numbers_are_one(tmp_path: Path) -> None:
    diagram = loads(TOWER)
    arrays = {n: a.T if n.endswith("c_attn.weight") else a for n, a in numbered(diagram).items()}
    arrays |= {f"h.{i}.attn.mask": np.ones(9) for i in range(6)}
    del arrays["h.3.attn.c_proj.bias"], arrays["h.4.attn.c_proj.bias"]
    found = {d.message: d.help for d in refused(diagram, arrays)}
    assert found == {
        "6 entries `h.*.attn.mask` are no parameters": (
            'the diagram has no such parameters; --ignore "h.*.attn.mask" leaves them out'
        ),
        "the parameter `h.3.attn.c_proj.bias` is missing": "its shape is [4]",
        "the parameter `h.4.attn.c_proj.bias` is missing": "its shape is [4]",
        f"6 parameters `{ATTN}` are [4, 12], not [12, 4]": (
            f'add --transpose "{ATTN}"; square ones, such as `h.0.attn.c_proj.weight`, may need it too '
            "and do not show it"
        ),
    }


def test_a_transposition_is_not_offered_for_what_fits() -> None:
    diagram = loads(
        "input x : [2]\n" + "".join(f"h{i} = linear({'x' if i < 5 else 'h4'}, 3)\n" for i in (1, 2, 3, 4, 56))
    )
    arrays = {
        n: a.T if n in ("h1.weight", "h2.weight", "h3.weight", "h4.weight") else a
        for n, a in numbered(diagram).items()
    }
    found = refused(diagram, arrays)
    assert [d.message for d in found] == ["4 parameters `h*.weight` are [2, 3], not [3, 2]"]
    assert found[0].help == (
        "add --transpose h1.weight --transpose h2.weight --transpose h3.weight and so on; square ones, "
        "such as `h56.weight`, may need it too and do not show it"
    )


def test_names_that_lack_a_prefix_are_told_in_one_error_with_the_cure() -> None:
    diagram = loads(TOWER)
    arrays = numbered(diagram)
    (error,) = refused(diagram, with_prefix(arrays, "module."))
    assert error.message.startswith(
        "the names are not the diagram's: of its 26 parameters 0 are there by name"
    )
    assert error.help == '--rename "module.*=*" brings 26 of them together'
    same(diagram.params(Weights(with_prefix(arrays, "module."), "module.*=*"), dtype="float64"), arrays)
    arrays = {n.removeprefix("h."): a for n, a in arrays.items() if n.startswith("h.")}
    (error,) = refused(diagram, arrays)
    assert error.help == '--rename "*=h.*" brings 24 of them together'


def test_weights_of_another_model_are_a_page_not_three_hundred_lines(tmp_path: Path) -> None:
    resnet: Arrays = {"conv1.weight": np.zeros((64, 3, 7, 7)), "fc.weight": np.zeros((1000, 2048))}
    for stage in range(1, 5):
        for block in range(24):
            for conv in (1, 2, 3):
                resnet[f"layer{stage}.{block}.conv{conv}.weight"] = np.zeros((stage, 1))
                resnet[f"layer{stage}.{block}.bn{conv}.running_mean"] = np.zeros(3)
    (error,) = refused(loads(TOWER), resnet)
    lines = error.message.splitlines()
    assert lines == [
        "these look like the weights of another model: of its 26 parameters 0 are there by name",
        "  missing, 26:",
        "  - `h.*.attn.c_attn.weight` [12, 4] (6 of them)",
        "  - `h.*.attn.c_attn.bias` [12] (6 of them)",
        "  - `h.*.attn.c_proj.weight` [4, 4] (6 of them)",
        "  - `h.*.attn.c_proj.bias` [4] (6 of them)",
        "  - `f.weight` [1, 4]",
        "  - `f.bias` [1]",
        "  in the file alone, 578:",
        "  - `conv1.weight` [64, 3, 7, 7]",
        "  - `fc.weight` [1000, 2048]",
        "  - `layer*.*.bn*.running_mean` [3] (288 of them)",
        "  - `layer*.*.conv*.weight` (288 of them)",
    ]
    assert "--rename PATTERN=PATTERN" in error.help


def test_names_without_numbers_are_still_a_page() -> None:
    words = [f"{a}{b}{c}" for a in "abcdefg" for b in "abcdefg" for c in "abcdefg"]
    (error,) = refused(loads(TOWER), dict.fromkeys(words, np.zeros(2)))
    assert len(error.message.splitlines()) < 30 and "  - and 331 more such lines" in error.message
    arrays = numbered(loads(TOWER))
    found = refused(loads(TOWER), arrays | dict.fromkeys(words, np.zeros(2)))
    assert len(found) == 13 and found[-1].message.startswith("331 more like this: `")


def test_an_empty_file_lacks_everything(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz")
    found = {d.message: d.help for d in refused(loads(TOWER), tmp_path / "w.npz")}
    assert found[f"6 parameters `{ATTN}` are missing"] == "their shape is [12, 4]" and len(found) == 6


def test_a_rename_that_can_be_read_in_two_ways_is_refused() -> None:
    diagram = loads("param a = 0\nf = a\n")
    (error, _) = refused(diagram, Weights({"p.b.q.b.r": 1.0}, "*.b.*=*-*"))
    assert error.message == "`--rename *.b.*=*-*` can make `p-q.b.r` or `p.b.q-r` of `p.b.q.b.r`"
    assert error.help == "put more of the name between the `*`"


def test_two_entries_of_one_name_are_refused() -> None:
    diagram = loads("param a = 0\nf = a\n")
    for arrays in ({"a": 1.0, "m.a": 2.0}, {"m.a": 1.0, "a": 2.0}):
        first, second = arrays
        (message,) = said(diagram, Weights(arrays, "m.*=*"))
        assert message == f"`{first}` and `{second}` both become `a`"


def test_patterns_that_match_nothing_are_refused() -> None:
    """A square weight would be taken untransposed without a word."""
    diagram = loads("param W : [2, 2] = zeros()\nf = sum(W)\n")
    arrays = {"W": np.ones((2, 2))}
    assert said(diagram, Weights(arrays, transpose="V")) == [
        "`--transpose V` matches no parameter of the diagram"
    ]
    assert said(diagram, Weights(arrays, rename="V=W")) == ["`--rename V=W` matches no entry of the file"]


def test_what_cannot_or_need_not_be_transposed() -> None:
    diagram = loads("param W : [2, 3] = zeros()\nparam b : [3] = zeros()\nf = sum(W) + sum(b)\n")
    found = refused(diagram, Weights({"W": np.ones((2, 3)), "b": np.ones(3)}, transpose="*"))
    assert {d.message: d.help for d in found} == {
        "the parameter `W` is [3, 2] once transposed, not [2, 3]": (
            "it fits as it is: leave it out of --transpose"
        ),
        "the parameter `b` is [3], and to be transposed": (
            "only what has two axes can be transposed: let --transpose match less"
        ),
    }


def test_values_that_are_no_arrays() -> None:
    diagram = loads("param w : [2] = zeros()\nf = sum(w)\n")
    for value in ([[1], [1, 2]], "ab", None, {"a": 1}, 1j * np.ones(2)):
        (message,) = said(diagram, {"w": value})
        assert message.startswith("the parameter `w` holds ") and message.endswith(", not numbers")
    assert diagram.params({"w": [1, 2]})["w"].tolist() == [1, 2]


def test_hostile_names_are_printed_safely(tmp_path: Path) -> None:
    names = ["a\x1b[31m", "n" * 5000, "", "**", "ä\n", "a=b"]
    save_file({n: np.zeros(1) for n in names}, tmp_path / "w.safetensors")
    diagram = loads("param w = 0\nf = w\n")
    for weights in (tmp_path / "w.safetensors", Weights(tmp_path / "w.safetensors", "x*=y*", ignore="w*")):
        for error in refused(diagram, weights):
            assert len(error.message) < 400 and error.message.isprintable() and error.help.isprintable()
