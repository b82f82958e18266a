"""Blocks, repeats, layers and files of blocks: what they compute, and what their parameters are called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import HAS_TORCH, execute

from flowgraph.diagram import Diagram, load, loads
from flowgraph.errors import FlowError
from flowgraph.naming import class_name

needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="PyTorch is not installed")

RESIDUAL = """
block residual(x : [d], width, act = relu) -> [d] {
  h = act(linear(x, width))
  return x + linear(h, d)
}
"""


def names(diagram: Diagram) -> list[str]:
    return [str(diagram.graph[p].hint) for p in diagram.graph.params]


def run(text: str, **inputs: Any) -> Any:
    """The first output of one example, by the simulator."""
    found = loads(text).run(inputs)
    return next(iter(found.outputs.values()))[0]


def both(diagram: Diagram, **inputs: Any) -> tuple[Any, Any]:
    """What the emitted numpy and torch modules return in float64, from the same parameters."""
    import torch

    module = execute(diagram.compile("numpy", dtype="float64"))
    params = module["init"](1)
    space = execute(diagram.compile("torch", dtype="float64"))
    model = space[class_name(diagram.graph.name)]()
    model.load_state_dict({n: torch.tensor(np.array(w)) for n, w in params.items()}, strict=True)
    with torch.no_grad():
        theirs = model(**{n: torch.tensor(a) for n, a in inputs.items()}).numpy()
    return module["forward"](params, **inputs), theirs


# ---------------------------------------------------------------------------------------
# Values


def test_a_block_computes_what_its_body_says() -> None:
    text = "block line(x, a, b) { y = a * x\nreturn y + b }\ninput x\nf = line(x, 3, 4) + line(x, b=1, a=2)\n"
    assert run(text, x=5) == (3 * 5 + 4) + (2 * 5 + 1)


def test_several_results_take_a_name_each() -> None:
    text = "block parts(x) { return x + 1, x * 2 }\ninput x\na, b = parts(x)\nf = 10 * a + b\n"
    assert run(text, x=3) == 10 * 4 + 6


def test_operations_blocks_and_layers_can_be_arguments() -> None:
    text = """
    block twice(f, x) { return f(f(x)) }
    block inc(x) { return x + 1 }
    input x
    a = twice(square, x)
    b = twice(inc, x)
    f = a + b
    """
    assert run(text, x=3) == 81 + 5


def test_sizes_of_a_signature_are_bound_at_each_call() -> None:
    text = (
        "block mean_of(x : [n]) { return sum(x) / n }\ninput a : [2], b : [4]\nf = mean_of(a) + mean_of(b)\n"
    )
    assert run(text, a=[1, 3], b=[1, 2, 3, 6]) == 2 + 3


def test_defaults_see_the_sizes_of_the_signature() -> None:
    block = "block spread(x : [d], k = 2 * d) { return sum(x) * k }\n"
    text = block + "input x : [3]\nf = spread(x) + spread(x, 1)\n"
    assert run(text, x=[1, 1, 2]) == 4 * 6 + 4


def test_circles_and_wires_may_stand_in_a_block() -> None:
    text = """
    block both_off(a, b) {
      node h : step
      1 -[0.5]-> h
      a, b -[-1]-> h
      return h
    }
    input x1, x2
    f = both_off(x1, x2)
    """
    found = loads(text).run({"x1": [0, 0, 1, 1], "x2": [0, 1, 0, 1]})
    np.testing.assert_array_equal(found["f"], [1, 0, 0, 0])


def test_a_repeat_keeps_the_last_value_and_knows_its_round() -> None:
    text = "input x\nu = x\nv = 0 * x\nrepeat 4 as i { w = u + i\nu = w\nv = v + 2 * w }\nf = u\ng = v\n"
    found = loads(text).run({"x": 10})
    # u: 10, 11, 13, 16; v: twice their sum
    assert found["f"][0] == 16
    assert found["g"][0] == 2 * (10 + 11 + 13 + 16)


def test_a_repeat_of_no_rounds_changes_nothing() -> None:
    assert run("input x\nu = x\nrepeat 0 as i { u = 2 * u }\nf = u + 0\n", x=3) == 3


def test_repeats_nest_and_stand_in_blocks() -> None:
    text = """
    block grow(x, n) {
      u = x
      repeat n as a { repeat 2 as b { u = u + a + b } }
      return u
    }
    input x
    f = grow(x, 3)
    """
    assert run(text, x=0) == sum(a + b for a in range(3) for b in range(2))


def test_derivatives_go_through_blocks() -> None:
    text = "block cube(x) { return x^3 }\ninput x\ny = cube(x)\nf = grad(y, x)\n"
    assert run(text, x=2) == 12


# ---------------------------------------------------------------------------------------
# Names of parameters


def test_parameters_of_a_block_are_named_after_its_statements() -> None:
    diagram = loads(RESIDUAL + "input x : [4]\na = residual(x, 8)\nf = residual(a, 8) + a\n")
    inner = ["h.linear.weight", "h.linear.bias", "return.linear.weight", "return.linear.bias"]
    assert names(diagram) == [f"a.{n}" for n in inner] + [f"f.residual.{n}" for n in inner]


def test_calls_are_numbered_in_the_order_of_evaluation() -> None:
    diagram = loads("block f(x : [d]) { y = linear(x, d)\nreturn y }\ninput x : [2]\nz = f(f(x)) + f(x)\n")
    assert [n for n in names(diagram) if n.endswith("weight")] == [
        "z.f.y.weight",
        "z.f_2.y.weight",
        "z.f_3.y.weight",
    ]


def test_a_repeat_names_by_round() -> None:
    diagram = loads("input x : [2]\nu = x\nrepeat 3 as h { u = linear(u, 2)\nparam s = 1\nu = s * u }\n")
    assert names(diagram) == [f"h.{i}.{n}" for i in range(3) for n in ("s", "u.weight", "u.bias")]


def test_a_layer_has_one_set_of_parameters() -> None:
    text = "layer enc = linear(3)\ninput a : [4], b : [4]\nf = enc(a) - enc(b)\ng = f @ enc.weight\n"
    diagram = loads(text)
    assert names(diagram) == ["enc.weight", "enc.bias"]
    found = diagram.run({"a": [1, 2, 3, 4], "b": [1, 2, 3, 4]})
    np.testing.assert_array_equal(found["f"], np.zeros((1, 3)))


def test_a_layer_of_a_block_is_shared_too_in_a_repeat() -> None:
    text = (
        RESIDUAL
        + "layer step = residual(5)\ninput x : [4]\nu = x\nrepeat 3 as i { u = step(u) }\nf = step(u)\n"
    )
    diagram = loads(text)
    assert len(names(diagram)) == 4
    assert all(name.startswith("step.") for name in names(diagram))


# ---------------------------------------------------------------------------------------
# Files


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.flow").write_text(text, encoding="utf-8")


def test_blocks_of_a_file_see_the_sizes_of_that_file(tmp_path: Path) -> None:
    write(
        tmp_path,
        main='use "lib.flow" as lib\nsize W = 1\ninput x : [4]\nf = lib.wide(x)\n',
        lib='use "more.flow" as m\nsize W = 7\nblock wide(x) { return m.bend(linear(x, W)) }\ninput z\n',
        more="block bend(x) { return tanh(x) }\n",
    )
    diagram = load(tmp_path / "main.flow")
    assert [list(map(str, diagram.graph[p].type.shape)) for p in diagram.graph.params] == [["7", "4"], ["7"]]


def test_a_block_of_another_file_can_be_an_argument(tmp_path: Path) -> None:
    write(
        tmp_path,
        main='use "lib.flow" as lib\ninput x\nf = lib.twice(lib.inc, x)\n',
        lib="block twice(f, x) { return f(f(x)) }\nblock inc(x) { return x + 1 }\n",
    )
    assert load(tmp_path / "main.flow").run({"x": 3})["f"][0] == 5


def test_what_a_file_does_not_offer_is_no_argument(tmp_path: Path) -> None:
    write(
        tmp_path,
        main='use "lib.flow" as lib\ninput x\nf = lib.twice(lib.dec, x)\n',
        lib="block twice(f, x) { return f(f(x)) }\n",
    )
    with pytest.raises(FlowError) as caught:
        load(tmp_path / "main.flow")
    assert [d.code for d in caught.value.diagnostics] == ["E0101"]


def test_files_may_not_use_each_other_in_a_ring(tmp_path: Path) -> None:
    write(
        tmp_path,
        main='use "a.flow" as a\ninput x\nf = a.f(x)\n',
        a='use "b.flow" as b\nblock f(x) { return b.g(x) }\n',
        b='use "a.flow" as a\nblock g(x) { return a.f(x) }\n',
    )
    with pytest.raises(FlowError) as caught:
        load(tmp_path / "main.flow")
    (first,) = caught.value.diagnostics
    assert first.code == "E0215"
    assert "a.flow -> b.flow -> a.flow" in first.message


def test_a_block_that_a_file_has_not_is_told_with_those_it_has(tmp_path: Path) -> None:
    write(
        tmp_path,
        main='use "a.flow" as a\ninput x\nf = a.reld(x) + a.other(x)\n',
        a="block reslu(x) { return x }\nblock wide(x) { return x }\n",
    )
    with pytest.raises(FlowError) as caught:
        load(tmp_path / "main.flow")
    found = {d.message: d.help for d in caught.value.diagnostics}
    assert found == {
        "`a` has no block `reld`": "did you mean `reslu`?",
        "`a` has no block `other`": "it has `reslu`, `wide`",
    }


def test_a_file_may_not_use_itself(tmp_path: Path) -> None:
    write(tmp_path, main='use "main.flow" as me\ninput x\nf = x\n')
    with pytest.raises(FlowError) as caught:
        load(tmp_path / "main.flow")
    assert [d.code for d in caught.value.diagnostics] == ["E0215"]


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    write(tmp_path, blocks="block f(x) { return x }\n")
    write(inside, main='use "blocks.flow" as lib\ninput x\ng = lib.f(x)\n')
    (inside / "blocks.flow").symlink_to(tmp_path / "blocks.flow")
    with pytest.raises(FlowError) as caught:
        load(inside / "main.flow")
    assert [d.code for d in caught.value.diagnostics] == ["E0215"]


def test_errors_in_a_used_file_are_told_there(tmp_path: Path) -> None:
    write(
        tmp_path,
        main='use "lib.flow" as lib\ninput x : [4]\nf = lib.f(x)\n',
        lib="block f(x) {\n  return x + linear(x, 5)\n}\n",
    )
    with pytest.raises(FlowError) as caught:
        load(tmp_path / "main.flow")
    (first,) = caught.value.diagnostics
    assert first.span is not None
    assert Path(first.span.source.path).name == "lib.flow"
    assert [Path(at.source.path).name for at, _ in first.labels if "in this call" in _] == ["main.flow"]


# ---------------------------------------------------------------------------------------
# Code


TOWER = (
    RESIDUAL + "input x : [4]\nu = x\nrepeat 3 as h { u = residual(u, 8) }\nf = linear(residual(u, 5), 2)\n"
)


@needs_torch
@pytest.mark.parametrize("level", [0, 1])
def test_a_block_is_a_class_and_a_repeat_a_loop_in_torch(level: int) -> None:
    text = loads(TOWER, "tower.flow").compile("torch", level=level)
    assert text.count("class Residual(nn.Module):") == 1
    assert "self.h = nn.ModuleList(HRound() for _ in range(3))" in text
    assert "for h in self.h:" in text
    assert "class Residual2(nn.Module):" in text  # of another width


@needs_torch
def test_both_targets_have_the_same_names_and_values() -> None:
    diagram = loads(TOWER, "tower.flow")
    ours, theirs = both(diagram, x=np.random.default_rng(0).normal(size=(5, 4)))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@needs_torch
def test_rounds_that_differ_are_written_one_by_one() -> None:
    text = "input x : [4]\nu = x\nrepeat 3 as h { u = (h + 1) * linear(u, 4) }\nf = tanh(u)\n"
    diagram = loads(text, "rounds.flow")
    ours, theirs = both(diagram, x=np.random.default_rng(0).normal(size=(5, 4)))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@needs_torch
def test_a_layer_of_a_block_is_one_module_used_twice() -> None:
    text = RESIDUAL + "layer step = residual(5)\ninput x : [4]\nf = step(step(x))\n"
    diagram = loads(text, "shared.flow")
    emitted = diagram.compile("torch")
    assert emitted.count("self.step = Residual()") == 1
    ours, theirs = both(diagram, x=np.random.default_rng(0).normal(size=(5, 4)))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@needs_torch
def test_names_that_python_keeps_reach_their_modules() -> None:
    block = "block f(x : [d]) { return linear(linear(x, 3), d) }\n"
    diagram = loads(block + "input x : [4]\ny = f(x)\nloss mean(linear(y, 1))\n", "kept.flow")
    ours, theirs = both(diagram, x=np.random.default_rng(0).normal(size=(5, 4)))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_verify_agrees_on_blocks() -> None:
    text = (
        TOWER.replace("f = linear", "target y : [2]\nf = linear")
        + "loss mse(f, y)\ntrain adam(lr=0.01), batch=4\n"
    )
    assert loads(text, "tower.flow").verify(dtypes=["float64"]).ok


@pytest.mark.parametrize("body", ["return split(x, 2)", "n = split(x, 2)\n  return n"])
def test_a_block_may_return_the_several_values_of_an_operation(body: str) -> None:
    diagram = loads(f"input x : [4]\nblock halves(x : [d]) {{\n  {body}\n}}\na, b = halves(x)\noutput b, a\n")
    outputs = diagram.run({"x": [1, 2, 3, 4]}).outputs
    assert outputs["a"].tolist() == [[1, 2]] and outputs["b"].tolist() == [[3, 4]]
    assert diagram.verify().ok


def test_a_block_that_returns_an_lstm_cell_is_called_and_repeated() -> None:
    text = """
input x : [5, 4]
target t
block cell(x, h, c) -> [3], [3] {
  return lstm_cell(x, h, c)
}
block named(x, h, c) {
  n = lstm_cell(x, h, c)
  return n
}
a, b = scan(cell, x, zeros(3), zeros(3))
e, f = scan(named, x, zeros(3), zeros(3))
g, h = cell(x[0], zeros(3), zeros(3))
output a, b, e, f, g
loss mse(sum(a) + sum(f) + sum(h), t)
"""
    diagram = loads(text)
    found = diagram.verify()
    assert found.ok, found.table()
    names = [str(diagram.graph[p].hint) for p in diagram.graph.params]
    assert "a.return.lstm_cell.weight_ih" in names and "e.n.weight_ih" in names
