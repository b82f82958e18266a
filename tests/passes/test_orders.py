"""The passes for speed alone, and one after the other in any order: always the same values by name."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from agreement import assert_agree, by_name, gradients, laid_out, values_of
from programs import random_program

from flowgraph.diagram import Diagram, load, loads
from flowgraph.graph import Graph
from flowgraph.passes.autodiff import Vjp
from flowgraph.passes.base import Pass, Pipeline
from flowgraph.passes.batch import Batch
from flowgraph.passes.biases import Biases
from flowgraph.passes.cancel import Cancel
from flowgraph.passes.columns import Columns
from flowgraph.passes.cse import Cse
from flowgraph.passes.dce import Dce
from flowgraph.passes.horner import Horner
from flowgraph.passes.inline import Inline
from flowgraph.passes.keep import Keep
from flowgraph.passes.linear_model import LinearModel
from flowgraph.passes.packing import Packing
from flowgraph.passes.pick import Pick
from flowgraph.passes.powers import Powers
from flowgraph.passes.reductions import Reductions
from flowgraph.passes.scales import Scales
from flowgraph.passes.signs import Signs
from flowgraph.passes.simpler import Simpler
from flowgraph.passes.simplify import Simplify
from flowgraph.passes.slices import Slices
from flowgraph.passes.vectorise import Vectorise
from flowgraph.pipelines import TIDY

LECTURE = Path(__file__).parents[2] / "examples" / "lecture"
NAMES = ("cubic", "mlp_2_3_2", "xor_learned", "softmax", "regression", "perceptron", "one_hot_error")

SWIFT: tuple[Pass, ...] = (Slices(), Columns(), Simpler(), Powers(), Horner(), Scales(), Reductions())
ALL = (*SWIFT, Cancel(), Simplify(), Pick(), Signs(), Cse(), Dce())


def derived(diagram: Diagram, *before: Pass, batched: tuple[Pass, ...] = (), scaled: bool = False) -> Graph:
    """Losses and gradients of a diagram, with passes before it is batched, and between that and them."""
    steps = (*before, Batch(), Inline(), *batched, Keep(("loss", "buffer")), Vjp(scaled=scaled))
    return Pipeline(steps).run(diagram.expanded)


def assert_any_order(graph: Graph, seed: int) -> None:
    rng = random.Random(seed)
    order = rng.sample(ALL, k=len(ALL))
    for step in order:
        graph, before = step.run(graph), graph
        assert_agree(before, graph, tolerance=1e-10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", SWIFT, ids=lambda step: step.name)
def test_each_alone(name, step) -> None:
    graph = derived(load(LECTURE / f"{name}.flow"))
    assert_agree(graph, step.run(graph))
    assert_agree(graph, step.run(step.run(graph)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_examples(name, seed) -> None:
    assert_any_order(derived(load(LECTURE / f"{name}.flow")), seed)


@pytest.mark.parametrize("seed", range(60))
def test_any_order_of_random_programs(seed) -> None:
    assert_any_order(derived(loads(random_program(random.Random(seed)))), seed)


@pytest.mark.parametrize("seed", [*NAMES, *range(100, 160)])
def test_all_together_give_what_none_gives(seed) -> None:
    named = isinstance(seed, str)
    diagram = load(LECTURE / f"{seed}.flow") if named else loads(random_program(random.Random(seed)))
    plain = derived(diagram)
    before = (Vectorise(), LinearModel(), Dce(), Packing())
    found = derived(diagram, *before, batched=(*TIDY, Biases()), scaled=True)
    order = (Dce(), *TIDY, Slices(), Columns(), Simpler(), Powers(), *TIDY, Scales(), Reductions())
    found = Pipeline((*order, Cse(), Cancel(), Simplify(), Dce())).run(found)
    values = values_of(plain)
    again = {**values_of(found), **{k: v for k, v in values.items() if k in found}}
    again = laid_out(found, again, by_name(plain, values))
    again |= {n.name: 0.5 for n in found if n.op.name == "rate"}
    want, got = gradients(plain, values), gradients(found, again)
    assert want.keys() == got.keys()
    for name, value in want.items():
        np.testing.assert_allclose(got[name], 0.5 * value, rtol=1e-9, atol=1e-11, err_msg=name)
