"""What a `Trainer` of -O2 takes and holds: any arrays, labels in range, sizes that change, any names."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from planned import assert_trains_alike, batch, close, emitted, held, same_held, small
from running import ROOT, execute

from flowgraph.diagram import Diagram, loads
from flowgraph.errors import FlowError

DOUBTFUL = {"tolerance": 1e-10}
"""Where an optimiser divides by a root of squared gradients, it magnifies the rounding of small ones."""

NETWORK = """
input x : [3]
target y : class(3)
h = x |> linear(4) |> tanh
z = linear(h, 3)
loss cross_entropy(z, y)
"""

STATEMENTS = [
    "sgd(lr=0.1)",
    "sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=0.01)",
    "adam(lr=0.01, betas=[0.8, 0.95], eps=1e-4, weight_decay=0.1)",
    "rmsprop(lr=0.01, alpha=0.9, eps=1e-3, momentum=0.5, weight_decay=0.1)",
    "adagrad(lr=0.1)",
    "adam(lr=warmup(warmup(staircase(0.02, every=9), steps=5), steps=4))",
    "sgd(lr=cosine(0.1, steps=6, final=0.01))",
    "adam(lr=0.01), clip=0.05",
    'adamw(lr=0.01), freeze="{f}"',
    'sgd(lr=0.1), freeze="{f}", clip=0.1',
]


def network(train: str, text: str = NETWORK) -> Diagram:
    return loads(f"{text}train {train}\n", "net.flow")


def alike(diagram: Diagram, **how: Any) -> None:
    assert_trains_alike(emitted(diagram, 2), emitted(diagram, 1), diagram, **how)


MIXED = """
input x : [3], s, k : class(4), m : bool
target y : class(3)
h = x * s |> linear(4) |> tanh
z = linear(h + take(eye(4), k), 3) + where(m, 1, 0)
loss cross_entropy(z, y)
train sgd(lr=0.1, momentum=0.9)
"""

GIVEN = {
    "lists": lambda a: a.tolist(),
    "in Fortran's order": np.asfortranarray,
    "every other row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "backwards": lambda a: a[::-1],
    "in single precision": lambda a: a.astype("f4") if a.dtype.kind == "f" else a,
    "in few bytes": lambda a: a.astype("u1") if a.dtype.kind == "i" else a,
    "one row for all": lambda a: np.broadcast_to(a[:1], a.shape),
}


@pytest.mark.parametrize("how", GIVEN)
def test_whatever_numpy_makes_an_array_of_is_taken(how: str) -> None:
    diagram = loads(MIXED, "mixed.flow")
    data = {name: GIVEN[how](a) for name, a in batch(diagram, 6).items()}
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        fast, plain = (emitted(diagram, level, dtype=dtype)["Trainer"] for level in (2, 1))
        first = emitted(diagram, 1)["init"](0)
        one, other = fast(first), plain(first)
        for _ in range(2):
            close(one.step(**data), other.step(**data), "loss", tolerance)
            close(one.run(**data, steps=2), other.run(**data, steps=2), "losses", tolerance)
            same_held(one, other, "state", tolerance)


def test_what_is_given_is_never_written_to() -> None:
    """Not even where numpy would let it be: arrays that may be written to stay as they are too."""
    for name in ("cubic", "mlp_2_3_2", "digits", "contractive", "vae"):
        diagram = small(name)
        for dtype in ("float64", "float32"):
            data = batch(diagram, 6)
            data = {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in data.items()}
            kept = {n: a.copy() for n, a in data.items()}
            trainer = emitted(diagram, 2, dtype=dtype)["Trainer"](emitted(diagram, 1)["init"](0))
            trainer.step(**data)
            trainer.run(**data, steps=3)
            assert all(np.array_equal(data[n], kept[n]) for n in data), name
            for array in data.values():
                array.flags.writeable = False
            trainer.step(**data)
            trainer.run(**data, steps=3)


def test_an_empty_batch_does_what_it_does_at_level_1() -> None:
    alike(loads(MIXED, "mixed.flow"), counts=(5, 0, 5, 0))
    alike(small("mlp_2_3_2"), counts=(0, 5))


def test_batches_of_every_size_work_and_few_plans_are_kept() -> None:
    diagram = network("adam(lr=0.01)")
    fast, plain = emitted(diagram, 2), emitted(diagram, 1)
    first = plain["init"](0)
    one, other = fast["Trainer"](first), plain["Trainer"](first)
    for count in (5, 1, 9, 3, 7, 2, 5, 64, 0, 1, 5):
        data = batch(diagram, count)
        close(one.step(**data), other.step(**data), f"{count} examples")
        same_held(one, other, f"{count} examples", 1e-10)
        assert len(one._plans) <= 4


def test_lengths_that_come_with_the_data_may_change() -> None:
    diagram = small("lstm_chars")
    fast, plain = emitted(diagram, 2), emitted(diagram, 1)
    first = plain["init"](0)
    one, other = fast["Trainer"](first), plain["Trainer"](first)
    for count, size in ((3, 4), (3, 2), (2, 4), (3, 7), (5, 1), (3, 4)):
        data = batch(diagram, count, size=size)
        close(one.step(**data), other.step(**data), f"{count} of {size}", 1e-10)
        same_held(one, other, f"{count} of {size}", 1e-10)


@pytest.mark.parametrize(("name", "label"), [("y", 3), ("y", -1), ("y", -(2**62)), ("k", 4), ("k", 2**62)])
def test_labels_out_of_range_are_refused_before_anything_changes(name: str, label: int) -> None:
    diagram = loads(MIXED, "mixed.flow")
    trainer = emitted(diagram, 2)["Trainer"](emitted(diagram, 1)["init"](0))
    data = batch(diagram, 6)
    trainer.step(**data)
    before = held(trainer)
    data[name][2] = label
    for call in (lambda: trainer.step(**data), lambda: trainer.run(**data, steps=2)):
        with pytest.raises(IndexError, match=f"{name} holds a label outside"):
            call()
    after = held(trainer)
    assert all(np.array_equal(after[n], before[n]) for n in before)


def test_arrays_that_do_not_fit_are_refused_before_anything_changes() -> None:
    diagram = loads(MIXED, "mixed.flow")
    trainer = emitted(diagram, 2)["Trainer"](emitted(diagram, 1)["init"](0))
    data = batch(diagram, 6)
    before = held(trainer)
    for wrong in ({"x": np.zeros((6, 4))}, {"x": np.zeros((5, 3))}, {"y": np.zeros((6, 2), int)}):
        with pytest.raises((ValueError, IndexError)):
            trainer.step(**{**data, **wrong})
    after = held(trainer)
    assert all(np.array_equal(after[n], before[n]) for n in before)
    other = emitted(diagram, 2)["Trainer"](emitted(diagram, 1)["init"](0))
    assert trainer.step(**data) == other.step(**data)
    assert all(np.array_equal(a, held(other)[n]) for n, a in held(trainer).items())


# ---------------------------------------------------------------------------------------
# What is held


def test_trainers_share_nothing_and_leave_the_given_params_alone() -> None:
    diagram = network("adam(lr=0.1)")
    module, data = emitted(diagram, 2), batch(diagram, 6)
    first = module["init"](0)
    kept = {name: np.array(value) for name, value in first.items()}
    one, other, alone = (module["Trainer"](first) for _ in range(3))
    wanted = alone.run(**data, steps=6)
    found: list[list[float]] = [[], []]
    for _ in range(6):  # by turns, so that each would find what the other left
        for losses, trainer in zip(found, (one, other), strict=True):
            losses.append(trainer.step(**data))
    assert found[0] == found[1] == list(wanted)
    assert all(np.array_equal(first[name], kept[name]) for name in kept)


def test_params_are_views_that_cannot_be_written_to() -> None:
    diagram = network("sgd(lr=0.1)")
    trainer = emitted(diagram, 2)["Trainer"](emitted(diagram, 1)["init"](0))
    views = trainer.params
    before = {name: np.array(view) for name, view in views.items()}
    assert list(views) == list(emitted(diagram, 2)["PARAMS"])
    for view in views.values():
        assert isinstance(view, np.ndarray)
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 1
    trainer.step(**batch(diagram, 6))
    assert not np.array_equal(views["h.linear.weight"], before["h.linear.weight"])


RUN_TWICE = """
import numpy as np
from flowgraph.diagram import load
from flowgraph.execute import execute
module = execute(load({path!r}).compile(level=2))
trainer = module["Trainer"](module["init"](0))
rng = np.random.default_rng(0)
data = {{"x": rng.normal(size=(100, 64)) * 8, "y": rng.integers(0, 10, 100)}}
losses = trainer.run(**data, epochs=3)
print(losses.tobytes().hex(), *(w.tobytes().hex() for w in trainer.params.values()))
"""


def test_results_are_identical_from_run_to_run() -> None:
    path = str(ROOT / "examples" / "digits" / "digits.flow")
    found = set()
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", RUN_TWICE.format(path=path)], capture_output=True, check=True, cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        found.add(done.stdout)
    assert len(found) == 1 and len(found.pop()) > 1000


# ---------------------------------------------------------------------------------------
# Names

OURS = [
    "next",
    "iter",
    "range",
    "divmod",
    "id",
    "list",
    "print",
    "type",
    "dict",
    "sum",
    "zip",
    "w",
    "g",
    "value",
    "batch",
    "begin",
    "compute",
    "part",
    "whole",
    "rate",
    "rows",
    "batches",
    "losses",
    "per_epoch",
    "epoch",
    "i",
    "k",
    "n",
    "N",
    "views",
    "views_of_forward",
    "self_",
    "np_",
    "room",
    "room_2",
    "one",
    "two",
    "three",
    "zero",
    "c",
    "sizes",
    "found",
    "tables",
    "flat",
    "name",
    "view",
    "arrays",
    "scratch",
    "kinds",
    "piece",
    "pieces",
    "lr",
    "t",
    "m",
    "v",
    "m_hat",
    "v_hat",
    "beta1",
    "eps",
    "norm",
    "clip",
    "order",
    "state",
    "kind",
    "a",
    "slice",
    "add",
    "multiply",
    "dot",
    "copyto",
    "maximum",
    "subtract",
    "exp",
    "h_T",
    "d_h",
    "ones",
    "share",
    "fan_uniform",
    "batch_mean",
    "softmax",
    "cross_entropy",
    "plan_for",
    "wanted",
    "result",
]


def test_inputs_may_have_the_names_of_our_variables() -> None:
    found = 0
    for seed in range(40):
        rng = random.Random(seed)
        a, b, c, y, u, matrix, bias, h, z = rng.sample(OURS, 9)
        text = f"""
