"""All examples: complete, silent, canonical, run by the command, and the same in every engine."""

from __future__ import annotations

import math

import numpy as np
import pytest
from running import (
    EMITTED,
    EXAMPLES,
    HAS_TORCH,
    SIMULATOR,
    example,
    random_values,
    same,
)

from flowgraph.cli.main import main
from flowgraph.passes.simulate import simulate

ln2, ln3 = math.log(2), math.log(3)

BITS = {"x1": [0, 0, 1, 1], "x2": [0, 1, 0, 1]}
"""The four inputs of a truth table."""


# ---------------------------------------------------------------------------------------
# All examples


def test_the_lecture_is_complete() -> None:
    lecture = {name for name, path in EXAMPLES.items() if path.parent.name == "lecture"}
    assert lecture >= {
        "or", "and", "xor", "xor_wires", "perceptron", "regression", "softmax", "cubic", "mlp_2_3_2",
        "layers", "augmented", "argmax_softmax", "one_hot_error",
    }  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_warnings(name: str) -> None:
    assert [w.message for w in example(name).warnings] == []


@pytest.mark.parametrize("count", [4, 1, 0])
@pytest.mark.parametrize("name", EXAMPLES)
def test_engines_agree(name: str, count: int) -> None:
    """On random inputs and parameters; the loss of no examples at all is 0."""
    diagram = example(name)
    graph = diagram.expanded
    rng = np.random.default_rng(count)
    params = random_values(graph, graph.params, rng)
    inputs = random_values(graph, graph.inputs, rng, (count,))
    targets = random_values(graph, graph.targets, rng, (count,))
    expected = SIMULATOR.run(diagram, params, inputs, targets)
    if count == 0:
        assert all(len(output) == 0 for output in expected.outputs)
        assert expected.loss in (None, 0)
    for engine in EMITTED:
        if engine.dtype == "float64" and (engine.target != "torch" or HAS_TORCH):
            same(engine.run(diagram, params, inputs, targets), expected, **engine.tolerance)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_batch_is_a_loop_over_examples(name: str) -> None:
    """Outputs stacked, losses and metrics averaged or summed, as the file says."""
    diagram = example(name)
    graph = diagram.expanded
    rng = np.random.default_rng(7)
    params = random_values(graph, graph.params, rng)
    examples = random_values(graph, (*graph.inputs, *graph.targets), rng, (5,))
    whole = simulate(diagram.batched(), {**params, **examples})
    single = [simulate(graph, {**params, **{k: v[i] for k, v in examples.items()}}) for i in range(5)]
    for of_batch, of_one in zip(diagram.batched().results, graph.results, strict=True):
        each = np.stack([known[of_one.node] for known in single])
        if of_one.role != "output":
            each = each.sum() if of_one.by == "sum" else each.mean()
        np.testing.assert_allclose(whole[of_batch.node], each, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", EXAMPLES)
def test_canonical(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As `flowc fmt` would write it."""
    assert main(["fmt", "--check", str(EXAMPLES[name])]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("name", EXAMPLES)
def test_runs_from_the_command_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every example has data of its own, and its run prints a row for each of the first of them."""
    assert main(["run", str(EXAMPLES[name])]) == 0
    shown, complaints = capsys.readouterr()
    assert complaints == ""
    table = shown.split("\n\n")[0].splitlines()
    assert len(table) >= 5


def test_iris_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """139 of 150 are 0.926667; the loss is that of `test_iris`."""
    assert main(["run", str(EXAMPLES["iris"])]) == 0
    shown = capsys.readouterr().out
    assert "accuracy = 0.926667" in shown
    assert "loss = 0.233365" in shown
