"""`benchmarks/ablation.py`: what it leaves out, how it counts memory, what it prints."""

from __future__ import annotations

import ablation
import numpy as np
import pytest
from ablation import ALL, PEAKS, WORKLOADS, Column

from flowgraph.bench import first_values
from flowgraph.bench.report import Measured
from flowgraph.bench.turns import Failed, Times
from flowgraph.pipelines import OPTIMISATIONS


def column(times: dict[str, Measured | str]) -> Column:
    return Column(WORKLOADS["xor"], times, [], dict.fromkeys(PEAKS, 2048))


def test_a_cell_is_the_median_of_the_rounds_ratios() -> None:
    times: dict[str, Measured | str] = {
        ALL: Times((1.0, 2.0, 10.0)),
        "powers": Times((2.0, 6.0, 10.0)),
        "labels": "=",
        "-O1": Failed(""),
    }
    found = column(times)
    assert [found.cell(name) for name in ("powers", "labels", "-O1")] == ["2.00", "=", "failed"]


def test_the_table_has_a_line_for_each_name_and_the_memory() -> None:
    text = ablation.table([column({ALL: Times((1e-6, 1e-6)), "powers": Times((2e-6, 2e-6)), "-O1": "="})])
    assert "| `powers` | 2.00 |" in text
    assert "| all: `-O1` | = |" in text
    assert "| XOR 2-2-2, batch 4 | 2.0 | 2.0 | 2.0 | 2.0 | 2.0 |" in text


def test_the_drawing_is_the_network_of_layers() -> None:
    drawn, layered = (WORKLOADS[name].diagram() for name in ("drawn", "digits"))
    sizes = [sum(value.size for value in first_values(d).values()) for d in (drawn, layered)]
    assert sizes == [2410, 2410]
    assert len(drawn.graph.params) == 2410


@pytest.mark.parametrize("without", [(), ("reuse",)])
def test_the_planned_peak_is_what_is_found(without: tuple[str, ...]) -> None:
    workload = WORKLOADS["mlp"]
    diagram, batch = workload.diagram(), workload.batch(np.random.default_rng(0))
    text = diagram.compile(level=2, without=without)
    planned = ablation.planned_peak(diagram, "float32", batch, without)
    assert ablation.found_peak(text, first_values(diagram), batch) == pytest.approx(planned, rel=0.05)


@pytest.mark.slow
def test_each_optimisation_is_measured_where_it_changes_something() -> None:
    found = ablation.measure(WORKLOADS["cubic"], rounds=1, threads=1, seconds=0.001)
    assert list(found.times) == [ALL, *OPTIMISATIONS, "-O1", "-O0"]
    assert not found.notes
    assert {name for name, value in found.times.items() if isinstance(value, Times)} >= {"powers", "hoist"}
    assert found.times["labels"] == "="
