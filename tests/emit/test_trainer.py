"""The emitted trainers: numpy's `class Trainer` against torch.optim, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from running import HAS_TORCH, execute

from flowgraph.diagram import Diagram, loads
from flowgraph.naming import class_name

NETWORK = """
input x : [3]
target y : class(3)
h = x |> linear(4) |> tanh
z = linear(h, 3)
loss cross_entropy(z, y)
metric accuracy(z, y)
"""

STATEMENTS = [
    "sgd(lr=0.1)",
    "sgd(lr=0.1, momentum=0.9)",
    "sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=0.01)",
    "sgd(lr=0.1, weight_decay=0.1)",
    "adam(lr=0.01)",
    "adam(lr=0.01, betas=[0.8, 0.95], eps=1e-4, weight_decay=0.1)",
    "adamw(lr=0.01)",
    "adamw(lr=0.01, weight_decay=0)",
    "rmsprop(lr=0.01)",
    "rmsprop(lr=0.01, alpha=0.9, eps=1e-3, momentum=0.5, weight_decay=0.1)",
    "adagrad(lr=0.1)",
    "adagrad(lr=0.1, eps=1e-3, weight_decay=0.1)",
    "sgd(lr=constant(0.1))",
    "sgd(lr=staircase(0.1, every=10, factor=0.5))",
    "sgd(lr=cosine(0.1, steps=60, final=0.01))",
    "sgd(lr=warmup(0.1, steps=7))",
    "adam(lr=warmup(cosine(0.02, steps=50), steps=10))",
    "adam(lr=warmup(warmup(staircase(0.02, every=9), steps=5), steps=4))",
    "adam(lr=0.01), clip=0.05",
    "sgd(lr=0.1, momentum=0.5), clip=1000",
    'adamw(lr=0.01), freeze="h.*"',
    'sgd(lr=0.1), freeze="h.linear.weight, z.bias", clip=0.1',
]

needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="PyTorch is not installed")


def network(train: str, text: str = NETWORK) -> Diagram:
    return loads(f"{text}train {train}\n", "net.flow")


def examples(n: int = 20, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(size=(n, 3)), "y": rng.integers(0, 3, n)}


def module(diagram: Diagram, level: int = 1) -> dict[str, Any]:
    return execute(diagram.compile("numpy", level=level, dtype="float64"))


def torch_path(diagram: Diagram, first: dict[str, Any], data: Any, steps: int) -> list[dict[str, np.ndarray]]:
    """The parameters after each step of the emitted torch module."""
    import torch

    space = execute(diagram.compile("torch", dtype="float64"))
    name = class_name(diagram.graph.name)
    model = space[name]()
    model.load_state_dict({n: torch.tensor(np.array(w)) for n, w in first.items()}, strict=True)
    loss_module = space[f"{name}Loss"](model)
    optimizer = space["make_optimizer"](model)
    tensors = {n: torch.tensor(a) for n, a in data.items()}
    path = []
    for _ in range(steps):
        space["train_step"](loss_module, optimizer, **tensors)
        path.append({n: p.detach().numpy().copy() for n, p in model.state_dict().items()})
    return path


@needs_torch
@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("train", STATEMENTS)
def test_a_hundred_steps_equal_those_of_torch_optim(train: str, level: int) -> None:
    diagram, data = network(train), examples()
    space = module(diagram, level)
    first = space["init"](3)
    trainer = space["Trainer"](first)
    for expected in torch_path(diagram, first, data, 100):
        trainer.step(**data)
        for name, value in trainer.params.items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-10, atol=1e-10, err_msg=name)


@needs_torch
def test_a_parameter_that_no_gradient_reaches_stays_in_both_targets() -> None:
    text = """
    input x
    target y
    param a = 2
    param c = 3
    f = a * x
    g = step(c * x) + x
    output f, g
    loss mse(f + 0 * g, y)
    """
    diagram = network("sgd(lr=0.1, weight_decay=0.5)", text)
    data = {"x": np.array([1.0, 2.0]), "y": np.array([1.0, 1.0])}
    space = module(diagram)
    first = space["init"]()
    trainer = space["Trainer"](first)
    path = torch_path(diagram, first, data, 3)
    trainer.run(**data, steps=3)
    assert trainer.params["c"] == 3 == path[-1]["c"]
    np.testing.assert_allclose(trainer.params["a"], path[-1]["a"], rtol=1e-12)


def test_a_step_of_gradient_descent_is_the_one_by_hand() -> None:
    # f = w x, loss (w x - y)^2 of one example: w = 1, x = 2, y = 0 gives loss 4, gradient 2 * 2 * 2 = 8.
    diagram = network("sgd(lr=0.25)", "input x\ntarget y\nparam w = 1\nf = w * x\nloss mse(f, y)\n")
    trainer = module(diagram)["Trainer"]({"w": 1.0})
    assert trainer.step([2.0], [0.0]) == 4.0
    assert trainer.params["w"] == 1 - 0.25 * 8
    assert trainer.step([2.0], [0.0], loss=False) is None


def test_batches_are_those_of_the_design() -> None:
    diagram, data = network("sgd(lr=0.1), epochs=3, batch=8, seed=5"), examples()
    space = module(diagram)
    first = space["init"](0)
    by_hand, losses = space["Trainer"](first), []
    for epoch in range(3):
        order = np.random.default_rng([5, epoch]).permutation(20)
        for start in range(0, 20, 8):
            rows = order[start : start + 8]
            losses.append(by_hand.step(data["x"][rows], data["y"][rows]))
    trainer = space["Trainer"](first)
    np.testing.assert_array_equal(trainer.run(**data), losses)
    assert len(losses) == 9
    for name, value in by_hand.params.items():
        np.testing.assert_array_equal(trainer.params[name], value)


def test_one_batch_of_all_keeps_the_order() -> None:
    diagram, data = network("sgd(lr=0.1), steps=4"), examples()
    space = module(diagram)
    first = space["init"](0)
    by_hand = space["Trainer"](first)
    losses = [by_hand.step(**data) for _ in range(4)]
    np.testing.assert_array_equal(space["Trainer"](first).run(**data), losses)


def test_run_returns_every_log_th_loss() -> None:
    space, data = module(network("sgd(lr=0.1), steps=10")), examples()
    first = space["init"](0)
    every = space["Trainer"](first).run(**data)
    assert len(every) == 10
    np.testing.assert_array_equal(space["Trainer"](first).run(**data, log=4), every[::4])
    assert space["Trainer"](first).run(**data, log=0).size == 0


def test_two_runs_are_one_long_run() -> None:
    space, data = module(network("adam(lr=0.01), batch=8")), examples()
    first = space["init"](0)
    whole, parts = space["Trainer"](first), space["Trainer"](first)
    whole.run(**data, steps=11)
    parts.run(**data, steps=4)
    parts.run(**data, steps=7)
    for name, value in whole.params.items():
        np.testing.assert_array_equal(parts.params[name], value)


def test_a_run_goes_on_from_a_state_kept_in_a_file(tmp_path: Any) -> None:
    space, data = module(network("adam(lr=cosine(0.01, steps=11)), batch=8")), examples()
    first = space["init"](0)
    whole, half = space["Trainer"](first), space["Trainer"](first)
    whole.run(**data, steps=11)
    half.run(**data, steps=4)
    np.savez(tmp_path / "state.npz", **half.state())
    other = space["Trainer"](space["init"](1))
    other.load_state(np.load(tmp_path / "state.npz", allow_pickle=False))
    other.run(**data, steps=7)
    for name, value in whole.params.items():
        np.testing.assert_array_equal(other.params[name], value)


def test_trainers_share_nothing_and_leave_the_given_params_alone() -> None:
    space, data = module(network("sgd(lr=0.1, momentum=0.9)")), examples()
    first = space["init"](0)
    kept = {name: value.copy() for name, value in first.items()}
    one, other = space["Trainer"](first), space["Trainer"](first)
    one.run(**data, steps=3)
    for name, value in kept.items():
        np.testing.assert_array_equal(first[name], value)
        np.testing.assert_array_equal(other.params[name], value)
    view = one.params["z.bias"]
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1


def test_hyperparameters_take_the_place_of_the_statements() -> None:
    data = examples()
    ours = module(network("sgd(lr=0.1, momentum=0.9), batch=4, seed=1"))
    theirs = module(network("sgd(lr=0.2, momentum=0.5), batch=8, seed=2"))
    first = ours["init"](0)
    changed = ours["Trainer"](first, lr=0.2, momentum=0.5, batch=8, seed=2)
    plain = theirs["Trainer"](first)
    np.testing.assert_array_equal(changed.run(**data, epochs=2), plain.run(**data, epochs=2))


def test_without_a_train_statement_it_is_sgd_with_its_defaults() -> None:
    diagram = loads(NETWORK, "net.flow")
    space = module(diagram)
    assert space["Trainer"](space["init"](0))._lr == 0.01


@pytest.mark.parametrize("text", ["input x\nf = x\n", "input x\ntarget y\nf = x\nloss mse(f, y)\n"])
@pytest.mark.parametrize("target", ["numpy", "torch"])
def test_where_nothing_can_learn_there_is_no_trainer(text: str, target: str) -> None:
    emitted = loads(text, "net.flow").compile(target)
    assert "Trainer" not in emitted
    assert "train_step" not in emitted


def test_a_loss_of_params_alone_trains_without_data() -> None:
    diagram = network("sgd(lr=0.25), steps=3", "param w = 4\nloss w^2\n")
    trainer = module(diagram)["Trainer"]({"w": 4.0})
    np.testing.assert_array_equal(trainer.run(), [16.0, 4.0, 1.0])  # w halves: 1 - 2 * 0.25


def test_inputs_may_have_the_names_of_our_variables() -> None:
    names = ["w", "g", "m", "grads", "value", "rows", "n", "k", "i", "group", "warmup", "lr"]
    text = f"input {', '.join(names)}\ntarget batches\nparam a = 1\nf = a * ({' + '.join(names)})\n"
    diagram = network("adam(lr=warmup(0.1, steps=3)), batch=2", text + "loss mse(f, batches)\n")
    rng = np.random.default_rng(0)
    data = {name: rng.normal(size=5) for name in [*names, "batches"]}
    for level in (0, 1):
        space = module(diagram, level)
        losses = space["Trainer"]({"a": 1.0}).run(**data, epochs=2)
        assert len(losses) == 6
        assert np.isfinite(losses).all()
    if HAS_TORCH:
        path = torch_path(diagram, {"a": np.array(1.0)}, data, 2)
        trainer = space["Trainer"]({"a": 1.0}, batch="all")
        trainer.run(**data, steps=2)
        np.testing.assert_allclose(trainer.params["a"], path[-1]["a"], rtol=1e-12)


@needs_torch
def test_the_schedules_count_is_kept_in_the_optimizers_state() -> None:
    import torch

    diagram = network("sgd(lr=staircase(0.1, every=2))")
    space = execute(diagram.compile("torch", dtype="float64"))
    model = space["Net"]()
    optimizer = space["make_optimizer"](model)
    tensors = {name: torch.tensor(array) for name, array in examples().items()}
    for _ in range(3):
        space["train_step"](space["NetLoss"](model), optimizer, **tensors)
    other = space["make_optimizer"](model)
    other.load_state_dict(optimizer.state_dict())
    space["train_step"](space["NetLoss"](model), other, **tensors)
    assert other.param_groups[0]["t"] == 4
    assert other.param_groups[0]["lr"] == pytest.approx(0.01)
