"""Random programs verified: every engine, every derivative, and differences of the values.

Values, gradients, the gradient of each example, jvp and hvp of simulator, numpy and PyTorch at every
level, and central differences in float64; then batches of one example and of none.
"""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
from programs import random_program
from running import HAS_TORCH

from flowgraph.diagram import Diagram, loads
from flowgraph.params import initial_params
from flowgraph.verify.cases import random_case
from flowgraph.verify.compare import group_of, largest_difference, meant, scale_of
from flowgraph.verify.engines import Case, Simulator
from flowgraph.verify.modules import NumpyModule, TorchModule

EXTRAS = ("jvp", "hvp", "per_example_grad")


def verify(seed: int) -> None:
    text = random_program(random.Random(seed))
    diagram = loads(text, "random.flow")
    found = diagram.verify(seed=seed, dtypes=("float64",))
    assert found.ok, f"program {seed}:\n{text}\n{found.table()}"
    rare = [r for r in found.rows if r.status not in ("ok", "skipped")]
    assert len(rare) <= 4, f"program {seed}: too much is explained away\n{text}\n{found.table()}"
    assert_small_batches(diagram, text, seed)


def assert_small_batches(diagram: Diagram, text: str, seed: int) -> None:
    """One example, and none: the mean over nothing is 0 with gradient 0."""
    graph, batched = diagram.expanded, diagram.batched()
    first = {str(graph[n].hint): a for n, a in initial_params(graph, 0).items()}
    case = random_case(graph, first, seed, lambda case: True)
    assert case is not None
    simulator = Simulator(batched)
    engines: list[NumpyModule | TorchModule] = [
        NumpyModule(batched, diagram.compile(level=level, dtype="float64", extras=EXTRAS), level, "float64")
        for level in (0, 1)
    ]
    if HAS_TORCH:
        code = diagram.compile("torch", level=1, dtype="float64", extras=("vjp",))
        engines.append(TorchModule(batched, code, 1, "float64"))
    for some in (case.only(0), empty(case)):
        want = simulator.quantities(some)
        for engine in engines:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numpy and PyTorch on variances of nothing
                got = engine.quantities(some)
            for name, value in got.items():
                scale = scale_of(meant(name), want, some.way)
                tolerance = 1e-7 if isinstance(engine, TorchModule) and "hard_" in text else 1e-10
                off, place = largest_difference(value, want[meant(name)], max(scale, 1e-6))
                assert off <= tolerance, f"program {seed}, {engine.name}, {name}{place}\n{text}"
            if not some.rows:
                assert all(np.all(np.isfinite(v)) for n, v in got.items() if group_of(n) == "gradient")


def empty(case: Case) -> Case:
    examples = {n: a[:0] for n, a in case.examples.items()}
    return Case("nothing", case.params, examples, case.way, (), True)


@pytest.mark.parametrize("block", range(20))
def test_random_programs(block: int) -> None:
    for seed in range(10 * block, 10 * block + 10):
        verify(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20, 220))
def test_many_random_programs(block: int) -> None:
    for seed in range(10 * block, 10 * block + 10):
        verify(seed)


WHOLE = ("1 - 1", "2 * 3", "7 % 4", "1 + 1 + x", "3 - true", "-(2 - 4)", "abs(1 - 3)", "minimum(1 + 1, 3)")


@pytest.mark.parametrize("text", WHOLE)
def test_arithmetic_of_whole_numbers(text: str) -> None:
    """Numbers alone are numbers of Python's until they meet an array."""
    for use in ("x + ({})", "x ^ ({})", "where(x > ({}), x, ({}))"):
        program = f"input x\nparam w = 1\nf = w * ({use.format(text, text)})\noutput f\nloss f\n"
        found = loads(program).verify()
        assert found.ok, f"{program}\n{found.table()}"
