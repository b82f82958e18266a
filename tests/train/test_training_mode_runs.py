"""Runs of diagrams with dropout, random creators and batchnorm: draws, statistics, checkpoints."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flowgraph.diagram import Diagram, loads
from flowgraph.errors import Diagnostics, FlowError
from flowgraph.execute import execute
from flowgraph.params import find_params
from flowgraph.train.start import _refuse_coupling

has_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
TARGETS = ["numpy", pytest.param("torch", marks=has_torch)]

TEXT = """
input a, b
target y
h = [a, b] |> linear(6) |> batchnorm |> tanh |> dropout(0.25)
z = h |> linear(1)
f = z[0] + 0.01 * normal([])
output f
loss mse(f, y)
metric mae(f, y)
train adam(lr=0.01), batch=8, seed=3
data 44 { a = linspace(-1, 1); b = a ^ 2; y = a * b }
"""
BUFFERS = ("h.batchnorm.running_mean", "h.batchnorm.running_var")


def diagram() -> Diagram:
    return loads(TEXT, "noisy.flow")


@pytest.mark.parametrize("length", [{"epochs": 2}, {"steps": 13}], ids=["epochs", "steps"])
@pytest.mark.parametrize("target", TARGETS)
def test_a_resumed_run_ends_as_an_undisturbed_one(target, length, tmp_path):
    whole = diagram().train(target=target, epochs=4, out=tmp_path / "whole")
    diagram().train(target=target, **length, out=tmp_path / "parts")
    resumed = diagram().train(target=target, epochs=4, out=tmp_path / "parts", resume=True)
    assert all(np.array_equal(whole.params[n], resumed.params[n]) for n in whole.params)
    assert set(BUFFERS) <= set(whole.params)
    assert whole.training.values == resumed.training.values
    logs = [(tmp_path / part / "log.csv").read_text() for part in ("whole", "parts")]
    assert "steps" in length or logs[0] == logs[1]  # what ends within an epoch has a row there


@pytest.mark.parametrize("target", TARGETS)
def test_training_keeps_up_the_running_statistics(target):
    first, last = (diagram().train(target=target, steps=n).params for n in (1, 30))
    for name, start in zip(BUFFERS, (0, 1), strict=True):
        assert not np.array_equal(first[name], np.full(6, start)) and not np.array_equal(
            first[name], last[name]
        )


def test_the_run_takes_the_steps_of_the_emitted_trainer():
    run = diagram().train(steps=11)
    space = execute(diagram().compile("numpy"))
    rows = diagram().run().data.columns
    trainer = space["Trainer"](space["init"](3))
    trainer.run(rows["a"], rows["b"], rows["y"], steps=11, log=0)
    for name, array in {**trainer.params, **trainer.buffers}.items():
        assert np.array_equal(array, run.params[name])


@pytest.mark.parametrize("target", TARGETS)
def test_the_draws_follow_from_the_seed(target):
    runs = [diagram().train(target=target, steps=6, seed=seed).params["z.bias"] for seed in (1, 1, 2)]
    assert np.array_equal(runs[0], runs[1]) and not np.array_equal(runs[0], runs[2])


@has_torch
def test_the_model_file_holds_parameters_and_statistics(tmp_path):
    import torch
    from safetensors.torch import load_file

    run = diagram().train(epochs=2, out=tmp_path)
    held = load_file(tmp_path / "model.safetensors")
    assert set(held) == set(run.params)
    model = execute(diagram().compile("torch"), "emitted_torch")["Noisy"]()
    model.load_state_dict(held, strict=True)
    assert torch.equal(model.state_dict()[BUFFERS[1]], held[BUFFERS[1]])
    assert diagram().run(params=tmp_path / "model.safetensors").loss == pytest.approx(run.loss, rel=0.2)


@has_torch
def test_a_state_dict_of_pytorch_fits_with_its_counts():
    model = execute(diagram().compile("torch"), "emitted_torch")["Noisy"]()
    state = {n: v.numpy() for n, v in model.state_dict().items()}
    assert "h.batchnorm.num_batches_tracked" in state
    found = Diagnostics()
    values, _ = find_params(diagram().graph, state, 0, found)
    assert not found.items and set(BUFFERS) <= set(values)


def test_statistics_that_are_missing_are_told():
    params = {n: v for n, v in diagram().train(steps=1).params.items() if n not in BUFFERS}
    with pytest.raises(FlowError) as caught:
        diagram().run(params=params)
    assert caught.value.diagnostics[0].code == "E0505" and BUFFERS[0] in str(caught.value)


@pytest.mark.parametrize("batch", [43, 1])
def test_a_batch_of_one_row_is_refused_before_a_step_is_taken(batch):
    with pytest.raises(FlowError) as caught:
        diagram().train(batch=batch, epochs=1)
    (found,) = caught.value.diagnostics
    assert found.code == "E0404" and "`batchnorm` needs 2 rows in training" in found.message


def test_several_processes_do_not_share_a_batch():
    group: Any = SimpleNamespace(world=2)
    with pytest.raises(FlowError) as caught:
        _refuse_coupling(diagram(), group)
    assert caught.value.diagnostics[0].code == "E0806"
    _refuse_coupling(loads(TEXT.replace("|> batchnorm ", "")), group)


def test_divergence_is_explained_with_the_draws_of_its_step():
    text = TEXT.replace("tanh", "exp").replace("adam(lr=0.01)", "sgd(lr=1e30)").replace("|> batchnorm ", "")
    with pytest.raises(FlowError) as caught:
        loads(text).train(epochs=2)
    (found,) = caught.value.diagnostics
    assert found.code == "E0805" and "step" in found.message


def test_loss_curves_of_a_sampling_autoencoder_fall(tmp_path: Path):
    text = """
    input x : [4]
    mu, logvar = split(x |> linear(8) |> tanh |> linear(4), 2)
    z = mu + exp(logvar / 2) * normal([2])
    r = z |> linear(8) |> tanh |> linear(4)
    output r
    loss reconstruction = mse(r, x)
    loss divergence = -0.005 * sum(1 + logvar - mu ^ 2 - exp(logvar))
    train adam(lr=0.01), batch=16, seed=1
    """
    rows = np.random.default_rng(0).normal(size=(160, 1)) * [1, -1, 0.5, 2]
    file = tmp_path / "rows.npz"
    np.savez(file, x=rows)
    run = loads(text, str(tmp_path / "vae.flow")).train(data=file, epochs=25)
    assert run.losses[-1] < 0.4 * run.losses[0]
