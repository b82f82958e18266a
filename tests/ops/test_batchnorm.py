"""Batch normalisation: PyTorch's, with running statistics, refusals and empty batches."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from mode_cases import BATCHNORM, data, module

from flowgraph.diagram import loads
from flowgraph.errors import FlowError

has_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


@has_torch
@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize(
    ("shape", "kind"), [((3,), "1d"), ((3, 4), "1d"), ((3, 4, 2), "2d"), ((3, 1, 2, 2), "3d")]
)
def test_batchnorm_is_that_of_pytorch(shape, kind, level):
    """Outputs, gradients and running statistics over several steps, then outside training."""
    import torch

    sizes = ", ".join(map(str, shape))
    text = f"input x : [{sizes}]\ntarget y : [{sizes}]\nh = batchnorm(x, 0.01, 0.3)\nloss mse(h * h, y)\n"
    space = module(text + "train sgd(lr=0.1)\n", level)
    theirs = getattr(torch.nn, f"BatchNorm{kind}")(3, eps=0.01, momentum=0.3).double()
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    trainer = space["Trainer"](space["init"]())
    for step in range(4):
        x, y = data(5, *shape, seed=step), data(5, *shape, seed=9)
        optimizer.zero_grad()
        loss = ((theirs(torch.tensor(x)) ** 2 - torch.tensor(y)) ** 2).mean()
        loss.backward()
        value, gradient, _ = space["loss_and_grad"](trainer.params, x, y, buffers=trainer.buffers)
        assert value == pytest.approx(loss.item(), rel=1e-12)
        for name in ("weight", "bias"):
            assert gradient[f"h.{name}"] == pytest.approx(getattr(theirs, name).grad.numpy(), rel=1e-10)
        optimizer.step()
        assert trainer.step(x, y) == value
        for name in ("running_mean", "running_var"):
            assert trainer.buffers[f"h.{name}"] == pytest.approx(getattr(theirs, name).numpy(), rel=1e-12)
    got = space["forward"](trainer.params, x, buffers=trainer.buffers)
    assert got == pytest.approx(theirs.eval()(torch.tensor(x)).detach().numpy(), rel=1e-12)


@has_torch
def test_the_gradient_goes_through_the_statistics():
    """With respect to what comes before the normalisation, which `linear` makes here."""
    import torch

    text = "input x : [4]\ntarget y : [3]\nh = linear(x, 3)\nz = batchnorm(h)\noutput z\nloss mse(z * z, y)\n"
    space = module(text)
    params, x, y = space["init"](), data(6, 4), data(6, 3)
    _, gradient, _ = space["loss_and_grad"](params, x, y, buffers=space["init_buffers"]())
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)).double()
    model[0].load_state_dict({n: torch.tensor(params[f"h.{n}"]) for n in ("weight", "bias")})
    ((model(torch.tensor(x)) ** 2 - torch.tensor(y)) ** 2).mean().backward()
    assert gradient["h.weight"] == pytest.approx(model[0].weight.grad.numpy(), rel=1e-10, abs=1e-12)


@has_torch
def test_a_shared_batchnorm_is_updated_by_each_application():
    import torch

    text = "input a : [3], b : [3]\nlayer bn = batchnorm()\ns = bn(a) * bn(b)\noutput s\nloss mean(s ^ 2)\n"
    space = module(text)
    a, b = data(5, 3), data(5, 3, seed=1) + 2
    *_, new = space["loss_and_grad"](space["init"](), a, b, buffers=space["init_buffers"]())
    theirs = torch.nn.BatchNorm1d(3).double()
    theirs(torch.tensor(a)), theirs(torch.tensor(b))
    assert new["bn.running_mean"] == pytest.approx(theirs.running_mean.numpy(), rel=1e-13)
    assert new["bn.running_var"] == pytest.approx(theirs.running_var.numpy(), rel=1e-13)


def test_one_number_per_channel_is_no_batch():
    space = module("input x : [3]\ntarget y : [3]\nh = batchnorm(x)\noutput h\nloss mse(h, y)\n")
    params, buffers = space["init"](), space["init_buffers"]()
    with pytest.raises(ValueError, match="more than one number per channel"):
        space["loss_and_grad"](params, data(1, 3), data(1, 3), buffers=buffers)
    assert np.isfinite(space["loss"](params, data(1, 3), data(1, 3), buffers=buffers))


def test_an_empty_batch_changes_no_statistics():
    space = module(BATCHNORM)
    params, buffers = space["init"](), space["init_buffers"]()
    value, gradient, new = space["loss_and_grad"](params, data(0, 3, 2), data(0, 2), buffers=buffers)
    assert value == 0 and all(not g.any() for g in gradient.values())
    assert all(np.array_equal(new[n], buffers[n]) for n in buffers)


def test_derivatives_of_one_example_are_refused_in_training():
    text = "input x : [4]\nn = batchnorm(x)\ns = sum(n ^ 2)\ng = grad(s, x)\noutput g\nloss mean(n ^ 2)\n"
    space = module(text, extras=("per_example_grad",))
    params, buffers, x = space["init"](), space["init_buffers"](), data(3, 4)
    buffers = {n: b + 0.5 for n, b in buffers.items()}
    scale = 1 / (buffers["n.running_var"] + 1e-5)
    want = 2 * (x - buffers["n.running_mean"]) * scale
    assert space["forward"](params, x, buffers=buffers) == pytest.approx(want, rel=1e-12)
    refusal = "in training batchnorm couples the examples of a batch"
    with pytest.raises(ValueError, match=refusal):
        space["forward"](params, x, buffers=buffers, train=True)
    with pytest.raises(ValueError, match=refusal):
        space["per_example_grad"](params, x, buffers=buffers)
    each = space["per_example_grad"](params, x, buffers=buffers, train=False)
    _, whole = space["loss_and_grad"](params, x, buffers=buffers, train=False)
    assert each["n.weight"].mean(axis=0) == pytest.approx(whole["n.weight"], rel=1e-12)


def test_a_loss_of_such_a_derivative_is_refused():
    text = "input x : [4]\ntarget y : [4]\nn = batchnorm(x)\ns = sum(n)\nloss mse(jvp(n, x, x), y)\n"
    with pytest.raises(FlowError) as caught:
        loads(text)
    assert [d.code for d in caught.value.diagnostics] == ["E0406"]
