"""Compiling takes time in proportion to the size of a drawing: counted in calls, and measured as a ratio."""

from __future__ import annotations

import cProfile
import pstats

import pytest
from compile_time import CASES, measured

from flowgraph.diagram import loads

FIRST = {"dense": 512, "blocks": 10, "loose": 150}
"""How large the first drawing is of which the calls of functions are counted, where it is not 32."""


def calls(text: str, target: str) -> int:
    """How many functions are called on the way from a text to a module, whatever else the machine does."""
    profile = cProfile.Profile()
    profile.runcall(lambda: loads(text).compile(target))
    return pstats.Stats(profile).total_calls  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("target", ["numpy", "torch"])
@pytest.mark.parametrize("case", [name for name in CASES if name != "sparse"])
def test_calls_grow_no_faster_than_the_drawing(case: str, target: str) -> None:
    first = FIRST.get(case, 32)
    loads(CASES[case](first)).compile(target)  # what is computed once is computed now
    counts = [calls(CASES[case](size), target) for size in (first, 2 * first, 4 * first)]
    assert counts[2] - counts[1] < 1.1 * 2 * (counts[1] - counts[0])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_time_for_every_wire_does_not_grow_with_the_drawing(case: str) -> None:
    small = 250 if case == "blocks" else 1_000
    large = 8 * small
    seconds = [min(measured(case, size, "numpy")[0] for _ in range(2)) for size in (small, large)]
    assert seconds[1] / large < 3 * seconds[0] / small


@pytest.mark.slow
def test_memory_for_every_wire_does_not_grow_with_the_drawing() -> None:
    small, middle, large = (measured("chain", size, "numpy")[1] for size in (1_000, 4_000, 16_000))
    assert (large - middle) / 12_000 < 1.5 * (middle - small) / 3_000
