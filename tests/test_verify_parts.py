"""The parts that verification is made of: slopes by differences, sizes of differences, noise, the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from flowgraph.diagram import loads
from flowgraph.verify.compare import largest_difference
from flowgraph.verify.differences import _averages, _jumps
from flowgraph.verify.engines import roughly
from flowgraph.verify.report import Row, Verification
from flowgraph.verify.slopes import one_sided, slope


def test_slopes_of_smooth_functions() -> None:
    found = slope(lambda t: np.array([np.exp(t), np.sin(3 * t), t * t]))
    assert found.value == pytest.approx([1, 3, 0], abs=1e-11)
    assert found.error < 1e-9


def test_slopes_see_past_kinks_that_are_not_too_near() -> None:
    found = slope(lambda t: np.array([np.abs(t + 1e-4) + np.sin(t)]))
    assert found.value == pytest.approx([2], abs=1e-7)


def test_slopes_on_a_kink_are_not_trusted_one_sided() -> None:
    assert one_sided(lambda t: np.array([max(t, 0.0)])) == (0, 1)
    noise = slope(lambda t: np.array([np.nan if t else 0.0]))
    assert not np.isfinite(noise.error)


def test_differences_of_what_is_no_number() -> None:
    inf, nan = np.inf, np.nan
    assert largest_difference(np.array([1.0, nan]), np.array([1.0, nan])) == (0, "[0]")
    assert largest_difference(np.array([1.0, inf]), np.array([1.0, inf]))[0] == 0
    assert largest_difference(np.array([1.0, nan]), np.array([1.0, 2.0])) == (inf, "[1]")
    assert largest_difference(np.array([inf]), np.array([-inf]))[0] == inf
    assert largest_difference(np.zeros(2), np.zeros(3))[0] == inf
    assert largest_difference(np.zeros((0, 2)), np.zeros((0, 2))) == (0, "")


def test_noise_is_small_and_leaves_whole_numbers() -> None:
    graph = loads("input x\nf = x / 3\ng = x + 1\noutput f, g\n").batched()
    known = roughly(graph, {"x": np.array([1.0, 2.0])}, 2.0**-50, np.random.default_rng(0))
    f, g = (known[r.node] for r in graph.results)
    assert 0 < np.max(np.abs(f * 3 - [1, 2])) < 1e-14
    assert list(g) == [2, 3]


def test_the_worst_of_several_comparisons_is_reported() -> None:
    report = Verification()
    report.add(Row("loss", "numpy -O0", 1e-16, 1e-11, "ok"))
    report.add(Row("loss", "numpy -O0", 1e-3, 1e-11, "DIFFERS", "here"))
    report.add(Row("loss", "numpy -O0", 1e-12, 1e-11, "ok"))
    [row] = report.rows
    assert row.note == "here" and not report.ok


Function = Callable[[float], float]


class Line:
    """A loss along a line, which knows its own slope; stands for a simulator, and for its cases."""

    def __init__(
        self, loss: Callable[[float], float], slope: Callable[[float], float], at: float = 0.0
    ) -> None:
        self.function, self.slope, self.at = loss, slope, at
        self.params = self.way = {"w": np.zeros(1)}

    def moved(self, way: object, step: float) -> Line:
        return Line(self.function, self.slope, self.at + step)

    def loss(self, case: Line) -> np.ndarray:
        return np.array([case.function(case.at)])

    def gradient(self, case: Line) -> dict[str, np.ndarray]:
        return {"gradient w": np.array([case.slope(case.at)])}


WIDTH = 1.3e-9
"""How far apart the kinks are: each step of a difference has many."""


def bent(t: float) -> float:
    """A curve made of pieces with the slopes 1 and 1.01, one after another."""
    pieces, rest = divmod(t, 2 * WIDTH)
    return pieces * 2.01 * WIDTH + min(rest, WIDTH) + 1.01 * max(rest - WIDTH, 0.0)


def bend(t: float) -> float:
    return 1.0 if t % (2 * WIDTH) < WIDTH else 1.01


def test_among_many_kinks_slopes_average_to_the_difference() -> None:
    line: Any = Line(bent, bend)
    assert _averages(line, line, line.way, lambda at: bend(at.at), 1.0)


@pytest.mark.parametrize("factor", [1.02, 0.98, -1.0, 0.0])
def test_a_slope_more_wrong_than_kinks_are_sharp_is_found(factor: float) -> None:
    line: Any = Line(bent, bend)
    assert not _averages(line, line, line.way, lambda at: factor * bend(at.at), 1.0)


def test_a_wrong_slope_on_one_side_of_a_kink_is_found() -> None:
    line: Any = Line(lambda t: max(t, 0.0), lambda t: 1.0 * (t > 0))
    assert _averages(line, line, line.way, lambda at: 1.0 * (at.at > 0), 1.0)
    assert not _averages(line, line, line.way, lambda at: 0.5 * (at.at > 0), 1.0)


def test_jumps_of_the_gradient_are_seen() -> None:
    for jumping in (lambda t: float(t > 0), lambda t: t + float(t > 1e-8), lambda t: abs(t) - (t > 2e-8)):
        line: Any = Line(bent, jumping)
        assert _jumps(line, line)
    for steady in (lambda t: 1 + 2 * t, np.sin, lambda t: abs(t)):
        line = Line(bent, steady)
        assert not _jumps(line, line)


def test_a_sum_of_many_terms_may_be_off_by_more() -> None:
    graph = loads("size T\ninput x : [T]\ns = sum(x)\np = x + 0.1\noutput s, p\n").batched()
    x = np.full((50, 10000), 0.3)
    known = roughly(graph, {graph.inputs[0]: x}, 2.0**-21, np.random.default_rng(0))
    values = {r.label: known[r.node] for r in graph.results}
    off_sum = np.max(np.abs(values["s"] / 3000 - 1))
    off_each = np.max(np.abs(values["p"] / 0.4 - 1))
    assert 40 * 2.0**-21 < off_sum < 200 * 2.0**-21
    assert off_each < 4 * 2.0**-21
