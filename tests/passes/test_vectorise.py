"""Circles to matrices: which circles become layers, that nothing but the speed changes, packed storage."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from flowgraph.diagram import Diagram, loads

SKIPPING = """
input x1, x2, x3
target y
node a1, a2, a3 : tanh
node b1, b2 : sigmoid
node c
x1, x2, x3 -> a1, a2, a3
1 -> a1, a2
1 -[0.25]-> a3
a1, a2, a3 -> b1, b2
x1 -> b1
x2 -[0.5]-> b2
a1, b1, b2 -> c
x3 -[-2]-> c
loss mse(c, y)
train sgd(lr=0.1, momentum=0.9), steps=5, batch=2
"""
"""Skip connections, fixed and trainable weights in one layer, a circle without an activation."""

SHARED = """
input x : [4]
target y : [2]
node h1, h2 : tanh
x[0], x[1] -[w]-> h1
x[2], x[3] -[w]-> h2
x[0] -[v]-> h2
1 -[b]-> h1, h2
z = [h1, h2]
loss mse(z, y)
loss decay = 0.01 * v ^ 2
train adam(lr=0.05), steps=5, batch=2
"""
"""One weight on several wires, and one that another statement reads too."""

TWICE = """
input x1, x2
target y
node h1, h2, h3 : relu
x1 -[u]-> h1
x1 -[2]-> h1
x1, x2 -> h2, h3
x2 -[0.5]-> h1
p = 0.5 * h1 - 2 * h2 + h3
q = tanh(h1 + p)
r = tanh(h2 - p)
loss (q * r - y) ^ 2
output q, h1.xi
train rmsprop(lr=0.01), steps=5, batch=2
"""
"""Two wires between the same circles, equations among circles, a product of circles."""

UNEVEN = """
input x1, x2, x3
target y
node a1, a2 : tanh
node b : sigmoid
node u1, u2 : tanh
x1, x2 -> a1, a2
x1 -> b
a1, a2, x3 -> u1
b, x3 -> u2
p = u2 * x1
q = u1 + p
output q, u2
loss (q - y) ^ 2
train sgd(lr=0.1), steps=4, batch=2
"""
"""A layer over another layer and over a circle that stays single, one circle of it in a product."""

REPEATED = """
input x1, x2, x : [2]
target y
a = tanh(0.5 * x1 - x[0] + x2)
b = tanh(x[1] * x1)
c = tanh(x[0] - x1 - x[1] + 0.5 * x2)
d = tanh(x[-1] * x[0])
output a, c
loss (a + b + c + d - y) ^ 2
param w = 0.5
loss (w * a) ^ 2
train sgd(lr=0.1), steps=4, batch=2
"""
"""Entries of a vector that are taken from it in several places, from either end."""

PROGRAMS = {"repeated": REPEATED, "uneven": UNEVEN, "skipping": SKIPPING, "shared": SHARED, "twice": TWICE}


def run(text: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(compile(text, "emitted", "exec"), namespace)
    return namespace


def batch(diagram: Diagram, count: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    graph = diagram.graph
    names = [*graph.inputs, *graph.targets]
    return [rng.normal(size=(count, *(s.value for s in graph[n].type.shape))) for n in names]


def ops(diagram: Diagram, function: str = "") -> list[str]:
    return sorted(node.op.name for node in diagram.written(1, function))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROGRAMS)
def test_values_and_gradients_are_those_of_single_circles(name: str) -> None:
    diagram = loads(PROGRAMS[name])
    assert {"matmul"} & set(ops(diagram))
    single, layered = (run(diagram.compile(level=level, dtype="float64")) for level in (0, 1))
    params, given = single["init"](3), batch(diagram)
    assert list(layered["PARAMS"]) == list(single["PARAMS"]) == list(params)
    inputs = given[: len(diagram.graph.inputs)]
    for a, b in zip(single["forward"](params, *inputs), layered["forward"](params, *inputs), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-14)
    loss, grads = single["loss_and_grad"](params, *given)
    again, same = layered["loss_and_grad"](params, *given)
    assert again == pytest.approx(loss, rel=1e-12) and list(same) == list(params)
    for key, value in grads.items():
        assert np.shape(same[key]) == np.shape(params[key])
        np.testing.assert_allclose(same[key], value, rtol=1e-11, atol=1e-13, err_msg=key)


@pytest.mark.parametrize("name", PROGRAMS)
def test_trainers_agree_and_exchange_names(name: str) -> None:
    diagram = loads(PROGRAMS[name])
    single, layered = (run(diagram.compile(level=level, dtype="float64")) for level in (0, 1))
    params, given = single["init"](3), batch(diagram, 6)
    ours, theirs = layered["Trainer"](params), single["Trainer"](params)
    np.testing.assert_allclose(ours.run(*given), theirs.run(*given), rtol=1e-10)
    assert list(ours.params) == list(theirs.params)
    assert list(ours.state()) == list(theirs.state())
    for key, value in theirs.state().items():
        np.testing.assert_allclose(ours.state()[key], value, rtol=1e-9, atol=1e-12, err_msg=key)
    for view in ours.params.values():
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 0
    fresh = layered["Trainer"](params)
    fresh.load_state(ours.state())
    np.testing.assert_array_equal(fresh.run(*given), ours.run(*given))


def random_drawing(draws: random.Random) -> str:
    """Columns of circles, equations and products of what stands before them."""
    names, nodes, lines = ["x1", "x2", "x[0]", "x[1]"], [], []
    for column in range(draws.randint(1, 4)):
        fresh = [f"h{column}_{k}" for k in range(draws.randint(1, 4))]
        for name in fresh:
            sources = draws.sample(names, draws.randint(1, 4))
            kind = draws.random()
            if kind < 0.6:
                nodes.append(f"node {name}{draws.choice([' : tanh', ' : sigmoid', ''])}")
                weights = ("->", "-[0.5]->", "-[-2]->", "-[w]->")
                lines += [f"{s} {draws.choice(weights)} {name}" for s in sources]
                lines += [f"1 {draws.choice(('->', '-[0.25]->'))} {name}"] * draws.randint(0, 1)
            elif kind < 0.8:
                total = " + ".join(f"{draws.choice((0.5, -1, 2))} * {s}" for s in sources)
                lines.append(f"{name} = {draws.choice(('tanh', 'sigmoid', 'square', ''))}({total})")
            else:
                lines.append(f"{name} = tanh({sources[0]} * {sources[-1]})")
        names += fresh
    head = ["input x1, x2, x : [2]", "target y", "param w = 0.3", *nodes, *lines]
    loss = " + ".join(f"tanh({n})" for n in names[4:])
    return "\n".join([*head, f"output {', '.join(names[-2:])}", f"loss ({loss} + w - y) ^ 2"]) + "\n"


@pytest.mark.filterwarnings("ignore")
def test_random_drawings_are_what_their_circles_say() -> None:
    found = 0
    for seed in range(60):
        diagram = loads(random_drawing(random.Random(seed)))
        found += "matmul" in ops(diagram)
        single, layered = (run(diagram.compile(level=level, dtype="float64")) for level in (0, 1))
        params, given = single["init"](1), batch(diagram)
        loss, grads = single["loss_and_grad"](params, *given)
        again, same = layered["loss_and_grad"](params, *given)
        assert again == pytest.approx(loss, rel=1e-10), seed
        for key, value in grads.items():
            np.testing.assert_allclose(same[key], value, rtol=1e-8, atol=1e-9, err_msg=f"{seed} {key}")
    assert found > 10


def test_xor_is_two_matrix_products() -> None:
    text = "input x1, x2\nh1 = step(0.5 - x1 - x2)\nh2 = step(x1 + x2 - 1.5)\nf = step(0.5 - h1 - h2)\n"
    code = loads(text).compile()
    assert code.count(" @ ") == 2
    table = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]).T
    np.testing.assert_array_equal(run(code)["forward"]({}, *table), [0, 1, 1, 0])


def hand_drawn(inputs: int, hidden: int, outputs: int) -> str:
    """A network of which every circle and wire is drawn by itself."""
    x, h, o = ([f"{n}{i}" for i in range(k)] for n, k in (("x", inputs), ("h", hidden), ("o", outputs)))
    x = [f"x[{i}]" for i in range(inputs)]
    return (
        f"input x : [{inputs}]\ntarget y : class({outputs})\n"
        f"node {', '.join(h)} : tanh\nnode {', '.join(o)}\n"
        f"1, {', '.join(x)} -> {', '.join(h)}\n1, {', '.join(h)} -> {', '.join(o)}\n"
        f"z = [{', '.join(o)}]\nloss cross_entropy(z, y)\n"
    )


LAYERED = (
    "input x : [{0}]\ntarget y : class({2})\nnode h[{1}] : tanh\nnode o[{2}]\n1, x -> h\n1, h -> o\n"
    + ("loss cross_entropy(o, y)\n")
)


def test_a_drawing_of_single_wires_is_the_layers_that_it_draws() -> None:
    """64-32-10: 2,410 trainable wires, and not one operation more than the file of three lines."""
    drawn, layered = loads(hand_drawn(64, 32, 10)), loads(LAYERED.format(64, 32, 10))
    assert len(drawn.graph.params) == 2410
    assert set(ops(drawn, "loss_and_grad")) - set(ops(layered, "loss_and_grad")) <= {"identity", "add"}
    made, wanted = (d.written(1, "loss_and_grad") for d in (drawn, layered))
    assert abs(len(made) - len(wanted)) <= 1
    assert len(made.params) == len(wanted.params) == 4


def test_packed_gradients_reach_every_wire() -> None:
    code = run(loads(hand_drawn(3, 2, 2)).compile(dtype="float64"))
    assert code["PACKED"]["W_h"] == [
        ["w_x_0_h0", "w_x_1_h0", "w_x_2_h0"],
        ["w_x_0_h1", "w_x_1_h1", "w_x_2_h1"],
    ]
    params = code["init"](0)
    rng = np.random.default_rng(0)
    given = rng.normal(size=(5, 3)), rng.integers(0, 2, 5)
    _, grads = code["loss_and_grad"](params, *given)
    assert list(grads) == list(params)
    for key in params:
        moved = [params | {key: params[key] + d} for d in (1e-6, -1e-6)]
        slope = np.subtract(*(code["loss"](p, *given) for p in moved)) / 2e-6
        assert grads[key] == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_frozen_wires_are_not_packed() -> None:
    """A frozen weight stays as it is, so it cannot lie in an array that is updated as a whole."""
    text = hand_drawn(3, 2, 2) + 'train sgd(lr=0.1), steps=3, batch=2, freeze="w_x_0_h0"\n'
    code = run(loads(text).compile())
    params = code["init"](0)
    trainer = code["Trainer"](params)
    rng = np.random.default_rng(0)
    trainer.run(rng.normal(size=(4, 3)), rng.integers(0, 2, 4))
    assert trainer.params["w_x_0_h0"] == params["w_x_0_h0"]
    assert trainer.params["w_x_1_h0"] != params["w_x_1_h0"]


def test_thin_drawings_and_single_circles_stay_as_they_are() -> None:
    """Forty circles of two wires each would be a matrix of zeros."""
    wires = "".join(f"x[{i}], x[{(i + 1) % 40}] -> h{i}\n" for i in range(40))
    thin = f"input x : [40]\nnode {', '.join(f'h{i}' for i in range(40))} : tanh\n{wires}"
    outputs = f"output {', '.join(f'h{i}' for i in range(40))}\n"
    assert "matmul" not in ops(loads(thin + outputs))
    assert "matmul" not in ops(loads("input x1, x2\nnode f : step\n1, x1, x2 -> f\noutput f\n"))


def test_results_are_no_circles() -> None:
    """Sums of losses, and differences from targets, are said as they are written."""
    text = """
