"""Training mode, random draws and running statistics, in the simulator and in both targets."""

from __future__ import annotations

import importlib.util
import inspect
from typing import Any

import numpy as np
import pytest
from mode_cases import BATCHNORM, BLOCKS, DROPOUT, RECURRENT, SAMPLING, data, module, rng

from flowgraph.diagram import Diagram, loads
from flowgraph.execute import execute
from flowgraph.passes.simulate import mode_values, simulate

has_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")

# ---------------------------------------------------------------------------------------
# The interface


def test_files_without_training_mode_have_no_further_arguments():
    space = module("input x : [3]\ntarget y : [2]\nz = x |> linear(2)\noutput z\nloss mse(z, y)\n")
    assert list(inspect.signature(space["loss_and_grad"]).parameters) == ["params", "x", "y"]
    assert "BUFFERS" not in space and "buffers" not in inspect.signature(space["Trainer"]).parameters


@pytest.mark.parametrize("level", [0, 1])
def test_every_function_takes_train_and_rng(level):
    extras = ("jvp", "hvp", "per_example_grad")
    space = module(DROPOUT, level, extras=extras)
    defaults = {
        function: inspect.signature(space[function]).parameters["train"].default
        for function in ("forward", "loss", "metrics", "loss_and_grad", *extras, "Trainer")
    }
    assert defaults == {
        "forward": False, "loss": False, "metrics": False, "loss_and_grad": True,
        "jvp": True, "hvp": True, "per_example_grad": True, "Trainer": True,
    }  # fmt: skip
    assert all(inspect.signature(space[f]).parameters["rng"].default is None for f in ("forward", *extras))


def test_buffers_are_listed_and_passed():
    space = module(BATCHNORM)
    assert space["BUFFERS"] == {"h.running_mean": (3,), "h.running_var": (3,)}
    assert {n: b.tolist() for n, b in space["init_buffers"]().items()} == {
        "h.running_mean": [0, 0, 0], "h.running_var": [1, 1, 1],
    }  # fmt: skip
    with pytest.raises(TypeError, match="buffers"):
        space["forward"](space["init"](), data(3, 3, 2))


def test_what_is_random_asks_for_a_generator():
    dropout, sampling = module(DROPOUT), module(SAMPLING)
    x, y = data(3, 4), data(3, 2)
    params = dropout["init"]()
    assert np.isfinite(dropout["loss"](params, x, y))
    with pytest.raises(ValueError, match=r"rng is needed, a numpy.random.Generator: dropout"):
        dropout["loss_and_grad"](params, x, y)
    with pytest.raises(ValueError, match=r"rng is needed.*normal"):
        sampling["forward"](sampling["init"](), x)


@pytest.mark.parametrize("text", [DROPOUT, SAMPLING])
def test_functions_draw_the_same_from_the_same_generator(text):
    space = module(text, extras=("jvp",))
    x = data(5, 4)
    given = (x, data(5, 2)) if text is DROPOUT else (x,)
    params = space["init"]()
    found = {space["loss"](params, *given, train=True, rng=rng()) for _ in range(2)}
    found.add(space["loss_and_grad"](params, *given, rng=rng())[0])
    found.add(space["jvp"](params, params, *given, rng=rng())[0])
    assert max(found) - min(found) < 1e-14
    assert space["loss"](params, *given, train=True, rng=rng(6)) not in found
    stream = rng()
    first, second = (space["loss"](params, *given, train=True, rng=stream) for _ in range(2))
    assert first != second


def test_functions_change_nothing_that_they_are_given():
    space = module(BLOCKS, extras=("jvp", "hvp"))
    x, y, params, buffers = data(4, 3, 4), data(4, 2), space["init"](), space["init_buffers"]()
    before = [a.copy() for a in (x, y, *params.values(), *buffers.values())]
    for function in ("loss", "loss_and_grad"):
        space[function](params, x, y, buffers=buffers, train=True, rng=rng())
    for function in ("jvp", "hvp"):
        space[function](params, params, x, y, buffers=buffers, rng=rng())
    after = [x, y, *params.values(), *buffers.values()]
    assert all(np.array_equal(a, b) for a, b in zip(after, before, strict=True))


# ---------------------------------------------------------------------------------------
# Draws


def drawn(text: str, count: int, **options: Any) -> np.ndarray:
    space = module(text)
    return np.asarray(space["forward"]({}, np.ones((count, 500)), rng=rng(), **options))


def test_dropout_keeps_as_many_as_it_says_and_scales_them():
    found = drawn("input x : [500]\nh = dropout(x, 0.3)\noutput h\n", 400, train=True)
    assert set(np.unique(found)) == {0, 1 / 0.7}
    assert abs((found != 0).mean() - 0.7) < 4 * np.sqrt(0.21 / found.size)
    rows = (found != 0).astype(float)
    assert abs(np.corrcoef(rows[0], rows[1])[0, 1]) < 0.2  # each example loses its own


