"""Layers of circles with few wires: lists of wires in place of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from running import execute

from flowgraph.diagram import Diagram, loads

COUNT = 60


def drawing(weight: Any, fan: int = 2, *, skip: bool = False, seed: int = 3) -> Diagram:
    """Levels of circles, each wired to `fan` of those below; weight: what stands in an arrow's brackets."""
    rng = np.random.default_rng(seed)
    lines = [f"input x : [{COUNT}]", "target y"]
    before = every = [f"x[{i}]" for i in range(COUNT)]
    for level in range(2):
        here = [f"h{level}_{i}" for i in range(COUNT)]
        lines.append(f"node {', '.join(here)} : tanh")
        for circle in here:
            pool = every if skip else before
            for place in rng.choice(len(pool), fan, replace=False):
                lines.append(f"{pool[place]} {weight(rng)} {circle}")
            lines.append(f"1 {weight(rng)} {circle}")
        before, every = here, every + here
    outputs = ", ".join(before)
    lines += ["node f", *(f"{c} -[1]-> f" for c in before[:5]), f"output f, {outputs}", "loss mse(f, y)"]
    return loads("\n".join(lines) + "\n", "sparse.flow")


def number(rng: np.random.Generator) -> str:
    return f"-[{rng.normal():.3f}]->"


def fresh(rng: np.random.Generator) -> str:
    return "->"


def mixed(rng: np.random.Generator) -> str:
    return [number(rng), "->", "-[shared]->"][int(rng.integers(3))]


def agree(diagram: Diagram) -> str:
    """Hold -O1 against -O0, values and gradients by name; returns the text of -O1."""
    texts = [diagram.compile(dtype="float64", level=level) for level in (0, 1)]
    slow, quick = map(execute, texts)
    rng = np.random.default_rng(0)
    params = {n: rng.normal(size=s) for n, s in slow["PARAMS"].items()}
    x, y = rng.normal(size=(6, COUNT)), rng.normal(size=6)
    for a, b in zip(slow["forward"](params, x), quick["forward"](params, x), strict=True):
        assert b == pytest.approx(a, rel=1e-12, abs=1e-12)
    (loss, grads), (fast, found) = (m["loss_and_grad"](params, x, y) for m in (slow, quick))
    assert fast == pytest.approx(loss)
    assert list(found) == list(grads) == list(params)
    for name, gradient in grads.items():
        assert found[name] == pytest.approx(gradient, rel=1e-9, abs=1e-12), name
    return texts[1]


@pytest.mark.parametrize("weight", [number, fresh, mixed])
@pytest.mark.parametrize("skip", [False, True])
def test_thin_layers_are_lists_of_wires_that_compute_the_same(weight: Any, skip: bool) -> None:
    text = agree(drawing(weight, skip=skip))
    forward = text.partition("def forward")[2].partition("def loss")[0]
    assert 2 <= forward.count("wired(") <= 3  # some circles that skip a level lie lower than the others
    assert 2 <= forward.count("tanh(") <= 3


def test_every_weight_keeps_its_name_in_a_trainer() -> None:
    diagram = drawing(fresh)
    module = execute(diagram.compile(dtype="float64"))
    params = module["init"]()
    trainer = module["Trainer"](params)
    trainer.step(np.ones((2, COUNT)), np.ones(2))
    assert list(trainer.params) == list(params)
    moved = [name for name in params if trainer.params[name] != params[name]]
    assert "w_h1_0_f" not in params and any(name.startswith("w_x_") for name in moved)


def test_circles_of_one_wire_each_are_one_list() -> None:
    """Nothing holds them together but their depth: a thousand products would do the work of one."""
    names = [f"h{i}" for i in range(80)]
    wires = "".join(f"x[{i}] -[{i + 1}]-> {name}\n" for i, name in enumerate(names))
    diagram = loads(f"input x : [80]\nnode {', '.join(names)} : relu\n{wires}")
    text = diagram.compile(dtype="float64")
    assert text.partition("def forward")[2].partition("\ndef ")[0].count("wired(") == 1
    found = execute(text)["forward"]({}, np.ones((1, 80)))
    assert [float(value[0]) for value in found] == list(range(1, 81))


def test_dense_layers_stay_matrices() -> None:
    names = [f"h{i}" for i in range(20)]
    xs = ", ".join(f"x[{i}]" for i in range(20))
    diagram = loads(f"input x : [20]\nnode {', '.join(names)} : tanh\n{xs} -> {', '.join(names)}\n")
    text = diagram.compile()
    assert "wired" not in text and "x @ W_h.T" in text


def test_a_few_wires_past_a_dense_layer_are_a_list_beside_its_matrix() -> None:
    rng = np.random.default_rng(0)
    width = 30
    text = f"input x : [{width}]\ntarget y\n"
    layers = [[f"{letter}{i}" for i in range(width)] for letter in "abc"]
    for names, below in zip(layers, [[f"x[{i}]" for i in range(width)], *layers], strict=False):
        text += f"node {', '.join(names)} : tanh\n{', '.join(below)} -> {', '.join(names)}\n"
    skips = rng.choice(width * width, 40, replace=False)
    text += "".join(f"a{s % width} -> c{s // width}\n" for s in skips)
    text += f"loss mse(c0, y)\noutput {', '.join(layers[2])}\n"
    made = loads(text).compile(dtype="float64")
    forward = made.partition("def forward")[2].partition("def loss")[0]
    assert forward.count("wired(") == 1 and forward.count(" @ ") == 3