input {a} : [3], {b}, {c} : class(2)
target {y} : class(2), {u}
param {matrix} : [4, 3] = glorot()
param {bias} : [4] = 0.1
{h} = tanh({matrix} @ {a} + {bias} * {b})
{z} = linear({h}, 2)
loss cross_entropy({z} + one_hot({c}, 2), {y}) + mse(sum({h}), {u})
"""
        try:
            diagram = network(rng.choice(STATEMENTS).format(f=matrix), text)
        except FlowError:  # some names are kept from users, and that is said
            continue
        found += 1
        alike(diagram, counts=(4, 4), **DOUBTFUL)
        first, data = emitted(diagram, 1)["init"](0), batch(diagram, 5)
        runs = [emitted(diagram, level)["Trainer"](first).run(**data, steps=4) for level in (2, 1)]
        close(runs[0], runs[1], text, 1e-10)
    assert found > 20


def test_one_trained_number_without_data_is_trained() -> None:
    diagram = network("sgd(lr=0.25), steps=3", "param w = 4\nloss w^2\n")
    trainer = emitted(diagram, 2)["Trainer"]({"w": 4.0})
    np.testing.assert_array_equal(trainer.run(), [16.0, 4.0, 1.0])


def test_a_step_of_gradient_descent_is_the_one_by_hand() -> None:
    # f = w x, loss (w x - y)^2 of one example: w = 1, x = 2, y = 0 gives loss 4, gradient 2 * 2 * 2 = 8.
    diagram = network("sgd(lr=0.25)", "input x\ntarget y\nparam w = 1\nf = w * x\nloss mse(f, y)\n")
    trainer = execute(diagram.compile(level=2))["Trainer"]({"w": 1.0})
    assert trainer.step([2.0], [0.0]) == 4.0
    assert trainer.params["w"] == 1 - 0.25 * 8
    assert trainer.step([2.0], [0.0], loss=False) is None