def test_dropout_does_nothing_outside_training():
    text = "input x : [500]\nh = dropout(x, 0.3)\noutput h\n"
    assert np.array_equal(drawn(text, 3), np.ones((3, 500)))
    assert np.array_equal(drawn(text.replace("0.3", "0"), 3, train=True), np.ones((3, 500)))
    assert np.array_equal(drawn(text.replace("0.3", "1"), 3, train=True), np.zeros((3, 500)))


def test_two_dropouts_drop_different_entries():
    text = "input x : [500]\na = dropout(x, 0.5)\nb = dropout(x, 0.5)\nh = a * b\noutput h\n"
    assert abs((drawn(text, 50, train=True) != 0).mean() - 0.25) < 0.02


def test_dropout_of_a_parameter_is_another_for_each_example():
    text = "input x : [3]\nparam W : [3] = ones()\nh = x * dropout(W, 0.5)\noutput h\n"
    space = module(text)
    found = space["forward"](space["init"](), np.ones((64, 3)), train=True, rng=rng())
    assert 0.3 < (found != 0).mean() < 0.7 and len(np.unique(found, axis=0)) > 4


@pytest.mark.parametrize(
    ("call", "mean", "std"),
    [("normal([500])", 0, 1), ("normal([500], std=3)", 0, 3), ("uniform([500], -1, 5)", 2, np.sqrt(3))],
)
def test_random_creators_have_the_moments_they_say(call, mean, std):
    found = drawn(f"input x : [500]\nh = x * 0 + {call}\noutput h\n", 200)
    assert abs(found.mean() - mean) < 4 * std / np.sqrt(found.size)
    assert abs(found.std() - std) < 0.02 * std
    assert abs(np.corrcoef(found[0], found[1])[0, 1]) < 0.2


def test_without_inputs_there_is_one_draw_a_call():
    space = module("param W : [3, 2] = ones()\nz = W @ normal([2])\noutput z\n")
    first, again, other = (space["forward"](space["init"](), rng=rng(s)) for s in (1, 1, 2))
    assert first.shape == (3,) and np.array_equal(first, again) and not np.array_equal(first, other)


def test_each_step_of_a_scan_draws_its_own():
    text = """
    block step(x, h) { return dropout(h, 0.5) + 0 * sum(x) }
    input x : [40, 1]
    h = scan(step, x, ones([200]))
    output h
    """
    found = module(text)["forward"]({}, np.zeros((1, 40, 1)), train=True, rng=rng())[0]
    kept = (found != 0).mean(axis=1)
    assert kept[0] == pytest.approx(0.5, abs=0.15) and kept[3] < 0.15 and kept[-1] == 0


def test_the_simulator_draws_what_the_emitted_code_draws():
    diagram = loads(SAMPLING)
    x = data(6, 4)
    found = diagram.run({"x": x}, seed=7)
    space = execute(diagram.compile("numpy", dtype="float64"))
    outputs = space["forward"](space["init"](7), x, rng=np.random.default_rng(7))
    assert all(np.allclose(a, b, rtol=1e-14) for a, b in zip(found.outputs.values(), outputs, strict=True))


# ---------------------------------------------------------------------------------------
# Derivatives


def slopes(space: dict[str, Any], params: dict[str, Any], *given: Any, **modes: Any) -> dict[str, np.ndarray]:
    """Central differences of the loss, with the same draws at both ends."""
    found = {}
    for name, array in params.items():
        found[name] = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = {**params, name: array.copy()}
                moved[name][index] += step
                ends.append(space["loss"](moved, *given, rng=rng(), **modes))
            found[name][index] = (ends[0] - ends[1]) / 2e-6
    return found


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("text", [DROPOUT, BATCHNORM, SAMPLING, BLOCKS, RECURRENT])
def test_the_gradient_is_the_slope_with_the_same_draws(text, train):
    space = module(text)
    shape = {DROPOUT: (4,), SAMPLING: (4,), BATCHNORM: (3, 2), BLOCKS: (3, 4), RECURRENT: (3, 2)}[text]
    targets = {SAMPLING: (), RECURRENT: (data(3, seed=1),)}.get(text, (data(3, 2, seed=1),))
    given = (data(3, *shape), *targets)
    modes: dict[str, Any] = {"train": train}
    if "BUFFERS" in space:
        modes["buffers"] = {n: b + 0.3 for n, b in space["init_buffers"]().items()}
    params = {n: a + 0.1 for n, a in space["init"]().items()}
    found = space["loss_and_grad"](params, *given, rng=rng(), **modes)
    want = slopes(space, params, *given, **modes)
    for name, gradient in found[1].items():
        assert np.broadcast_to(gradient, params[name].shape) == pytest.approx(want[name], abs=2e-8), name
    assert len(found) == (3 if train and "BUFFERS" in space else 2)


