"""Random programs: the simulator, the emitted numpy and the emitted torch code are one function.

All in float64, to 1e-12: values are kept below 10 by construction, sums are short, and what
remains between the engines is rounding in a different order, a few units of 1e-16 at each of at most
some tens of operations.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from programs import random_program, random_wiring
from running import EMITTED, HAS_TORCH, SIMULATOR, Values, initial, module_of, same, slopes_of

from flowgraph.diagram import Diagram, loads
from flowgraph.naming import class_name
from flowgraph.passes.simulate import simulate

TOLERANCE: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-12}
pytestmark = pytest.mark.filterwarnings("ignore:var.*degrees of freedom:UserWarning")
"""PyTorch says so of the variances of no examples at all."""

DOUBLE = [e for e in EMITTED if e.dtype == "float64" and (e.target != "torch" or HAS_TORCH)]

PROGRAMS = st.randoms(use_true_random=False)
CALM: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}


SYMBOLIC = {
    "reduce": """
        size T; input x : [T, 3]
        f = mean(x, axis=0)
        g = logsumexp(x)
        output f, g
    """,
    "attend": """
        size T; input x : [T, 3]
        a = softmax(x @ x.T / 2)
        f = a @ x |> linear(2) |> tanh
        loss mean(f)
    """,
    "label": """
        size T; input x : [T, 3]; target y : class(3)[T]
        loss cross_entropy(x, y)
        metric accuracy(x, y)
    """,
    "two": """
        size S, T; input x : [S, 2], y : [T, 2]
        f = concat(x, y) |> sum(axis=0)
        g = x @ y.T
        output f, g
    """,
    "value": """
        size T; require T > 0; input x : [T]
        f = sum(x) / T + T * x[0]
    """,
}
"""Programs whose sizes come with the data."""


def bounded_values(
    diagram: Diagram, names: tuple[str, ...], rng: np.random.Generator, lead: tuple[int, ...], **sizes: int
) -> Values:
    """Inputs between -2 and 2, params between -1 and 1, labels within their classes."""
    graph = diagram.graph
    values: dict[str, np.ndarray] = {}
    for name in names:
        type = graph[name].type
        shape = (*lead, *(size.at(sizes) for size in type.shape))
        if type.elem.kind == "class":
            values[name] = rng.integers(0, type.elem.classes.value, shape)
        else:
            bound = 1 if name in graph.params else 2
            values[name] = rng.uniform(-bound, bound, shape)
    return values


def assert_engines_agree(text: str, **sizes: int) -> None:
    """Every engine at batch sizes 3, 1 and 0, and the batched graph against a loop."""
    diagram = loads(text, "random.flow")
    graph = diagram.graph
    rng = np.random.default_rng(len(text))
    params = bounded_values(diagram, graph.params, rng, ())
    for count in (3, 1, 0):
        inputs = bounded_values(diagram, graph.inputs, rng, (count,), **sizes)
        targets = bounded_values(diagram, graph.targets, rng, (count,), **sizes)
        expected = SIMULATOR.run(diagram, params, inputs, targets)
        for output in expected.outputs:
            assert np.all(np.isfinite(output))
        for engine in DOUBLE:
            same(engine.run(diagram, params, inputs, targets), expected, **TOLERANCE)
        if count == 3:
            assert_batch_is_loop(diagram, params, {**inputs, **targets})


def assert_batch_is_loop(diagram: Diagram, params: Values, examples: Values) -> None:
    """Outputs stacked, losses and metrics averaged or summed over single examples."""
    graph, batched = diagram.graph, diagram.batched()
    whole = simulate(batched, {**params, **examples})
    carried = graph.depends_on([*graph.inputs, *graph.targets])
    single = [simulate(graph, {**params, **{k: v[i] for k, v in examples.items()}}) for i in range(3)]
    for of_batch, of_one in zip(batched.results, graph.results, strict=True):
        each = np.stack([known[of_one.node] for known in single])
        if of_one.node not in carried:
            each = each[0]
        elif of_one.role != "output":
            each = each.sum() if of_one.by == "sum" else each.mean()
        np.testing.assert_allclose(whole[of_batch.node], each, **TOLERANCE)


@settings(max_examples=200, derandomize=True, **CALM)
@given(PROGRAMS)
def test_engines_agree(rng: random.Random) -> None:
    text = random_program(rng)
    note(text)
    assert_engines_agree(text)


@pytest.mark.slow
@settings(max_examples=2000, **CALM)
@given(PROGRAMS)
def test_engines_agree_on_many(rng: random.Random) -> None:
    text = random_program(rng)
    note(text)
    assert_engines_agree(text)


def assert_gradients_agree(text: str) -> None:
    """The emitted `loss_and_grad` against PyTorch's autograd of the emitted module, at every level."""
    diagram = loads(text, "random.flow")
    graph = diagram.graph
    if not graph.params:
        return
    # PyTorch multiplies by 1/6 in float32 in the derivative of hardsigmoid, whatever the dtype.
    tolerance = 1e-7 if "hard_s" in text else 1e-11
    rng = np.random.default_rng(len(text))
    params = bounded_values(diagram, graph.params, rng, ())
    for count in (3, 0):
        examples = bounded_values(diagram, (*graph.inputs, *graph.targets), rng, (count,))
        for level in (0, 1):
            loss, grads = module_of(diagram, "numpy", level, "float64")["loss_and_grad"](params, **examples)
            expected, slopes = autograd(diagram, level, params, examples)
            assert list(grads) == list(graph.params)
            np.testing.assert_allclose(loss, expected, **TOLERANCE)
            for name in graph.params:
                assert np.shape(grads[name]) == np.shape(params[name])
                np.testing.assert_allclose(grads[name], slopes[name], rtol=tolerance, atol=tolerance)
        if count:
            assert_a_step_is_the_gradient(diagram, params, examples, expected, slopes, tolerance)