input x : [3]
target y : [2]
h = linear(x, 2)
a = mean(square(h))
b = sum(abs(h))
loss first = a
loss second = 2 * a + b
metric both = a - b
e = h[0] - y[0]
f = h[1] - y[1]
loss third = e ^ 2 + f ^ 2
"""
    assert not {"assemble", "matmul"} & set(ops(loads(text)))


def test_parts_that_share_nothing_are_layers_of_their_own() -> None:
    text = (
        "input a : [3], b : [3]\nnode u1, u2, v1, v2 : tanh\na[0], a[1], a[2] -> u1, u2\n"
        "b[0], b[1], b[2] -> v1, v2\noutput u1, u2, v1, v2\n"
    )
    code = loads(text).compile()
    assert code.count(" @ ") == 2 and "concatenate" not in code


def test_the_only_circle_of_a_layer_is_read_as_itself() -> None:
    text = (
        "input a\nnode z[1] : sigmoid\na -> z[0]\nnode p, q : tanh\nz[0] -[2]-> p\nz[0] -[3]-> q\n"
        "f = p + q\noutput f\n"
    )
    code = run(loads(text).compile())
    a = np.linspace(-2, 2, 5)
    z = 1 / (1 + np.exp(-0.5 * a))
    found = code["forward"]({"w_a_z_0": 0.5}, a)
    assert found == pytest.approx(np.tanh(2 * z) + np.tanh(3 * z), rel=1e-6)