@has_torch
@pytest.mark.parametrize(
    "text",
    [DROPOUT, BATCHNORM, SAMPLING, pytest.param(BLOCKS, marks=pytest.mark.slow), RECURRENT],
    ids=range(5),
)
def test_verify_finds_all_engines_agreed(text):
    found = loads(text).verify(dtypes=("float64",))
    assert found.ok, found.table()
    compared = {row.quantity for row in found.rows if row.status == "ok"}
    assert {"outputs", "gradient", "gradient written out", "hvp", "parameters after 5 steps"} <= compared
    assert ("buffers" in compared) == ("batchnorm" in text)


# ---------------------------------------------------------------------------------------
# The torch target


def torch_model(diagram: Diagram, dtype: str = "float64") -> Any:
    space = execute(diagram.compile("torch", dtype=dtype), "emitted_torch")
    return space["Diagram"]()


@has_torch
def test_torch_uses_its_own_layers_and_names():
    import torch

    text = loads(BLOCKS).compile("torch")
    assert "nn.BatchNorm1d(3)" in text and "nn.Dropout(0.25)" in text and "torch.rand(" in text
    assert "key" not in text and "for b in self.b:" in text
    model = torch_model(loads(BLOCKS))
    space = module(BLOCKS)
    names = [n for n in model.state_dict() if not n.endswith("num_batches_tracked")]
    assert sorted(names) == sorted([*space["PARAMS"], *space["BUFFERS"]])
    values = {**space["init"](), **space["init_buffers"]()}
    model.load_state_dict({n: torch.tensor(v) for n, v in values.items()}, strict=True)


@has_torch
def test_torch_drops_in_training_only():
    import torch

    model = torch_model(loads("input x : [500]\nh = dropout(x, 0.3)\noutput h\n"))
    x = torch.ones(40, 500, dtype=torch.float64)
    assert torch.equal(model.eval()(x), x)
    torch.manual_seed(0)
    found = model.train()(x)
    assert abs((found != 0).double().mean().item() - 0.7) < 0.02


@has_torch
@pytest.mark.parametrize(
    "text", [pytest.param(DROPOUT, marks=pytest.mark.slow), BATCHNORM, SAMPLING, BLOCKS], ids=range(4)
)
def test_the_torch_module_compiles_as_a_whole_and_exports(text):
    import torch

    diagram = loads(text)
    model = torch_model(diagram, "float32")
    shape = {"x": {DROPOUT: (4,), SAMPLING: (4,), BATCHNORM: (3, 2), BLOCKS: (3, 4)}[text]}
    x = torch.tensor(data(5, *shape["x"]), dtype=torch.float32)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    for mode in (True, False):
        model.train(mode)
        torch.manual_seed(3)
        want = model(x)
        torch.manual_seed(3)
        got = compiled(x)
        several = want if isinstance(want, tuple) else (want,)
        for a, b in zip(several, got if isinstance(got, tuple) else (got,), strict=True):
            assert a.shape == b.shape and (text is SAMPLING or torch.allclose(a, b, atol=1e-5))
    torch.export.export(model.eval(), (x,))


# ---------------------------------------------------------------------------------------
# Graphs


@pytest.mark.parametrize("text", [DROPOUT, BATCHNORM, SAMPLING, BLOCKS], ids=range(4))
def test_the_text_form_reads_back(text):
    import flowgraph.ops as ops
    from flowgraph.text import parse_graph, print_graph

    for graph in (loads(text).graph, loads(text).batched(), loads(text).differentiated()):
        printed = print_graph(graph)
        assert print_graph(parse_graph(printed, ops)) == printed


def test_nothing_can_be_drawn_without_a_key():
    graph = loads(SAMPLING).batched()
    values = {name: np.zeros([4 if d.value is None else d.value for d in graph[name].type.shape])
              for name in (*graph.inputs, *graph.params)}  # fmt: skip
    with pytest.raises(ValueError, match="normal needs a key"):
        simulate(graph, values)
    known = simulate(graph, values | mode_values(graph, rng=rng()))
    assert known["z"].shape == (4, 2)


def test_equations_say_what_is_random():
    said = loads(DROPOUT).explain(backward=True)
    assert "dropout_mask(" in said and "key" not in said and "train" not in said
    assert "h = dropout(h₁, p=0.4)" in loads(DROPOUT).explain()