def assert_a_step_is_the_gradient(
    diagram: Diagram, params: Values, examples: Values, loss: float, slopes: Values, tolerance: float
) -> None:
    """A step of -O2 with lr=1, the second of a plan: by the first the memory has been used."""
    module = module_of(diagram, "numpy", 2, "float64")
    if "Trainer" not in module:
        return
    used = module["Trainer"](params, lr=1.0)
    used.step(**examples)
    used.load_state(module["Trainer"](params).state())
    np.testing.assert_allclose(used.step(**examples), loss, **TOLERANCE)
    learn = set(slopes) - set(getattr(used, "_frozen", ()))
    for name, value in used.params.items():
        slope = np.asarray(params[name]) - value
        want = slopes[name] if name in learn else np.zeros_like(slopes[name])
        np.testing.assert_allclose(slope, want, rtol=tolerance, atol=tolerance)


def autograd(
    diagram: Diagram, level: int, params: Values, examples: Values
) -> tuple[float, dict[str, np.ndarray]]:
    """The loss and its gradient as PyTorch computes them; 0 where nothing flows."""
    import torch

    model = module_of(diagram, "torch", level, "float64")[class_name(diagram.graph.name)]()
    model.load_state_dict({name: torch.tensor(value) for name, value in params.items()})
    loss = model.loss(**{name: torch.tensor(value) for name, value in examples.items()})
    if loss.requires_grad:
        loss.backward()
    return float(loss.detach()), slopes_of(model)


@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
@settings(max_examples=100, derandomize=True, **CALM)
@given(PROGRAMS)
def test_gradients_agree(rng: random.Random) -> None:
    text = random_program(rng)
    note(text)
    assert_gradients_agree(text)


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("name", SYMBOLIC)
def test_symbolic_sizes(name: str, size: int) -> None:
    assert_engines_agree(SYMBOLIC[name], T=size, S=size + 1)


@settings(max_examples=100, derandomize=True, **CALM)
@given(PROGRAMS)
def test_wires_and_equations_agree(rng: random.Random) -> None:
    """The very same sums in the same order: the very same numbers."""
    wires, equations = (loads(text) for text in random_wiring(rng))
    values = bounded_values(wires, wires.graph.inputs, np.random.default_rng(1), (5,))
    params = initial(wires)
    assert params == initial(equations)
    drawn, written = (SIMULATOR.run(d, params, values) for d in (wires, equations))
    for ours, theirs in zip(drawn.outputs, written.outputs, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_random_code_is_formatted_and_clean(tmp_path: Path) -> None:
    for seed in range(40):
        diagram = loads(random_program(random.Random(seed)), "random.flow")
        for target in ("numpy", "torch"):
            for level in (0, 1, 2):
                file = tmp_path / f"program_{seed}_{target}_{level}.py"
                file.write_text(diagram.compile(target, level=level), encoding="utf-8")
    for command in (["check"], ["format", "--check", "--diff"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", str(tmp_path)]
        done = subprocess.run(ruff, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
