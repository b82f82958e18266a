"""Derivatives of every operation, forward and reverse, to third order, against three others.

Central differences in float64, the dot-product identity <ȳ, J ẋ> = <Jᵀ ȳ, ẋ>, and torch.autograd
with torch.func. Where they are smooth is declared with the operations' samples.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from derivatives import (
    Case,
    case_of,
    checked,
    dot,
    flat,
    gradient,
    named,
    pushed,
    rates,
    results,
    summed,
    torch_loss,
)
from op_cases import BATCH_ONLY, cases, rng

from flowgraph.graph import Graph, rebuild
from flowgraph.ops import OPS
from flowgraph.ops.base import Elementwise

has_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")

LEAVES = ("input", "target", "param")
ALL = [
    pytest.param(cls, sample, name, id=name)
    for cls, sample, name in cases()
    if cls.differentiable and cls.name not in LEAVES and any(a.kind == "real" for a in sample.args)
]


def made(cls: Any, sample: Any, name: str) -> Case:
    return case_of(cls, sample, rng(name))


@pytest.mark.parametrize(("cls", "sample", "name"), ALL)
def test_first_order(cls, sample, name):
    """Both modes against differences, and against each other."""
    case = made(cls, sample, name)
    way = case.ways[0]
    forward, tangents = pushed(case.graph, case.wrt, "output")
    real = [r for r in case.graph.results_of("output") if case.graph[r.node].type.elem.kind == "real"]
    kept = [i for i, r in enumerate(case.graph.results_of("output")) if r in real]
    pushes = [results(forward, case.point | named(tangents, way))[i] for i in kept]

    def outputs(values: dict[str, Any]) -> list[np.ndarray]:
        return [r for i, r in enumerate(results(case.graph, values)[:-1]) if i in kept]

    assert flat(pushes) == pytest.approx(rates(outputs, case.point, way), rel=1e-8, abs=1e-9)
    pulls = results(gradient(case.graph, case.wrt), case.point)
    assert [p.shape for p in pulls] == [np.shape(case.point[n]) for n in case.wrt]
    given = [v for n, v in case.point.items() if n.startswith("c")]
    assert dot(pulls, list(way.values())) == pytest.approx(dot(given, pushes), rel=1e-12, abs=1e-12)


def hessian_ways(case: Case) -> dict[str, list[np.ndarray]]:
    """H v by every composition of the modes; v H v where both are forward."""
    graph, wrt, (v, u, _) = case.graph, case.wrt, case.ways
    first = gradient(graph, wrt)
    again, given = summed(first, wrt)
    over_reverse = gradient(again, wrt)
    forward_over, tangents = pushed(first, wrt, "gradient")
    forward, once = pushed(graph, wrt, "loss")
    reverse_over = gradient(as_loss(forward), wrt)
    twice, second = pushed(forward, wrt, "loss_dot")
    return {
        "reverse over reverse": results(over_reverse, case.point | named(given, v)),
        "forward over reverse": results(forward_over, case.point | named(tangents, v)),
        "reverse over forward": results(reverse_over, case.point | named(once, v)),
        "forward over forward": results(twice, case.point | named(once, v) | named(second, u)),
    }


def as_loss(graph: Graph) -> Graph:
    """The only result of a graph as its loss."""
    return checked(rebuild(graph, graph, [replace(r, role="loss") for r in graph.results]))


@pytest.mark.parametrize(("cls", "sample", "name"), ALL)
def test_second_order(cls, sample, name):
    case = made(cls, sample, name)
    v, u, _ = case.ways
    first = gradient(case.graph, case.wrt)
    want = rates(lambda values: results(first, values), case.point, v)
    found = hessian_ways(case)
    along = found.pop("forward over forward")
    for how, got in found.items():
        assert flat(got) == pytest.approx(want, rel=1e-7, abs=1e-8), how
    assert flat(along) == pytest.approx([dot(got, list(u.values()))], rel=1e-10, abs=1e-10)


ELEMENTWISE = [p for p in ALL if issubclass(p.values[0], Elementwise)]


@pytest.mark.parametrize(("cls", "sample", "name"), ELEMENTWISE)
def test_third_order(cls, sample, name):
    """Reverse over reverse over reverse, and forward over that, against differences of H v."""
    case = made(cls, sample, name)
    wrt, (v, u, w) = case.wrt, case.ways
    second, given = summed(gradient(case.graph, wrt), wrt)
    hessian = gradient(second, wrt)
    point = case.point | named(given, v)
    want = rates(lambda values: results(hessian, values), point, u)
    third, more = summed(hessian, wrt)
    reverse = results(gradient(third, wrt), point | named(more, u))
    assert flat(reverse) == pytest.approx(want, rel=1e-6, abs=1e-7)
    forward, tangents = pushed(hessian, wrt, "gradient")
    assert flat(results(forward, point | named(tangents, u))) == pytest.approx(
        flat(reverse), rel=1e-9, abs=1e-9
    )

    graph, values = pushed(case.graph, wrt, "loss"), case.point
    role = "loss_dot"
    for way in (v, u, w):
        values = values | named(graph[1], way)
        if role.count("dot") < 3:
            graph = pushed(graph[0], wrt, role)
            role += "_dot"
    assert flat(results(graph[0], values)) == pytest.approx(
        [dot(reverse, list(w.values()))], rel=1e-9, abs=1e-9
    )


# ---------------------------------------------------------------------------------------
# PyTorch

NO_FORWARD_MODE = ("huber",)
"""Operations that PyTorch cannot differentiate forward."""

NO_SECOND_ORDER = ("hard_sigmoid",)
"""Operations whose derivative PyTorch cannot differentiate."""

ROUGH = {"hard_sigmoid": 1e-7}
"""Operations whose derivative PyTorch has in single precision only, and how far it is off."""


def arrays(tensors: Any) -> np.ndarray:
    return flat([t.numpy(force=True) for t in tensors])


@has_torch
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # torch's own, in torch.func
@pytest.mark.parametrize(("cls", "sample", "name"), [p for p in ALL if p.values[0].name not in BATCH_ONLY])
def test_torch_agrees(cls, sample, name):
    """Gradient and H v by autograd, derivative and H v by torch.func."""
    import torch

    case = made(cls, sample, name)
    v = case.ways[0]
    loss = torch_loss(case)
    point = [torch.tensor(case.point[n], dtype=torch.float64) for n in case.wrt]
    way = [torch.tensor(v[n], dtype=torch.float64) for n in case.wrt]
    leaves = [p.clone().requires_grad_() for p in point]
    first = torch.autograd.grad(loss(*leaves), leaves, create_graph=True, materialize_grads=True)
    ours = results(gradient(case.graph, case.wrt), case.point)
    off = ROUGH.get(cls.name, 1e-12)
    assert flat(ours) == pytest.approx(arrays(first), rel=off, abs=off)

    if cls.name in NO_SECOND_ORDER:
        return
    total = sum((g * w).sum() for g, w in zip(first, way, strict=True))
    hessian = hessian_ways(case)["forward over reverse"]
    if total.requires_grad:
        second = torch.autograd.grad(total, leaves, materialize_grads=True)
        assert flat(hessian) == pytest.approx(arrays(second), rel=1e-10, abs=1e-11)

    if cls.name in NO_FORWARD_MODE:
        return
    slots = tuple(range(len(point)))
    _, rate = torch.func.jvp(loss, tuple(point), tuple(way))
    assert float(rate) == pytest.approx(dot(ours, list(v.values())), rel=1e-11, abs=1e-12)
    _, pushed_grad = torch.func.jvp(torch.func.grad(loss, argnums=slots), tuple(point), tuple(way))
    assert flat(hessian) == pytest.approx(arrays(pushed_grad), rel=1e-10, abs=1e-11)


# ---------------------------------------------------------------------------------------
# What is declared


def test_every_differentiable_operation_is_among_them():
    """The figure to quote: all of them, to second order in both modes."""
    checked_here = {p.values[0].name for p in ALL}
    smooth = {name for name, cls in OPS.items() if cls.differentiable and cls.operands and name not in LEAVES}
    elsewhere = {
        "call", "item", "loop",  # tests/passes/test_autodiff_structure.py, tests/test_blocks.py
        "scan",  # tests/test_scan.py
        "max_pool_pick", "max_pool_put",  # tests/ops/test_conv.py
    }  # fmt: skip
    assert smooth - checked_here == elsewhere


NOT_DIFFERENTIABLE = (
    "step sign floor ceil round argmax argmin equal not_equal less less_equal greater greater_equal "
    "logical_and logical_or logical_not one_hot accuracy top_k "
    "grad jvp stop_gradient zeros ones full eye arange linspace cast size_value zeros_like "
    "normal uniform dropout_mask stream flat_place hide_later rotary_cos rotary_sin"
)


def test_operations_declared_without_a_derivative():
    assert {name for name, cls in OPS.items() if not cls.differentiable} == set(NOT_DIFFERENTIABLE.split())
