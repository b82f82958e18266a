"""The parts that verification is made of: slopes by differences, sizes of differences, noise, the report."""

from __future__ import annotations

import numpy as np
import pytest

from flowgraph.diagram import loads
from flowgraph.verify_compare import largest_difference
from flowgraph.verify_engines import roughly
from flowgraph.verify_report import Row, Verification
from flowgraph.verify_slopes import one_sided, slope


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
