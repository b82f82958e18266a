"""Each optimisation of -O2, left out, alone and among any others: the numbers of -O1."""

from __future__ import annotations

import random

import pytest
from planned import assert_trains_alike, emitted, small
from programs import random_program

from flowgraph.diagram import Diagram, loads
from flowgraph.pipelines import FAST, OPTIMISATIONS

QUICK = ("cubic", "xor_learned", "mlp_2_3_2", "digits")
OTHERS = (
    "lenet",
    "vae",
    "transformer_classifier",
    "lstm_chars",
    "sparse",
    "residual",
    "contractive",
    "burgers",
)


def assert_agrees(diagram: Diagram, without: tuple[str, ...]) -> None:
    fast = emitted.__wrapped__(diagram, 2, without)
    assert_trains_alike(fast, emitted(diagram, 1), diagram, counts=(5, 5, 4), tolerance=1e-11)


def all_but(*kept: str) -> tuple[str, ...]:
    return tuple(o for o in OPTIMISATIONS if o not in kept)


def test_passes_are_optimisations() -> None:
    assert set(FAST) < set(OPTIMISATIONS) and len(set(OPTIMISATIONS)) == len(OPTIMISATIONS)


@pytest.mark.parametrize("title", OPTIMISATIONS)
def test_each_can_be_left_out(title: str) -> None:
    for name in QUICK:
        assert_agrees(small(name), (title,))


@pytest.mark.parametrize("title", OPTIMISATIONS)
def test_each_works_alone(title: str) -> None:
    for name in QUICK:
        assert_agrees(small(name), all_but(title))


@pytest.mark.parametrize("name", QUICK)
def test_all_can_be_left_out(name: str) -> None:
    assert_agrees(small(name), OPTIMISATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("title", OPTIMISATIONS)
@pytest.mark.parametrize("name", OTHERS)
def test_each_can_be_left_out_of_other_models(name: str, title: str) -> None:
    assert_agrees(small(name), (title,))
    assert_agrees(small(name), all_but(title))


def leave_out_of_random_programs(seeds: range) -> int:
    """How many programs were trained, each with some optimisations."""
    found = 0
    for seed in seeds:
        rng = random.Random(seed)
        diagram = loads(random_program(rng), f"random_{seed}.flow")
        if "Trainer" in emitted(diagram, 1):
            found += 1
            assert_agrees(diagram, (rng.choice(OPTIMISATIONS),))
            assert_agrees(diagram, tuple(o for o in OPTIMISATIONS if rng.random() < 0.5))
    return found


def test_any_can_be_left_out_of_random_programs() -> None:
    assert leave_out_of_random_programs(range(400, 440)) > 15


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_any_can_be_left_out_of_many_random_programs(block: int) -> None:
    assert leave_out_of_random_programs(range(500 + 60 * block, 560 + 60 * block)) > 15


def test_an_optimisation_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="poison"):
        small("cubic").compile(level=2, without=("poison",))
